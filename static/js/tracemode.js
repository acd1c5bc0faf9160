/**
 * A photo that is to become lines on the sheet: the photo lies faintly under the lines that were found in it, a bar says how many of
 * them, and the picture follows. Nothing is a step before it is taken. A photo that was only opened may also be used as it is.
 */

import { byId, makeRoving, setTabStop } from "./dom.js";
import { looksLikePhoto } from "./likeness.js";
import { parameterRow } from "./parameterrow.js";
import { Tracer, draw, isFaint, shownParameters } from "./tracer.js";

/** @typedef {import("./types").Manifest} Manifest */
/** @typedef {"lines" | "picture"} Use */
/** @typedef {"working" | "ready" | "faint" | "failed"} State */
/**
 * @typedef {object} Job
 * @property {Tracer} tracer
 * @property {ImageBitmap} photo
 * @property {string} name - of its file
 * @property {Record<string, number>} params
 * @property {HTMLCanvasElement} underlay
 * @property {AbortController} abort
 */

/** Longer side at which a picture is judged, pixels. */
const JUDGED_SIDE = 256;

export class TraceMode {
  #bar = byId("trace-bar", HTMLElement);
  #usualBar = byId("drawing-bar", HTMLElement);
  #button = byId("trace-button", HTMLButtonElement);
  #chooser = byId("trace-file", HTMLInputElement);
  #uses = byId("trace-uses", HTMLElement);
  #params = byId("trace-params", HTMLElement);
  #state = byId("trace-state", HTMLElement);
  #retry = byId("trace-retry", HTMLButtonElement);
  #done = byId("trace-done", HTMLButtonElement);
  #wait = byId("trace-wait", HTMLElement);
  /** @type {Job | null} */
  #job = null;
  /** @type {Use} */
  #use = "lines";
  /** @type {Uint8Array | null} the lines that were found last */
  #coverage = null;
  #isInverted = false;
  /** Version of the parameters, and the one whose lines are there. */
  #wanted = 0;
  #traced = 0;
  #isTracing = false;
  /** It was taken before the lines of the newest parameters were there. */
  #keepsLater = false;

