/**
 * A layer that holds a photo and which part of it is shown. The photo itself never changes: an undo step remembers two crops, and
 * another crop can start from the whole photo. While a camera runs, its frames are shown instead and belong to no step.
 */

import { boxOf, isWhole, wholeCrop } from "./cropgeometry.js";
import { contain, fineScale } from "./geometry.js";
import { isArrayInput } from "./inputs.js";
import { shrink, writeNpy } from "./npy.js";
import { Photo } from "./photo.js";
import { overBackground } from "./pixels.js";
import { encodePng, toDataUrl, toFile } from "./png.js";

/** @typedef {import("./types").Crop} Crop */
/** @typedef {import("./types").Rect} Rect */
/** @typedef {{photo: Photo, crop: Crop}} Shown */
/** @typedef {{before: Shown | null, after: Shown | null}} Change */

/** Of a further input, beside the photo itself in one request. */
const MAX_FULL_BYTES = 8 * 2 ** 20;
const MAX_FULL_PIXELS = 2 ** 22;

export class PhotoSurface {
  /** @type {Shown | null} */
  shown = null;
  /** @type {Shown | null} */
  #committed = null;
  /** @type {Shown | null} the camera's latest picture */
  #frame = null;
  /** @type {{photo: Photo, bytes: Uint8Array} | null} an array as it was sent last */
  #sent = null;

  /**
   * @param {import("./types").ImageInput} input
   * @param {import("./types").Size} size - the model's, pixels
   */
  constructor(input, size) {
    this.input = input;
    this.size = size;
    this.scale = fineScale(size);
    this.width = size.width * this.scale;
    this.height = size.height * this.scale;
    this.canvas = document.createElement("canvas");
    [this.canvas.width, this.canvas.height] = [this.width, this.height];
    this.canvas.className = `layer layer-${input.kind}`;
    this.context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    this.small = document.createElement("canvas");
    [this.small.width, this.small.height] = [size.width, size.height];
  }

  /** Where the picture lies on the model's canvas, model pixels. @returns {Rect | null} null when there is none */
  get box() {
    const now = this.#visible;
    return now && boxOf(now.crop, this.size);
  }

