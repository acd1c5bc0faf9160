/** The result pane: the last picture, and the drawing laid over it for comparing. */

import { byId } from "./dom.js";
import { rgbToHex } from "./png.js";

/** @typedef {import("./types").Point} Point */
/** @typedef {"picture" | "wipe" | "overlay"} CompareMode */

export class ResultPane {
  canvas = byId("picture", HTMLCanvasElement);
  #ghost = byId("ghost", HTMLCanvasElement);
  #wipe = byId("wipe", HTMLInputElement);
  #buttons = byId("compare", HTMLElement);
  #context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d", { willReadFrequently: true }));
  /** @type {CompareMode} */
  mode = "picture";
  #isHeld = false;
  /** The picture on show, as the server sent it. @type {Blob | null} */
  shown = null;

  /** @param {import("./studio.js").Studio} studio */
  constructor(studio) {
    this.studio = studio;
    studio.on("change", () => this.#drawGhost());
    studio.on("frame", () => this.#drawGhost());
    studio.pictureColor = (point) => this.#colorAt(point);
    this.#wipe.addEventListener("input", () => this.#placeWipe());
    this.#buttons.addEventListener("click", (event) => {
      const button = /** @type {HTMLElement} */ (event.target).closest("button");
      if (button) this.setMode(/** @type {CompareMode} */ (button.dataset.compare));
    });
    const sheet = byId("result", HTMLElement);
    sheet.addEventListener("pointerdown", (event) => this.hold(event.target !== this.#wipe && event.button === 0));
    for (const name of ["pointerup", "pointercancel", "pointerleave"]) sheet.addEventListener(name, () => this.hold(false));
  }

  /**
   * @param {ImageBitmap} bitmap
   * @param {Blob | null} blob
   */
  show(bitmap, blob) {
    if (this.canvas.width !== bitmap.width || this.canvas.height !== bitmap.height) {
      [this.canvas.width, this.canvas.height] = [bitmap.width, bitmap.height];
    }
    this.#context.clearRect(0, 0, bitmap.width, bitmap.height);
    this.#context.drawImage(bitmap, 0, 0);
    this.#place(bitmap);
    bitmap.close();
    this.shown = blob;
  }

  /** Where the picture lies on the stage, shares of its sides. */
  #area = { x: 0, y: 0, width: 1, height: 1 };

  /**
   * A picture of the model's shape fills the stage; one of the photo's shape lies where the photo does.
   * @param {{width: number, height: number}} picture
   */
  #place(picture) {
    const { size, photo } = this.studio.drawing;
    const box = picture.width * size.height === picture.height * size.width ? null : photo?.box;
    const { x, y, width, height } = box ?? { x: 0, y: 0, ...size };
    this.#area = { x: x / size.width, y: y / size.height, width: width / size.width, height: height / size.height };
    const { style } = this.canvas;
    style.left = `${this.#area.x * 100}%`;
    style.top = `${this.#area.y * 100}%`;
    style.width = `${this.#area.width * 100}%`;
    style.height = `${this.#area.height * 100}%`;
  }

  /** @param {CompareMode} mode */
  setMode(mode) {
    this.mode = mode;
    for (const button of this.#buttons.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.dataset.compare === mode));
    }
    this.#drawGhost();
  }

  /** Shows the drawing alone while held. @param {boolean} isHeld */
  hold(isHeld) {
    if (this.#isHeld === isHeld) return;
    this.#isHeld = isHeld;
    this.#drawGhost();
  }

  #drawGhost() {
    const isShown = this.#isHeld || this.mode !== "picture";
    this.#ghost.hidden = !isShown;
    this.#wipe.hidden = this.#isHeld || this.mode !== "wipe";
    if (!isShown) return;
    this.#ghost.dataset.mode = this.#isHeld ? "hold" : this.mode;
    const { main } = this.studio.drawing;
    this.studio.drawing.compose(this.#ghost, main.width, main.height);
    this.#placeWipe();
  }

  #placeWipe() {
    const share = Number(this.#wipe.value);
    this.#ghost.style.clipPath = this.#wipe.hidden ? "" : `inset(0 ${100 - share}% 0 0)`;
  }

  /**
   * @param {Point} point - model pixels
   * @returns {string | null}
   */
  #colorAt(point) {
    const { size } = this.studio.drawing;
    const area = this.#area;
    const x = Math.floor(((point.x / size.width - area.x) / area.width) * this.canvas.width);
    const y = Math.floor(((point.y / size.height - area.y) / area.height) * this.canvas.height);
    const rgba = this.#context.getImageData(x, y, 1, 1).data;
    return rgba[3] ? rgbToHex(rgba) : null;
  }
}
