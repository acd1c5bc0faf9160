/**
 * The pad: a square with a variation at each corner. Where its point is says how much of each the picture has, and the picture follows
 * while the point moves. It sends nothing itself.
 */

import { byId } from "./dom.js";
import { clamp } from "./geometry.js";
import { blend, cornerShares, hasStyle, mixText } from "./mix.js";
import { DRAG_TYPE, paint, setName } from "./strip.js";

/** @typedef {import("./types").Mix} Mix */
/** @typedef {import("./types").Point} Point */

const CORNERS = ["nw", "ne", "sw", "se"];
const STEP = 0.05;
const FINE_STEP = 0.01;
/** So many points that led to a mix are remembered, for undo and redo to come back to. */
const REMEMBERED = 64;

export class Pad extends EventTarget {
  #root = byId("pad", HTMLElement);
  #button = byId("pad-button", HTMLButtonElement);
  #field = byId("pad-field", HTMLElement);
  #ground = byId("pad-ground", HTMLCanvasElement);
  #knob = byId("pad-knob", HTMLElement);
  #corners = CORNERS.map((name) => byId(`pad-${name}`, HTMLButtonElement));
  /** What was put at a corner; null for the strip's variation of the same number. @type {(Mix | null)[]} */
  #assigned = [null, null, null, null];
  /** The corner that waits for a variation to be pressed, or -1. */
  #waiting = -1;
  #point = { x: 0.5, y: 0.5 };
  /** Whether the point is being moved, and where it was before. @type {Point | null} */
  #from = null;
  /** @type {Map<string, Point>} by the text of the mix */
  #points = new Map();

