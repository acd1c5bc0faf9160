/**
 * What is chosen beside the sheet: the variation, which is a mix of seeds and perhaps a style, and the model's parameters. It knows which
 * changes are steps and what is still being moved. The values themselves are kept in the work; nothing here asks for a picture.
 */

import { clamp } from "./geometry.js";
import { MAX_SEED, STYLE, hasStyle, mainSeed, mixText, nearStyle, plain, randomSeed, withoutStyle } from "./mix.js";

/** @typedef {import("./types").Mix} Mix */
/** @typedef {import("./work.js").Work} Work */
/** @typedef {Pick<Work, "mix" | "style">} Chosen */
/** @typedef {"mix" | "style" | "lock" | "change"} ChoiceEvent `change` comes last, once for all that was done at a time */

export class Choice extends EventTarget {
  isLocked = false;
  #work;
  #history;
  /** While a pad is moved: the mix before. @type {Mix | null} */
  #before = null;
  #isSliding = false;

  /**
   * @param {Work} work
   * @param {import("./history.js").History} history
   */
  constructor(work, history) {
    super();
    this.#work = work;
    this.#history = history;
  }

  /** What the random input is made of. */
  get mix() {
    return this.#work.mix;
  }

  /** The picture whose style may be a part of mixes. */
  get style() {
    return this.#work.style;
  }

  /**
   * Both as they go to the server: a style that the mix has no part of stays here, and a model without a latent, which takes no mix,
   * gets the seed alone.
   */
  get latent() {
    if (!this.#work.manifest.latent) return { mix: plain(mainSeed(this.mix)), style: null };
    return { mix: this.mix, style: hasStyle(this.mix) ? (this.style?.bytes ?? null) : null };
  }

  get distribution() {
    return this.#work.manifest.latent?.distribution ?? "";
  }

  /** Whether samples are shown in it rather than in their own. */
  get outlastsSamples() {
    return this.isLocked || this.style !== null;
  }

  get params() {
    return this.#work.params;
  }

  /** Whether the mix on show is no step yet, as while a pad is moved. */
  get isMixing() {
    return this.#before !== null;
  }

  /** Whether a slider or a pad is being moved. */
  get isSteering() {
    return this.#isSliding || this.isMixing;
  }

  /**
   * @param {ChoiceEvent} event
   * @param {() => void} listener
   */
  on(event, listener) {
    this.addEventListener(event, listener);
  }

  /** @param {ChoiceEvent[]} events */
  #tell(...events) {
    for (const event of events) this.dispatchEvent(new Event(event));
  }

  /** Goes over to other work, with what was chosen for it. @param {Work} work */
  adopt(work) {
    this.steer(false);
    this.drop();
    this.#work = work;
  }

  /** Hands a locked mix on to another model's work; a style is of one model. @param {Work} work */
  carryTo(work) {
    if (this.isLocked) work.mix = withoutStyle(this.mix) ?? work.mix;
  }

  /** @param {boolean} isLocked */
  lock(isLocked) {
    this.isLocked = isLocked;
    this.#tell("lock");
  }

  /**
   * What a seed stands for: itself, or a variation of the style that was chosen.
   * @param {number} [seed]
   * @returns {Mix}
   */
  variation(seed = randomSeed()) {
    const whole = clamp(Math.floor(seed) || 0, 0, MAX_SEED);
    return this.style ? nearStyle(whole, this.distribution) : plain(whole);
  }

  /** Sets a mix, which is no step. @param {Mix} mix */
  set(mix) {
    this.drop();
    this.put(mix);
    this.#tell("change");
  }

  /** Sets a mix as a part of something larger, which tells of the change. @param {Mix} mix */
  put(mix) {
    this.#work.mix = mix;
    this.#tell("mix");
  }

  /** Takes a variation, as one undo step. @param {Mix} mix */
  take(mix) {
    this.drop();
    if (mixText(mix) !== mixText(this.mix)) this.#record("step.variation", { mix, style: this.style });
  }

  /**
   * Takes a picture whose style is wanted, or none, as one undo step.
   * @param {import("./style.js").StylePicture | null} style
   */
  takeStyle(style) {
    this.drop();
    const mix = style ? STYLE : (withoutStyle(this.mix) ?? plain(randomSeed()));
    this.#record(style ? "step.style" : "step.style_removed", { mix, style });
  }

  /**
   * @param {string} label - message key
   * @param {Chosen} after
   */
  #record(label, after) {
    const work = this.#work;
    const before = { mix: work.mix, style: work.style };
    const apply = (/** @type {Chosen} */ chosen) => {
      Object.assign(work, chosen);
      this.#tell("style", "mix", "change");
    };
    this.#history.push({ label, isBesideSheet: true, undo: () => apply(before), redo: () => apply(after) });
    apply(after);
  }

  /** Shows a mix while a pad is moved; it is no step before `keep`. @param {Mix} mix */
  show(mix) {
    this.#before ??= this.mix;
    this.put(mix);
    this.#tell("change");
  }

  /** Makes the mix on show a step. */
  keep() {
    const { mix } = this;
    if (!this.#before) return;
    this.#work.mix = this.#before;
    this.#before = null;
    this.take(mix);
    this.#tell("change");
  }

  /** Goes back to the mix from before the pad was moved. @returns {boolean} whether it was */
  drop() {
    const before = this.#before;
    if (!before) return false;
    this.#before = null;
    this.put(before);
    this.#tell("change");
    return true;
  }

  /**
   * Tells that a slider is being moved, or has come to rest: until then pictures are to come quickly rather than lossless.
   * @param {boolean} isSliding
   */
  steer(isSliding) {
    if (isSliding === this.#isSliding) return;
    this.#isSliding = isSliding;
    if (!isSliding) this.#tell("change");
  }

  /**
   * Sets a parameter, which is no step.
   * @param {string} name
   * @param {number} value
   */
  setParam(name, value) {
    this.#work.params = { ...this.params, [name]: value };
    this.#tell("change");
  }
}
