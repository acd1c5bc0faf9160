/**
 * Small pictures of variations of the present drawing. They are asked for once nothing changes any more, two at a time so that the
 * pen never waits long behind them, and dropped at the next change. It decides when to ask and shows nothing.
 */

import { ApiError, decodePicture } from "./api.js";
import { hasStyle, mixText } from "./mix.js";
import { isSameSource } from "./request.js";

/** @typedef {import("./types").Mix} Mix */
/** @typedef {import("./types").Request} Request */

/** Rest before asking, so that a string of changes costs nothing. */
const REST_MS = 300;
const AT_ONCE = 2;
/** Longer side of a preview, pixels: twice as large as the largest on the page. */
const SIDE = 192;
const BUSY = [429, 503, 504];

export class Previews extends EventTarget {
  /** @type {Map<string, HTMLCanvasElement>} by the text of the mix */
  #made = new Map();
  /** Texts of those that show the drawing as it is. @type {Set<string>} */
  #fresh = new Set();
  /** Texts of those under way. @type {Set<string>} */
  #asked = new Set();
  /** What the fresh ones are made of. @type {Request | null} */
  #source = null;
  /** Whether the drawing may differ from that by now. */
  #isUnsure = true;
  /** @type {AbortController | null} */
  #round = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** When a server that was busy may be asked again, as `performance.now()` counts. */
  #notBefore = 0;

  /**
   * @param {object} parts
   * @param {() => Mix[]} parts.wanted - the most wanted first; none while nobody looks
   * @param {() => Promise<Request | null>} parts.capture - the drawing with any style there is; null while the model lacks something
   * @param {(request: Request, signal: AbortSignal) => Promise<Blob>} parts.ask
   * @param {() => boolean} parts.isDue - whether nothing changes
   */
  constructor({ wanted, capture, ask, isDue }) {
    super();
    this.wanted = wanted;
    this.capture = capture;
    this.ask = ask;
    this.isDue = isDue;
  }

  /**
   * The latest picture of a variation, be it of an older drawing.
   * @param {Mix} mix
   */
  picture(mix) {
    return this.#made.get(mixText(mix)) ?? null;
  }

  /** Whether its picture shows the drawing as it is. @param {Mix} mix */
  isFresh(mix) {
    return this.#fresh.has(mixText(mix));
  }

  /** Whether some are still to come, or may have to. */
  get isBusy() {
    return this.#round !== null || this.#isUnsure;
  }

  /** Forgets all pictures: they are of another model. */
  clear() {
    this.stop();
    this.#made.clear();
    this.#fresh.clear();
    this.#source = null;
  }

  /** Drops what is under way: the drawing may have changed. */
  changed() {
    this.stop();
    this.#isUnsure = true;
  }

  stop() {
    clearTimeout(this.#timer);
    this.#round?.abort();
    this.#round = null;
    this.#asked.clear();
  }

  /** Tells that things may have come to rest. */
  settled() {
    if (!this.#round) this.#wait(REST_MS);
  }

  /** Tells that other variations are wanted. */
  rechosen() {
    this.#prune();
    if (this.isDue() && !this.#round) this.#wait(0);
  }

  /** @param {number} ms */
  #wait(ms) {
    clearTimeout(this.#timer);
    const rest = Math.max(ms, this.#notBefore - performance.now());
    this.#timer = setTimeout(() => void (this.isDue() && this.#isLacking && this.#run()), rest);
  }

  get #isLacking() {
    return this.#next() !== undefined || (this.#isUnsure && this.wanted().length > 0);
  }

  async #run() {
    const round = new AbortController();
    this.#round = round;
    try {
      const source = await this.capture();
      if (round.signal.aborted) return;
      this.#isUnsure = false;
      if (source) await this.#make(source, round.signal);
    } catch (error) {
      if (!round.signal.aborted) this.#failed(error);
    }
    if (round !== this.#round) return;
    this.stop();
    this.#tell();
  }

  /**
   * @param {Request} source
   * @param {AbortSignal} signal
   */
  async #make(source, signal) {
    if (!this.#source || !isSameSource(source, this.#source)) this.#fresh.clear();
    this.#source = source;
    this.#tell();
    await Promise.all(Array.from({ length: AT_ONCE }, () => this.#work(source, signal)));
  }

  /**
   * @param {Request} source
   * @param {AbortSignal} signal
   */
  async #work(source, signal) {
    for (let mix = this.#next(); mix && !signal.aborted; mix = this.#next()) {
      const text = mixText(mix);
      this.#asked.add(text);
      const blob = await this.ask({ ...source, mix, style: hasStyle(mix) ? source.style : null }, signal);
      const picture = await draw(blob);
      if (signal.aborted) return;
      this.#asked.delete(text);
      this.#made.set(text, picture);
      this.#fresh.add(text);
      this.#tell();
    }
  }

  /** @returns {Mix | undefined} the most wanted of those that are neither there nor under way */
  #next() {
    return this.wanted().find((mix) => !this.isFresh(mix) && !this.#asked.has(mixText(mix)));
  }

  /** @param {unknown} error */
  #failed(error) {
    this.stop();
    if (error instanceof ApiError && BUSY.includes(error.problem.status)) {
      this.#notBefore = performance.now() + (error.problem.retryAfter ?? 1) * 1000 * (1 + Math.random() / 2);
      this.#wait(0);
    } else {
      this.#isUnsure = false;
      this.dispatchEvent(new CustomEvent("problem", { detail: error }));
    }
    this.#tell();
  }

  #prune() {
    const texts = new Set(this.wanted().map(mixText));
    for (const text of this.#made.keys()) {
      if (texts.has(text)) continue;
      this.#made.delete(text);
      this.#fresh.delete(text);
    }
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }
}

/**
 * @param {Blob} blob
 * @returns {Promise<HTMLCanvasElement>}
 */
async function draw(blob) {
  const bitmap = await decodePicture(blob);
  const scale = Math.min(1, SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return canvas;
}
