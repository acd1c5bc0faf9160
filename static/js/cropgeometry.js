/**
 * Which part of a photo is shown: quarter turns, mirroring, a slight turn to straighten it, and a frame. Pure geometry.
 *
 * The frame lives in "frame coordinates": photo pixels, the photo's centre at the origin, after all turning. A frame is good when
 * no corner of it leaves the photo. Turned back into the photo's own axes that says: its centre stays inside a rectangle.
 */

import { clamp, contain } from "./geometry.js";

/** @typedef {import("./types").Crop} Crop */
/** @typedef {import("./types").Point} Point */
/** @typedef {import("./types").Rect} Rect */
/** @typedef {{width: number, height: number}} Extent pixels */
/** @typedef {"n" | "ne" | "e" | "se" | "s" | "sw" | "w" | "nw"} Handle where the frame is held, as on a compass */

export const MAX_ANGLE = 45;
/** Shortest side of a frame, photo pixels. */
export const MIN_SIDE = 16;
const STEPS = 24;

/**
 * @param {Extent} photo
 * @returns {Crop} the whole photo
 */
export function wholeCrop({ width, height }) {
  return { turns: 0, isMirrored: false, angle: 0, rect: { x: -width / 2, y: -height / 2, width, height } };
}

/**
 * @param {Crop} crop
 * @param {Extent} photo
 */
export function isWhole(crop, photo) {
  return JSON.stringify(crop) === JSON.stringify(wholeCrop(photo));
}

/**
 * The crop that shows the same part of another picture of the same shape.
 * @param {Crop} crop
 * @param {number} scale - how many of the other picture's pixels one of the photo's is
 * @returns {Crop}
 */
export function scaleCrop(crop, scale) {
  const { x, y, width, height } = crop.rect;
  return { ...crop, rect: { x: x * scale, y: y * scale, width: width * scale, height: height * scale } };
}

/**
 * The photo's extent after its quarter turns.
 * @param {Extent} photo
 * @param {number} turns
 * @returns {Extent}
 */
export function turnedExtent({ width, height }, turns) {
  return turns % 2 ? { width: height, height: width } : { width, height };
}

/**
 * Size of the cropped picture.
 * @param {Crop} crop
 * @returns {Extent} whole pixels
 */
export function croppedSize({ rect }) {
  return { width: Math.max(1, Math.round(rect.width)), height: Math.max(1, Math.round(rect.height)) };
}

/**
 * @param {Crop} crop
 * @param {Extent} photo
 */
export function isInside({ turns, angle, rect }, photo) {
  const room = centreRoom(rect, turnedExtent(photo, turns), angle);
  const centre = rotate(centreOf(rect), -angle);
  const slack = 1e-6;
  return Math.abs(centre.x) <= room.width / 2 + slack && Math.abs(centre.y) <= room.height / 2 + slack;
}

/**
 * The same crop with its frame shrunk and moved as little as needed to lie inside the photo.
 * @param {Crop} crop
 * @param {Extent} photo
 * @returns {Crop}
 */
export function keepInside(crop, photo) {
  const extent = turnedExtent(photo, crop.turns);
  const reach = reachOf(crop.rect, crop.angle);
  const scale = Math.min(1, extent.width / reach.width, extent.height / reach.height);
  const size = { width: crop.rect.width * scale, height: crop.rect.height * scale };
  const room = centreRoom(size, extent, crop.angle);
  const centre = rotate(centreOf(crop.rect), -crop.angle);
  const moved = { x: clamp(centre.x, -room.width / 2, room.width / 2), y: clamp(centre.y, -room.height / 2, room.height / 2) };
  return { ...crop, rect: around(rotate(moved, crop.angle), size) };
}

/**
 * Turns everything by a quarter, the frame with it.
 * @param {Crop} crop
 * @param {1 | -1} direction - 1: clockwise
 * @returns {Crop}
 */
export function turn(crop, direction) {
  const { x, y } = centreOf(crop.rect);
  const centre = direction === 1 ? { x: -y, y: x } : { x: y, y: -x };
  const size = { width: crop.rect.height, height: crop.rect.width };
  return { ...crop, turns: (crop.turns + direction + 4) % 4, rect: around(centre, size) };
}

/**
 * Mirrors what is seen, left to right.
 * @param {Crop} crop
 * @returns {Crop}
 */
