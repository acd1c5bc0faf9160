/** Compact differences between two states of a bitmap, for unlimited undo. Pure. */

/** @typedef {import("./types").Delta} Delta */
/** @typedef {import("./types").Rect} Rect */
/** @typedef {Uint8Array | Uint32Array} Pixels */

/**
 * @param {Pixels} before - the whole bitmap
 * @param {number} stride - its width in pixels
 * @param {Pixels} after - the pixels of `rect` alone
 * @param {Rect} rect
 * @returns {Delta | null} null when nothing differs
 */
export function difference(before, stride, after, rect) {
  const changes = new Uint32Array(rect.width * rect.height);
  let runs = 0;
  let any = false;
  for (let y = 0, k = 0; y < rect.height; y++) {
    const row = (rect.y + y) * stride + rect.x;
    for (let x = 0; x < rect.width; x++, k++) {
      changes[k] = before[row + x] ^ after[k];
      if (changes[k]) any = true;
      if (k === 0 || changes[k] !== changes[k - 1]) runs++;
    }
  }
  if (!any) return null;
  if (runs * 2 >= changes.length) return { rect, form: "raw", data: changes };
  return { rect, form: "runs", data: toRuns(changes, runs) };
}

/**
 * Applies a difference to the whole bitmap. Applying it twice gives the bitmap back.
 * @param {Pixels} pixels
 * @param {number} stride
 * @param {Delta} delta
 */
export function applyDelta(pixels, stride, delta) {
  const { rect } = delta;
  const changes = delta.form === "raw" ? delta.data : fromRuns(delta.data, rect.width * rect.height);
  for (let y = 0, k = 0; y < rect.height; y++) {
    const row = (rect.y + y) * stride + rect.x;
    for (let x = 0; x < rect.width; x++, k++) pixels[row + x] ^= changes[k];
  }
}

/**
 * @param {ArrayLike<number>} values
 * @param {number} [count] - number of runs, when known
 * @returns {Uint32Array} pairs of count and value
 */
export function toRuns(values, count = countRuns(values)) {
  const runs = new Uint32Array(count * 2);
  for (let k = 0, run = -2; k < values.length; k++) {
    if (k === 0 || values[k] !== values[k - 1]) {
      run += 2;
      runs[run + 1] = values[k];
    }
    runs[run]++;
  }
  return runs;
}

/**
 * @param {ArrayLike<number>} runs
 * @param {number} length
 * @returns {Uint32Array}
 */
export function fromRuns(runs, length) {
  const values = new Uint32Array(length);
  for (let k = 0, at = 0; k < runs.length; k += 2) {
    values.fill(runs[k + 1], at, at + runs[k]);
    at += runs[k];
  }
  return values;
}

/** @param {ArrayLike<number>} values */
function countRuns(values) {
  let count = 0;
  for (let k = 0; k < values.length; k++) if (k === 0 || values[k] !== values[k - 1]) count++;
  return count;
}
