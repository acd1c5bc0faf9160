/** All pairs as tiles, one of which is the current one. Only those near the screen exist, so that thousands are no burden. */

import { pictureAddress } from "./api.js";
import { icon, make } from "./dom.js";
import { Tiling } from "./tiling.js";

/**
 * @typedef {import("./api.js").Pair} Pair
 *
 * @typedef {object} Hooks
 * @property {(id: string) => boolean} isStruck
 * @property {() => void} onOpen - the current pair is to be shown large
 * @property {(id: string) => void} onStrike
 */

/** How far beyond the screen tiles exist, as a share of its height. */
const AHEAD = 0.6;

export class Grid {
  #element;
  #top;
  #hooks;
  #version = "";
  /** @type {Pair[]} */
  #all = [];
  /** @type {Pair[]} */
  #shown = [];
  #at = 0;
  #wanted = 260;
  #tiling = new Tiling(1, 1, 0);
  /** @type {Map<number, HTMLElement>} by place among those shown */
  #tiles = new Map();
  #isDue = false;

  /**
   * @param {HTMLElement} element
   * @param {HTMLElement} top - a bar that covers the top of the window
   * @param {Hooks} hooks
   */
  constructor(element, top, hooks) {
    this.#element = element;
    this.#top = top;
    this.#hooks = hooks;
    element.addEventListener("click", (event) => this.#click(event));
    element.addEventListener("focusin", (event) => this.#setCurrent(this.#placeOf(event)));
    window.addEventListener("scroll", () => this.#soon(), { passive: true });
    window.addEventListener("resize", () => this.#soon());
    new ResizeObserver(() => this.#layOut()).observe(element);
  }

  /** @returns {Pair | null} */
  get current() {
    return this.#shown[this.#at] ?? null;
  }

  get place() {
    return this.#at;
  }

  get count() {
    return this.#shown.length;
  }

  /** Neighbours of the current pair, the next one first. */
  get neighbours() {
    return [this.#shown[this.#at + 1], this.#shown[this.#at - 1]].filter(Boolean);
  }

  /**
   * @param {Pair[]} pairs
   * @param {string} version
   */
  fill(pairs, version) {
    this.#all = pairs;
    this.#version = version;
  }

  /**
   * Shows some of the pairs; the current one stays current where it is among them, else the next one of those shown is.
   * @param {(pair: Pair) => boolean} isShown
   */
  filter(isShown) {
    const before = this.#all.slice(0, this.current ? Math.max(0, this.#all.indexOf(this.current)) : 0);
    this.#shown = this.#all.filter(isShown);
    this.#at = Math.max(0, Math.min(before.filter(isShown).length, this.count - 1));
    for (const place of [...this.#tiles.keys()]) this.#drop(place);
    this.#layOut();
    this.#reveal();
  }

  /** @param {number} pixels - least width of a tile */
  resize(pixels) {
    this.#wanted = pixels;
    this.#layOut();
  }

  /** @param {string} id */
  mark(id) {
    for (const [place, tile] of this.#tiles) if (this.#shown[place].id === id) this.#mark(tile, place);
  }

  /**
   * Makes a pair the current one, if it is shown.
   * @param {string} id
   */
  goTo(id) {
    const at = this.#shown.findIndex((pair) => pair.id === id);
    if (at >= 0) this.#setCurrent(at);
    return at >= 0;
  }

  /**
   * @param {string} key - of a KeyboardEvent
   * @returns {boolean} whether it is one that moves
   */
  move(key) {
    const to = this.#tiling.step(key, this.#at, this.#frame.bottom - this.#frame.top);
    if (to !== null) this.#setCurrent(to);
    return to !== null;
  }

  /** @param {number} step */
  moveBy(step) {
    this.#setCurrent(Math.min(this.count - 1, Math.max(0, this.#at + step)));
  }

  focus() {
    this.#reveal();
    this.#tiles.get(this.#at)?.focus({ preventScroll: true });
  }

  /** What of the grid can be seen, in its own coordinates. */
  get #frame() {
    const above = -this.#element.getBoundingClientRect().top;
    return { top: above + this.#top.offsetHeight, bottom: above + window.innerHeight };
  }

  /** Scrolls as little as shows the current tile whole. */
  #reveal() {
    const { top, bottom } = this.#frame;
    const [first, last] = [this.#tiling.top(this.#at) - 12, this.#tiling.top(this.#at) + this.#tiling.tileHeight + 12];
    if (first < top) window.scrollBy(0, first - top);
    else if (last > bottom) window.scrollBy(0, last - bottom);
    this.#render();
  }

  #soon() {
    if (this.#isDue) return;
    this.#isDue = true;
    requestAnimationFrame(() => {
      this.#isDue = false;
      this.#render();
    });
  }

  /** Places tiles anew; the current one stays where it was on the screen, if it was there. */
  #layOut() {
    const { top, bottom } = this.#frame;
    const before = this.#tiling.top(this.#at);
    const wasSeen = before + this.#tiling.tileHeight > top && before < bottom;
    this.#tiling = new Tiling(this.#element.clientWidth, this.#wanted, this.count);
    this.#element.style.height = `${this.#tiling.height}px`;
    if (wasSeen && this.#tiles.size) window.scrollBy(0, this.#tiling.top(this.#at) - before);
    for (const [place, tile] of this.#tiles) this.#put(tile, place);
    this.#render();
  }

  /** Makes the tiles that are near the screen, and the current one, in their order; drops all others. */
  #render() {
    const { top, bottom } = this.#frame;
    const ahead = (bottom - top) * AHEAD;
    const wanted = new Set(this.#tiling.between(top - ahead, bottom + ahead));
    if (this.current) wanted.add(this.#at);
    for (const place of [...this.#tiles.keys()]) if (!wanted.has(place)) this.#drop(place);
    let next = this.#element.firstChild;
    for (const place of [...wanted].sort((a, b) => a - b)) {
      const tile = this.#tiles.get(place);
      if (tile) next = tile.nextSibling;
      else this.#element.insertBefore(this.#make(place), next);
    }
  }

  /** @param {number} place */
  #make(place) {
    const pair = this.#shown[place];
    const image = make("img", { alt: "", decoding: "async", draggable: "false", src: pictureAddress(this.#version, pair, "pair") });
    const strike = make("span", { class: "strike", "aria-hidden": "true", title: "Strike, or take that back (x)" }, [icon("strike")]);
    // The first split is the one of nearly all; only others are worth telling.
    const tag = pair.split === this.#all[0].split ? [] : [make("span", { class: "split", "aria-hidden": "true" }, [pair.split])];
    const tile = make("div", { class: "pair", role: "option", "data-place": String(place) }, [image, ...tag, strike]);
    tile.tabIndex = place === this.#at ? 0 : -1;
    tile.setAttribute("aria-posinset", String(place + 1));
    tile.setAttribute("aria-setsize", String(this.count));
    this.#tiles.set(place, tile);
    this.#mark(tile, place);
    this.#put(tile, place);
    return tile;
  }

  /** @param {number} place */
  #drop(place) {
    const tile = this.#tiles.get(place);
    // A picture that is still on its way need not come any more.
    tile?.querySelector("img")?.removeAttribute("src");
    tile?.remove();
    this.#tiles.delete(place);
  }

  /**
   * @param {HTMLElement} tile
   * @param {number} place
   */
  #put(tile, place) {
    const { tileWidth, tileHeight } = this.#tiling;
    tile.style.transform = `translate(${this.#tiling.left(place)}px, ${this.#tiling.top(place)}px)`;
    tile.style.width = `${tileWidth}px`;
    tile.style.height = `${tileHeight}px`;
  }

  /**
   * @param {HTMLElement} tile
   * @param {number} place
   */
  #mark(tile, place) {
    const { id, split } = this.#shown[place];
    const isStruck = this.#hooks.isStruck(id);
    tile.setAttribute("aria-selected", String(isStruck));
    tile.setAttribute("aria-label", `${id}, ${split}${isStruck ? ", struck" : ""}`);
  }

  /** @param {number} at */
  #setCurrent(at) {
    if (at < 0 || at === this.#at) return;
    const [before, now] = [this.#tiles.get(this.#at), this.#tiles.get(at)];
    if (before) before.tabIndex = -1;
    if (now) now.tabIndex = 0;
    this.#at = at;
  }

  /** @param {MouseEvent} event */
  #click(event) {
    const place = this.#placeOf(event);
    if (place < 0) return;
    this.#setCurrent(place);
    this.#tiles.get(place)?.focus({ preventScroll: true });
    if (/** @type {Element} */ (event.target).closest(".strike")) this.#hooks.onStrike(this.#shown[place].id);
    else this.#hooks.onOpen();
  }

  /** @param {Event} event */
  #placeOf(event) {
    const tile = /** @type {Element} */ (event.target).closest(".pair");
    return tile instanceof HTMLElement ? Number(tile.dataset.place) : -1;
  }
}
