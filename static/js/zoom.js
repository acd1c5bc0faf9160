/** Zoom and pan of a picture in a window, as numbers: it keeps what lies under a point there, and the picture in view. Pure. */

import { clamp } from "./geometry.js";

/** @typedef {import("./types").Point} Point */
/** @typedef {{width: number, height: number}} Extent */

/** CSS pixels per picture pixel at the most. */
const MAX_SCALE = 16;
/** A small picture is enlarged to fit; it can still be seen pixel by pixel, on fine screens too. */
const MIN_SCALE = 0.25;

export class Zoom {
  /** CSS pixels per picture pixel. */
  scale = 1;
  /** Where the picture's top left corner lies in the window, CSS pixels. @type {Point} */
  offset = { x: 0, y: 0 };

  /**
   * @param {Extent} picture - pixels
   * @param {Extent} frame - the window's, CSS pixels
   */
  constructor(picture, frame) {
    this.picture = picture;
    this.frame = frame;
    this.fit();
  }

  /** The scale at which the whole picture is in view. */
  get fitScale() {
    return Math.min(this.frame.width / this.picture.width, this.frame.height / this.picture.height);
  }

  get isFitted() {
    return Math.abs(this.scale / this.fitScale - 1) < 0.001;
  }

  fit() {
    this.#set(this.fitScale, { x: 0, y: 0 });
  }

  /** @param {Extent} frame - the window's new extent */
  resize(frame) {
    const wasFitted = this.isFitted;
    const middle = this.toPicture({ x: this.frame.width / 2, y: this.frame.height / 2 });
    this.frame = frame;
    if (wasFitted) return this.fit();
    const { scale } = this;
    this.#set(scale, { x: frame.width / 2 - middle.x * scale, y: frame.height / 2 - middle.y * scale });
  }

  /**
   * @param {Point} at - of the window
   * @param {number} factor
   */
  zoomAt(at, factor) {
    this.zoomTo(at, this.scale * factor);
  }

  /**
   * @param {Point} at - of the window; what lies there stays there
   * @param {number} wanted - CSS pixels per picture pixel
   */
  zoomTo(at, wanted) {
    const scale = clamp(wanted, Math.min(this.fitScale, MIN_SCALE), Math.max(MAX_SCALE, this.fitScale));
    const point = this.toPicture(at);
    this.#set(scale, { x: at.x - point.x * scale, y: at.y - point.y * scale });
  }

  /**
   * @param {number} dx - CSS pixels
   * @param {number} dy - CSS pixels
   */
  pan(dx, dy) {
    this.#set(this.scale, { x: this.offset.x + dx, y: this.offset.y + dy });
  }

  /** @param {Point} at - of the window @returns {Point} picture pixels */
  toPicture(at) {
    return { x: (at.x - this.offset.x) / this.scale, y: (at.y - this.offset.y) / this.scale };
  }

  /**
   * @param {number} scale
   * @param {Point} offset
   */
  #set(scale, offset) {
    this.scale = scale;
    this.offset = {
      x: held(offset.x, this.frame.width, this.picture.width * scale),
      y: held(offset.y, this.frame.height, this.picture.height * scale),
    };
  }
}

/**
 * In the middle where there is room, else so that no gap opens at an edge.
 * @param {number} offset
 * @param {number} room
 * @param {number} length
 */
function held(offset, room, length) {
  return length <= room ? (room - length) / 2 : clamp(offset, room - length, 0);
}
