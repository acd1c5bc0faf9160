/**
 * The picture at the photo's own size, asked for once nothing changes any more. At most one request is under way; a change drops
 * it. It decides when to ask and when to try again, and shows nothing.
 */

import { ApiError } from "./api.js";

/** @typedef {import("./sending.js").Translated} Translated */
/** @typedef {"none" | "waiting" | "working" | "ready" | "failed"} FullState */

/** Rest before asking, so that a string of changes costs nothing. */
const REST_MS = 400;
const BUSY = [429, 503, 504];

export class FullSize extends EventTarget {
  /** @type {FullState} */
  state = "none";
  /** @type {Translated | null} */
  result = null;
  /** @type {AbortController | null} */
  #request = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {object} parts
   * @param {(signal: AbortSignal) => Promise<Translated>} parts.ask
   * @param {() => boolean} parts.isDue - whether there is a photo and nothing changes
   */
  constructor({ ask, isDue }) {
    super();
    this.ask = ask;
    this.isDue = isDue;
  }

  /** Drops what there is: it no longer shows what the page shows. */
  drop() {
    clearTimeout(this.#timer);
    this.#request?.abort();
    this.#request = null;
    this.result = null;
    this.#tell("none");
  }

  /** Tells that things may have come to rest. */
  settled() {
    if (this.state !== "none" || !this.isDue()) return;
    this.#wait(REST_MS);
  }

  /** Asks again after a failure. */
  retry() {
    this.drop();
    if (this.isDue()) void this.#run();
  }

  /** @param {number} ms */
  #wait(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => (this.isDue() ? void this.#run() : this.#tell("none")), ms);
    this.#tell("waiting");
  }

  async #run() {
    const request = new AbortController();
    this.#request = request;
    this.#tell("working");
    try {
      const result = await this.ask(request.signal);
      if (request !== this.#request) return;
      this.result = result;
      this.#tell("ready");
    } catch (error) {
      if (request === this.#request) this.#failed(error);
    }
  }

  /** @param {unknown} error */
  #failed(error) {
    if (error instanceof ApiError && BUSY.includes(error.problem.status)) {
      this.#wait((error.problem.retryAfter ?? 1) * 1000 * (1 + Math.random() / 2));
      return;
    }
    this.#tell("failed");
    this.dispatchEvent(new CustomEvent("problem", { detail: error }));
  }

  /** @param {FullState} state */
  #tell(state) {
    if (state === this.state) return;
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }
}
