/** Zoom and pan, shared by the drawing and the result. It moves stages with CSS and converts between screen and model pixels. */

import { clamp } from "./geometry.js";

/** @typedef {import("./types").Point} Point */

const MAX_ZOOM = 16;

export class View extends EventTarget {
  zoom = 1;
  /** Offset of the stage's centre, as a share of its unzoomed side. */
  #offset = { x: 0, y: 0 };

  /**
   * @param {HTMLElement} stage - the one that is drawn on
   * @param {HTMLElement[]} followers - stages that show the same part
   */
  constructor(stage, followers) {
    super();
    this.stage = stage;
    this.stages = [stage, ...followers];
  }

  /**
   * @param {Point} client - CSS pixels of the window
   * @param {import("./types").Size} size - the model's
   * @returns {Point} model pixels
   */
  toModel(client, size) {
    const box = this.stage.getBoundingClientRect();
    return {
      x: ((client.x - box.left) / box.width) * size.width,
      y: ((client.y - box.top) / box.height) * size.height,
    };
  }

  /** @param {import("./types").Size} size - CSS pixels per model pixel */
  pixelsPerModelPixel(size) {
    return this.stage.getBoundingClientRect().width / size.width;
  }

  /**
   * Zooms so that what lies under a point stays there.
   * @param {Point} client
   * @param {number} factor
   */
  zoomAt(client, factor) {
    const zoom = clamp(this.zoom * factor, 1, MAX_ZOOM);
    const applied = zoom / this.zoom;
    const box = this.stage.getBoundingClientRect();
    const side = { x: box.width / this.zoom, y: box.height / this.zoom };
    const away = { x: client.x - (box.left + box.width / 2), y: client.y - (box.top + box.height / 2) };
    this.zoom = zoom;
    this.#offset.x += (away.x * (1 - applied)) / side.x;
    this.#offset.y += (away.y * (1 - applied)) / side.y;
    this.#apply();
  }

  /**
   * @param {number} dx - CSS pixels
   * @param {number} dy - CSS pixels
   */
  pan(dx, dy) {
    const box = this.stage.getBoundingClientRect();
    this.#offset.x += (dx * this.zoom) / box.width;
    this.#offset.y += (dy * this.zoom) / box.height;
    this.#apply();
  }

  reset() {
    this.zoom = 1;
    this.#offset = { x: 0, y: 0 };
    this.#apply();
  }

  #apply() {
    const limit = (this.zoom - 1) / 2;
    this.#offset.x = clamp(this.#offset.x, -limit, limit);
    this.#offset.y = clamp(this.#offset.y, -limit, limit);
    const move = `translate(${this.#offset.x * 100}%, ${this.#offset.y * 100}%) scale(${this.zoom})`;
    for (const stage of this.stages) stage.style.transform = this.zoom === 1 ? "" : move;
    this.dispatchEvent(new Event("change"));
  }
}
