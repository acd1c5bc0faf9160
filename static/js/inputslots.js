/**
 * The inputs beside the sheet: a slot for each, opened from a file, and the note over the picture while one is missing that the model
 * needs. It also names the main input where there are several, and says what it takes where that is an array.
 */

import { decodePicture } from "./api.js";
import { byId, icon, make } from "./dom.js";
import { acceptedFiles, inputFormat, inputTitle, isArrayInput, listTitles } from "./inputs.js";
import { Photo } from "./photo.js";
import { PhotoSurface } from "./photosurface.js";

/** @typedef {import("./drawing.js").AnySurface} AnySurface */

/** Pixels off the palette that are worth a word. */
const SNAPPED_SHARE = 0.02;

export class InputSlots {
  #list = byId("inputs", HTMLElement);
  #needs = byId("needs", HTMLElement);
  #needsText = byId("needs-text", HTMLElement);
  #needsOpen = byId("needs-open", HTMLButtonElement);
  #chooser = byId("input-file", HTMLInputElement);
  /** Name of the input that the chooser is open for. */
  #chosen = "";
  /** Counts what was asked to be opened, so that only the last of several files for a slot is. */
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
    for (const target of [studio.history, words]) target.addEventListener("change", () => this.draw());
    studio.on("work", () => this.draw());
    // A main array that is cleared or opened changes what is missing.
    studio.on("change", () => studio.isStroking || this.#showNeeds());
    this.#chooser.addEventListener("change", () => this.#fileChosen());
    this.#needsOpen.addEventListener("click", () => this.#openMissing());
    for (const name of ["pointerdown", "pointerup"]) this.#needs.addEventListener(name, (event) => event.stopPropagation());
  }

