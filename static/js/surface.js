/**
 * What every layer of a drawing can do: remember its committed pixels, say what changed since, go back to them. Subclasses own
 * the visible bitmap; nothing here knows tools or the network.
 */

import { applyDelta, difference } from "./delta.js";
import { clip, union } from "./geometry.js";

/** @typedef {import("./types").Delta} Delta */
/** @typedef {import("./types").Rect} Rect */
/** @typedef {import("./types").BrushStyle} BrushStyle */
/** @typedef {import("./types").Point} Point */
/** @typedef {ReturnType<typeof pixelStore>} Pixels */

/**
 * @param {number} length
 * @returns {Uint8Array | Uint32Array}
 */
function pixelStore(length) {
  return new Uint32Array(length);
}

/** @abstract */
export class Surface {
  /**
   * @param {import("./types").ImageInput} input
   * @param {import("./types").Size} size - the model's, pixels
   * @param {number} scale - bitmap pixels per model pixel
   */
  constructor(input, size, scale) {
    this.input = input;
    this.size = size;
    this.scale = scale;
    this.width = size.width * scale;
    this.height = size.height * scale;
    this.canvas = document.createElement("canvas");
    this.canvas.width = this.width;
    this.canvas.height = this.height;
    this.canvas.className = `layer layer-${input.kind}`;
    const context = this.canvas.getContext("2d", { willReadFrequently: true });
    if (!context) throw new Error("This browser cannot draw on a canvas.");
    this.context = context;
    /** @type {Pixels} */
    this.committed = pixelStore(this.width * this.height);
    /** @type {Rect | null} changed since the last commit, bitmap pixels */
    this.dirty = null;
  }

  /** @returns {Rect} */
  get area() {
    return { x: 0, y: 0, width: this.width, height: this.height };
  }

  /**
   * Marks a rectangle as changed.
   * @param {Rect | null} rect - bitmap pixels
   */
  touch(rect) {
    const inside = rect && clip(rect, this.width, this.height);
    if (inside) this.dirty = union(this.dirty, inside);
  }

  /**
   * Makes the visible state the committed one.
   * @returns {Delta | null} what changed, for undo
   */
  commit() {
    const rect = this.dirty;
    this.dirty = null;
    if (!rect) return null;
    const delta = difference(this.committed, this.width, this.grab(rect), rect);
    if (delta) applyDelta(this.committed, this.width, delta);
    return delta;
  }

  /** Puts the committed state back, as when a stroke is cancelled or a preview redrawn. */
  reset() {
    if (this.dirty) this.show(this.dirty);
    this.dirty = null;
  }

  /**
   * Undoes or redoes a committed change.
   * @param {Delta} delta
   */
  toggle(delta) {
    applyDelta(this.committed, this.width, delta);
    this.show(delta.rect);
  }

  /**
   * Visible pixels of a rectangle.
   * @abstract
   * @param {Rect} _rect
   * @returns {Pixels}
   */
  grab(_rect) {
    throw new Error("abstract");
  }

  /**
   * Makes the committed pixels of a rectangle visible.
   * @abstract
   * @param {Rect} _rect
   * @returns {void}
   */
  show(_rect) {
    throw new Error("abstract");
  }
}