  /**
   * @param {object} parts
   * @param {import("./choice.js").Choice} parts.choice
   * @param {import("./words.js").Words} parts.words
   * @param {import("./notices.js").Notices} parts.notices
   * @param {import("./places.js").Places} parts.places
   * @param {import("./previews.js").Previews} parts.previews
   */
  constructor({ choice, words, notices, places, previews }) {
    super();
    this.choice = choice;
    this.words = words;
    this.notices = notices;
    this.places = places;
    this.previews = previews;
    this.#button.addEventListener("click", () => this.#setOpen(!this.isOpen));
    this.#corners.forEach((corner, k) => this.#listenToCorner(corner, k));
    this.#listenToField();
    choice.on("mix", () => this.#mixChanged());
  }

  /** @param {HTMLButtonElement} corner @param {number} k */
  #listenToCorner(corner, k) {
    corner.addEventListener("click", () => this.#wait(this.#waiting === k ? -1 : k));
    corner.addEventListener("dragover", (event) => event.dataTransfer?.types.includes(DRAG_TYPE) && event.preventDefault());
    corner.addEventListener("drop", (event) => {
      const place = this.places.all[Number(event.dataTransfer?.getData(DRAG_TYPE) || -1)];
      if (!place) return;
      event.preventDefault();
      this.#put(k, place.mix);
    });
  }

  #listenToField() {
    const field = this.#field;
    field.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      field.setPointerCapture(event.pointerId);
      this.#move(this.#pointOf(event));
    });
    field.addEventListener("pointermove", (event) => {
      // The pointer stays captured when Escape or an undo ends the drag.
      if (this.#from && field.hasPointerCapture(event.pointerId)) this.#move(this.#pointOf(event));
    });
    field.addEventListener("pointerup", () => this.#keep());
    field.addEventListener("pointercancel", () => this.cancel());
    field.addEventListener("keydown", (event) => this.#key(event));
    field.addEventListener("keyup", (event) => event.key.startsWith("Arrow") && this.#keep());
    field.addEventListener("blur", () => this.#keep());
  }

  get isOpen() {
    return !this.#root.hidden;
  }

  /** The variations at the corners, in reading order. */
  get corners() {
    return this.#assigned.map((mix, k) => mix ?? this.places.all[k].mix);
  }

  /** What it needs pictures of, beyond those of the strip. */
  get mixes() {
    const assigned = /** @type {Mix[]} */ (this.#assigned.filter((mix) => mix !== null));
    return this.isOpen ? assigned : [];
  }

  /** Begins anew, for another model. */
  reset() {
    this.#assigned = [null, null, null, null];
    this.#points.clear();
    this.#waiting = -1;
  }

  /** Gives corners up that need a style where there is none. @param {boolean} isStyled */
  restyle(isStyled) {
    this.#assigned = this.#assigned.map((mix) => (mix && (isStyled || !hasStyle(mix)) ? mix : null));
  }

  /**
   * Takes a variation for the corner that waits for one.
   * @param {Mix} mix
   * @returns {boolean} whether one did
   */
  assign(mix) {
    if (this.#waiting < 0) return false;
    this.#put(this.#waiting, mix);
    return true;
  }

  /**
   * @param {number} k
   * @param {Mix} mix
   */
  #put(k, mix) {
    this.#assigned[k] = mix;
    this.#corners[k].focus();
    this.#waiting = -1;
    this.#say("pad.assigned", k);
    this.dispatchEvent(new Event("change"));
  }

  /** Stops what was begun. @returns {boolean} whether anything was */
  cancel() {
    const was = this.#waiting >= 0 || this.#from !== null;
    this.#waiting = -1;
    if (this.#from) {
      this.#point = this.#from;
      this.#from = null;
      this.choice.drop();
    }
    this.draw();
    return was;
  }

  /** @param {boolean} isOpen */
  #setOpen(isOpen) {
    this.cancel();
    this.#root.hidden = !isOpen;
    this.#button.setAttribute("aria-expanded", String(isOpen));
    this.dispatchEvent(new Event("change"));
    if (isOpen) this.#field.scrollIntoView({ block: "nearest" });
  }

  /** @param {number} k */
  #wait(k) {
    this.#waiting = k;
    if (k >= 0) this.#say("pad.waiting", k);
    this.draw();
  }

  /**
   * @param {string} key
   * @param {number} k - of a corner
   */
  #say(key, k) {
    this.notices.announce(this.words.t(key, { corner: this.words.t(`pad.corner.${CORNERS[k]}`) }));
  }

  /** @param {PointerEvent} event */
  #pointOf(event) {
    const box = this.#field.getBoundingClientRect();
    return { x: clamp((event.clientX - box.left) / box.width, 0, 1), y: clamp((event.clientY - box.top) / box.height, 0, 1) };
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const step = event.shiftKey ? FINE_STEP : STEP;
    const across = { ArrowRight: step, ArrowLeft: -step }[event.key] ?? 0;
    const down = { ArrowDown: step, ArrowUp: -step }[event.key] ?? 0;
    if (!(across || down)) return;
    event.preventDefault();
    event.stopPropagation();
    this.#move({ x: clamp(this.#point.x + across, 0, 1), y: clamp(this.#point.y + down, 0, 1) });
  }

  /** @param {Point} point */
  #move(point) {
    const { choice } = this;
    this.#from ??= this.#point;
    this.#point = point;
    const mix = blend(this.corners, cornerShares(point, choice.distribution), choice.distribution);
    choice.show(mix);
    this.draw();
  }

  #remember() {
    this.#points.set(mixText(this.choice.mix), this.#point);
    const [oldest] = this.#points.keys();
    if (this.#points.size > REMEMBERED) this.#points.delete(oldest);
  }

  #keep() {
    if (!this.#from) return;
    this.#from = null;
    this.#remember();
    this.choice.keep();
    this.draw();
  }

  /** Undo and redo bring the point back along with the mix. */
  #mixChanged() {
    if (this.#from && this.choice.isMixing) return;
    // An undo in the middle of a drag took the mix back, and ends the drag.
    if (this.#from) this.#point = this.#from;
    this.#from = null;
    this.#point = this.#points.get(mixText(this.choice.mix)) ?? this.#point;
    this.draw();
  }

  draw() {
    if (!this.isOpen || !this.places.all.length) return;
    const pictures = this.corners.map((mix) => this.previews.picture(mix));
    this.#corners.forEach((corner, k) => this.#drawCorner(corner, k, pictures[k]));
    this.#drawGround(pictures);
    const { x, y } = this.#point;
    this.#knob.style.left = `${x * 100}%`;
    this.#knob.style.top = `${y * 100}%`;
    // Elsewhere the picture on show is none of this pad's.
    this.#knob.dataset.on = String(this.#from !== null || this.#points.has(mixText(this.choice.mix)));
    const percent = (/** @type {number} */ share) => this.words.number(share * 100);
    this.#field.setAttribute("aria-valuenow", String(Math.round(x * 100)));
    this.#field.setAttribute("aria-valuetext", this.words.t("pad.value", { across: percent(x), down: percent(y) }));
  }

  /**
   * @param {HTMLButtonElement} corner
   * @param {number} k
   * @param {HTMLCanvasElement | null} picture
   */
  #drawCorner(corner, k, picture) {
    const isWaiting = this.#waiting === k;
    const name = this.words.t(`pad.corner.${CORNERS[k]}`);
    corner.setAttribute("aria-pressed", String(isWaiting));
    setName(corner, this.words.t(isWaiting ? "pad.waiting" : "pad.choose", { corner: name }));
    paint(/** @type {HTMLCanvasElement} */ (corner.firstElementChild), picture);
  }

  /** Each corner's mean colour, running into each other. @param {(HTMLCanvasElement | null)[]} pictures */
  #drawGround(pictures) {
    const context = /** @type {CanvasRenderingContext2D} */ (this.#ground.getContext("2d"));
    context.clearRect(0, 0, 2, 2);
    context.imageSmoothingQuality = "high";
    pictures.forEach((picture, k) => picture && context.drawImage(picture, k % 2, k >> 1, 1, 1));
  }
}
