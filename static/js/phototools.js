/**
 * What the page offers for models that take a photo: crop, camera, the picture at full size, many files at once. It puts these parts
 * together and shows or hides them by the kind of the model's main input; each of them does its work elsewhere.
 */

import * as api from "./api.js";
import { Batch } from "./batch.js";
import { BatchPanel, resultName } from "./batchpanel.js";
import { CameraMode } from "./cameramode.js";
import { CropMode } from "./crop.js";
import { wholeCrop } from "./cropgeometry.js";
import { byId } from "./dom.js";
import { saveFile, sideBySide } from "./exporting.js";
import { MissingInputError, isArrayInput, listTitles } from "./inputs.js";
import { FullSize } from "./fullsize.js";
import { mixName } from "./mix.js";
import { MAX_PIXELS, Photo, PhotoError } from "./photo.js";
import { takeColor } from "./photosurface.js";
import { toFile } from "./png.js";
import { translatePhoto } from "./sending.js";
import { TOOLS, toolsFor } from "./tools.js";
import { Viewer } from "./viewer.js";

/** @typedef {import("./batchpanel.js").Finished} Finished */
/** @typedef {import("./main.js").AnyPage} Page */

/** Thumbnails of a batch, pixels; twice as large as they are shown. */
const THUMBNAIL = 128;
/** Longer side of what the result pane shows of a full-size picture; the large view shows all of it. */
const PANE_SIDE = 1600;
/** Words that speak of a photo instead of a drawing, by the id of the element that has them. */
const PHOTO_WORDS = {
  "drawing-heading": "pane.photo",
  "empty-text": "photo.empty",
  "drop-text": "photo.drop",
  "drawing-help": "photo.help",
  drawing: "photo.label",
  clear: "photo.clear",
  "save-drawing-text": "save.photo",
};

export class PhotoTools {
  #fullState = byId("full-state", HTMLElement);
  #look = byId("look", HTMLButtonElement);
  #retry = byId("full-retry", HTMLButtonElement);
  #looksLater = false;
  /** @type {Map<string, string>} the elements' own words */
  #usualWords = new Map();
  #toolBefore = "";

