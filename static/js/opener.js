/**
 * Opens what is asked for: models, their samples, and files of every kind, each where it belongs. Of several things asked for only the
 * last is opened, however long each takes to come.
 */

import { decodePicture } from "./api.js";
import { fetchExample } from "./examples.js";
import { ProjectError, readProject, restoreWork } from "./project.js";
import { STYLE_SLOT } from "./stylechip.js";

/** @typedef {import("./types").Manifest} Manifest */
/** @typedef {import("./examples.js").Example} Example */

const MAX_FILE_BYTES = 64 * 2 ** 20;
/** Of a label map: the share of pixels that had to be given a class, from which on people are told. */
const MANY_SNAPPED = 0.02;

export class Opener {
  /** Counts what was asked to be opened, so that only the last of several is. */
  #turn = 0;
  /** Number of the sample that was opened last. */
  #sample = 0;

  /**
   * @param {object} parts
   * @param {import("./studio.js").Studio} parts.studio
   * @param {import("./words.js").Words} parts.words
   * @param {import("./notices.js").Notices} parts.notices
   * @param {import("./types").ModelSummary[]} parts.models
   * @param {import("./phototools.js").PhotoTools} parts.photo
   * @param {import("./inputslots.js").InputSlots} parts.slots
   * @param {import("./stylechip.js").StyleChip} parts.style
   * @param {import("./tracemode.js").TraceMode} parts.tracing
   * @param {(id: string) => Promise<Manifest>} parts.manifest
   * @param {(example: Example) => void} parts.show - shows the finished result of an example that was opened
   * @param {(error: unknown) => void} parts.fail
   */
  constructor({ studio, words, notices, models, photo, slots, style, tracing, manifest, show, fail }) {
    this.studio = studio;
    this.words = words;
    this.notices = notices;
    this.models = models;
    this.photo = photo;
    this.slots = slots;
    this.style = style;
    this.tracing = tracing;
    this.manifest = manifest;
    this.show = show;
    this.fail = fail;
  }

  /** @param {string} id */
  async openModel(id) {
    const turn = ++this.#turn;
    if (id === this.studio.manifest.id) return;
    try {
      const manifest = await this.manifest(id);
      const example = await fetchExample(manifest, 0).catch(() => null);
      if (turn !== this.#turn) return;
      this.studio.switchModel(manifest, example?.inputs ?? new Map());
      if (example) this.opened(example);
    } catch (error) {
      if (turn === this.#turn) this.fail(error);
    }
  }

  /** @param {number} k */
  async openSample(k) {
    const { manifest } = this.studio;
    const turn = ++this.#turn;
    try {
      const example = await fetchExample(manifest, k);
      if (!example || turn !== this.#turn || manifest !== this.studio.manifest) return;
      this.studio.loadSample(example.inputs, example.seed);
      this.opened(example);
    } catch (error) {
      if (turn === this.#turn) this.fail(error);
    }
  }

  nextSample() {
    const { samples } = this.studio.manifest;
    if (samples.length) void this.openSample((this.#sample + 1) % samples.length);
  }

  /** Tells of an example whose inputs are on the sheet. @param {Example} example */
  opened(example) {
    this.#sample = example.k;
    this.show(example);
    this.notices.announce(this.words.t("examples.loaded", { name: this.words.pick(example.title) }));
  }

  /**
   * Several files are shared out where the model has several inputs, and are a batch where it takes photos; else the first is opened.
   * @param {File[]} files
   * @param {string} [input] - name of the slot that they are meant for
   */
  openFiles(files, input = "") {
    const { photo, slots, style } = this;
    if (input === STYLE_SLOT && style.isOffered) void style.open(files[0], files[0].name);
    else if (slots.has(input)) void slots.open(input, files[0]);
    else if (files.length > 1 && this.studio.drawing.slots.length && !photo.panel.isOpen) this.#shareOut(files);
    else if (photo.isOffered && (files.length > 1 || photo.panel.isOpen)) photo.addAll(files);
    else void this.openFile(files[0]);
  }

  /** @param {File[]} files */
  #shareOut(files) {
    for (const [name, file] of this.slots.sort(files)) {
      if (this.slots.has(name)) void this.slots.open(name, file);
      else void this.openFile(file);
    }
  }

  /**
   * @param {File} file
   * @param {boolean} [isToTrace] - a photo, whatever it looks like
   */
  async openFile(file, isToTrace = false) {
    const { words, notices } = this;
    if (file.size > MAX_FILE_BYTES) return notices.show(words.t("open.too_large", { mb: MAX_FILE_BYTES / 2 ** 20 }), "problem");
    if (/\.(inkwash|json)$/i.test(file.name)) return this.#openProject(file);
    if (this.photo.isOffered) return this.#openPhoto(file);
    const turn = ++this.#turn;
    const bitmap = await decodePicture(file).catch(() => null);
    if (turn !== this.#turn) return bitmap?.close();
    if (!bitmap) return notices.show(words.t("open.unreadable", { name: file.name }), "problem");
    if (isToTrace || this.tracing.suits(bitmap)) return void this.tracing.open(bitmap, file.name);
    const { inverted, snapped } = this.studio.openPicture(bitmap);
    bitmap.close();
    if (inverted) notices.show(words.t("open.inverted"));
    else if (snapped > MANY_SNAPPED) notices.show(words.t("open.snapped", { percent: words.number(snapped * 100) }));
    else notices.announce(words.t("open.done", { name: file.name }));
  }

  /** @param {File} file */
  async #openPhoto(file) {
    const turn = ++this.#turn;
    try {
      const photo = await this.photo.open(file);
      if (turn !== this.#turn || !this.photo.isOffered) return;
      this.studio.openPhoto(photo);
      this.notices.announce(this.words.t("open.done", { name: file.name }));
    } catch (error) {
      if (turn === this.#turn) this.photo.refuse(error, file.name);
    }
  }

  /** @param {File} file */
  async #openProject(file) {
    const { words, notices } = this;
    const turn = ++this.#turn;
    try {
      const project = await readProject(file);
      if (!this.models.some((model) => model.id === project.model)) {
        throw new ProjectError("project.no_model", { model: project.model });
      }
      const work = await restoreWork(project, await this.manifest(project.model));
      if (turn !== this.#turn) return;
      this.studio.replaceWork("step.project", work);
      notices.announce(words.t("open.done", { name: file.name }));
    } catch (error) {
      if (!(error instanceof ProjectError)) return this.fail(error);
      const reason = words.t(error.key, error.values);
      notices.show(words.t("project.refused", { name: file.name, reason }), "problem");
    }
  }
}
