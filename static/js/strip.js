/** The strip of variations: a picture for each place, with a button to keep it and one for more like it. It chooses nothing itself. */

import { byId, icon, make } from "./dom.js";
import { mixText, seedOf } from "./mix.js";
import { COUNT } from "./places.js";

/** @typedef {import("./types").Mix} Mix */
/** @typedef {"take" | "keep" | "more"} StripAction */
/** @typedef {{take: HTMLButtonElement, keep: HTMLButtonElement, more: HTMLButtonElement, canvas: HTMLCanvasElement, root: HTMLElement}} Cell */

const PARTS = /** @type {const} */ (["take", "keep", "more"]);
/** What a variation is called while it is dragged onto the pad. */
export const DRAG_TYPE = "application/x-inkwash-place";

export class Strip {
  #row = byId("strip-row", HTMLElement);
  /** @type {Cell[]} */
  #cells = [];

  /**
   * @param {object} parts
   * @param {import("./places.js").Places} parts.places
   * @param {import("./previews.js").Previews} parts.previews
   * @param {import("./words.js").Words} parts.words
   * @param {() => Mix} parts.current - the mix of the picture on show
   * @param {(action: StripAction, k: number) => void} parts.act
   */
  constructor({ places, previews, words, current, act }) {
    this.places = places;
    this.previews = previews;
    this.words = words;
    this.current = current;
    this.act = act;
    this.#cells = Array.from({ length: COUNT }, (_, k) => this.#make(k));
    this.#row.replaceChildren(...this.#cells.map(({ root }) => root));
    this.#row.addEventListener("keydown", (event) => this.#key(event));
    this.#row.addEventListener("focusin", (event) => this.#setStop(/** @type {HTMLElement} */ (event.target)));
    this.#setStop(this.#cells[0].take);
  }

  /** @param {number} k */
  #make(k) {
    const canvas = make("canvas", { "aria-hidden": "true" });
    const take = make("button", { type: "button", class: "variation-take thumbnail", draggable: "true" }, [canvas]);
    const keep = make("button", { type: "button", class: "variation-button variation-keep" }, [icon("unlock"), icon("lock")]);
    const more = make("button", { type: "button", class: "variation-button variation-more" }, [icon("branch")]);
    const root = make("div", { class: "variation", role: "group", "data-place": String(k) }, [take, keep, more]);
    const cell = { take, keep, more, canvas, root };
    for (const part of PARTS) cell[part].addEventListener("click", () => this.act(part, k));
    take.addEventListener("dragstart", (event) => event.dataTransfer?.setData(DRAG_TYPE, String(k)));
    return cell;
  }

  draw() {
    const shown = mixText(this.current());
    this.showBusy();
    this.places.all.forEach((place, k) => this.#draw(this.#cells[k], k, place, shown));
  }

  /** Tells that the pictures may not be the last ones. */
  showBusy() {
    this.#row.setAttribute("aria-busy", String(this.previews.isBusy));
  }

  /**
   * @param {Cell} cell
   * @param {number} k
   * @param {import("./places.js").Place} place
   * @param {string} shown - text of the mix of the picture on show
   */
  #draw({ take, keep, more, canvas, root }, k, { mix, isKept }, shown) {
    const { words, previews } = this;
    const values = { number: k + 1, mix: seedOf(mix) === null ? words.t("strip.mixed") : mixText(mix) };
    const text = mixText(mix);
    root.dataset.mix = text;
    root.dataset.state = previews.isFresh(mix) ? "fresh" : previews.picture(mix) ? "stale" : "empty";
    root.setAttribute("aria-label", words.t("strip.one", values));
    setName(take, words.t("strip.take", values));
    setName(keep, words.t("strip.keep", values));
    setName(more, words.t("strip.more", values));
    take.setAttribute("aria-pressed", String(text === shown));
    keep.setAttribute("aria-pressed", String(isKept));
    paint(canvas, previews.picture(mix));
  }

  /** One tab stop in all: the button that had the focus last. @param {HTMLElement} stop */
  #setStop(stop) {
    for (const cell of this.#cells) for (const part of PARTS) cell[part].tabIndex = cell[part] === stop ? 0 : -1;
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const at = this.#cells.findIndex(({ root }) => root.contains(document.activeElement));
    const part = PARTS.findIndex((name) => this.#cells[at]?.[name] === document.activeElement);
    const across = { ArrowRight: 1, ArrowLeft: -1 }[event.key] ?? 0;
    const down = { ArrowDown: 1, ArrowUp: -1 }[event.key] ?? 0;
    if (at < 0 || part < 0 || !(across || down)) return;
    event.preventDefault();
    event.stopPropagation();
    const cell = this.#cells[(at + across + COUNT) % COUNT];
    cell[PARTS[(part + down + PARTS.length) % PARTS.length]].focus();
  }
}

/**
 * Puts a picture into a canvas, or empties it.
 * @param {HTMLCanvasElement} canvas
 * @param {HTMLCanvasElement | null} picture
 */
export function paint(canvas, picture) {
  const { width, height } = picture ?? { width: 1, height: 1 };
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.clearRect(0, 0, width, height);
  if (picture) context.drawImage(picture, 0, 0);
}

/**
 * @param {HTMLButtonElement} button
 * @param {string} name
 */
export function setName(button, name) {
  if (button.title === name) return;
  button.title = name;
  button.setAttribute("aria-label", name);
}
