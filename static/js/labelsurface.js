/**
 * A layer of classes. The indices are the truth; colours only show them and carry them to the server, so no pixel is ever a
 * mixture of two classes.
 */

import { contain } from "./geometry.js";
import { fromRuns, toRuns } from "./delta.js";
import { snapToPalette } from "./pixels.js";
import { encodePng, hexToRgb } from "./png.js";
import { copyShifted, drawRectangle, drawSegment, floodFill } from "./raster.js";
import { Surface } from "./surface.js";

/** @typedef {import("./types").Point} Point */
/** @typedef {import("./types").Rect} Rect */

export class LabelSurface extends Surface {
  /**
   * @param {import("./types").ImageInput} input
   * @param {import("./types").Size} size
   */
  constructor(input, size) {
    super(input, size, 1);
    this.background = input.background[0];
    this.colors = (input.palette ?? []).map((entry) => entry.color);
    this.rgb = this.colors.map(hexToRgb);
    this.committed = new Uint8Array(this.width * this.height).fill(this.background);
    /** @type {import("./raster.js").IndexMap} */
    this.map = { width: this.width, height: this.height, data: this.committed.slice() };
    this.#paint(this.area);
  }

  /** @override @param {Rect | null} rect */
  touch(rect) {
    super.touch(rect);
    if (rect) this.#paint(rect);
  }

  /** @override @param {Rect} rect */
  grab(rect) {
    const out = new Uint8Array(rect.width * rect.height);
    for (let y = 0; y < rect.height; y++) {
      const start = (rect.y + y) * this.width + rect.x;
      out.set(this.map.data.subarray(start, start + rect.width), y * rect.width);
    }
    return out;
  }

  /** @override @param {Rect} rect */
  show(rect) {
    for (let y = rect.y; y < rect.y + rect.height; y++) {
      const start = y * this.width + rect.x;
      this.map.data.set(this.committed.subarray(start, start + rect.width), start);
    }
    this.#paint(rect);
  }

  /**
   * @param {Point} from - model pixels
   * @param {Point} to
   * @param {number} diameter - model pixels
   * @param {number} index - class
   */
  segment(from, to, diameter, index) {
    this.touch(drawSegment(this.map, from, to, diameter, index));
  }

  /**
   * @param {Point} from
   * @param {Point} to
   * @param {number} index
   */
  rectangle(from, to, index) {
    this.touch(drawRectangle(this.map, from, to, index));
  }

  /**
   * @param {Point} at
   * @param {number} index
   */
  fill(at, index) {
    this.touch(floodFill(this.map, at, index));
  }

  /**
   * @param {Point} point
   * @returns {number | null} class under a point, null outside
   */
  classAt(point) {
    const [x, y] = [Math.floor(point.x), Math.floor(point.y)];
    const isInside = x >= 0 && y >= 0 && x < this.width && y < this.height;
    return isInside ? this.map.data[y * this.width + x] : null;
  }

  clear() {
    this.map.data.fill(this.background);
    this.touch(this.area);
  }

  /**
   * @param {number} dx - model pixels
   * @param {number} dy - model pixels
   */
  shift(dx, dy) {
    const source = /** @type {Uint8Array} */ (this.committed);
    copyShifted(source, this.map.data, this.width, this.height, Math.round(dx), Math.round(dy), this.background);
    this.touch(this.area);
  }

  /**
   * Replaces the layer by a picture: fitted by nearest neighbour, each pixel snapped to the nearest class.
   * @param {ImageBitmap} bitmap
   * @returns {{inverted: boolean, snapped: number}} snapped: share of pixels that were off the palette
   */
  load(bitmap) {
    const canvas = document.createElement("canvas");
    canvas.width = this.width;
    canvas.height = this.height;
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
    const box = contain(bitmap.width, bitmap.height, this.width, this.height);
    context.imageSmoothingEnabled = false;
    context.drawImage(bitmap, box.x, box.y, box.width, box.height);
    const rgba = context.getImageData(0, 0, this.width, this.height).data;
    const { indices, snapped } = snapToPalette(rgba, this.colors, this.background);
    this.map.data.set(indices);
    this.touch(this.area);
    return { inverted: false, snapped };
  }

  isBlank() {
    return this.map.data.every((index) => index === this.background);
  }

  /** @returns {Promise<Uint8Array>} the PNG that the model gets: palette colours, lossless */
  encode() {
    return encodePng({ ...this.size, channels: 1, data: this.map.data.slice(), palette: this.colors });
  }

  /** Its part of a project file. */
  async toLayer() {
    return { ...this.size, runs: this.toRuns() };
  }

  /** @returns {number[]} pairs of count and class, row by row */
  toRuns() {
    return Array.from(toRuns(this.map.data));
  }

  /** @param {number[]} runs */
  loadRuns(runs) {
    this.map.data.set(fromRuns(runs, this.map.data.length).map((index) => Math.min(index, this.colors.length - 1)));
    this.touch(this.area);
  }

  /** @param {Rect} rect */
  #paint(rect) {
    const image = this.context.createImageData(rect.width, rect.height);
    for (let y = 0, at = 0; y < rect.height; y++) {
      const row = (rect.y + y) * this.width + rect.x;
      for (let x = 0; x < rect.width; x++, at += 4) {
        const [red, green, blue] = this.rgb[this.map.data[row + x]];
        image.data[at] = red;
        image.data[at + 1] = green;
        image.data[at + 2] = blue;
        image.data[at + 3] = 255;
      }
    }
    this.context.putImageData(image, rect.x, rect.y);
  }
}
