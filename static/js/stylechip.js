/** "Take the colours of …": the picture whose style a model applies, from a file or from the model's own samples. */

import { fetchFile, sampleUrl } from "./api.js";
import { byId, icon, make } from "./dom.js";
import { StylePicture } from "./style.js";

/** What the slot is called when files are dropped onto it; no input of a model has this name. */
export const STYLE_SLOT = "style";

export class StyleChip {
  #slot = byId("style-slot", HTMLElement);
  #open = byId("style-open", HTMLButtonElement);
  #thumb = byId("style-thumb", HTMLElement);
  #title = byId("style-title", HTMLElement);
  #name = byId("style-name", HTMLElement);
  #remove = byId("style-remove", HTMLButtonElement);
  #menu = byId("style-menu", HTMLElement);
  #samples = byId("style-samples", HTMLElement);
  #chooser = byId("style-file", HTMLInputElement);
  /** Counts what was asked to be opened, so that only the last of several is. */
  #turn = 0;

  /**
   * @param {object} parts
   * @param {import("./studio.js").Studio} parts.studio
   * @param {import("./words.js").Words} parts.words
   * @param {import("./notices.js").Notices} parts.notices
   * @param {(error: unknown, name: string) => void} parts.refuse - tells why a file cannot be opened
   */
  constructor({ studio, words, notices, refuse }) {
    this.studio = studio;
    this.words = words;
    this.notices = notices;
    this.refuse = refuse;
    studio.on("work", () => this.#workChanged());
    studio.choice.on("style", () => this.#show());
    words.addEventListener("change", () => this.draw());
    byId("style-choose", HTMLButtonElement).addEventListener("click", () => this.#chooser.click());
    this.#chooser.addEventListener("change", () => this.#fileChosen());
    this.#remove.addEventListener("click", () => this.remove());
    this.draw();
  }

  /** Whether the model takes a style. */
  get isOffered() {
    return Boolean(this.studio.manifest.encode);
  }

  #workChanged() {
    // What is still being fetched was for the work before.
    this.#turn++;
    this.draw();
  }

  draw() {
    this.#slot.hidden = !this.isOffered;
    const { samples } = this.studio.manifest;
    this.#samples.replaceChildren(...(this.isOffered ? samples.map((_, k) => this.#sample(k)) : []));
    this.#show();
  }

  /** @param {number} k */
  #sample(k) {
    const { id, samples } = this.studio.manifest;
    const name = this.words.pick(samples[k].title);
    const picture = make("img", { src: sampleUrl(id, k), alt: "", width: "56", height: "56", loading: "lazy" });
    const button = make("button", { type: "button", class: "example thumbnail", "data-style-sample": String(k), title: name }, [picture]);
    button.setAttribute("aria-label", name);
    button.addEventListener("click", () => void this.#openSample(k, name));
    return button;
  }

  #show() {
    const { style } = this.studio.choice;
    this.#slot.dataset.state = style ? "filled" : "optional";
    this.#thumb.replaceChildren(style?.canvas ?? icon("drop"));
    this.#title.textContent = this.words.t(style ? "style.of" : "style.take");
    this.#name.textContent = style ? style.name : this.words.t("style.hint");
    this.#remove.hidden = style === null;
  }

  #fileChosen() {
    const [file] = this.#chooser.files ?? [];
    // The same file chosen twice should open twice.
    this.#chooser.value = "";
    if (file) void this.open(file, file.name);
  }

  /**
   * @param {number} k
   * @param {string} name
   */
  async #openSample(k, name) {
    const turn = ++this.#turn;
    try {
      const file = await fetchFile(sampleUrl(this.studio.manifest.id, k));
      if (turn === this.#turn) await this.open(file, name);
    } catch (error) {
      if (turn === this.#turn) this.refuse(error, name);
    }
  }

  /**
   * @param {Blob} file
   * @param {string} name
   */
  async open(file, name) {
    const turn = ++this.#turn;
    const { work } = this.studio;
    if (!work.manifest.encode) return;
    if (this.#menu.matches(":popover-open")) this.#menu.hidePopover();
    try {
      const style = await StylePicture.open(file, name, work.manifest.encode.input);
      if (turn !== this.#turn || work !== this.studio.work) return;
      this.studio.choice.takeStyle(style);
      this.notices.announce(this.words.t("style.taken", { name }));
    } catch (error) {
      if (turn === this.#turn) this.refuse(error, name);
    }
  }

  remove() {
    this.#turn++;
    this.studio.choice.takeStyle(null);
    this.#open.focus();
    this.notices.announce(this.words.t("style.removed"));
  }
}
