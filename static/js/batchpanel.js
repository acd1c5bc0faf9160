/** The dialog of a batch: its files with thumbnails, progress and errors, and the archive at the end. It sends nothing itself. */

import { byId, icon, make } from "./dom.js";
import { saveFile } from "./exporting.js";
import { makeZip, uniqueName } from "./zip.js";

/** @typedef {{picture: Blob, thumbnail: HTMLCanvasElement, isReduced: boolean, kind: string}} Finished */
/** @typedef {import("./batch.js").Item<Finished>} Item */

const ENDINGS = { "image/jpeg": "jpg", "image/png": "png", "image/webp": "webp" };
/** States as symbols too, so that colour is never the only sign. */
const ICONS = { waiting: "clock", working: "clock", done: "check", failed: "warning", cancelled: "close" };

export class BatchPanel {
  #dialog = byId("batch", HTMLDialogElement);
  #list = byId("batch-list", HTMLElement);
  #progress = byId("batch-progress", HTMLProgressElement);
  #status = byId("batch-status", HTMLElement);
  #opener = byId("several", HTMLButtonElement);
  #count = byId("batch-count", HTMLElement);
  #cancel = byId("batch-cancel", HTMLButtonElement);
  #retry = byId("batch-retry", HTMLButtonElement);
  #clear = byId("batch-clear", HTMLButtonElement);
  #zip = byId("batch-zip", HTMLButtonElement);
  #type = byId("batch-type", HTMLElement);
  /** @type {Map<number, HTMLElement>} */
  #rows = new Map();
  #wasRunning = false;

