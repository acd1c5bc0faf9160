/** Controls for a model's parameters and its random input, drawn from the manifest alone. */

import { byId } from "./dom.js";
import { hasStyle, mixText, parseMix, seedOf } from "./mix.js";
import { parameterRow } from "./parameterrow.js";

/** What ends the move of a slider. Not every browser tells of a `change` when the slider is back at the value it began with. */
const ENDS = ["change", "pointerup", "pointercancel", "focusout"];

export class Controls {
  #params = byId("params", HTMLElement);
  #seedBar = byId("seed-bar", HTMLElement);
  #seed = byId("seed", HTMLInputElement);
  #shuffle = byId("shuffle", HTMLButtonElement);
  #lock = byId("seed-lock", HTMLButtonElement);

  /**
   * @param {import("./studio.js").Studio} studio
   * @param {import("./words.js").Words} words
   */
  constructor(studio, words) {
    this.studio = studio;
    this.words = words;
    const { choice } = studio;
    studio.on("work", () => this.draw());
    for (const event of /** @type {const} */ (["mix", "lock"])) choice.on(event, () => this.#showSeed());
    words.addEventListener("change", () => this.draw());
    this.#params.addEventListener("input", () => choice.steer(true));
    for (const event of ENDS) this.#params.addEventListener(event, () => choice.steer(false));
    this.#seed.addEventListener("change", () => this.#typeSeed());
    this.#shuffle.addEventListener("click", () => this.shuffle());
    this.#lock.addEventListener("click", () => choice.lock(!choice.isLocked));
  }

  draw() {
    const { parameters, latent } = this.studio.manifest;
    this.#seedBar.hidden = latent === null;
    this.#showSeed();
    this.#params.hidden = parameters.length === 0;
    // A slider that is replaced while it is moved tells nothing any more.
    const { choice } = this.studio;
    choice.steer(false);
    const rows = parameters.map((parameter) =>
      parameterRow(parameter, this.words, {
        id: `param-${parameter.name}`,
        get: () => choice.params[parameter.name],
        set: (value) => choice.setParam(parameter.name, value),
      }),
    );
    this.#params.replaceChildren(...rows);
  }

  /** Another seed, unless it is locked. */
  shuffle() {
    const { manifest, choice } = this.studio;
    if (!choice.isLocked && manifest.latent) choice.set(choice.variation());
  }

  #showSeed() {
    const { mix, isLocked } = this.studio.choice;
    this.#seed.value = mixText(mix);
    this.#seed.title = seedOf(mix) === null ? this.#seed.value : "";
    this.#lock.setAttribute("aria-pressed", String(isLocked));
    this.#shuffle.disabled = isLocked;
  }

  #typeSeed() {
    const { choice } = this.studio;
    const mix = parseMix(this.#seed.value.trim());
    const seed = mix && seedOf(mix);
    if (!mix || (hasStyle(mix) && !choice.style)) this.#showSeed();
    else choice.set(seed === null ? mix : choice.variation(seed));
  }
}
