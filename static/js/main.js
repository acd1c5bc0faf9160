/** Builds the page from what the server put into it and wires its parts. The only place where they all meet. */

import * as api from "./api.js";
import { Badge } from "./badge.js";
import { Controls } from "./controls.js";
import { Cursor } from "./cursor.js";
import { showCard } from "./dialogs.js";
import { byId } from "./dom.js";
import { DrawOn } from "./drawon.js";
import { Examples, fetchExample } from "./examples.js";
import { MissingInputError, listTitles } from "./inputs.js";
import { InputSlots } from "./inputslots.js";
import { LiveLoop } from "./live.js";
import { placeMenus } from "./menus.js";
import { ModelPicker } from "./modelpicker.js";
import { Notices } from "./notices.js";
import { Opener } from "./opener.js";
import { acceptFiles } from "./opening.js";
import { Palette } from "./palette.js";
import { PhotoTools } from "./phototools.js";
import { PointerInput } from "./pointer.js";
import { toggleTheme } from "./preferences.js";
import { ResultPane } from "./result.js";
import { connectActions } from "./actions.js";
import { Studio } from "./studio.js";
import { StyleChip } from "./stylechip.js";
import { TraceMode } from "./tracemode.js";
import { Toolbar } from "./toolbar.js";
import { Variations } from "./variations.js";
import { View } from "./view.js";
import { Words, readBoot } from "./words.js";

/** @typedef {import("./types").Manifest} Manifest */
/** @typedef {import("./types").Request} Request */
/** @typedef {import("./examples.js").Example} Example */

/** The page after its first model is known. */
class Page {
  /** @type {Map<string, Promise<Manifest>>} */
  #manifests = new Map();

