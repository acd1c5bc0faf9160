/** A drawing: one surface per input of a model, and what is done to all of them at once. It knows neither tools nor network. */

import { workingSize } from "./geometry.js";
import { LabelSurface } from "./labelsurface.js";
import { PaintSurface } from "./paintsurface.js";
import { toDataUrl } from "./png.js";

/** @typedef {import("./types").ImageInput} ImageInput */
/** @typedef {import("./types").InputKind} InputKind */
/** @typedef {PaintSurface | LabelSurface} AnySurface */

export class Drawing {
  /** @param {import("./types").Manifest} manifest */
  constructor(manifest) {
    this.manifest = manifest;
    const [main] = manifest.inputs;
    this.size = workingSize(main.size);
    /** @type {AnySurface[]} */
    this.surfaces = manifest.inputs.map((input) => {
      const size = "height" in input.size ? workingSize(input.size) : this.size;
      return input.kind === "labels" ? new LabelSurface(input, size) : new PaintSurface(input, size);
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
   * Commits every layer as one step.
   * @returns {(() => void) | null} toggles the step: undoes it, and redoes it when called again
   */
  commit() {
    const changes = this.surfaces.flatMap((surface) => {
      const delta = surface.commit();
      return delta ? [{ surface, delta }] : [];
    });
    if (!changes.length) return null;
    return () => changes.forEach(({ surface, delta }) => surface.toggle(delta));
  }

  /**
   * What the model gets: optional layers only when something is on them.
   * @returns {Promise<import("./types").EncodedInput[]>}
   */
  encode() {
    const sent = this.surfaces.filter((surface) => !surface.input.optional || !surface.isBlank());
    return Promise.all(sent.map(async (surface) => ({ name: surface.input.name, bytes: await surface.encode() })));
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
      const content =
        surface instanceof LabelSurface
          ? { kind, ...surface.size, runs: surface.toRuns() }
          : { kind, picture: await toDataUrl(await surface.encodeFine()) };
      return /** @type {[string, object]} */ ([name, content]);
    });
    return Object.fromEntries(await Promise.all(entries));
  }
}