export function mirror(crop) {
  const rect = { ...crop.rect, x: -crop.rect.x - crop.rect.width };
  return { turns: (4 - crop.turns) % 4, isMirrored: !crop.isMirrored, angle: -crop.angle || 0, rect };
}

/**
 * @param {Crop} crop
 * @param {number} angle - degrees clockwise, from -45 to 45
 * @param {Extent} photo
 * @returns {Crop}
 */
export function straighten(crop, angle, photo) {
  return keepInside({ ...crop, angle: clamp(angle, -MAX_ANGLE, MAX_ANGLE) }, photo);
}

/**
 * A frame of a given shape, as large as the present one and around the same centre where that fits.
 * @param {Crop} crop
 * @param {number} aspect - width over height
 * @param {Extent} photo
 * @returns {Crop}
 */
export function reshape(crop, aspect, photo) {
  const side = Math.sqrt(crop.rect.width * crop.rect.height);
  const size = { width: side * Math.sqrt(aspect), height: side / Math.sqrt(aspect) };
  return keepInside({ ...crop, rect: around(centreOf(crop.rect), size) }, photo);
}

/**
 * Moves the frame as far as the photo goes, along its edges where it must.
 * @param {Crop} crop
 * @param {number} dx - photo pixels
 * @param {number} dy - photo pixels
 * @param {Extent} photo
 * @returns {Crop}
 */
export function moveFrame(crop, dx, dy, photo) {
  const { rect } = crop;
  return keepInside({ ...crop, rect: { ...rect, x: rect.x + dx, y: rect.y + dy } }, photo);
}

/**
 * Pulls a side or a corner; the opposite one stays.
 * @param {Crop} crop
 * @param {Handle} handle
 * @param {number} dx - photo pixels
 * @param {number} dy - photo pixels
 * @param {number | null} aspect - width over height that is kept, or null
 * @param {Extent} photo
 * @returns {Crop}
 */
export function pullHandle(crop, handle, dx, dy, aspect, photo) {
  const across = handle.includes("e") ? dx : handle.includes("w") ? -dx : 0;
  const down = handle.includes("s") ? dy : handle.startsWith("n") ? -dy : 0;
  if (aspect) return farthest(crop, sized(crop.rect, handle, proportional(crop.rect, handle, across, down, aspect)), photo);
  const { width, height } = crop.rect;
  const wider = farthest(crop, sized(crop.rect, handle, { width: Math.max(MIN_SIDE, width + across), height }), photo);
  return farthest(wider, sized(wider.rect, handle, { width: wider.rect.width, height: Math.max(MIN_SIDE, height + down) }), photo);
}

/**
 * Where a photo's pixels come to lie when the crop fills a box: six numbers for a canvas transform.
 * @param {Crop} crop
 * @param {Extent} photo
 * @param {Rect} box - target pixels
 * @returns {[number, number, number, number, number, number]}
 */
export function cropMatrix({ turns, isMirrored, angle, rect }, photo, box) {
  const radians = ((turns * 90 + angle) * Math.PI) / 180;
  const [cos, sin] = [Math.cos(radians), Math.sin(radians)];
  const [sx, sy] = [box.width / rect.width, box.height / rect.height];
  const m = isMirrored ? -1 : 1;
  const [a, b, c, d] = [m * cos * sx, m * sin * sy, -sin * sx, cos * sy];
  const e = box.x - rect.x * sx - (a * photo.width) / 2 - (c * photo.height) / 2;
  const f = box.y - rect.y * sy - (b * photo.width) / 2 - (d * photo.height) / 2;
  return [a, b, c, d, e, f];
}

/**
 * Where the cropped picture lies on the model's canvas: whole, centred, in whole model pixels, as the server lays it.
 * @param {Crop} crop
 * @param {Extent} canvas - model pixels
 * @returns {Rect}
 */
export function boxOf(crop, canvas) {
  const { width, height } = croppedSize(crop);
  return contain(width, height, canvas.width, canvas.height);
}

/**
 * @param {unknown} value - from a file
 * @param {Extent} photo
 * @returns {value is Crop} whether it is a crop that lies inside the photo
 */
