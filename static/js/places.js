/** The places of the strip: which variation is in each, and which are kept. It knows mixes only, no pictures and no page. */

import { hasStyle } from "./mix.js";

/** @typedef {import("./types").Mix} Mix */
/** @typedef {{mix: Mix, isKept: boolean}} Place */

export const COUNT = 8;

export class Places extends EventTarget {
  /** @type {Place[]} */
  all = [];

  get mixes() {
    return this.all.map(({ mix }) => mix);
  }

  /** Whether every place is kept, so that nothing can be replaced. */
  get areAllKept() {
    return this.all.length > 0 && this.all.every(({ isKept }) => isKept);
  }

  /**
   * Begins anew, with nothing kept.
   * @param {() => Mix} make - a new variation
   */
  reset(make) {
    this.all = Array.from({ length: COUNT }, () => ({ mix: make(), isKept: false }));
    this.#tell();
  }

  /**
   * Replaces what is not kept.
   * @param {() => Mix} make
   * @param {number} [spared] - a place that stays all the same
   */
  refill(make, spared = -1) {
    this.all = this.all.map((place, k) => (place.isKept || k === spared ? place : { mix: make(), isKept: false }));
    this.#tell();
  }

  /**
   * Replaces what a change of style leaves behind: what is not kept, and what needs a style where there is none.
   * @param {() => Mix} make
   * @param {boolean} isStyled
   */
  restyle(make, isStyled) {
    this.all = this.all.map((place) => (place.isKept && (isStyled || !hasStyle(place.mix)) ? place : { mix: make(), isKept: false }));
    this.#tell();
  }

  /** @param {number} k */
  toggle(k) {
    const { mix, isKept } = this.all[k];
    this.all[k] = { mix, isKept: !isKept };
    this.#tell();
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }
}
