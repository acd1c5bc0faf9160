/**
 * Variations of the present drawing, side by side: when the strip is open, what is in its places, and what its buttons do. The strip and
 * the pad show them, `Previews` asks for their pictures.
 */

import { byId } from "./dom.js";
import { near, randomSeed } from "./mix.js";
import { Pad } from "./pad.js";
import { Places } from "./places.js";
import { readPreference, writePreference } from "./preferences.js";
import { Previews } from "./previews.js";
import { Strip } from "./strip.js";

/** @typedef {import("./types").Mix} Mix */
/** @typedef {import("./types").Request} Request */

export class Variations {
  #section = byId("strip", HTMLElement);
  #button = byId("vary", HTMLButtonElement);
  #shuffle = byId("strip-shuffle", HTMLButtonElement);
  #isOpen = false;
  #model = "";
  /** @type {import("./style.js").StylePicture | null} */
  #style = null;

  /**
   * @param {object} parts
   * @param {import("./studio.js").Studio} parts.studio
   * @param {import("./words.js").Words} parts.words
   * @param {import("./notices.js").Notices} parts.notices
   * @param {import("./live.js").LiveLoop} parts.live
   * @param {() => Promise<Request | null>} parts.capture
   * @param {(request: Request, signal: AbortSignal) => Promise<Blob>} parts.ask
   * @param {() => boolean} parts.isBusy - whether something goes on that moves the drawing by itself, as a camera
   * @param {(error: unknown) => void} parts.fail
   */
  constructor({ studio, words, notices, live, capture, ask, isBusy, fail }) {
    this.studio = studio;
    this.words = words;
    this.notices = notices;
    this.live = live;
    this.isBusy = isBusy;
    this.fail = fail;
    this.places = new Places();
    this.previews = new Previews({ wanted: () => this.#wanted, capture, ask, isDue: () => this.#isDue });
    const act = (/** @type {import("./strip.js").StripAction} */ action, /** @type {number} */ k) => this.#act(action, k);
    this.strip = new Strip({ places: this.places, previews: this.previews, words, current: () => studio.choice.mix, act });
    this.pad = new Pad({ choice: studio.choice, words, notices, places: this.places, previews: this.previews });
    this.#listen();
    this.#setOpen(readPreference("variations") === "open");
    this.#workChanged();
  }

  #listen() {
    const { studio, words, live, places, previews, pad } = this;
    this.#button.addEventListener("click", () => this.toggle());
    this.#shuffle.addEventListener("click", () => this.shuffle());
    this.#section.addEventListener("keydown", (event) => this.#key(event));
    studio.on("work", () => this.#workChanged());
    studio.choice.on("style", () => this.#styleChanged());
    studio.choice.on("mix", () => this.strip.draw());
    for (const event of /** @type {const} */ (["change", "frame"])) studio.on(event, () => this.#drawingChanged());
    live.addEventListener("state", () => live.isSettled && previews.settled());
    previews.addEventListener("change", () => this.draw());
    previews.addEventListener("problem", (event) => this.fail(/** @type {CustomEvent} */ (event).detail));
    places.addEventListener("change", () => this.#chosen());
    pad.addEventListener("change", () => this.#chosen());
    words.addEventListener("change", () => this.draw());
  }

  /** Whether it is looked at. */
  get isShown() {
    return this.#isOpen && this.studio.manifest.latent !== null;
  }

  /** What there should be pictures of. */
  get #wanted() {
    if (!this.isShown) return [];
    return [...this.places.mixes, ...this.pad.mixes];
  }

  get #isDue() {
    const { isStroking, choice } = this.studio;
    return this.isShown && this.live.isSettled && !isStroking && !choice.isSteering && !this.isBusy();
  }

  toggle() {
    this.#setOpen(!this.#isOpen);
    writePreference("variations", this.#isOpen ? "open" : "closed");
    this.#button.focus();
  }

  /** @param {boolean} isOpen */
  #setOpen(isOpen) {
    this.#isOpen = isOpen;
    this.#button.setAttribute("aria-expanded", String(isOpen));
    if (isOpen) this.previews.rechosen();
    else this.previews.stop();
    this.draw();
  }

  /** Other variations in all places that are not kept. */
  shuffle() {
    this.places.refill(() => this.studio.choice.variation());
    this.notices.announce(this.words.t("strip.shuffled"));
  }

  /**
   * @param {import("./strip.js").StripAction} action
   * @param {number} k
   */
  #act(action, k) {
    const { mix } = this.places.all[k];
    if (action === "keep") this.places.toggle(k);
    else if (action === "more") this.#showNeighbours(k);
    else if (!this.pad.assign(mix)) this.studio.choice.take(mix);
  }

  /** Fills the other places with variations that are near one. @param {number} k */
  #showNeighbours(k) {
    const { mix } = this.places.all[k];
    this.places.refill(() => near(mix, randomSeed(), this.studio.choice.distribution), k);
    this.notices.announce(this.words.t("strip.more_shown", { number: k + 1 }));
  }

  #workChanged() {
    const { studio, previews, places } = this;
    const { id } = studio.manifest;
    if (id !== this.#model) {
      this.#model = id;
      previews.clear();
      this.pad.reset();
      places.reset(() => studio.choice.variation());
    }
    this.#styleChanged();
  }

  #styleChanged() {
    const { style } = this.studio.choice;
    if (style === this.#style) return;
    this.#style = style;
    this.pad.restyle(style !== null);
    this.places.restyle(() => this.studio.choice.variation(), style !== null);
  }

  #drawingChanged() {
    this.previews.changed();
    this.strip.showBusy();
  }

  #chosen() {
    this.previews.rechosen();
    this.draw();
  }

  draw() {
    this.#section.hidden = !this.isShown;
    if (!this.isShown || !this.places.all.length) return;
    this.#shuffle.disabled = this.places.areAllKept;
    this.strip.draw();
    this.pad.draw();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    if (!this.pad.cancel()) this.toggle();
  }
}
