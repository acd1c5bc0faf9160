/** The live badge and its menu: connection, device, milliseconds, pictures a second, and when pictures are made. */

import { byId, make } from "./dom.js";
import { readPreference, writePreference } from "./preferences.js";

/** @typedef {import("./live.js").LiveMode} LiveMode */

const REFRESH_MS = 500;

export class Badge {
  #badge = byId("badge", HTMLButtonElement);
  #state = byId("badge-state", HTMLElement);
  #figures = byId("badge-figures", HTMLElement);
  #facts = byId("live-facts", HTMLElement);
  #banner = byId("banner", HTMLElement);
  #modes = byId("live-modes", HTMLElement);
  #run = byId("run", HTMLButtonElement);
  #wasLost = false;

  /**
   * @param {import("./live.js").LiveLoop} live
   * @param {import("./words.js").Words} words
   * @param {import("./notices.js").Notices} notices
   */
  constructor(live, words, notices) {
    this.live = live;
    this.words = words;
    this.notices = notices;
    this.#setMode(/** @type {LiveMode} */ (readPreference("mode") ?? "live"));
    this.#modes.addEventListener("change", (event) => {
      const mode = /** @type {LiveMode} */ (/** @type {HTMLInputElement} */ (event.target).value);
      writePreference("mode", mode);
      this.#setMode(mode);
    });
    this.#run.addEventListener("click", () => live.run());
    live.addEventListener("state", () => this.show());
    words.addEventListener("change", () => this.show());
    setInterval(() => !document.hidden && this.show(), REFRESH_MS);
  }

  /** @param {LiveMode} mode */
  #setMode(mode) {
    const known = ["live", "stroke", "manual"].includes(mode) ? mode : "live";
    for (const radio of this.#modes.querySelectorAll("input")) radio.checked = radio.value === known;
    this.#run.hidden = known !== "manual";
    this.live.setMode(known);
    this.show();
  }

  show() {
    const { live, words } = this;
    // "Working" for a few milliseconds would only flicker; it differs by a ring around the dot.
    const shown = live.state === "working" ? "ready" : live.state;
    this.#badge.dataset.state = live.state;
    const key = shown === "ready" ? `live.ready.${live.mode}` : `live.${shown}`;
    setText(this.#state, words.t(key));
    const time = live.roundTrip === null ? "" : words.t("live.ms", { ms: words.number(live.roundTrip) });
    const rate = live.framesPerSecond > 1 ? words.t("live.fps", { fps: live.framesPerSecond }) : "";
    const device = live.device.toUpperCase();
    setText(this.#figures, shown === "lost" ? "" : [time, rate, device].filter(Boolean).join(" · "));
    this.#showFacts([
      ["live.device", device || "–"],
      ["live.round_trip", time || "–"],
      ["live.rate", String(live.framesPerSecond)],
      ["live.connection", words.t(`live.${shown}`)],
    ]);
    this.#showLoss(live.state === "lost");
  }

  /** @param {[string, string][]} rows */
  #showFacts(rows) {
    const text = rows.map(([key, value]) => this.words.t(key) + value).join();
    if (this.#facts.dataset.text === text) return;
    this.#facts.dataset.text = text;
    this.#facts.replaceChildren(
      ...rows.flatMap(([key, value]) => [make("dt", {}, [this.words.t(key)]), make("dd", {}, [value])]),
    );
  }

  /** @param {boolean} isLost */
  #showLoss(isLost) {
    if (isLost) setText(this.#banner, this.words.t("live.lost.banner"));
    if (isLost === this.#wasLost) return;
    // A first attempt to reconnect still counts as lost: only a connection that stands ends it.
    if (!isLost && this.live.state === "connecting") return;
    this.#wasLost = isLost;
    this.#banner.hidden = !isLost;
    this.notices.announce(this.words.t(isLost ? "live.lost.banner" : "live.back"));
  }
}

/**
 * @param {HTMLElement} element
 * @param {string} text
 */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