  /**
   * @param {Words} words
   * @param {import("./types").ModelSummary[]} models
   * @param {Manifest} manifest - of the first model to show
   * @param {Example | null} example - what it opens with
   * @param {string | null} tracer - id of the model that makes lines of photos
   */
  constructor(words, models, manifest, example, tracer) {
    this.words = words;
    this.models = models;
    this.notices = new Notices();
    this.studio = new Studio(manifest, example?.inputs ?? new Map());
    this.stage = byId("drawing-stage", HTMLElement);
    this.result = new ResultPane(this.studio);
    this.view = new View(this.stage, [byId("result-stage", HTMLElement)]);
    this.pointer = new PointerInput(byId("drawing", HTMLElement), this.view, this.studio);
    this.live = new LiveLoop({
      open: (model) => new WebSocket(api.liveUrl(model)),
      capture: () => this.#captureLive(),
      isStroking: () => this.studio.isStroking,
      isSteering: () => this.studio.choice.isSteering,
      probe: api.probe,
    });
    this.controls = new Controls(this.studio, words);
    this.toolbar = new Toolbar(this.studio, words);
    this.cursor = new Cursor(this.studio, this.view, this.pointer);
    this.parts = [
      this.toolbar,
      this.controls,
      new Palette(this.studio, words),
      new ModelPicker({ models, studio: this.studio, words, choose: (id) => void this.opener.openModel(id) }),
      new Examples(this.studio, words, (k) => void this.opener.openSample(k)),
    ];
    this.badge = new Badge(this.live, words, this.notices);
    this.photo = new PhotoTools(this);
    this.variations = new Variations({
      studio: this.studio,
      words,
      notices: this.notices,
      live: this.live,
      capture: () => this.#captureSource(),
      ask: (request, signal) => api.translate(this.studio.manifest.id, request, signal),
      isBusy: () => this.photo.camera.isOn || this.photo.crop.isOpen,
      fail: (error) => this.fail(error),
    });
    const refuse = (/** @type {unknown} */ error, /** @type {string} */ name) => this.photo.refuse(error, name);
    this.slots = new InputSlots({ studio: this.studio, words, notices: this.notices, refuse });
    this.style = new StyleChip({ studio: this.studio, words, notices: this.notices, refuse });
    this.tracing = new TraceMode({
      studio: this.studio,
      words,
      notices: this.notices,
      view: this.view,
      model: models.find(({ id, status }) => id === tracer && status !== "failed")?.id ?? null,
      manifest: (id) => this.#manifest(id),
      choose: (file) => void this.opener.openFile(file, true),
      fail: (error) => this.fail(error),
    });
    new DrawOn({ ...this, manifest: (id) => this.#manifest(id), fail: (error) => this.fail(error) });
    this.opener = new Opener({
      ...this,
      manifest: (id) => this.#manifest(id),
      show: (example) => this.#showExample(example),
      fail: (error) => this.fail(error),
    });
    this.#listen();
    for (const part of this.parts) part.draw();
    this.slots.draw();
    this.#showWork();
    if (example) this.opener.opened(example);
    this.live.changed();
  }

  #listen() {
    const { studio, live } = this;
    studio.on("work", () => this.#showWork());
    studio.on("change", () => {
      live.changed();
      this.#showBusy();
      this.#showEmpty();
    });
    // Keys may undo, or open another example, in the middle of it.
    studio.history.addEventListener("change", () => (this.#resting = null));
    studio.on("stroke", () => this.#showEmpty());
    studio.on("frame", () => this.#showEmpty());
    studio.on("preview", () => this.#showEmpty());
    live.addEventListener("state", () => this.#showBusy());
    live.addEventListener("picture", (event) => {
      void this.#showLive(/** @type {CustomEvent<import("./live.js").LivePicture>} */ (event).detail);
    });
    live.addEventListener("problem", (event) => this.#showProblem(/** @type {CustomEvent} */ (event).detail));
    this.words.addEventListener("change", () => this.#showStatic());
    byId("card-button", HTMLButtonElement).addEventListener("click", () => void showCard(this.words, studio.manifest));
    byId("theme", HTMLButtonElement).addEventListener("click", toggleTheme);
    acceptFiles((files, input) => this.opener.openFiles(files, input));
    connectActions(this);
    placeMenus();
  }

  /**
   * What a translation of the current drawing needs.
   * @param {string} type - image type wanted back
   * @returns {Promise<Request>}
   * @throws {MissingInputError}
   */
  async capture(type) {
    this.#requireInputs();
    const { latent, params } = this.studio.choice;
    return { inputs: await this.#encode(), ...latent, params, type };
  }

  /** While a slider or the pad is moved the drawing rests, and need be read but once. @type {ReturnType<import("./drawing.js").Drawing["encode"]> | null} */
  #resting = null;

  #encode() {
    const { drawing, choice, isStroking } = this.studio;
    if (!choice.isSteering || isStroking || this.photo.camera.isOn) this.#resting = null;
    else this.#resting ??= drawing.encode();
    return this.#resting ?? drawing.encode();
  }

  /** The picture that is still shown is of other inputs than there are. @throws {MissingInputError} */
  #requireInputs() {
    const { missing } = this.studio.drawing;
    if (missing.length) throw new MissingInputError(missing);
  }

  /** While things move, pictures need not be lossless. @returns {Promise<Request | null>} null while an input is missing */
  async #captureLive() {
    if (this.studio.drawing.missing.length) return null;
    const isMoving = this.studio.isStroking || this.studio.choice.isSteering || this.photo.camera.isOn;
    return this.capture(isMoving ? "image/jpeg" : "image/png");
  }

  /** What variations are made of. @returns {Promise<Request | null>} null while an input is missing */
  async #captureSource() {
    if (this.studio.drawing.missing.length) return null;
    return { ...(await this.capture("image/jpeg")), style: this.studio.choice.style?.bytes ?? null };
  }

  #showWork() {
    const { drawing, manifest } = this.studio;
    this.stage.replaceChildren(...drawing.layers.map((surface) => surface.canvas));
    this.stage.style.background = drawing.paper;
    for (const stage of this.view.stages) fitStage(stage, drawing.size);
    this.view.reset();
    this.live.setModel(manifest.id);
    const url = new URL(location.href);
    url.searchParams.set("model", manifest.id);
    history.replaceState(null, "", url);
    this.#showEmpty();
  }

  /** Words that no part of its own keeps up to date. */
  #showStatic() {
    this.toolbar.draw();
    this.#showLanguage();
  }

  #showLanguage() {
    const link = byId("language", HTMLAnchorElement);
    const other = link.dataset.codes?.split(",").find((code) => code !== this.words.lang) ?? this.words.lang;
    link.textContent = new Intl.DisplayNames([other], { type: "language" }).of(other) ?? other;
    link.lang = other;
    link.hreflang = other;
    link.href = `?lang=${other}`;
  }

  /** @param {string[]} codes */
  offerLanguages(codes) {
    const link = byId("language", HTMLAnchorElement);
    link.dataset.codes = codes.join();
    link.hidden = codes.length < 2;
    link.addEventListener("click", (event) => {
      event.preventDefault();
      void this.words.switchTo(link.lang);
    });
    this.#showLanguage();
  }

  #showEmpty() {
    byId("empty", HTMLElement).hidden = this.studio.isStroking || this.studio.hasPreview || !this.studio.drawing.isBlank();
    const cut = cutTo(this.studio.drawing);
    for (const stage of this.view.stages) stage.style.clipPath = cut;
  }

  #decoding = 0;
  /** Live pictures that came, and the newest of them whose place on the pane is taken, by itself or by something newer. */
  #came = 0;
  #shown = 0;

  /** Tells assistive technology, and whoever waits, that the picture is not the last one yet. */
  #showBusy() {
    byId("result", HTMLElement).setAttribute("aria-busy", String(this.live.isBusy || this.#decoding > 0));
  }

  /** @param {import("./live.js").LivePicture} detail */
  async #showLive({ picture, roundTrip }) {
    const model = this.studio.manifest.id;
    const number = ++this.#came;
    this.#decoding++;
    try {
      const bitmap = await api.decodePicture(picture);
      // Pictures are decoded side by side, and an older one may take longer.
      if (number <= this.#shown || model !== this.studio.manifest.id) return bitmap.close();
      this.#shown = number;
      this.result.show(bitmap, picture);
    } finally {
      this.#decoding--;
      this.#showBusy();
    }
    if (this.live.isSettled) this.#announceLater(roundTrip);
  }

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #announceTimer;

  /** Speaks of a picture only once drawing rests, not thirty times a second. @param {number} roundTrip */
  #announceLater(roundTrip) {
    clearTimeout(this.#announceTimer);
    if (this.photo.camera.isOn) return;
    const text = this.words.t("result.updated", { ms: this.words.number(roundTrip) });
    this.#announceTimer = setTimeout(() => this.photo.camera.isOn || this.notices.announce(text), 1000);
  }

  /** @param {{code?: string, title?: string, detail?: string}} problem */
  #showProblem(problem) {
    const key = `problem.${problem.code}`;
    const known = this.words.messages[key];
    this.notices.show(known ?? problem.detail ?? problem.title ?? this.words.t("problem.internal"), "problem");
  }

  /** @param {unknown} error */
  fail(error) {
    if (error instanceof api.ApiError) this.#showProblem(error.problem);
    else if (error instanceof MissingInputError) this.notices.show(this.#needs(error.inputs), "problem");
    else this.notices.show(this.words.t("problem.internal"), "problem");
  }

  /** @param {import("./types").ImageInput[]} inputs */
  #needs(inputs) {
    return this.words.t("inputs.needs", { names: listTitles(inputs, this.words) });
  }

  /** @param {string} id */
  #manifest(id) {
    const known = this.#manifests.get(id) ?? api.fetchManifest(id);
    this.#manifests.set(id, known);
    known.catch(() => this.#manifests.delete(id));
    return known;
  }

  /**
   * Shows the finished result at once; the server is asked all the same, and may run with another seed.
   * @param {Example} example
   */
  #showExample(example) {
    this.#shown = this.#came;
    if (!this.studio.choice.outlastsSamples) this.result.show(example.result, null);
  }

  /** The result at full quality: the one on show if it came lossless, else made again. Of a photo, at the photo's size. */
  async resultPng() {
    if (this.photo.hasPhoto) return this.photo.picture("image/png");
    this.#requireInputs();
    const { shown } = this.result;
    if (shown?.type === "image/png") return shown;
    return api.translate(this.studio.manifest.id, await this.capture("image/png"));
  }
}

/**
 * Fits a stage into its square sheet.
 * @param {HTMLElement} stage
 * @param {import("./types").Size} size
 */
function fitStage(stage, { width, height }) {
  const side = Math.max(width, height);
  stage.style.width = `${(100 * width) / side}%`;
  stage.style.height = `${(100 * height) / side}%`;
}

/**
 * A photo of another shape than the model's leaves the stage empty beside it; what is cut off so shows the sheet.
 * @param {import("./drawing.js").Drawing} drawing
 * @returns {string} CSS clip-path
 */
function cutTo({ photo, size }) {
  const box = photo?.box;
  if (!box) return "";
  const right = size.width - box.x - box.width;
  const bottom = size.height - box.y - box.height;
  const shares = [box.y / size.height, right / size.width, bottom / size.height, box.x / size.width];
  return `inset(${shares.map((share) => `${share * 100}%`).join(" ")})`;
}

/** @typedef {Page} AnyPage */

async function start() {
  const boot = readBoot(document);
  const words = new Words(boot);
  const models = Array.isArray(boot.models) ? boot.models : boot.models.models;
  byId("version", HTMLElement).textContent = boot.version;
  const usable = models.filter((model) => model.status !== "failed");
  const wanted = new URL(location.href).searchParams.get("model");
  const first = usable.find((model) => model.id === wanted) ?? usable[0];
  byId("no-models", HTMLElement).hidden = first !== undefined;
  byId("studio", HTMLElement).hidden = first === undefined;
  if (!first) return;
  const manifest = await api.fetchManifest(first.id);
  const page = new Page(words, models, manifest, await fetchExample(manifest, 0).catch(() => null), boot.tracer);
  page.live.device = boot.device;
  page.offerLanguages(Array.isArray(boot.languages) ? boot.languages : Object.keys(boot.languages));
  document.documentElement.dataset.ready = "true";
}

void start();
