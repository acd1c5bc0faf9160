/**
 * A drawing: one surface per input of a model, and what is done to all of them at once. Those on the sheet lie over each other as
 * layers; the others are slots, filled from files. It knows neither tools nor network.
 */

import { boxOf, cropMatrix, isWhole, scaleCrop } from "./cropgeometry.js";
import { workingSize } from "./geometry.js";
import { isArrayInput, layerInputs } from "./inputs.js";
import { LabelSurface } from "./labelsurface.js";
import { PaintSurface } from "./paintsurface.js";
import { Photo } from "./photo.js";
import { PhotoSurface } from "./photosurface.js";

/** @typedef {import("./types").ImageInput} ImageInput */
/** @typedef {import("./types").InputKind} InputKind */
/** @typedef {PaintSurface | LabelSurface | PhotoSurface} AnySurface */

/** What an input is drawn on. */
const SURFACES = { line: PaintSurface, hints: PaintSurface, labels: LabelSurface, gray: PhotoSurface, photo: PhotoSurface };

export class Drawing {
  /** @param {import("./types").Manifest} manifest */
  constructor(manifest) {
    this.manifest = manifest;
    const [main] = manifest.inputs;
    this.size = workingSize(main.size);
    /** @type {AnySurface[]} */
    this.surfaces = manifest.inputs.map((input) => {
      const size = "height" in input.size ? workingSize(input.size) : this.size;
      return new SURFACES[input.kind](input, size);
    });
    const onSheet = layerInputs(manifest);
    /** @type {AnySurface[]} on the sheet, the lowest first */
    this.layers = this.surfaces.filter(({ input }) => onSheet.includes(input));
    /** @type {AnySurface[]} beside it */
    this.slots = this.surfaces.filter(({ input }) => !onSheet.includes(input));
  }

  get main() {
    return this.surfaces[0];
  }

  /** @param {InputKind} kind */
  has(kind) {
    return this.layers.some((surface) => surface.input.kind === kind);
  }

  /**
   * @param {InputKind} kind
   * @returns {PaintSurface | null}
   */
  paint(kind) {
    const found = this.layers.find((surface) => surface.input.kind === kind);
    return found instanceof PaintSurface ? found : null;
  }

  /** @returns {LabelSurface | null} */
  get labels() {
    return this.layers.find((surface) => surface instanceof LabelSurface) ?? null;
  }

  /** @returns {PhotoSurface | null} the main input, where it is a photo */
  get photo() {
    return this.main instanceof PhotoSurface ? this.main : null;
  }

  /** Whether every layer is empty. */
  isBlank() {
    return this.layers.every((surface) => surface.isBlank());
  }

  /** Inputs that the model cannot do without and that nothing is in. A sheet counts as something, however empty it is. */
  get missing() {
    const needed = this.surfaces.filter(({ input }) => !input.optional && (isArrayInput(input) || input !== this.main.input));
    return needed.filter((surface) => surface.isBlank()).map(({ input }) => input);
  }

  /** Empties the sheet; slots keep what is in them. */
  clear() {
    for (const surface of this.layers) surface.clear();
  }

  /**
   * Puts a picture into a slot. One of the same shape as the photo on the sheet shows the same part of it.
   * @param {AnySurface} slot
   * @param {Photo | ImageBitmap} picture
   * @returns {{inverted: boolean, snapped: number}} what had to be done to it
   */
  fill(slot, picture) {
    slot.clear();
    if (!(picture instanceof Photo)) return slot.load(picture);
    if (!(slot instanceof PhotoSurface)) throw new Error(`The input ${slot.input.name} takes no photo.`);
    const report = slot.load(picture);
    const shown = this.photo?.shown;
    if (shown && !isWhole(shown.crop, shown.photo.size)) followPhoto(slot, shown.crop, shown.photo.size);
    return report;
  }

  reset() {
    for (const surface of this.surfaces) surface.reset();
  }

  /**
   * @param {number} dx - model pixels
   * @param {number} dy - model pixels
   */
  shift(dx, dy) {
    for (const surface of this.layers) surface.shift(dx, dy);
  }

