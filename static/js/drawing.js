/** A drawing: one surface per input of a model, and what is done to all of them at once. It knows neither tools nor network. */

import { boxOf, cropMatrix } from "./cropgeometry.js";
import { workingSize } from "./geometry.js";
import { LabelSurface } from "./labelsurface.js";
import { PaintSurface } from "./paintsurface.js";
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
  }

  get main() {
    return this.surfaces[0];
  }

  /** @param {InputKind} kind */
  has(kind) {
    return this.surfaces.some((surface) => surface.input.kind === kind);
  }

  /**
   * @param {InputKind} kind
   * @returns {PaintSurface | null}
   */
  paint(kind) {
    const found = this.surfaces.find((surface) => surface.input.kind === kind);
    return found instanceof PaintSurface ? found : null;
  }

  /** @returns {LabelSurface | null} */
  get labels() {
    return this.surfaces.find((surface) => surface instanceof LabelSurface) ?? null;
  }

  /** @returns {PhotoSurface | null} the main input, where it is a photo */
  get photo() {
    return this.main instanceof PhotoSurface ? this.main : null;
  }

  /** Whether every layer is empty. */
  isBlank() {
    return this.surfaces.every((surface) => surface.isBlank());
  }

  clear() {
    for (const surface of this.surfaces) surface.clear();
  }

  reset() {
    for (const surface of this.surfaces) surface.reset();
  }

  /**
   * @param {number} dx - model pixels
   * @param {number} dy - model pixels
   */
  shift(dx, dy) {
    for (const surface of this.surfaces) surface.shift(dx, dy);
  }

  /**
   * Moves what is painted over a photo along with a new crop of it.
   * @param {import("./types").Crop} before
   * @param {import("./types").Crop} after
   * @param {{width: number, height: number}} photo - its size, pixels
   */
  followCrop(before, after, photo) {
    const [from, to] = [before, after].map((crop) => new DOMMatrix(cropMatrix(crop, photo, boxOf(crop, this.size))));
    const change = to.multiply(from.inverse());
    for (const surface of this.surfaces) if (surface instanceof PaintSurface) surface.remap(change);
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

  /** The layers beside the main one, as for sending a photo as its own file. */
  encodeOthers() {
    return encodeAll(this.surfaces.slice(1));
  }

  /** CSS colour of an empty canvas. */
  get paper() {
    const { input } = this.main;
    if (input.kind === "labels") return input.palette?.[input.background[0]].color ?? "#ffffff";
    const [red, green = red, blue = red] = input.background;
    return `rgb(${red}, ${green}, ${blue})`;
  }

  /**
   * Draws the whole drawing as people see it.
   * @param {HTMLCanvasElement} canvas
   * @param {number} width
   * @param {number} height
   */
  compose(canvas, width, height) {
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.fillStyle = this.paper;
    context.fillRect(0, 0, width, height);
    for (const surface of this.surfaces) {
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
 * @returns {Promise<import("./types").EncodedInput[]>}
 */
function encodeAll(surfaces) {
  const sent = surfaces.filter((surface) => !surface.input.optional || !surface.isBlank());
  return Promise.all(sent.map(async (surface) => ({ name: surface.input.name, bytes: await surface.encode() })));
}
