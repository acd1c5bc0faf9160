/** Hard-edged drawing into a map of class indices. Pure: nothing is blended, every pixel is one class. */

import { clamp, clip } from "./geometry.js";

/** @typedef {import("./types").Point} Point */
/** @typedef {import("./types").Rect} Rect */
/**
 * @typedef {object} IndexMap
 * @property {number} width
 * @property {number} height
 * @property {Uint8Array} data - one class index per pixel, row by row
 */

/**
 * Sets every pixel whose centre lies within `diameter / 2` of the segment, so that a fast stroke has no gaps.
 * @param {IndexMap} map
 * @param {Point} from - bitmap pixels
 * @param {Point} to - bitmap pixels
 * @param {number} diameter - bitmap pixels, at least 1
 * @param {number} value - class index
 * @returns {Rect | null} what may have changed
 */
export function drawSegment(map, from, to, diameter, value) {
  // A radius just over half a pixel always reaches at least one centre.
  const radius = Math.max(diameter / 2, 0.7072);
  const left = Math.floor(Math.min(from.x, to.x) - radius);
  const top = Math.floor(Math.min(from.y, to.y) - radius);
  const right = Math.ceil(Math.max(from.x, to.x) + radius);
  const bottom = Math.ceil(Math.max(from.y, to.y) + radius);
  const area = clip({ x: left, y: top, width: right - left, height: bottom - top }, map.width, map.height);
  if (!area) return null;
  const dx = to.x - from.x;
  const dy = to.y - from.y;
  const lengthSquared = dx * dx + dy * dy;
  for (let y = area.y; y < area.y + area.height; y++) {
    for (let x = area.x; x < area.x + area.width; x++) {
      const px = x + 0.5 - from.x;
      const py = y + 0.5 - from.y;
      const along = lengthSquared ? clamp((px * dx + py * dy) / lengthSquared, 0, 1) : 0;
      const awayX = px - along * dx;
      const awayY = py - along * dy;
      if (awayX * awayX + awayY * awayY <= radius * radius) map.data[y * map.width + x] = value;
    }
  }
  return area;
}

/**
 * Fills the rectangle between two corners, the pixels under both corners included.
 * @param {IndexMap} map
 * @param {Point} from
 * @param {Point} to
 * @param {number} value
 * @returns {Rect | null}
 */
export function drawRectangle(map, from, to, value) {
  const x = Math.floor(Math.min(from.x, to.x));
  const y = Math.floor(Math.min(from.y, to.y));
  const width = Math.floor(Math.max(from.x, to.x)) - x + 1;
  const height = Math.floor(Math.max(from.y, to.y)) - y + 1;
  const area = clip({ x, y, width, height }, map.width, map.height);
  if (!area) return null;
  for (let row = area.y; row < area.y + area.height; row++) {
    const start = row * map.width + area.x;
    map.data.fill(value, start, start + area.width);
  }
  return area;
}

/**
 * Fills the 4-connected region of one class around a point, by rows.
 * @param {IndexMap} map
 * @param {Point} seed
 * @param {number} value
 * @returns {Rect | null} null when the seed is outside or has that class already
 */
export function floodFill(map, seed, value) {
  const { width, height, data } = map;
  const startX = Math.floor(seed.x);
  const startY = Math.floor(seed.y);
  if (startX < 0 || startY < 0 || startX >= width || startY >= height) return null;
  const old = data[startY * width + startX];
  if (old === value) return null;
  let [minX, maxX, minY, maxY] = [startX, startX, startY, startY];
  const stack = [startX, startY];
  while (stack.length) {
    const y = /** @type {number} */ (stack.pop());
    const x = /** @type {number} */ (stack.pop());
    const row = y * width;
    if (data[row + x] !== old) continue;
    let left = x;
    let right = x;
    while (left > 0 && data[row + left - 1] === old) left--;
    while (right < width - 1 && data[row + right + 1] === old) right++;
    data.fill(value, row + left, row + right + 1);
    for (const next of [y - 1, y + 1]) {
      if (next >= 0 && next < height) pushRuns(data, next * width, left, right, old, next, stack);
    }
    [minX, maxX] = [Math.min(minX, left), Math.max(maxX, right)];
    [minY, maxY] = [Math.min(minY, y), Math.max(maxY, y)];
  }
  return { x: minX, y: minY, width: maxX - minX + 1, height: maxY - minY + 1 };
}

/**
 * Puts one point of each run of `old` between two columns of a row on the stack.
 * @param {Uint8Array} data
 * @param {number} row - offset of the row
 * @param {number} left
 * @param {number} right
 * @param {number} old
 * @param {number} y
 * @param {number[]} stack
 */
function pushRuns(data, row, left, right, old, y, stack) {
  for (let x = left; x <= right; x++) {
    if (data[row + x] === old && (x === left || data[row + x - 1] !== old)) stack.push(x, y);
  }
}

/**
 * Copies a map moved by whole pixels; what comes in from outside is `background`.
 * @template {Uint8Array | Uint32Array} T
 * @param {T} source
 * @param {T} target - same length
 * @param {number} width
 * @param {number} height
 * @param {number} dx
 * @param {number} dy
 * @param {number} background
 */
export function copyShifted(source, target, width, height, dx, dy, background) {
  target.fill(background);
  const from = Math.max(0, -dx);
  const to = Math.min(width, width - dx);
  if (to <= from) return;
  for (let y = Math.max(0, -dy); y < Math.min(height, height - dy); y++) {
    target.set(source.subarray(y * width + from, y * width + to), (y + dy) * width + from + dx);
  }
}