  /**
   * @param {object} parts
   * @param {import("./batch.js").Batch<Finished>} parts.batch
   * @param {import("./words.js").Words} parts.words
   * @param {import("./notices.js").Notices} parts.notices
   * @param {(item: Item) => void} parts.look - shows a finished one large
   * @param {(item: Item) => string} parts.explain - why one failed
   */
  constructor({ batch, words, notices, look, explain }) {
    this.batch = batch;
    this.words = words;
    this.notices = notices;
    this.look = look;
    this.explain = explain;
    batch.addEventListener("change", () => this.#show());
    words.addEventListener("change", () => this.#redraw());
    this.#opener.addEventListener("click", () => this.open());
    this.#cancel.addEventListener("click", () => batch.cancel());
    this.#retry.addEventListener("click", () => batch.retry());
    this.#clear.addEventListener("click", () => batch.clear());
    this.#zip.addEventListener("click", () => void this.#saveAll());
    for (const id of ["batch-add", "batch-drop"]) {
      byId(id, HTMLButtonElement).addEventListener("click", () => byId("file", HTMLInputElement).click());
    }
    this.#show();
  }

  /** Image type that is asked for. */
  get type() {
    const chosen = /** @type {HTMLInputElement | null} */ (this.#type.querySelector("input:checked"));
    return chosen?.value ?? "image/jpeg";
  }

  open() {
    if (!this.#dialog.open) this.#dialog.showModal();
  }

  get isOpen() {
    return this.#dialog.open;
  }

  #redraw() {
    this.#list.replaceChildren();
    this.#rows.clear();
    this.#show();
  }

  #show() {
    const { batch, words } = this;
    for (const item of batch.items) this.#showItem(item);
    for (const [id, row] of this.#rows) if (!batch.items.some((item) => item.id === id)) this.#forget(id, row);
    const [all, done, failed] = [batch.items.length, batch.count("done"), batch.count("failed")];
    this.#progress.max = Math.max(1, all);
    this.#progress.value = done + failed + batch.count("cancelled");
    const summary = words.t(failed ? "batch.summary_failed" : "batch.summary", { done, all, failed });
    const text = batch.isPaused && batch.isRunning ? words.t("batch.paused", { summary }) : summary;
    this.#status.textContent = all ? text : "";
    this.#dialog.toggleAttribute("data-empty", all === 0);
    byId("batch-drop", HTMLElement).hidden = all > 0;
    this.#count.hidden = all === 0;
    this.#count.textContent = `${done}/${all}`;
    this.#cancel.hidden = !batch.isRunning;
    this.#retry.hidden = batch.isRunning || failed + batch.count("cancelled") === 0;
    this.#clear.hidden = batch.isRunning || all === 0;
    this.#zip.disabled = done === 0;
    this.#announceEnd(words.t("batch.finished", { summary }));
  }

  /** @param {string} text */
  #announceEnd(text) {
    const { isRunning, items } = this.batch;
    if (this.#wasRunning && !isRunning && items.length) this.notices.announce(text);
    this.#wasRunning = isRunning;
  }

  /**
   * @param {number} id
   * @param {HTMLElement} row
   */
  #forget(id, row) {
    row.remove();
    this.#rows.delete(id);
  }

  /** @param {Item} item */
  #showItem(item) {
    const row = this.#rows.get(item.id) ?? this.#addRow(item);
    const { words } = this;
    const [pictures, text, actions] = /** @type {HTMLElement[]} */ ([...row.children]);
    const shown = [item.preview, item.result?.thumbnail].flatMap((canvas) => canvas ?? []);
    if (pictures.children.length !== shown.length) pictures.replaceChildren(...shown);
    if (row.dataset.state === item.state) return;
    row.dataset.state = item.state;
    const reason = item.state === "failed" ? this.explain(item) : words.t(`batch.${item.state}`);
    const note = item.result?.isReduced && item.state === "done" ? ` ${words.t("full.reduced_short")}` : "";
    text.replaceChildren(
      make("b", {}, [item.file.name]),
      make("small", {}, [icon(ICONS[item.state]), make("span", {}, [reason + note])]),
    );
    if (item.state !== "done" || !item.result) return actions.replaceChildren();
    const { name } = item.file;
    const look = this.#button("look", "zoom-in", name);
    look.addEventListener("click", () => this.look(item));
    const save = this.#button("save", "download", name);
    save.addEventListener("click", () => item.result && saveFile(item.result.picture, resultName(item)));
    actions.replaceChildren(look, save);
  }

  /** @param {Item} item */
  #addRow(item) {
    const row = make("li", { class: "batch-row" }, [
      make("div", { class: "batch-pictures" }),
      make("p", { class: "batch-text" }),
      make("div", { class: "batch-actions" }),
    ]);
    this.#rows.set(item.id, row);
    this.#list.append(row);
    return row;
  }

  /**
   * @param {"look" | "save"} what
   * @param {string} symbol
   * @param {string} name
   */
  #button(what, symbol, name) {
    const label = this.words.t(`batch.${what}`, { name });
    return make("button", { type: "button", class: "icon-button", "data-batch": what, "aria-label": label, title: label }, [icon(symbol)]);
  }

  async #saveAll() {
    /** @type {Set<string>} */
    const taken = new Set();
    const files = this.batch.items.flatMap((item) => {
      return item.result ? [{ name: uniqueName(resultName(item), taken), blob: item.result.picture }] : [];
    });
    this.#zip.disabled = true;
    try {
      saveFile(await makeZip(files), "inkwash.zip");
      this.notices.announce(this.words.t("batch.saved", { count: files.length }));
    } catch (error) {
      this.notices.show(error instanceof RangeError ? this.words.t("batch.too_large") : this.words.t("problem.internal"), "problem");
    } finally {
      this.#zip.disabled = false;
    }
  }
}

/**
 * The file's own name with the ending of what it became.
 * @param {Item} item
 */
export function resultName({ file, result }) {
  const ending = ENDINGS[/** @type {keyof typeof ENDINGS} */ (result?.picture.type ?? "")] ?? "png";
  return `${file.name.replace(/\.[^.]*$/, "")}.${ending}`;
}