  /**
   * Moves what is painted over a photo along with a new crop of it, and crops the slots' pictures of the same shape alike.
   * @param {import("./types").Crop} before
   * @param {import("./types").Crop} after
   * @param {{width: number, height: number}} photo - its size, pixels
   */
  followCrop(before, after, photo) {
    const [from, to] = [before, after].map((crop) => new DOMMatrix(cropMatrix(crop, photo, boxOf(crop, this.size))));
    const change = to.multiply(from.inverse());
    for (const surface of this.layers) if (surface instanceof PaintSurface) surface.remap(change);
    for (const surface of this.slots) if (surface instanceof PhotoSurface) followPhoto(surface, after, photo);
  }

  /**
   * Commits every layer as one step.
   * @returns {(() => void) | null} toggles the step: undoes it, and redoes it when called again
   */
  commit() {
    const changes = this.surfaces.flatMap((surface) => {
      const change = surface.commit();
      // A surface takes back what it gave; what that is is its own business.
      return change ? [() => surface.toggle(/** @type {any} */ (change))] : [];
    });
    if (!changes.length) return null;
    return () => changes.forEach((toggle) => toggle());
  }

  /**
   * What the model gets: optional layers only when something is on them.
   * @returns {Promise<import("./types").EncodedInput[]>}
   */
  encode() {
    return encodeAll(this.surfaces);
  }

  /** What goes along with the main photo at its own size: hints at the model's size, slots at theirs. */
  encodeOthers() {
    return encodeAll(this.surfaces.slice(1), (surface) => (surface instanceof PhotoSurface ? surface.encodeFull() : surface.encode()));
  }

  /** What goes along with any photo: the slots. Hints were dabbed on one photo and fit no other. */
  encodeSlots() {
    return encodeAll(this.slots, (surface) => (surface instanceof PhotoSurface ? surface.encodeFull() : surface.encode()));
  }

  /** CSS colour of an empty canvas. */
  get paper() {
    const { input } = this.main;
    if (input.kind === "labels") return input.palette?.[input.background[0]].color ?? "#ffffff";
    const [red, green = red, blue = red] = input.background;
    return `rgb(${red}, ${green}, ${blue})`;
  }

  /**
   * Draws the whole sheet as people see it.
   * @param {HTMLCanvasElement} canvas
   * @param {number} width
   * @param {number} height
   */
  compose(canvas, width, height) {
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.fillStyle = this.paper;
    context.fillRect(0, 0, width, height);
    for (const surface of this.layers) {
      context.imageSmoothingEnabled = !(surface instanceof LabelSurface);
      context.imageSmoothingQuality = "high";
      context.globalAlpha = surface.input.kind === "hints" ? 0.7 : 1;
      context.drawImage(surface.canvas, 0, 0, width, height);
    }
    context.globalAlpha = 1;
  }

  /** @returns {Promise<Record<string, object>>} the layers for a project file */
  async toLayers() {
    const entries = this.surfaces.map(async (surface) => {
      const { name, kind } = surface.input;
      return /** @type {[string, object]} */ ([name, { kind, ...(await surface.toLayer()) }]);
    });
    return Object.fromEntries(await Promise.all(entries));
  }
}

/**
 * @param {AnySurface[]} surfaces
 * @param {(surface: AnySurface) => Promise<Uint8Array>} [encode]
 * @returns {Promise<import("./types").EncodedInput[]>}
 */
function encodeAll(surfaces, encode = (surface) => surface.encode()) {
  const sent = surfaces.filter((surface) => !surface.input.optional || !surface.isBlank());
  return Promise.all(sent.map(async (surface) => ({ name: surface.input.name, bytes: await encode(surface) })));
}

/** Sides of pictures of one shape may differ by this share, as rounding makes them. */
const SAME_SHAPE = 0.01;

/**
 * Crops a slot's picture like the photo, where both have the same shape.
 * @param {PhotoSurface} slot
 * @param {import("./types").Crop} crop - of the photo
 * @param {{width: number, height: number}} photo - its size, pixels
 */
function followPhoto(slot, crop, photo) {
  const size = slot.shown?.photo.size;
  if (!size || isArrayInput(slot.input)) return;
  const scale = size.width / photo.width;
  if (Math.abs((photo.height * scale) / size.height - 1) < SAME_SHAPE) slot.setCrop(scaleCrop(crop, scale));
}
