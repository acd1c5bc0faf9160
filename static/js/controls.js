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
    studio.on("work", () => this.draw());
    studio.on("mix", () => this.#showSeed());
    words.addEventListener("change", () => this.draw());
    this.#params.addEventListener("input", () => studio.steer(true));
    for (const event of ENDS) this.#params.addEventListener(event, () => studio.steer(false));
    this.#seed.addEventListener("change", () => this.#typeSeed());
    this.#shuffle.addEventListener("click", () => this.shuffle());
    this.#lock.addEventListener("click", () => studio.lockSeed(!studio.isSeedLocked));
  }

  draw() {
    const { parameters, latent } = this.studio.manifest;
    this.#seedBar.hidden = latent === null;
    this.#showSeed();
    this.#params.hidden = parameters.length === 0;
    // A slider that is replaced while it is moved tells nothing any more.
    this.studio.steer(false);
    const { studio, words } = this;
    const rows = parameters.map((parameter) =>
      parameterRow(parameter, words, {
        id: `param-${parameter.name}`,
        get: () => studio.params[parameter.name],
        set: (value) => studio.setParam(parameter.name, value),
      }),
    );
    this.#params.replaceChildren(...rows);
  }

  /** Another seed, unless it is locked. */
  shuffle() {
    if (!this.studio.isSeedLocked && this.studio.manifest.latent) this.studio.setMix(this.studio.variation());
  }

  #showSeed() {
    this.#seed.value = mixText(this.studio.mix);
    this.#seed.title = seedOf(this.studio.mix) === null ? this.#seed.value : "";
    this.#lock.setAttribute("aria-pressed", String(this.studio.isSeedLocked));
    this.#shuffle.disabled = this.studio.isSeedLocked;
  }

  #typeSeed() {
    const { studio } = this;
    const mix = parseMix(this.#seed.value.trim());
    const seed = mix && seedOf(mix);
    if (!mix || (hasStyle(mix) && !studio.style)) this.#showSeed();
    else studio.setMix(seed === null ? mix : studio.variation(seed));
  }
}