  /**
   * @param {object} parts
   * @param {import("./studio.js").Studio} parts.studio
   * @param {import("./words.js").Words} parts.words
   * @param {import("./notices.js").Notices} parts.notices
   * @param {import("./view.js").View} parts.view
   * @param {string | null} parts.model - id of the model that traces
   * @param {(id: string) => Promise<Manifest>} parts.manifest
   * @param {(file: File) => void} parts.choose - opens a file to be traced
   * @param {(error: unknown) => void} parts.fail
   */
  constructor({ studio, words, notices, view, model, manifest, choose, fail }) {
    this.studio = studio;
    this.words = words;
    this.notices = notices;
    this.view = view;
    this.model = model;
    this.manifest = manifest;
    this.fail = fail;
    studio.on("work", () => this.draw());
    studio.on("preview", () => studio.hasPreview || this.#close());
    words.addEventListener("change", () => this.#job && this.#translate(this.#job));
    this.#listen(choose);
    this.draw();
  }

  /** @param {(file: File) => void} choose */
  #listen(choose) {
    makeRoving(this.#uses);
    this.#button.addEventListener("click", () => this.choose());
    this.#chooser.addEventListener("change", () => {
      const [file] = this.#chooser.files ?? [];
      this.#chooser.value = "";
      if (file) choose(file);
    });
    this.#uses.addEventListener("click", (event) => {
      const { use } = /** @type {HTMLElement} */ (event.target).closest("button")?.dataset ?? {};
      if (use) this.#setUse(/** @type {Use} */ (use));
    });
    this.#done.addEventListener("click", () => this.keep());
    byId("trace-cancel", HTMLButtonElement).addEventListener("click", () => this.cancel());
    this.#retry.addEventListener("click", () => this.#trace());
    this.#params.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.target instanceof HTMLInputElement) this.keep();
    });
    // Who waits for lines cannot draw on them yet.
    for (const name of ["pointerdown", "pointermove", "pointerup"]) this.#wait.addEventListener(name, (event) => event.stopPropagation());
  }

  /** Whether photos can become lines of the model on the page. */
  get isOffered() {
    return this.model !== null && this.studio.manifest.inputs[0].kind === "line";
  }

  get isOpen() {
    return this.#job !== null;
  }

  draw() {
    this.#button.hidden = !this.isOffered;
  }

  /** Asks for a photo. */
  choose() {
    if (this.isOffered) this.#chooser.click();
  }

  /**
   * Whether a picture that was opened should be offered to be traced.
   * @param {ImageBitmap} picture
   */
  suits(picture) {
    if (!this.isOffered) return false;
    const scale = Math.min(1, JUDGED_SIDE / Math.max(picture.width, picture.height));
    const width = Math.max(1, Math.round(picture.width * scale));
    const height = Math.max(1, Math.round(picture.height * scale));
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [width, height];
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
    context.imageSmoothingQuality = "high";
    context.drawImage(picture, 0, 0, width, height);
    return looksLikePhoto(context.getImageData(0, 0, width, height).data, width, height);
  }

  /**
   * Lays a photo under the sheet and traces it.
   * @param {ImageBitmap} photo - closed in the end
   * @param {string} name - of its file
   */
  async open(photo, name) {
    const { studio } = this;
    const { drawing } = studio;
    this.cancel();
    try {
      const tracing = await this.manifest(/** @type {string} */ (this.model));
      if (drawing !== studio.drawing) return photo.close();
      const tracer = new Tracer(tracing, drawing.main.input, drawing.size, photo);
      const params = Object.fromEntries(shownParameters(tracing).map((parameter) => [parameter.name, parameter.default]));
      this.#begin({ tracer, photo, name, params, underlay: underlayOf(tracer), abort: new AbortController() });
    } catch (error) {
      photo.close();
      this.fail(error);
    }
  }

  /** @param {Job} job */
  #begin(job) {
    this.cancel();
    this.#job = job;
    this.#use = "lines";
    this.#coverage = null;
    this.#keepsLater = false;
    this.#toggle(true);
    this.view.reset();
    this.view.stage.prepend(job.underlay);
    this.studio.preview("step.trace", () => {});
    this.#drawParams(job);
    this.#trace();
    this.notices.announce(this.words.t("trace.opened", { name: job.name }));
    const first = this.#params.querySelector("input") ?? this.#uses.querySelector("button");
    first?.focus({ preventScroll: true });
  }

  /** Makes what is on show a step. */
  keep() {
    const job = this.#job;
    if (!job || this.#done.disabled) return;
    this.#keepsLater = this.#now === "working";
    if (this.#keepsLater) return;
    const [use, isInverted] = [this.#use, this.#isInverted];
    this.studio.keepPreview();
    if (use === "picture" && isInverted) this.notices.show(this.words.t("open.inverted"));
    else this.notices.announce(this.words.t(use === "lines" ? "trace.done" : "open.done", { name: job.name }));
  }

  /** Goes back to the drawing that was there. */
  cancel() {
    this.studio.dropPreview();
  }

  /** The preview has become a step, or was dropped. */
  #close() {
    const job = this.#job;
    if (!job) return;
    const hadFocus = this.#bar.contains(document.activeElement);
    this.#job = null;
    job.abort.abort();
    job.underlay.remove();
    job.photo.close();
    this.#toggle(false);
    if (hadFocus) byId("drawing", HTMLElement).focus({ preventScroll: true });
  }

  /** @param {boolean} isOpen */
  #toggle(isOpen) {
    this.#bar.hidden = !isOpen;
    this.#usualBar.hidden = isOpen;
    this.#wait.hidden = true;
    this.view.stage.classList.remove("is-bare");
  }

  /** @param {Job} job */
  #drawParams({ tracer, params }) {
    const rows = shownParameters(tracer.manifest).map((parameter) =>
      parameterRow(parameter, this.words, {
        id: `trace-${parameter.name}`,
        get: () => params[parameter.name],
        set: (value) => {
          params[parameter.name] = value;
          this.#use = "lines";
          this.#trace();
        },
      }),
    );
    this.#params.replaceChildren(...rows);
  }

  /** @param {Job} job */
  #translate(job) {
    this.#drawParams(job);
    this.#tell(this.#now);
  }

  /** @param {Use} use */
  #setUse(use) {
    if (use === this.#use) return;
    this.#use = use;
    this.#show();
  }

  /** Asks for the lines of the newest parameters, one request at a time. */
  async #trace() {
    this.#wanted++;
    if (this.#isTracing) return this.#tell("working");
    this.#isTracing = true;
    try {
      while (this.#job && this.#traced !== this.#wanted) await this.#traceOnce(this.#job);
    } finally {
      this.#isTracing = false;
    }
  }

  /** @param {Job} job */
  async #traceOnce(job) {
    const version = this.#wanted;
    this.#tell("working");
    try {
      const coverage = await job.tracer.trace(job.params, job.abort.signal);
      if (job !== this.#job) return;
      this.#coverage = coverage;
      this.#traced = version;
      this.#show();
    } catch (error) {
      if (job !== this.#job) return;
      this.#traced = version;
      this.#keepsLater = false;
      this.#tell("failed");
      this.fail(error);
    }
  }

  /** Puts on the sheet what was chosen. */
  #show() {
    const job = this.#job;
    if (!job) return;
    const { studio } = this;
    if (this.#use === "picture") {
      studio.preview("step.open", (drawing) => {
        drawing.clear();
        this.#isInverted = drawing.main.load(job.photo).inverted;
      });
    } else {
      const coverage = this.#coverage;
      studio.preview("step.trace", (drawing) => {
        if (!coverage) return;
        drawing.clear();
        drawing.paint("line")?.loadCoverage(coverage);
      });
    }
    this.#tell(this.#now);
    if (this.#keepsLater) this.keep();
  }

  /** @returns {State} */
  get #now() {
    if (this.#use === "picture") return "ready";
    if (this.#traced !== this.#wanted) return "working";
    if (!this.#coverage) return "failed";
    return isFaint(this.#coverage) ? "faint" : "ready";
  }

  /** @param {State} state */
  #tell(state) {
    const isOfLines = this.#use === "lines";
    const isBare = isOfLines && !this.#coverage;
    for (const button of this.#uses.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.dataset.use === this.#use));
    }
    setTabStop(this.#uses);
    // Lines follow the slider many times a second; that they are sought is worth a word only while there are none.
    if (state !== "working" || isBare) this.#say(this.words.t(isOfLines ? `trace.${state}` : "trace.as_is"));
    this.#bar.dataset.state = state;
    this.#retry.hidden = state !== "failed";
    this.#done.disabled = isBare;
    this.#wait.hidden = !(isBare && state === "working");
    // The drawing from before would lie over the photo.
    this.view.stage.classList.toggle("is-bare", isBare);
    if (this.#job) this.#job.underlay.hidden = !isOfLines;
  }

  /** @param {string} text */
  #say(text) {
    if (this.#state.textContent !== text) this.#state.textContent = text;
  }
}

/**
 * The photo where it lies on the sheet.
 * @param {Tracer} tracer
 */
function underlayOf({ photo, box, size }) {
  const canvas = draw(photo, { width: box.width * 2, height: box.height * 2 });
  canvas.className = "trace-photo";
  canvas.setAttribute("aria-hidden", "true");
  canvas.style.left = `${(100 * box.x) / size.width}%`;
  canvas.style.top = `${(100 * box.y) / size.height}%`;
  canvas.style.width = `${(100 * box.width) / size.width}%`;
  canvas.style.height = `${(100 * box.height) / size.height}%`;
  return canvas;
}
