/** The round cursor that shows a brush at its true size, and drawing with the keyboard. */

import { byId } from "./dom.js";
import { clamp } from "./geometry.js";
import { TOOLS } from "./tools.js";

/** @typedef {import("./types").Point} Point */

/** Below this many CSS pixels a circle is too small to find, so it gets a cross. */
const SMALL = 10;

export class Cursor {
  #sheet = byId("drawing", HTMLElement);
  #mark = byId("cursor", HTMLElement);
  /** @type {Point | null} model pixels, while the keyboard moves it */
  #keyboard = null;
  /** @type {Point} CSS pixels of the window */
  #client = { x: 0, y: 0 };

  /**
   * @param {import("./studio.js").Studio} studio
   * @param {import("./view.js").View} view
   * @param {import("./pointer.js").PointerInput} pointer
   */
  constructor(studio, view, pointer) {
    this.studio = studio;
    this.view = view;
    pointer.addEventListener("hover", (event) => this.#hover(/** @type {CustomEvent<PointerEvent>} */ (event).detail));
    this.#sheet.addEventListener("pointerleave", () => this.#hide());
    this.#sheet.addEventListener("blur", () => this.#blur());
    this.#sheet.addEventListener("keydown", (event) => this.#key(event));
    for (const name of /** @type {const} */ (["tool", "size", "work"])) studio.on(name, () => this.#refresh());
    view.addEventListener("change", () => this.#refresh());
    this.#refresh();
  }

  /** @param {PointerEvent} event */
  #hover(event) {
    this.#keyboard = null;
    this.#client = { x: event.clientX, y: event.clientY };
    this.#mark.hidden = event.pointerType === "touch" || !this.#isRound;
    this.#draw();
  }

  /** @param {boolean} isPanning */
  setPanning(isPanning) {
    if (isPanning) {
      this.#sheet.dataset.cursor = "grab";
      this.#mark.hidden = true;
    } else {
      this.#refresh();
    }
  }

  get #isRound() {
    return TOOLS[this.studio.toolId]?.cursor === "round";
  }

  #refresh() {
    this.#sheet.dataset.cursor = TOOLS[this.studio.toolId]?.cursor ?? "cross";
    if (!this.#isRound && !this.#keyboard) this.#mark.hidden = true;
    this.#draw();
  }

  #draw() {
    if (this.#mark.hidden) return;
    const unit = this.view.pixelsPerModelPixel(this.studio.drawing.size);
    const side = Math.max(3, this.studio.size * unit);
    const box = this.#sheet.getBoundingClientRect();
    const { style } = this.#mark;
    style.width = style.height = `${side}px`;
    style.transform = `translate(${this.#client.x - box.left - side / 2}px, ${this.#client.y - box.top - side / 2}px)`;
    this.#mark.toggleAttribute("data-small", side < SMALL);
  }

  #hide() {
    if (!this.#keyboard) this.#mark.hidden = true;
  }

  #blur() {
    if (!this.#keyboard) return;
    this.#keyboard = null;
    this.studio.endStroke();
    this.#mark.hidden = true;
  }

  /**
   * Arrow keys move the brush, Enter puts it down and lifts it, Escape takes the stroke back.
   * @param {KeyboardEvent} event
   */
  #key(event) {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (move) this.#step(move, event.shiftKey ? 1 : 8);
    else if (event.key === "Enter") this.#press();
    else if (event.key === "Escape" && this.studio.isStroking) this.studio.cancelStroke();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /**
   * @param {number[]} direction
   * @param {number} step - model pixels
   */
  #step([dx, dy], step) {
    const { size } = this.studio.drawing;
    const from = this.#keyboard ?? { x: size.width / 2, y: size.height / 2 };
    this.#keyboard = { x: clamp(from.x + dx * step, 0, size.width - 0.5), y: clamp(from.y + dy * step, 0, size.height - 0.5) };
    this.studio.moveStroke(this.#keyboard, { shift: false });
    this.studio.strokeMoved();
    this.#showKeyboard();
  }

  #press() {
    const { size } = this.studio.drawing;
    this.#keyboard ??= { x: size.width / 2, y: size.height / 2 };
    if (this.studio.isStroking) this.studio.endStroke();
    else this.studio.beginStroke(this.#keyboard);
    this.#showKeyboard();
  }

  #showKeyboard() {
    const { size } = this.studio.drawing;
    const box = this.view.stage.getBoundingClientRect();
    const at = /** @type {Point} */ (this.#keyboard);
    this.#client = { x: box.left + (at.x / size.width) * box.width, y: box.top + (at.y / size.height) * box.height };
    this.#mark.hidden = false;
    this.#draw();
  }
}
