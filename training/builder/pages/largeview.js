/** One pair as large as the window allows, the source laid over the picture as strongly as one likes. */

import { pictureAddress } from "./api.js";
import { byId, make } from "./dom.js";

/**
 * @typedef {import("./api.js").Pair} Pair
 * @typedef {import("./api.js").Credit} Credit
 *
 * @typedef {object} Hooks
 * @property {(step: number) => void} onMove
 * @property {() => void} onStrike
 * @property {() => void} onClose
 *
 * @typedef {object} Shown
 * @property {Pair} pair
 * @property {number} place - from 0
 * @property {number} count
 * @property {Credit | undefined} credit
 * @property {Pair[]} neighbours - fetched ahead
 */

const SWIPE_PIXELS = 48;

export class LargeView {
  #dialog = byId("large", HTMLDialogElement);
  #stage = byId("stage", HTMLElement);
  #source = byId("large-source", HTMLImageElement);
  #target = byId("large-target", HTMLImageElement);
  #over = byId("large-overlay", HTMLImageElement);
  #overlay = byId("overlay", HTMLInputElement);
  #hooks;
  #version = "";
  #before = 70;
  /** @type {PointerEvent | null} */
  #down = null;

  /** @param {Hooks} hooks */
  constructor(hooks) {
    this.#hooks = hooks;
    this.#dialog.addEventListener("close", () => hooks.onClose());
    this.#dialog.addEventListener("click", (event) => this.#click(event));
    this.#overlay.addEventListener("input", () => this.#blend());
    // After the mouse lets go of the slider, arrows are for moving again.
    this.#overlay.addEventListener("pointerup", () => this.#stage.focus());
    this.#stage.addEventListener("pointerdown", (event) => (this.#down = event));
    this.#stage.addEventListener("pointerup", (event) => this.#swiped(event));
  }

  get isOpen() {
    return this.#dialog.open;
  }

  /**
   * @param {string} version
   * @param {string} kind - of the source
   */
  setUp(version, kind) {
    const isLine = kind === "line";
    this.#version = version;
    byId("overlay-label", HTMLElement).firstElementChild?.replaceChildren(isLine ? "Lines" : "Overlay");
    this.#overlay.value = isLine ? "70" : "0";
    this.#blend();
  }

  /** @param {Shown} shown */
  show({ pair, place, count, credit, neighbours }) {
    const address = (/** @type {"source" | "target" | "overlay"} */ what) => pictureAddress(this.#version, pair, what);
    this.#source.src = address("source");
    this.#target.src = address("target");
    this.#over.src = address("overlay");
    this.#target.alt = `Picture of ${pair.id}`;
    this.#source.alt = `Source of ${pair.id}`;
    const position = make("b", {}, [`${place + 1} of ${count}`]);
    const name = make("span", { class: "name" }, [` · ${pair.id}`]);
    byId("large-place", HTMLElement).replaceChildren(position, " ", make("span", {}, [pair.split, name]));
    byId("credit", HTMLElement).replaceChildren(...creditLine(credit));
    if (!this.#dialog.open) this.#dialog.showModal();
    for (const one of neighbours) this.#fetchAhead(one);
  }

  /** @param {boolean} isStruck */
  mark(isStruck) {
    this.#dialog.toggleAttribute("data-struck", isStruck);
    byId("large-state", HTMLElement).hidden = !isStruck;
    const button = /** @type {HTMLElement} */ (this.#dialog.querySelector("[data-large=strike]"));
    button.setAttribute("aria-pressed", String(isStruck));
  }

  close() {
    this.#dialog.close();
  }

  toggleOverlay() {
    const now = Number(this.#overlay.value);
    if (now) this.#before = now;
    this.#overlay.value = String(now ? 0 : this.#before);
    this.#blend();
  }

  #blend() {
    this.#over.style.opacity = String(Number(this.#overlay.value) / 100);
  }

  /** @param {Pair} pair */
  #fetchAhead(pair) {
    for (const what of /** @type {const} */ (["source", "target", "overlay"])) new Image().src = pictureAddress(this.#version, pair, what);
  }

  /** @param {MouseEvent} event */
  #click(event) {
    const { large } = /** @type {HTMLElement} */ (event.target).closest("button")?.dataset ?? {};
    if (large === "close" || event.target === this.#dialog) this.close();
    else if (large === "previous") this.#hooks.onMove(-1);
    else if (large === "next") this.#hooks.onMove(1);
    else if (large === "strike") this.#hooks.onStrike();
  }

  /** @param {PointerEvent} event */
  #swiped(event) {
    const down = this.#down;
    this.#down = null;
    if (!down || down.pointerId !== event.pointerId || event.pointerType === "mouse") return;
    const [x, y] = [event.clientX - down.clientX, event.clientY - down.clientY];
    if (Math.abs(x) > SWIPE_PIXELS && Math.abs(x) > 2 * Math.abs(y)) this.#hooks.onMove(x < 0 ? 1 : -1);
  }
}

/**
 * @param {Credit | undefined} credit
 * @returns {(Node | string)[]}
 */
function creditLine(credit) {
  if (!credit) return [];
  const isWeb = /^https?:\/\//.test(credit.page);
  const link = () => make("a", { href: credit.page, target: "_blank", rel: "noreferrer" }, [credit.pointer || credit.page]);
  const parts = [isWeb ? link() : credit.pointer, credit.author && `by ${credit.author}`, credit.license].filter(Boolean);
  return parts.flatMap((part, k) => (k ? [" · ", part] : [part]));
}
