/** Where tiles of one size lie when they fill rows of a width. Pure; lengths are CSS pixels. */

const GAP = 9;

export class Tiling {
  /**
   * @param {number} width - of a row
   * @param {number} wanted - least width of a tile; tiles grow to fill the row
   * @param {number} count
   */
  constructor(width, wanted, count) {
    this.count = count;
    this.columns = Math.max(1, Math.floor((width + GAP) / (wanted + GAP)));
    this.tileWidth = Math.max(1, (width - (this.columns - 1) * GAP) / this.columns);
    this.tileHeight = this.tileWidth / 2;
  }

  get rows() {
    return Math.ceil(this.count / this.columns);
  }

  get height() {
    return Math.max(0, this.rows * (this.tileHeight + GAP) - GAP);
  }

  /** @param {number} place */
  left(place) {
    return (place % this.columns) * (this.tileWidth + GAP);
  }

  /** @param {number} place */
  top(place) {
    return Math.floor(place / this.columns) * (this.tileHeight + GAP);
  }

  /**
   * @param {number} top
   * @param {number} bottom
   * @returns {number[]} places of all tiles of rows that reach between the two
   */
  between(top, bottom) {
    const step = this.tileHeight + GAP;
    const first = Math.max(0, Math.floor(top / step)) * this.columns;
    const end = Math.min(this.count, Math.ceil(bottom / step) * this.columns);
    return Array.from({ length: Math.max(0, end - first) }, (_, k) => first + k);
  }

  /**
   * @param {string} key - of a KeyboardEvent
   * @param {number} place
   * @param {number} page - visible height
   * @returns {number | null} the place where it leads; null for a key that does not move
   */
  step(key, place, page) {
    const last = this.count - 1;
    const pageRows = Math.max(1, Math.floor(page / (this.tileHeight + GAP)));
    const rows = { ArrowUp: -1, ArrowDown: 1, PageUp: -pageRows, PageDown: pageRows }[key];
    if (rows) return this.#rowsAway(place, rows);
    const to = { ArrowLeft: place - 1, ArrowRight: place + 1, Home: 0, End: last }[key];
    return to === undefined ? null : Math.min(last, Math.max(0, to));
  }

  /**
   * @param {number} place
   * @param {number} rows
   */
  #rowsAway(place, rows) {
    const row = Math.floor(place / this.columns);
    const to = Math.min(this.rows - 1, Math.max(0, row + rows));
    // The last row may be shorter.
    return Math.min(this.count - 1, to * this.columns + (place % this.columns));
  }
}
