/** Pure geometry of points and rectangles; it knows no canvas and no DOM. */

/** @typedef {import("./types").Point} Point */
/** @typedef {import("./types").Rect} Rect */

/**
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
export function clamp(value, low, high) {
  return Math.min(high, Math.max(low, value));
}

/**
 * @param {Point} a
 * @param {Point} b
 * @returns {Point}
 */
export function midpoint(a, b) {
  return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
}

/**
 * @param {Point} a
 * @param {Point} b
 */
export function distance(a, b) {
  return Math.hypot(b.x - a.x, b.y - a.y);
}

/**
 * Smallest rectangle of whole pixels that holds every point with `margin` around it.
 * @param {Point[]} points
 * @param {number} margin
 * @returns {Rect}
 */
export function boundsOf(points, margin) {
  const xs = points.map((point) => point.x);
  const ys = points.map((point) => point.y);
  const x = Math.floor(Math.min(...xs) - margin);
  const y = Math.floor(Math.min(...ys) - margin);
  return { x, y, width: Math.ceil(Math.max(...xs) + margin) - x, height: Math.ceil(Math.max(...ys) + margin) - y };
}

/**
 * @param {Rect | null} a
 * @param {Rect | null} b
 * @returns {Rect | null}
 */
export function union(a, b) {
  if (!a || !b) return a ?? b;
  const x = Math.min(a.x, b.x);
  const y = Math.min(a.y, b.y);
  return {
    x,
    y,
    width: Math.max(a.x + a.width, b.x + b.width) - x,
    height: Math.max(a.y + a.height, b.y + b.height) - y,
  };
}

/**
 * The part of a rectangle inside a bitmap, or null when nothing of it is.
 * @param {Rect} rect
 * @param {number} width
 * @param {number} height
 * @returns {Rect | null}
 */
export function clip(rect, width, height) {
  const x = clamp(rect.x, 0, width);
  const y = clamp(rect.y, 0, height);
  const right = clamp(rect.x + rect.width, 0, width);
  const bottom = clamp(rect.y + rect.height, 0, height);
  return right > x && bottom > y ? { x, y, width: right - x, height: bottom - y } : null;
}

/**
 * Grows a rectangle to the grid of `step` pixels.
 * @param {Rect} rect
 * @param {number} step
 * @returns {Rect} in grid cells
 */
export function toGrid(rect, step) {
  const x = Math.floor(rect.x / step);
  const y = Math.floor(rect.y / step);
  return {
    x,
    y,
    width: Math.ceil((rect.x + rect.width) / step) - x,
    height: Math.ceil((rect.y + rect.height) / step) - y,
  };
}

/**
 * Where a picture lies when it is scaled to fit inside a frame and centred.
 * @param {number} width
 * @param {number} height
 * @param {number} frameWidth
 * @param {number} frameHeight
 * @returns {Rect}
 */
export function contain(width, height, frameWidth, frameHeight) {
  const scale = Math.min(frameWidth / width, frameHeight / height);
  const fitted = { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
  return {
    x: Math.floor((frameWidth - fitted.width) / 2),
    y: Math.floor((frameHeight - fitted.height) / 2),
    ...fitted,
  };
}

/**
 * Turns the end of a line to the nearest multiple of 45 degrees.
 * @param {Point} from
 * @param {Point} to
 * @returns {Point}
 */
export function snapAngle(from, to) {
  const eighth = Math.PI / 4;
  const angle = Math.round(Math.atan2(to.y - from.y, to.x - from.x) / eighth) * eighth;
  const length = distance(from, to);
  return { x: from.x + length * Math.cos(angle), y: from.y + length * Math.sin(angle) };
}

/**
 * Moves the free corner so that the rectangle becomes a square.
 * @param {Point} from
 * @param {Point} to
 * @returns {Point}
 */
export function snapSquare(from, to) {
  const side = Math.max(Math.abs(to.x - from.x), Math.abs(to.y - from.y));
  return { x: from.x + Math.sign(to.x - from.x || 1) * side, y: from.y + Math.sign(to.y - from.y || 1) * side };
}

/**
 * Height and width a model works at: fixed, or for flexible ones the allowed size nearest to `wanted`.
 * @param {import("./types").Size | import("./types").FlexibleSize} size
 * @param {number} [wanted] - pixels
 * @returns {import("./types").Size}
 */
export function workingSize(size, wanted = 512) {
  if ("height" in size) return { height: size.height, width: size.width };
  const [low, high] = sideRange(size);
  const side = clamp(Math.round(wanted / size.multiple_of) * size.multiple_of, low, Math.max(low, high));
  return { height: side, width: side };
}

/**
 * @param {import("./types").FlexibleSize} size
 * @returns {[number, number]} the shortest and the longest side allowed, pixels
 */
function sideRange({ multiple_of: step, min, max }) {
  return [Math.ceil(min / step) * step, Math.max(Math.floor(max / step), 1) * step];
}

/** Bitmap pixels along the longer side that look sharp on a large screen. */
const FINE_SIDE = 1024;

/**
 * How many bitmap pixels a surface has for each model pixel.
 * @param {import("./types").Size} size - the model's
 */
export function fineScale(size) {
  return Math.min(4, Math.max(1, Math.round(FINE_SIDE / Math.max(size.width, size.height))));
}

/**
 * How much a picture is enlarged to be laid into a model's size, as the server does it.
 * @param {number} width - pixels
 * @param {number} height - pixels
 * @param {import("./types").Size | import("./types").FlexibleSize} size - the model's
 */
export function fitScale(width, height, size) {
  if ("height" in size) return Math.min(size.width / width, size.height / height);
  const [low, high] = sideRange(size);
  const scale = Math.min(1, high / Math.max(width, height));
  const isTooSmall = Math.min(width, height) * scale < low;
  return isTooSmall ? Math.min(low / Math.min(width, height), high / Math.max(width, height)) : scale;
}
