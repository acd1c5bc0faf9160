/**
 * Makes lines of a photo, as a model of lines was trained to see them: at its size, of its width. It asks the server and draws nothing.
 */

import { decodePicture, translateFile } from "./api.js";
import { clamp, contain, fitScale } from "./geometry.js";
import { plain } from "./mix.js";
import { toFile } from "./png.js";

/** @typedef {import("./types").ImageInput} ImageInput */
/** @typedef {import("./types").Manifest} Manifest */
/** @typedef {import("./types").Rect} Rect */
/** @typedef {import("./types").Size} Size */
/** @typedef {ImageBitmap | HTMLCanvasElement} Picture */

/** Ink that covers less of a pixel than this is not seen, [0, 255]. */
const FAINT = 24;

/**
 * The parameters of a tracer that people set: all but the width of its lines, which is the pen's.
 * @param {Manifest} tracer
 */
export function shownParameters({ parameters, output }) {
  return parameters.filter(({ name }) => name !== output.line?.width_parameter);
}

/** A photo that is to become lines on a sheet. */
export class Tracer {
  /** @type {Promise<Blob> | null} the photo as it is sent */
  #file = null;

  /**
   * @param {Manifest} manifest - of the model that traces
   * @param {ImageInput} input - that the lines are for
   * @param {Size} size - of the sheet, model pixels
   * @param {Picture} photo
   */
  constructor(manifest, input, size, photo) {
    this.manifest = manifest;
    this.input = input;
    this.size = size;
    this.photo = photo;
    /** @type {Rect} where the photo lies on the sheet, model pixels */
    this.box = contain(photo.width, photo.height, size.width, size.height);
  }

  /**
   * @param {Record<string, number>} params - of those that people set
   * @param {AbortSignal} [signal]
   * @returns {Promise<Uint8Array>} how much ink covers each pixel of the sheet, [0, 255]
   */
  async trace(params, signal) {
    this.#file ??= toFile(draw(this.photo, this.box));
    const order = { picture: await this.#file, mix: plain(0), params: { ...params, ...this.#width }, type: "image/png" };
    const lines = await decodePicture(await translateFile(this.manifest.id, order, signal));
    const coverage = this.#coverage(lines);
    lines.close();
    return coverage;
  }

  /** The width of lines in the tracer's pixels. @returns {Record<string, number>} */
  get #width() {
    const { parameters, inputs, output } = this.manifest;
    const found = parameters.find(({ name }) => name === output.line?.width_parameter);
    if (!found) return {};
    const width = (this.input.line_width_px ?? found.default) * fitScale(this.box.width, this.box.height, inputs[0].size);
    return { [found.name]: clamp(found.kind === "int" ? Math.round(width) : width, found.min, found.max) };
  }

  /** @param {ImageBitmap} lines */
  #coverage(lines) {
    const { x, y, width, height } = this.box;
    const { data } = contextOf(draw(lines, this.box)).getImageData(0, 0, width, height);
    const isLight = this.manifest.output.line?.ink === "light";
    const coverage = new Uint8Array(this.size.width * this.size.height);
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        const luma = data[(row * width + column) * 4];
        coverage[(y + row) * this.size.width + x + column] = isLight ? luma : 255 - luma;
      }
    }
    return coverage;
  }
}

/**
 * Whether nothing can be seen of the lines.
 * @param {Uint8Array} coverage
 */
export function isFaint(coverage) {
  return coverage.every((value) => value < FAINT);
}

/**
 * @param {Picture} picture
 * @param {{width: number, height: number}} size - pixels
 */
export function draw(picture, { width, height }) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = contextOf(canvas);
  // What is transparent is paper.
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, width, height);
  return canvas;
}

/** @param {HTMLCanvasElement} canvas */
function contextOf(canvas) {
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
}
