/** A grid of variations over the result: the picture on show in the middle, eight other seeds around it. */

import { byId, make } from "./dom.js";
import { MAX_SEED, randomSeed } from "./studio.js";

/** @typedef {import("./types").Variation} Variation */

const COUNT = 8;
const MIDDLE = 4;

export class Variations {
  #grid = byId("variations", HTMLElement);
  #button = byId("vary", HTMLButtonElement);
  #round = 0;

  /**
   * @param {object} parts
   * @param {import("./studio.js").Studio} parts.studio
   * @param {import("./words.js").Words} parts.words
   * @param {import("./result.js").ResultPane} parts.result
   * @param {(seed: number, n: number) => Promise<Variation[]>} parts.ask
   * @param {(error: unknown) => void} parts.fail
   */
  constructor({ studio, words, result, ask, fail }) {
    this.studio = studio;
    this.words = words;
    this.result = result;
    this.ask = ask;
    this.fail = fail;
    this.#button.addEventListener("click", () => (this.isOpen ? this.close() : void this.show()));
    this.#grid.addEventListener("keydown", (event) => this.#key(event));
    studio.on("change", () => this.close());
    studio.on("work", () => this.close());
  }

  get isOpen() {
    return !this.#grid.hidden;
  }

  close() {
    if (!this.isOpen) return;
    const hadFocus = this.#grid.contains(document.activeElement);
    this.#round++;
    this.#grid.hidden = true;
    this.#button.setAttribute("aria-expanded", "false");
    if (hadFocus) this.#button.focus();
  }

  async show() {
    const round = ++this.#round;
    const cells = Array.from({ length: COUNT + 1 }, () => make("button", { type: "button", class: "variation", disabled: "" }));
    this.#grid.replaceChildren(...cells);
    this.#grid.hidden = false;
    this.#button.setAttribute("aria-expanded", "true");
    this.#fill(cells[MIDDLE], { image: this.result.canvas.toDataURL(), seed: this.studio.seed }, true);
    try {
      const images = await this.ask(randomSeed() % (MAX_SEED - COUNT), COUNT);
      if (round !== this.#round) return;
      const around = cells.filter((_, k) => k !== MIDDLE);
      images.forEach((variation, k) => around[k] && this.#fill(around[k], variation, false));
      around[0].focus();
    } catch (error) {
      if (round !== this.#round) return;
      this.close();
      this.fail(error);
    }
  }

  /**
   * @param {HTMLButtonElement} cell
   * @param {Variation} variation
   * @param {boolean} isCurrent
   */
  #fill(cell, variation, isCurrent) {
    const name = this.words.t(isCurrent ? "variations.current" : "variations.one", { seed: variation.seed });
    cell.disabled = false;
    cell.setAttribute("aria-label", name);
    cell.setAttribute("aria-pressed", String(isCurrent));
    cell.dataset.seed = String(variation.seed);
    cell.replaceChildren(make("img", { src: variation.image, alt: "" }), make("span", {}, [String(variation.seed)]));
    cell.addEventListener("click", () => {
      this.close();
      if (!isCurrent) this.studio.setSeed(variation.seed);
    });
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const cells = [...this.#grid.querySelectorAll("button")];
    const at = cells.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 3, ArrowUp: -3 }[event.key];
    if (event.key === "Escape") this.close();
    else if (step && at >= 0) cells[at + step]?.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