  /** @param {Page} page */
  constructor(page) {
    const { studio, words, notices, live, view } = page;
    this.page = page;
    this.studio = studio;
    this.words = words;
    this.viewer = new Viewer(words);
    this.crop = new CropMode(studio, words, view);
    this.camera = new CameraMode({ studio, live, words, notices });
    this.full = new FullSize({ ask: (signal) => this.#translate("image/jpeg", signal), isDue: () => this.#isDue });
    this.batch = new Batch((file, signal, preview) => this.#work(file, signal, preview));
    this.panel = new BatchPanel({
      batch: this.batch,
      words,
      notices,
      look: (item) => void this.#lookAt(item),
      explain: ({ error, file }) => this.#explain(error, file.name),
    });
    this.#listen();
    this.draw();
  }

  #listen() {
    const { studio, full } = this;
    const { live } = this.page;
    for (const event of /** @type {const} */ (["change", "frame", "work"])) studio.on(event, () => this.#changed());
    studio.on("work", () => this.draw());
    studio.on("tool", () => this.#toolChosen());
    live.addEventListener("state", () => live.isSettled && full.settled());
    full.addEventListener("state", () => this.#showFull());
    full.addEventListener("problem", (event) => this.#showTrouble(/** @type {CustomEvent} */ (event).detail));
    this.#look.addEventListener("click", () => void this.look());
    this.#retry.addEventListener("click", () => full.retry());
    this.words.addEventListener("change", () => this.#showFull());
  }

  /** Whether the model takes a photo. */
  get isOffered() {
    return this.studio.drawing.photo !== null;
  }

  /** Whether the photo may come from a camera: no camera gives an array. */
  get takesCamera() {
    return this.isOffered && !isArrayInput(this.studio.manifest.inputs[0]);
  }

  get hasPhoto() {
    return this.#shown !== null;
  }

  get #shown() {
    return this.studio.drawing.photo?.shown ?? null;
  }

  get #isDue() {
    return this.#canTranslate && !this.camera.isOn && !this.crop.isOpen && !this.studio.choice.isSteering && this.page.live.isSettled;
  }

  get #canTranslate() {
    return this.#shown !== null && this.studio.drawing.missing.length === 0;
  }

  /** Shows what belongs to photos, or to drawings. */
  draw() {
    const { isOffered } = this;
    for (const element of document.querySelectorAll("[data-for=photo]")) /** @type {HTMLElement} */ (element).hidden = !isOffered;
    byId("camera-button", HTMLElement).hidden = !this.takesCamera;
    byId("file", HTMLInputElement).multiple = isOffered || this.studio.drawing.slots.length > 0;
    for (const [id, key] of Object.entries(PHOTO_WORDS)) this.#speak(byId(id, HTMLElement), isOffered ? key : null);
    this.#showFull();
  }

  /**
   * @param {HTMLElement} element
   * @param {string | null} key - null for its own words
   */
  #speak(element, key) {
    const place = element.dataset.tLabel ? "tLabel" : "t";
    const usual = this.#usualWords.get(element.id) ?? element.dataset[place] ?? "";
    this.#usualWords.set(element.id, usual);
    element.dataset[place] = key ?? usual;
    if (place === "tLabel") this.words.name(element);
    else element.textContent = this.words.t(key ?? usual);
  }

  #toolChosen() {
    const { toolId } = this.studio;
    if (TOOLS[toolId].mode !== "crop") {
      this.#toolBefore = toolId;
      this.crop.done();
      return;
    }
    this.camera.stop();
    const others = toolsFor(this.studio.manifest).filter((id) => !TOOLS[id].mode);
    const back = others.includes(this.#toolBefore) ? this.#toolBefore : others[0];
    if (this.#shown) return this.crop.open(back);
    this.studio.setTool(back);
    this.page.notices.show(this.words.t("photo.first"));
  }

  // --- one photo

  /** @param {File} file */
  async open(file) {
    return Photo.openFor(this.studio.manifest.inputs[0], file, file.name);
  }

  /**
   * @param {unknown} error
   * @param {string} name - of the file
   */
  #explain(error, name) {
    const { words } = this;
    if (error instanceof PhotoError) return words.t(error.key, { ...error.values, name });
    if (error instanceof MissingInputError) return words.t("inputs.needs", { names: listTitles(error.inputs, words) });
    if (error instanceof DOMException && error.name === "InvalidStateError") return words.t("open.unreadable", { name });
    if (!(error instanceof api.ApiError)) return words.t("problem.internal");
    const { code, detail, title } = error.problem;
    return words.messages[`problem.${code}`] ?? (detail || title);
  }

  /** @param {unknown} error - why a file could not be opened */
  refuse(error, name = "") {
    this.page.notices.show(this.#explain(error, name), "problem");
  }

  /**
   * @param {string} type
   * @param {AbortSignal} [signal]
   */
  async #translate(type, signal) {
    const shown = this.#shown;
    if (!shown) throw new Error("There is no photo to translate.");
    const { manifest, drawing } = this.studio;
    const { latent, params } = this.studio.choice;
    if (drawing.missing.length) throw new MissingInputError(drawing.missing);
    const others = await drawing.encodeOthers();
    return translatePhoto(shown.photo, shown.crop, { model: manifest.id, ...latent, params, type, others }, signal);
  }

  /**
   * The picture at full size: the one at hand where it is of the wanted type, else made again.
   * @param {string} type
   */
  async picture(type) {
    const { result } = this.full;
    if (result?.picture.type === type) return result.picture;
    this.page.notices.show(this.words.t("full.making"));
    return (await this.#translate(type)).picture;
  }

  /** The photo as it is cropped, as a file. */
  async photoFile() {
    const shown = this.#shown;
    return shown ? toFile(await shown.photo.render(shown.crop)) : null;
  }

  /** Photo and picture in one. */
  async both() {
    const photo = await this.studio.drawing.photo?.render(MAX_PIXELS);
    if (!photo) return null;
    const paint = (/** @type {HTMLCanvasElement} */ canvas, /** @type {number} */ width, /** @type {number} */ height) => {
      [canvas.width, canvas.height] = [width, height];
      canvas.getContext("2d")?.drawImage(photo, 0, 0, width, height);
    };
    return sideBySide(paint, photo.width / photo.height, await this.picture("image/png"));
  }

  #changed() {
    this.full.drop();
    this.#showFull();
  }

  #showFull() {
    const { full, words } = this;
    const shown = this.#shown;
    const size = shown && `${Math.round(shown.crop.rect.width)} × ${Math.round(shown.crop.rect.height)}`;
    const key = full.state === "ready" && full.result?.isReduced ? "full.reduced" : `full.${full.state}`;
    this.#fullState.textContent = this.#canTranslate && !this.camera.isOn ? words.t(key, { size: size ?? "" }) : "";
    this.#fullState.dataset.state = full.state;
    this.#retry.hidden = full.state !== "failed";
    this.#look.disabled = !this.#canTranslate;
    if (full.state === "ready") void this.#showResult();
    if (full.state === "ready" && this.#looksLater) void this.look();
    if (full.state === "failed" || full.state === "none") this.#looksLater = false;
  }

  async #showResult() {
    const { result } = this.full;
    const shown = this.#shown;
    if (!result || !shown) return;
    const { width, height } = shown.crop.rect;
    const scale = Math.min(1, PANE_SIDE / Math.max(width, height));
    const bitmap = await api.decodePicture(result.picture, scale < 1 ? Math.max(1, Math.round(width * scale)) : undefined);
    if (result === this.full.result) this.page.result.show(bitmap, result.picture);
    else bitmap.close();
  }

  /** @param {unknown} error */
  #showTrouble(error) {
    this.page.notices.show(this.#explain(error, this.#shown?.photo.name ?? ""), "problem");
  }

  /** Opens the large view, once there is something to see. */
  async look() {
    const { result } = this.full;
    if (!result) {
      this.#looksLater = true;
      this.full.settled();
      this.page.notices.show(this.words.t("full.making"));
      return;
    }
    this.#looksLater = false;
    const [after, before] = await Promise.all([api.decodePicture(result.picture), this.studio.drawing.photo?.render(MAX_PIXELS)]);
    if (!before || result !== this.full.result) return after.close();
    this.viewer.show({
      title: this.#shown?.photo.name || this.words.pick(this.studio.manifest.title),
      before,
      after,
      save: (type) => void this.#save(type),
    });
  }

  /** @param {string} type */
  async #save(type) {
    try {
      const { manifest, choice } = this.studio;
      const name = `${manifest.id}-${mixName(choice.mix)}`;
      saveFile(await this.picture(type), `${name}.${type === "image/png" ? "png" : "jpg"}`);
    } catch (error) {
      this.page.fail(error);
    }
  }

  // --- many

  /** @param {File[]} files */
  addAll(files) {
    this.panel.open();
    this.batch.add(files);
  }

  /**
   * @param {File} file
   * @param {AbortSignal} signal
   * @param {(canvas: HTMLCanvasElement) => void} preview
   * @returns {Promise<Finished>}
   */
  async #work(file, signal, preview) {
    const { manifest, drawing } = this.studio;
    const { latent, params } = this.studio.choice;
    const photo = await this.open(file);
    preview(photo.thumbnail(THUMBNAIL));
    const missing = drawing.missing.filter((input) => input !== drawing.main.input);
    if (missing.length) throw new MissingInputError(missing);
    const order = { model: manifest.id, ...latent, params, type: this.panel.type, others: await drawing.encodeSlots() };
    const { picture, isReduced } = await translatePhoto(photo, wholeCrop(photo.size), order, signal);
    const bitmap = await api.decodePicture(picture);
    const thumbnail = Photo.of(bitmap, bitmap, "").thumbnail(THUMBNAIL);
    bitmap.close();
    return { picture, thumbnail, isReduced, kind: manifest.inputs[0].kind };
  }

  /** @param {import("./batchpanel.js").Item} item */
  async #lookAt(item) {
    const { file, result } = item;
    if (!result) return;
    const [photo, after] = await Promise.all([this.open(file), api.decodePicture(result.picture)]);
    const before = await photo.render(wholeCrop(photo.size), after.width * after.height);
    const context = /** @type {CanvasRenderingContext2D} */ (before.getContext("2d"));
    if (result.kind === "gray") takeColor(context, { x: 0, y: 0, width: before.width, height: before.height });
    this.viewer.show({ title: file.name, before, after, save: () => saveFile(result.picture, resultName(item)) });
  }
}
