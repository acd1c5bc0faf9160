/**
 * A layer of soft-edged paint: ink lines, colour hints, or an opened picture. It is drawn finer than the model sees it and
 * reduced on the way out, so that strokes look sharp on screen and have the trained width in the model.
 */

import { boundsOf, contain, fineScale, toGrid, union } from "./geometry.js";
import { enlargeCoverage, meanAlpha, meanColor, overBackground, readInk } from "./pixels.js";
import { encodePng, rgbToHex, toDataUrl } from "./png.js";
import { copyShifted } from "./raster.js";
import { Surface } from "./surface.js";

/** @typedef {import("./types").BrushStyle} BrushStyle */
/** @typedef {import("./types").Point} Point */
/** @typedef {import("./types").Rect} Rect */

export class PaintSurface extends Surface {
  /**
   * @param {import("./types").ImageInput} input
   * @param {import("./types").Size} size
   */
  constructor(input, size) {
    super(input, size, fineScale(size));
    this.context.lineCap = "round";
    this.context.lineJoin = "round";
    this.inkColor = input.ink === "light" ? "#ffffff" : "#000000";
    /** Model-sized bytes, kept up to date where `stale` says. */
    this.reduced = new Uint8Array(size.width * size.height * this.bytesPerPixel).fill(0);
    /** @type {Rect | null} bitmap pixels changed since `reduced` was computed */
    this.stale = this.area;
  }

  /** @returns {1 | 3 | 4} */
  get bytesPerPixel() {
    return this.input.kind === "hints" ? 4 : this.input.kind === "photo" ? 3 : 1;
  }

  /** @override @param {Rect | null} rect */
  touch(rect) {
    super.touch(rect);
    this.stale = union(this.stale, this.dirty);
  }

  /** @override @param {Rect} rect */
  grab(rect) {
    const image = this.context.getImageData(rect.x, rect.y, rect.width, rect.height);
    return new Uint32Array(image.data.buffer);
  }

  /** @override @param {Rect} rect */
  show(rect) {
    const image = new ImageData(rect.width, rect.height);
    const pixels = new Uint32Array(image.data.buffer);
    for (let y = 0; y < rect.height; y++) {
      const start = (rect.y + y) * this.width + rect.x;
      pixels.set(this.committed.subarray(start, start + rect.width), y * rect.width);
    }
    this.context.putImageData(image, rect.x, rect.y);
    this.stale = union(this.stale, rect);
  }

  /**
   * Draws one smooth piece of a stroke.
   * @param {Point} from - model pixels, as are the others
   * @param {Point} control
   * @param {Point} to
   * @param {BrushStyle} style
   */
  curve(from, control, to, style) {
    const { context, scale } = this;
    context.globalCompositeOperation = style.erase ? "destination-out" : "source-over";
    context.strokeStyle = this.input.kind === "line" ? this.inkColor : style.color;
    context.lineWidth = style.width * scale;
    context.beginPath();
    context.moveTo(from.x * scale, from.y * scale);
    // A path without length draws no cap in some browsers; a thousandth of a pixel does.
    context.quadraticCurveTo(control.x * scale, control.y * scale, to.x * scale + 0.001, to.y * scale);
    context.stroke();
    context.globalCompositeOperation = "source-over";
    const points = [from, control, to].map((point) => ({ x: point.x * scale, y: point.y * scale }));
    this.touch(boundsOf(points, (style.width * scale) / 2 + 2));
  }

  clear() {
    this.context.clearRect(0, 0, this.width, this.height);
    this.touch(this.area);
  }

  /**
   * Shows the committed picture moved; nothing is lost until commit.
   * @param {number} dx - model pixels
   * @param {number} dy - model pixels
   */
  shift(dx, dy) {
    const moved = new ImageData(this.width, this.height);
    const [x, y] = [Math.round(dx * this.scale), Math.round(dy * this.scale)];
    const source = /** @type {Uint32Array} */ (this.committed);
    copyShifted(source, new Uint32Array(moved.data.buffer), this.width, this.height, x, y, 0);
    this.context.putImageData(moved, 0, 0);
    this.touch(this.area);
  }

  /**
   * Moves, turns and scales what is painted.
   * @param {DOMMatrix} change - model pixels
   */
  remap(change) {
    const before = document.createElement("canvas");
    [before.width, before.height] = [this.width, this.height];
    before.getContext("2d")?.drawImage(this.canvas, 0, 0);
    this.clear();
    this.context.save();
    this.context.setTransform(new DOMMatrix().scale(this.scale).multiply(change).scale(1 / this.scale));
    this.context.drawImage(before, 0, 0);
    this.context.restore();
  }

  /**
   * Replaces the layer by a picture, fitted inside.
   * @param {ImageBitmap} bitmap
   * @returns {{inverted: boolean, snapped: number}} what had to be done to it
   */
  load(bitmap) {
    this.clear();
    if (this.input.kind === "line") return { inverted: this.#loadInk(bitmap), snapped: 0 };
    const box = contain(bitmap.width, bitmap.height, this.width, this.height);
    this.context.imageSmoothingQuality = "high";
    this.context.drawImage(bitmap, box.x, box.y, box.width, box.height);
    return { inverted: false, snapped: 0 };
  }

  /**
   * @param {ImageBitmap} bitmap
   * @returns {boolean} whether its polarity was turned
   */
  #loadInk(bitmap) {
    const isModelSized = bitmap.width === this.size.width && bitmap.height === this.size.height;
    const box = isModelSized
      ? { x: 0, y: 0, width: bitmap.width, height: bitmap.height }
      : contain(bitmap.width, bitmap.height, this.width, this.height);
    const { coverage, inverted } = readInk(readPixels(bitmap, box.width, box.height));
    if (isModelSized) this.loadCoverage(coverage);
    else this.#putInk(coverage, box.width, box);
    return inverted !== (this.input.ink === "light");
  }