export function isCrop(value, photo) {
  const { turns, isMirrored, angle, rect } = /** @type {any} */ (value ?? {});
  const numbers = [angle, rect?.x, rect?.y, rect?.width, rect?.height];
  if (![0, 1, 2, 3].includes(turns) || typeof isMirrored !== "boolean" || !numbers.every(Number.isFinite)) return false;
  if (Math.abs(angle) > MAX_ANGLE || rect.width < 1 || rect.height < 1) return false;
  return isInside({ turns, isMirrored, angle, rect }, photo);
}

/**
 * New size of a frame with a kept shape.
 * @param {Rect} rect
 * @param {Handle} handle
 * @param {number} across
 * @param {number} down
 * @param {number} aspect
 */
function proportional({ width, height }, handle, across, down, aspect) {
  const byWidth = /[ew]/.test(handle);
  const byHeight = /[ns]/.test(handle);
  const wanted = byWidth && byHeight ? Math.max(width + across, (height + down) * aspect) : byWidth ? width + across : (height + down) * aspect;
  const floor = MIN_SIDE * Math.max(1, aspect);
  const bounded = Math.max(floor, wanted);
  return { width: bounded, height: bounded / aspect };
}

/**
 * A frame of another size that keeps what lies opposite the handle, or the middle where a handle has no side.
 * @param {Rect} rect
 * @param {Handle} handle
 * @param {Extent} size
 * @returns {Rect}
 */
function sized(rect, handle, { width, height }) {
  const fx = handle.includes("w") ? 1 : handle.includes("e") ? 0 : 0.5;
  const fy = handle.startsWith("n") ? 1 : handle.startsWith("s") ? 0 : 0.5;
  return { x: rect.x + (rect.width - width) * fx, y: rect.y + (rect.height - height) * fy, width, height };
}

/**
 * The frame nearest to `wanted` on the way from the present one that still lies inside. Good frames form a convex set, so halving
 * finds it.
 * @param {Crop} crop
 * @param {Rect} wanted
 * @param {Extent} photo
 * @returns {Crop}
 */
function farthest(crop, wanted, photo) {
  const at = (/** @type {number} */ t) => ({ ...crop, rect: between(crop.rect, wanted, t) });
  if (isInside(at(1), photo)) return at(1);
  let [low, high] = [0, 1];
  for (let step = 0; step < STEPS; step++) {
    const middle = (low + high) / 2;
    if (isInside(at(middle), photo)) low = middle;
    else high = middle;
  }
  return at(low);
}

/**
 * @param {Rect} a
 * @param {Rect} b
 * @param {number} t - [0, 1]
 * @returns {Rect}
 */
function between(a, b, t) {
  const mix = (/** @type {keyof Rect} */ name) => a[name] + (b[name] - a[name]) * t;
  return { x: mix("x"), y: mix("y"), width: mix("width"), height: mix("height") };
}

/**
 * How far a turned frame reaches along the photo's own axes.
 * @param {Extent} size
 * @param {number} angle - degrees
 * @returns {Extent}
 */
function reachOf({ width, height }, angle) {
  const radians = (angle * Math.PI) / 180;
  const [cos, sin] = [Math.abs(Math.cos(radians)), Math.abs(Math.sin(radians))];
  return { width: width * cos + height * sin, height: width * sin + height * cos };
}

/**
 * @param {Extent} size - of the frame
 * @param {Extent} extent - of the photo
 * @param {number} angle - degrees
 * @returns {Extent} where the frame's centre may be, in the photo's own axes; negative where it cannot fit
 */
function centreRoom(size, extent, angle) {
  const reach = reachOf(size, angle);
  return { width: extent.width - reach.width, height: extent.height - reach.height };
}

/** @param {Rect} rect @returns {Point} */
function centreOf({ x, y, width, height }) {
  return { x: x + width / 2, y: y + height / 2 };
}

/**
 * @param {Point} centre
 * @param {Extent} size
 * @returns {Rect}
 */
function around(centre, { width, height }) {
  return { x: centre.x - width / 2, y: centre.y - height / 2, width, height };
}

/**
 * @param {Point} point
 * @param {number} angle - degrees clockwise
 * @returns {Point}
 */
function rotate({ x, y }, angle) {
  const radians = (angle * Math.PI) / 180;
  const [cos, sin] = [Math.cos(radians), Math.sin(radians)];
  return { x: x * cos - y * sin, y: x * sin + y * cos };
}
