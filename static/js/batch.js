/**
 * Many files, a few at a time: which is next, what became of each, when to try again. One file's failure stops no other. What is done
 * with a file is given from outside; this knows neither pictures nor the page.
 */

import { ApiError } from "./api.js";

/** @typedef {"waiting" | "working" | "done" | "failed" | "cancelled"} ItemState */
/**
 * @template T
 * @typedef {object} Item
 * @property {number} id
 * @property {File} file
 * @property {ItemState} state
 * @property {T | null} result
 * @property {HTMLCanvasElement | null} preview - of the file, as soon as there is one
 * @property {unknown} error
 * @property {number} tries - that ended in "busy"
 */

/** Two, so that one is on its way while another is being worked on. */
const AT_ONCE = 2;
/** A server that stays busy this often in a row has no room for a batch. */
const MAX_TRIES = 30;
/** One that cannot be reached is not likely to come back within a batch. */
const MAX_LOST = 4;
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30_000;
const BUSY = [429, 503, 504];

/** @template T */
export class Batch extends EventTarget {
  /** @type {Item<T>[]} */
  items = [];
  /** While the server asked to wait: until when, in the clock of `performance.now()`. */
  pausedUntil = 0;
  #nextId = 1;
  #running = 0;
  #abort = new AbortController();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {(file: File, signal: AbortSignal, preview: (canvas: HTMLCanvasElement) => void) => Promise<T>} work */
  constructor(work) {
    super();
    this.work = work;
  }

  /** @param {ItemState[]} states */
  count(...states) {
    return this.items.filter(({ state }) => states.includes(state)).length;
  }

  get isRunning() {
    return this.count("waiting", "working") > 0;
  }

  /** Whether the server asked to wait. */
  get isPaused() {
    return performance.now() < this.pausedUntil;
  }

  /** @param {File[]} files */
  add(files) {
    for (const file of files) {
      this.items.push({ id: this.#nextId++, file, state: "waiting", result: null, preview: null, error: null, tries: 0 });
    }
    this.#tell();
    this.#next();
  }

  /** Tries what failed or was cancelled once more. @param {Item<T>[]} [items] */
  retry(items = this.items) {
    for (const item of items.filter(({ state }) => state === "failed" || state === "cancelled")) {
      Object.assign(item, { state: "waiting", error: null, tries: 0 });
    }
    this.#tell();
    this.#next();
  }

  /** Stops what is under way and leaves out what is not; what is done stays. */
  cancel() {
    this.#abort.abort();
    this.#abort = new AbortController();
    clearTimeout(this.#timer);
    this.pausedUntil = 0;
    for (const item of this.items) if (item.state === "waiting" || item.state === "working") item.state = "cancelled";
    this.#tell();
  }

  /** Forgets everything. */
  clear() {
    this.cancel();
    this.items = [];
    this.#tell();
  }

  #next() {
    clearTimeout(this.#timer);
    const wait = this.pausedUntil - performance.now();
    if (wait > 0) {
      this.#timer = setTimeout(() => this.#resume(), wait);
      return;
    }
    for (const item of this.items) {
      if (this.#running >= AT_ONCE) return;
      if (item.state === "waiting") void this.#run(item);
    }
  }

  #resume() {
    this.#tell();
    this.#next();
  }

  /** @param {Item<T>} item */
  async #run(item) {
    const { signal } = this.#abort;
    item.state = "working";
    this.#running++;
    this.#tell(item);
    try {
      const result = await this.work(item.file, signal, (canvas) => this.#preview(item, canvas));
      if (!signal.aborted) Object.assign(item, { state: "done", result });
    } catch (error) {
      if (!signal.aborted) this.#failed(item, error);
    } finally {
      this.#running--;
      this.#tell(item);
      this.#next();
    }
  }

  /**
   * @param {Item<T>} item
   * @param {HTMLCanvasElement} canvas
   */
  #preview(item, canvas) {
    item.preview = canvas;
    this.#tell(item);
  }

  /**
   * @param {Item<T>} item
   * @param {unknown} error
   */
  #failed(item, error) {
    const problem = error instanceof ApiError ? error.problem : null;
    const isBusy = problem !== null && BUSY.includes(problem.status);
    const isLost = problem?.code === "unreachable";
    const mayTry = ++item.tries < (isBusy ? MAX_TRIES : isLost ? MAX_LOST : 0);
    if (!mayTry) {
      Object.assign(item, { state: "failed", error });
      return;
    }
    item.state = "waiting";
    const own = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (item.tries - 1));
    const wait = problem?.retryAfter ? problem.retryAfter * 1000 : isBusy ? FIRST_WAIT_MS : own;
    // All wait: a server that is too busy for one file is too busy for the next.
    this.pausedUntil = Math.max(this.pausedUntil, performance.now() + wait * (1 + Math.random() / 4));
  }

  /** @param {Item<T>} [item] - the one that changed; none: perhaps all */
  #tell(item) {
    this.dispatchEvent(new CustomEvent("change", { detail: item ?? null }));
  }
}
