/** The strip of finished examples of a model. */

import { sampleUrl } from "./api.js";
import { byId, make } from "./dom.js";

export class Examples {
  #section = byId("examples", HTMLElement);
  #row = byId("example-row", HTMLElement);

  /**
   * @param {import("./studio.js").Studio} studio
   * @param {import("./words.js").Words} words
   * @param {(k: number) => void} load
   */
  constructor(studio, words, load) {
    this.studio = studio;
    this.words = words;
    this.load = load;
    studio.on("work", () => this.draw());
    words.addEventListener("change", () => this.draw());
  }

  draw() {
    const { id, samples, inputs } = this.studio.manifest;
    this.#section.hidden = samples.length === 0;
    this.#row.replaceChildren(
      ...samples.map((sample, k) => {
        const name = this.words.pick(sample.title);
        const button = make("button", { type: "button", class: "example", "data-sample": String(k) }, [
          make("img", { src: sampleUrl(id, k, inputs[0].name), alt: "", width: "56", height: "56", loading: "lazy" }),
          make("img", { src: sampleUrl(id, k), alt: "", width: "56", height: "56", loading: "lazy" }),
        ]);
        button.setAttribute("aria-label", this.words.t("examples.load", { name }));
        button.title = name;
        button.addEventListener("click", () => this.load(k));
        return button;
      }),
    );
  }
}
