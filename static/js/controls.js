/** Controls for a model's parameters and its random input, drawn from the manifest alone. */

import { byId, icon, make } from "./dom.js";
import { MAX_SEED, randomSeed } from "./studio.js";

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
    studio.on("seed", () => this.#showSeed());
    words.addEventListener("change", () => this.draw());
    this.#seed.addEventListener("change", () => this.#typeSeed());
    this.#shuffle.addEventListener("click", () => this.shuffle());
    this.#lock.addEventListener("click", () => studio.lockSeed(!studio.isSeedLocked));
  }

  draw() {
    const { parameters, latent } = this.studio.manifest;
    this.#seedBar.hidden = latent === null;
    this.#showSeed();
    this.#params.hidden = parameters.length === 0;
    this.#params.replaceChildren(...parameters.map((parameter) => this.#control(parameter)));
  }

  /** Another seed, unless it is locked. */
  shuffle() {
    if (!this.studio.isSeedLocked && this.studio.manifest.latent) this.studio.setSeed(randomSeed());
  }

  #showSeed() {
    this.#seed.value = String(this.studio.seed);
    this.#lock.setAttribute("aria-pressed", String(this.studio.isSeedLocked));
    this.#shuffle.disabled = this.studio.isSeedLocked;
  }

  #typeSeed() {
    const seed = Number(this.#seed.value.trim());
    if (Number.isInteger(seed) && seed >= 0 && seed <= MAX_SEED) this.studio.setSeed(seed);
    else this.#showSeed();
  }

  /** @param {import("./types").Parameter} parameter */
  #control(parameter) {
    const { studio, words } = this;
    const id = `param-${parameter.name}`;
    const isSwitch = parameter.kind === "bool";
    const input = make("input", { id, type: isSwitch ? "checkbox" : "range" });
    const output = make("output", { for: id });
    const show = () => {
      const value = studio.params[parameter.name];
      if (isSwitch) input.checked = value >= 0.5;
      else input.value = String(value);
      output.textContent = isSwitch ? "" : words.number(value, 2);
    };
    input.min = String(parameter.min);
    input.max = String(parameter.max);
    input.step = String(parameter.kind === "int" ? Math.max(1, parameter.step) : parameter.step);
    input.addEventListener("input", () => {
      studio.setParam(parameter.name, isSwitch ? Number(input.checked) : Number(input.value));
      show();
    });
    const reset = make("button", { type: "button", class: "icon-button small", "data-t-label": "params.reset" }, [icon("reset")]);
    words.name(reset);
    reset.addEventListener("click", () => {
      studio.setParam(parameter.name, parameter.default);
      show();
    });
    show();
    const row = make("div", { class: "param" }, [make("label", { for: id }, [words.pick(parameter.title)]), input, output, reset]);
    row.title = words.pick(parameter.help);
    return row;
  }
}
