/** From the lines of a photo on to a model that draws from lines: a button for each, beside the picture of a model that traces. */

import { previewUrl } from "./api.js";
import { byId, make } from "./dom.js";
import { workingSize } from "./geometry.js";
import { Tracer, shownParameters } from "./tracer.js";
import { newWork } from "./work.js";

/** @typedef {import("./types").Manifest} Manifest */
/** @typedef {import("./types").ModelSummary} ModelSummary */

/** Of the photo that is traced; models of lines are much smaller. */
const MAX_PIXELS = 2 ** 22;

export class DrawOn {
  #bar = byId("draw-on", HTMLElement);
  #row = byId("draw-on-row", HTMLElement);
  #turn = 0;

  /**
   * @param {object} parts
   * @param {import("./studio.js").Studio} parts.studio
   * @param {import("./words.js").Words} parts.words
   * @param {import("./notices.js").Notices} parts.notices
   * @param {ModelSummary[]} parts.models
   * @param {(id: string) => Promise<Manifest>} parts.manifest
   * @param {(error: unknown) => void} parts.fail
   */
  constructor({ studio, words, notices, models, manifest, fail }) {
    this.studio = studio;
    this.words = words;
    this.notices = notices;
    this.models = models.filter(({ kind, status }) => kind === "line" && status !== "failed");
    this.manifest = manifest;
    this.fail = fail;
    studio.on("work", () => this.draw());
    studio.on("change", () => this.#enable());
    words.addEventListener("change", () => this.draw());
    this.draw();
  }

  draw() {
    const { manifest, drawing } = this.studio;
    this.#bar.hidden = !manifest.output.line || !drawing.photo || this.models.length === 0;
    this.#row.replaceChildren(...this.models.map((model) => this.#button(model)));
    this.#enable();
  }

  /** @param {ModelSummary} model */
  #button(model) {
    const picture = make("img", { src: previewUrl(model.id), alt: "", width: "28", height: "28", loading: "lazy" });
    const button = make("button", { type: "button", class: "button", "data-draw-on": model.id }, [picture, this.words.pick(model.title)]);
    button.addEventListener("click", () => void this.#open(model));
    return button;
  }

  #enable() {
    const isEmpty = !this.studio.drawing.photo?.shown;
    for (const button of this.#row.querySelectorAll("button")) button.disabled = isEmpty;
  }

  /** Opens a model with the photo's lines on its sheet, as one step. @param {ModelSummary} model */
  async #open({ id, title }) {
    const turn = ++this.#turn;
    const { work } = this.studio;
    try {
      const after = await this.#lines(await this.manifest(id));
      if (!after || turn !== this.#turn || work !== this.studio.work) return;
      this.studio.replaceWork("step.model", after);
      this.notices.announce(this.words.t("draw_on.done", { title: this.words.pick(title) }));
      byId("drawing", HTMLElement).focus({ preventScroll: true });
    } catch (error) {
      if (turn === this.#turn) this.fail(error);
    }
  }

  /**
   * @param {Manifest} model
   * @returns {Promise<import("./work.js").Work | null>} an own drawing of the model; null when there is no photo any more
   */
  async #lines(model) {
    const { manifest, drawing, choice } = this.studio;
    const { params } = choice;
    const photo = await drawing.photo?.render(MAX_PIXELS);
    if (!photo) return null;
    const [input] = model.inputs;
    const tracer = new Tracer(manifest, input, workingSize(input.size), photo);
    const given = Object.fromEntries(shownParameters(manifest).map(({ name }) => [name, params[name]]));
    const coverage = await tracer.trace(given);
    const work = newWork(model);
    choice.carryTo(work);
    work.drawing.paint("line")?.loadCoverage(coverage);
    work.drawing.commit();
    return work;
  }
}