  /** @param {string} name */
  #slot(name) {
    return this.studio.drawing.slots.find(({ input }) => input.name === name);
  }

  /** Whether files of this name belong to a slot. @param {string} name */
  has(name) {
    return this.#slot(name) !== undefined;
  }

  draw() {
    const { slots } = this.studio.drawing;
    const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.closest(".input-slot");
    const name = focused instanceof HTMLElement ? focused.dataset.input : undefined;
    this.#list.hidden = slots.length === 0;
    this.#list.replaceChildren(...slots.map((slot) => this.#draw(slot)));
    if (name) /** @type {HTMLElement | null} */ (this.#list.querySelector(`[data-input="${name}"] .input-open`))?.focus();
    this.#nameMain();
    this.#showNeeds();
  }

  /** @param {AnySurface} slot */
  #draw(slot) {
    const { words } = this;
    const isEmpty = slot.isBlank();
    const title = inputTitle(slot.input, words);
    const open = make("button", { type: "button", class: "input-open" }, [
      make("span", { class: "input-thumb", "aria-hidden": "true" }, [isEmpty ? icon("plus") : slot.canvas]),
      make("span", { class: "input-text" }, [
        make("b", {}, [title]),
        make("span", { class: "input-extent" }, [isEmpty ? "" : extent(slot)]),
        make("small", {}, [this.#state(slot, isEmpty)]),
      ]),
    ]);
    open.title = words.t(isEmpty ? "inputs.open" : "inputs.replace", { name: title });
    open.addEventListener("click", () => this.choose(slot.input.name));
    const children = [open];
    if (!isEmpty) children.push(this.#removeButton(slot, title));
    const data = { "data-input": slot.input.name, "data-state": isEmpty ? (slot.input.optional ? "optional" : "required") : "filled" };
    return make("div", { class: "input-slot", role: "group", "aria-label": title, ...data }, children);
  }

  /**
   * @param {AnySurface} slot
   * @param {string} title
   */
  #removeButton(slot, title) {
    const label = this.words.t("inputs.remove", { name: title });
    const button = make("button", { type: "button", class: "icon-button input-remove", "aria-label": label, title: label }, [icon("close")]);
    button.addEventListener("click", () => {
      this.studio.removeInput(slot);
      this.notices.announce(this.words.t("inputs.removed", { name: title }));
    });
    return button;
  }

  /**
   * What a slot says of itself.
   * @param {AnySurface} slot
   * @param {boolean} isEmpty
   */
  #state(slot, isEmpty) {
    const { words } = this;
    const format = inputFormat(slot.input, words);
    if (isEmpty) return words.t(slot.input.optional ? "inputs.optional" : "inputs.required", { format });
    const name = slot instanceof PhotoSurface ? slot.shown?.photo.name : "";
    return name || format[0].toUpperCase() + format.slice(1);
  }

  /** The words of the sheet, where the usual ones would not tell which input it is or what it takes. */
  #nameMain() {
    const { drawing, manifest } = this.studio;
    const { input } = drawing.main;
    if (drawing.slots.length) byId("drawing-heading", HTMLElement).textContent = inputTitle(input, this.words);
    const accepted = [acceptedFiles(input), ".inkwash"].join();
    byId("file", HTMLInputElement).accept = accepted;
    if (!isArrayInput(input)) return;
    const name = inputTitle(manifest.inputs[0], this.words);
    if (!drawing.slots.length) byId("drawing-heading", HTMLElement).textContent = name;
    const text = this.words.t("array.empty", { channels: input.channels });
    for (const id of ["empty-text", "drop-text"]) byId(id, HTMLElement).textContent = text;
  }

  #showNeeds() {
    const { missing, main } = this.studio.drawing;
    const isHidden = missing.length === 0;
    const text = isHidden ? "" : this.words.t("inputs.needs", { names: listTitles(missing, this.words) });
    if (this.#needsText.textContent !== text) this.#needsText.textContent = text;
    this.#needs.hidden = isHidden;
    if (isHidden) return;
    this.#needsOpen.textContent = this.words.t("inputs.open", { name: inputTitle(missing[0], this.words) });
    this.#needsOpen.dataset.slot = missing[0] === main.input ? "" : missing[0].name;
  }

  #openMissing() {
    const name = this.#needsOpen.dataset.slot;
    if (name) this.choose(name);
    else byId("file", HTMLInputElement).click();
  }

  /** Asks for a file. @param {string} name - of an input */
  choose(name) {
    const slot = this.#slot(name);
    if (!slot) return;
    this.#chosen = name;
    this.#chooser.accept = acceptedFiles(slot.input);
    this.#chooser.click();
  }

  #fileChosen() {
    const [file] = this.#chooser.files ?? [];
    this.#chooser.value = "";
    if (file) void this.open(this.#chosen, file);
  }

  /**
   * @param {string} name - of an input
   * @param {File} file
   */
  async open(name, file) {
    const slot = this.#slot(name);
    if (!slot) return;
    const turn = ++this.#turn;
    try {
      const picture = slot instanceof PhotoSurface ? await Photo.openFor(slot.input, file, file.name) : await decodePicture(file);
      if (turn !== this.#turn || slot !== this.#slot(name)) return;
      const { inverted, snapped } = this.studio.openInput(slot, picture);
      this.#tell(slot, file.name, inverted, snapped);
    } catch (error) {
      if (turn === this.#turn) this.refuse(error, file.name);
    }
  }

  /**
   * @param {AnySurface} slot
   * @param {string} file
   * @param {boolean} inverted
   * @param {number} snapped - share of pixels
   */
  #tell({ input }, file, inverted, snapped) {
    const { words, notices } = this;
    if (inverted) notices.show(words.t("open.inverted"));
    else if (snapped > SNAPPED_SHARE) notices.show(words.t("open.snapped", { percent: words.number(snapped * 100) }));
    else notices.announce(words.t("inputs.opened", { file, name: inputTitle(input, words) }));
  }

  /**
   * Sorts several files dropped at once: to the input that a file's name has in it, the others in the order of the inputs.
   * @param {File[]} files
   * @returns {Map<string, File>} by input name; files too many are left out
   */
  sort(files) {
    const names = this.studio.manifest.inputs.filter(({ kind }) => kind !== "hints").map(({ name }) => name);
    /** @type {Map<string, File>} */
    const sorted = new Map();
    const rest = files.filter((file) => {
      const name = names.find((one) => !sorted.has(one) && file.name.toLowerCase().includes(one));
      if (name) sorted.set(name, file);
      return !name;
    });
    const free = names.filter((name) => !sorted.has(name));
    rest.slice(0, free.length).forEach((file, k) => sorted.set(free[k], file));
    return sorted;
  }
}

/**
 * Width, height and, of an array, channels of what is open in a slot.
 * @param {AnySurface} slot
 */
function extent(slot) {
  const photo = slot instanceof PhotoSurface ? slot.shown?.photo : null;
  const { width, height } = photo?.size ?? slot.size;
  return [width, height, ...(photo?.array ? [photo.array.channels] : [])].join(" × ");
}