  /** @returns {Shown | null} */
  get #visible() {
    return this.#frame ?? this.shown;
  }

  isBlank() {
    return this.#visible === null;
  }

  /** @param {Photo} photo */
  open(photo) {
    this.shown = { photo, crop: wholeCrop(photo.size) };
    this.#draw();
  }

  /**
   * Puts a picture in, as of a sample.
   * @param {ImageBitmap | Photo} picture
   * @returns {{inverted: boolean, snapped: number}}
   */
  load(picture) {
    const isPhoto = picture instanceof Photo;
    this.open(isPhoto ? picture : Photo.of(picture, { width: picture.width, height: picture.height }, ""));
    return { inverted: false, snapped: 0 };
  }

  /** @param {Crop} crop */
  setCrop(crop) {
    if (!this.shown) return;
    this.shown = { photo: this.shown.photo, crop };
    this.#draw();
  }

  /** The crop before the changes that are not committed yet. */
  get committedCrop() {
    return this.#committed?.crop ?? null;
  }

  /** @param {Shown | null} frame - of a camera; null to show the photo again */
  setFrame(frame) {
    this.#frame = frame;
    this.#draw();
  }

  clear() {
    this.shown = null;
    this.#draw();
  }

  /** A photo is not shifted; it is cropped. */
  shift() {}

  /** @returns {Change | null} */
  commit() {
    const change = { before: this.#committed, after: this.shown };
    if (change.before === change.after) return null;
    this.#committed = this.shown;
    return change;
  }

  reset() {
    if (this.shown === this.#committed) return;
    this.shown = this.#committed;
    this.#draw();
  }

  /** @param {Change} change */
  toggle({ before, after }) {
    this.#committed = this.#committed === after ? before : after;
    this.shown = this.#committed;
    this.#draw();
  }

  #draw() {
    this.context.clearRect(0, 0, this.width, this.height);
    const now = this.#visible;
    if (!now) return;
    const { x, y, width, height } = boxOf(now.crop, this.size);
    const [left, top, wide, high] = [x, y, width, height].map((value) => value * this.scale);
    const box = { x: left, y: top, width: wide, height: high };
    this.context.fillStyle = paperOf(this.input);
    this.context.fillRect(left, top, wide, high);
    now.photo.draw(this.context, now.crop, box);
    if (this.input.kind === "gray") takeColor(this.context, box);
  }

  /**
   * What is shown as the model sees it, at the photo's own size or smaller.
   * @param {number} maxPixels
   * @returns {Promise<HTMLCanvasElement | null>} null when no photo is open
   */
  async render(maxPixels) {
    if (!this.shown) return null;
    const canvas = await this.shown.photo.render(this.shown.crop, maxPixels);
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    if (this.input.kind === "gray") takeColor(context, { x: 0, y: 0, width: canvas.width, height: canvas.height });
    return canvas;
  }

  /** @returns {Promise<Uint8Array>} the file that the model gets while things change: the model's size, gray where it wants gray */
  async encode() {
    if (isArrayInput(this.input) && this.shown) return this.#encodeArray(this.shown.photo);
    const context = /** @type {CanvasRenderingContext2D} */ (this.small.getContext("2d", { willReadFrequently: true }));
    context.imageSmoothingQuality = "high";
    context.clearRect(0, 0, this.size.width, this.size.height);
    context.drawImage(this.#exact ?? this.canvas, 0, 0, this.size.width, this.size.height);
    const rgba = context.getImageData(0, 0, this.size.width, this.size.height).data;
    const data = overBackground(rgba, this.input.background);
    return encodePng({ ...this.size, channels: this.input.background.length === 1 ? 1 : 3, data });
  }

  /** A photo that has the model's size already, which a way over the finer canvas would change a little. */
  get #exact() {
    const now = this.#visible;
    if (!now || !isWhole(now.crop, this.size)) return null;
    const { width, height } = now.photo.size;
    return width === this.size.width && height === this.size.height ? now.photo.screen : null;
  }

  /** @param {Photo} photo */
  #encodeArray(photo) {
    if (this.#sent?.photo === photo) return this.#sent.bytes;
    const array = /** @type {import("./npy.js").PixelArray} */ (photo.array);
    const { width, height } = contain(array.width, array.height, this.size.width, this.size.height);
    // The server lays it into the graph's size; what is smaller already is sent as it is.
    const bytes = writeNpy(width < array.width ? shrink(array, width, height) : array);
    this.#sent = { photo, bytes };
    return bytes;
  }

  /** @returns {Promise<Uint8Array>} the file for a translation at full size: as it was opened, where that shows what is shown */
  async encodeFull() {
    if (!this.shown) return this.encode();
    const { photo, crop } = this.shown;
    const canGo = photo.canSendFile(crop) && (photo.blob?.size ?? Infinity) <= MAX_FULL_BYTES;
    if (!canGo && isArrayInput(this.input)) return this.encode();
    const file = canGo ? /** @type {Blob} */ (photo.blob) : await toFile(await photo.render(crop, MAX_FULL_PIXELS));
    return new Uint8Array(await file.arrayBuffer());
  }

  /** Its part of a project file: the photo's own file and the crop. */
  async toLayer() {
    if (!this.shown) return { picture: null };
    const { photo, crop } = this.shown;
    const file = photo.blob ?? (await toFile(/** @type {HTMLCanvasElement} */ (photo.screen)));
    return { picture: await toDataUrl(file, photo.type || "image/png"), name: photo.name, crop };
  }

  /**
   * Restores what `toLayer` wrote.
   * @param {Photo} photo
   * @param {Crop} crop
   */
  restore(photo, crop) {
    this.shown = { photo, crop };
    this.#draw();
  }
}

/** @param {import("./types").ImageInput} input @returns {string} CSS colour */
export function paperOf({ background }) {
  const [red, green = red, blue = red] = background;
  return `rgb(${red}, ${green}, ${blue})`;
}

/**
 * Takes the colour out of what was drawn opaquely; lightness stays, as BT.601 has it.
 * @param {CanvasRenderingContext2D} context
 * @param {Rect} box
 */
export function takeColor(context, { x, y, width, height }) {
  context.globalCompositeOperation = "saturation";
  context.fillStyle = "#000";
  context.fillRect(x, y, width, height);
  context.globalCompositeOperation = "source-over";
}
