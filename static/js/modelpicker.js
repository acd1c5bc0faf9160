/** The list of models with their previews, and the button that shows the chosen one. */

import { previewUrl } from "./api.js";
import { byId, icon, make } from "./dom.js";

/** @typedef {import("./types").ModelSummary} ModelSummary */

export class ModelPicker {
  #list = byId("model-list", HTMLElement);
  #button = byId("model-button", HTMLButtonElement);
  #title = byId("model-title", HTMLElement);
  #preview = byId("model-preview", HTMLImageElement);

  /**
   * @param {object} parts
   * @param {ModelSummary[]} parts.models
   * @param {import("./studio.js").Studio} parts.studio
   * @param {import("./words.js").Words} parts.words
   * @param {(id: string) => void} parts.choose
   */
  constructor({ models, studio, words, choose }) {
    this.models = models;
    this.studio = studio;
    this.words = words;
    this.choose = choose;
    studio.on("work", () => this.draw());
    words.addEventListener("change", () => this.draw());
  }

  draw() {
    const { manifest } = this.studio;
    this.#title.textContent = this.words.pick(manifest.title);
    this.#preview.src = previewUrl(manifest.id);
    this.#preview.hidden = false;
    this.#button.setAttribute("aria-label", this.words.t("model.chosen", { title: this.words.pick(manifest.title) }));
    this.#list.replaceChildren(...this.models.map((model) => this.#option(model)), make("hr"), this.#about());
  }

  #about() {
    const button = make("button", { type: "button", class: "menu-item" }, [icon("info"), this.words.t("model.about")]);
    button.addEventListener("click", () => {
      this.#list.hidePopover();
      byId("card-button", HTMLButtonElement).click();
    });
    return button;
  }

  /** @param {ModelSummary} model */
  #option(model) {
    const isFailed = model.status === "failed";
    const text = isFailed ? (model.reason ?? this.words.t("model.failed")) : this.words.pick(model.description);
    const option = make("button", { type: "button", class: "model-option", "data-model": model.id }, [
      make("img", { src: previewUrl(model.id), alt: "", loading: "lazy", width: "72", height: "72" }),
      make("b", {}, [this.words.pick(model.title)]),
      make("small", {}, [text]),
    ]);
    option.disabled = isFailed;
    option.setAttribute("aria-current", String(model.id === this.studio.manifest.id));
    option.addEventListener("click", () => {
      this.#list.hidePopover();
      this.choose(model.id);
    });
    return option;
  }
}
