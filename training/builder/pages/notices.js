/** Telling people what happened: spoken politely, and as a note that goes away by itself. */

import { byId, make } from "./dom.js";

const NOTE_MS = 4000;
const PROBLEM_MS = 12000;

export class Notices {
  #toasts = byId("toasts", HTMLElement);
  #timer = 0;

  /** @param {string} text - for screen readers only */
  announce(text) {
    // What lies behind an open dialog is not read.
    const place = document.querySelector("dialog[open] [role=status]") ?? byId("announcer", HTMLElement);
    // The same text twice in a row would not be read again.
    place.textContent = place.textContent === text ? `${text}\u00a0` : text;
  }

  /**
   * @param {string} text
   * @param {"note" | "problem"} [kind]
   */
  show(text, kind = "note") {
    this.#toasts.replaceChildren(make("p", { class: "toast", "data-kind": kind }, [text]));
    // Shown anew, a popover lies above a dialog that was opened since.
    this.#toasts.hidePopover();
    this.#toasts.showPopover();
    this.announce(text);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#toasts.hidePopover(), kind === "note" ? NOTE_MS : PROBLEM_MS);
  }
}