  /**
   * Replaces the layer by ink, as much as the model is to see of it.
   * @param {Uint8Array} coverage - of each model pixel, [0, 255]
   */
  loadCoverage(coverage) {
    this.clear();
    this.#putInk(enlargeCoverage(coverage, this.size.width, this.size.height, this.scale), this.width, { x: 0, y: 0 });
  }

  /**
   * @param {Uint8Array | Uint8ClampedArray} coverage - of bitmap pixels
   * @param {number} width - bitmap pixels
   * @param {Point} place - bitmap pixels
   */
  #putInk(coverage, width, { x, y }) {
    const image = new ImageData(width, coverage.length / width);
    const ink = this.input.ink === "light" ? 255 : 0;
    for (let k = 0, at = 0; k < coverage.length; k++, at += 4) {
      image.data.fill(ink, at, at + 3);
      image.data[at + 3] = coverage[k];
    }
    this.context.putImageData(image, x, y);
  }

  /** @returns {boolean} whether nothing is drawn */
  isBlank() {
    return this.grab(this.area).every((value) => value === 0);
  }

  /**
   * Colour under a point, if there is paint.
   * @param {Point} point - model pixels
   * @returns {string | null}
   */
  colorAt(point) {
    const rgba = this.context.getImageData(point.x * this.scale, point.y * this.scale, 1, 1).data;
    return rgba[3] < 128 ? null : rgbToHex(rgba);
  }

  /** @returns {Promise<Uint8Array>} the PNG that the model gets */
  encode() {
    this.#reduceStale();
    return encodePng({ ...this.size, channels: this.bytesPerPixel, data: this.reduced.slice() });
  }

  #reduceStale() {
    if (!this.stale) return;
    const { scale } = this;
    const cells = toGrid(this.stale, scale);
    this.stale = null;
    const box = { x: cells.x * scale, y: cells.y * scale, width: cells.width * scale, height: cells.height * scale };
    const rgba = this.context.getImageData(box.x, box.y, box.width, box.height).data;
    const bytes = this.#reduce(rgba, cells.width, cells.height);
    const rowBytes = cells.width * this.bytesPerPixel;
    for (let y = 0; y < cells.height; y++) {
      const to = ((cells.y + y) * this.size.width + cells.x) * this.bytesPerPixel;
      this.reduced.set(bytes.subarray(y * rowBytes, (y + 1) * rowBytes), to);
    }
  }

  /**
   * @param {Uint8ClampedArray} rgba
   * @param {number} width - model pixels
   * @param {number} height - model pixels
   */
  #reduce(rgba, width, height) {
    if (this.input.kind === "line") return this.#reduceInk(meanAlpha(rgba, width, height, this.scale));
    const colors = meanColor(rgba, width, height, this.scale);
    if (this.input.kind === "hints") return hardAlpha(colors);
    return overBackground(colors, this.input.background);
  }

  /** @param {Uint8Array} coverage */
  #reduceInk(coverage) {
    const paper = this.input.background[0];
    const ink = this.input.ink === "light" ? 255 : 0;
    return coverage.map((value) => Math.round(paper + ((ink - paper) * value) / 255));
  }

  /** Its part of a project file. */
  async toLayer() {
    return { picture: await toDataUrl(await this.encodeFine()) };
  }

  /**
   * The layer at its full fineness, for a project file: coverage of ink, or colours.
   * @returns {Promise<Uint8Array>} PNG
   */
  encodeFine() {
    const rgba = this.context.getImageData(0, 0, this.width, this.height).data;
    const size = { width: this.width, height: this.height };
    if (this.input.kind !== "line") return encodePng({ ...size, channels: 4, data: new Uint8Array(rgba.buffer) });
    return encodePng({ ...size, channels: 1, data: meanAlpha(rgba, this.width, this.height, 1) });
  }

  /**
   * Restores what `encodeFine` wrote.
   * @param {ImageBitmap} bitmap
   */
  loadFine(bitmap) {
    this.clear();
    if (this.input.kind !== "line") {
      this.context.drawImage(bitmap, 0, 0, this.width, this.height);
      return;
    }
    const rgba = readPixels(bitmap, this.width, this.height);
    const ink = this.input.ink === "light" ? 255 : 0;
    for (let at = 0; at < rgba.length; at += 4) {
      rgba[at + 3] = rgba[at];
      rgba.fill(ink, at, at + 3);
    }
    this.context.putImageData(new ImageData(/** @type {ImageDataArray} */ (rgba), this.width, this.height), 0, 0);
  }
}

/**
 * @param {ImageBitmap} bitmap
 * @param {number} width
 * @param {number} height
 */
function readPixels(bitmap, width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data;
}

/**
 * A hint is there or it is not: alpha becomes 0 or 255, and the colour of what is not there 0.
 * @param {Uint8ClampedArray} rgba
 */
function hardAlpha(rgba) {
  const out = new Uint8Array(rgba.length);
  for (let at = 0; at < rgba.length; at += 4) {
    if (rgba[at + 3] < 128) continue;
    out.set(rgba.subarray(at, at + 3), at);
    out[at + 3] = 255;
  }
  return out;
}
