/** Telling people what happened: spoken politely, and as a note that goes away by itself. */

import { byId, make } from "./dom.js";

const NOTE_MS = 5000;

export class Notices {
  #announcer = byId("announcer", HTMLElement);
  #toasts = byId("toasts", HTMLElement);

  /** @param {string} text - for screen readers only */
  announce(text) {
    // The same text twice in a row would not be read again.
    this.#announcer.textContent = this.#announcer.textContent === text ? `${text}\u00a0` : text;
  }

  /**
   * @param {string} text
   * @param {"note" | "problem"} [kind]
   */
  show(text, kind = "note") {
    const toast = make("p", { class: "toast", "data-kind": kind }, [text]);
    this.#toasts.replaceChildren(toast);
    this.announce(text);
    setTimeout(() => toast.remove(), NOTE_MS);
  }
}
