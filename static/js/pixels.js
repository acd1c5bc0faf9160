/**
 * Pure arithmetic on pixels: between the fine bitmap people draw on and the model's size, and from opened pictures to what a
 * model reads. Arrays are row by row; RGBA is not premultiplied.
 */

import { hexToRgb } from "./png.js";

/** Each pass leaves less of the error that clipping caused; after these, less than a step of 255. */
const PASSES = 4;

/**
 * Mean alpha of each `scale` x `scale` block of an RGBA picture.
 * @param {Uint8ClampedArray} rgba
 * @param {number} width - cells across, a `scale`-th of the picture's pixels
 * @param {number} height - cells down
 * @param {number} scale
 * @returns {Uint8Array} coverage, [0, 255]
 */
export function meanAlpha(rgba, width, height, scale) {
  const coverage = new Uint8Array(width * height);
  const stride = width * scale;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (let v = 0; v < scale; v++) {
        let at = ((y * scale + v) * stride + x * scale) * 4 + 3;
        for (let u = 0; u < scale; u++, at += 4) sum += rgba[at];
      }
      coverage[y * width + x] = Math.round(sum / (scale * scale));
    }
  }
  return coverage;
}

/**
 * Mean colour and alpha of each block. Colours weigh by their alpha, so that the empty surroundings of a dab do not darken it.
 * @param {Uint8ClampedArray} rgba
 * @param {number} width - cells across
 * @param {number} height - cells down
 * @param {number} scale
 * @returns {Uint8ClampedArray} RGBA
 */
export function meanColor(rgba, width, height, scale) {
  const out = new Uint8ClampedArray(width * height * 4);
  const stride = width * scale;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let [red, green, blue, alpha] = [0, 0, 0, 0];
      for (let v = 0; v < scale; v++) {
        let at = ((y * scale + v) * stride + x * scale) * 4;
        for (let u = 0; u < scale; u++, at += 4) {
          const weight = rgba[at + 3];
          red += rgba[at] * weight;
          green += rgba[at + 1] * weight;
          blue += rgba[at + 2] * weight;
          alpha += weight;
        }
      }
      const to = (y * width + x) * 4;
      if (!alpha) continue;
      out[to] = red / alpha;
      out[to + 1] = green / alpha;
      out[to + 2] = blue / alpha;
      out[to + 3] = alpha / (scale * scale);
    }
  }
  return out;
}

/**
 * Enlarges line coverage so that edges are crisp on screen and the mean of every block is still the given value: what the model
 * gets back after reduction is the picture that was loaded.
 * @param {Uint8Array} coverage - width x height, [0, 255]
 * @param {number} width
 * @param {number} height
 * @param {number} scale
 * @returns {Uint8ClampedArray} (width * scale) x (height * scale)
 */
export function enlargeCoverage(coverage, width, height, scale) {
  const fine = sharpen(enlargeLinear(coverage, width, height, scale));
  for (let pass = 0; pass < PASSES; pass++) backProject(fine, coverage, width, height, scale);
  return Uint8ClampedArray.from(fine, Math.round);
}

/**
 * @param {Uint8Array} source
 * @param {number} width
 * @param {number} height
 * @param {number} scale
 */
function enlargeLinear(source, width, height, scale) {
  const out = new Float32Array(width * height * scale * scale);
  const columns = Array.from({ length: width * scale }, (_, x) => weigh(x, scale, width));
  for (let y = 0, k = 0; y < height * scale; y++) {
    const [top, bottom, down] = weigh(y, scale, height);
    for (const [left, right, across] of columns) {
      const upper = source[top * width + left] * (1 - across) + source[top * width + right] * across;
      const lower = source[bottom * width + left] * (1 - across) + source[bottom * width + right] * across;
      out[k++] = upper * (1 - down) + lower * down;
    }
  }
  return out;
}

/**
 * @param {number} fine - fine pixel
 * @param {number} scale
 * @param {number} count - coarse pixels
 * @returns {[number, number, number]} the two coarse pixels around it and the weight of the second
 */
function weigh(fine, scale, count) {
  const at = Math.min(count - 1, Math.max(0, (fine + 0.5) / scale - 0.5));
  const low = Math.floor(at);
  return [low, Math.min(count - 1, low + 1), at - low];
}

/** @param {Float32Array} fine */
function sharpen(fine) {
  return fine.map((value) => Math.min(255, Math.max(0, (value - 128) * 2.5 + 128)));
}

/**
 * Spreads each block's error over those of its pixels that can still move.
 * @param {Float32Array} fine
 * @param {Uint8Array} coverage
 * @param {number} width
 * @param {number} height
 * @param {number} scale
 */
function backProject(fine, coverage, width, height, scale) {
  const stride = width * scale;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = [];
      for (let v = 0; v < scale; v++) for (let u = 0; u < scale; u++) at.push((y * scale + v) * stride + x * scale + u);
      const error = coverage[y * width + x] * at.length - at.reduce((sum, k) => sum + fine[k], 0);
      if (Math.abs(error) < at.length / 4) continue;
      const free = at.filter((k) => (error > 0 ? fine[k] < 255 : fine[k] > 0));
      for (const k of free) fine[k] = Math.min(255, Math.max(0, fine[k] + error / free.length));
    }
  }
}

/**
 * Reads a picture as ink: polarity is found from its own paper, levels are stretched from paper to ink, and transparent parts
 * are paper.
 * @param {Uint8ClampedArray} rgba
 * @returns {{coverage: Uint8Array, inverted: boolean}} inverted: the picture had light lines on dark
 */
export function readInk(rgba) {
  const gray = new Uint8Array(rgba.length / 4);
  const histogram = new Uint32Array(256);
  const hasInkInAlpha = isAlphaDrawing(rgba);
  for (let k = 0, at = 0; k < gray.length; k++, at += 4) {
    const alpha = rgba[at + 3] / 255;
    const luma = hasInkInAlpha ? 0 : 0.299 * rgba[at] + 0.587 * rgba[at + 1] + 0.114 * rgba[at + 2];
    gray[k] = Math.round(luma * alpha + 255 * (1 - alpha));
    histogram[gray[k]]++;
  }
  const inverted = percentile(histogram, gray.length, 0.5) < 128;
  const paper = percentile(histogram, gray.length, inverted ? 0.25 : 0.75);
  const extreme = percentile(histogram, gray.length, inverted ? 0.998 : 0.002);
  // A nearly flat picture has no ink: do not stretch its noise.
  const span = Math.abs(paper - extreme) < 24 ? 255 : Math.abs(paper - extreme);
  const sign = inverted ? 1 : -1;
  const coverage = gray.map((value) => Math.min(255, Math.max(0, (sign * (value - paper) * 255) / span)));
  return { coverage, inverted };
}

/**
 * A drawing exported with a transparent ground carries its lines in alpha: what is opaque has one brightness, dark or light.
 * @param {Uint8ClampedArray} rgba
 */
function isAlphaDrawing(rgba) {
  let clear = 0;
  let [darkest, lightest] = [255, 0];
  for (let at = 0; at < rgba.length; at += 4) {
    if (rgba[at + 3] < 16) clear++;
    if (rgba[at + 3] < 240) continue;
    const luma = 0.299 * rgba[at] + 0.587 * rgba[at + 1] + 0.114 * rgba[at + 2];
    [darkest, lightest] = [Math.min(darkest, luma), Math.max(lightest, luma)];
  }
  return clear > rgba.length / 32 && lightest - darkest < 80;
}

/**
 * @param {Uint32Array} histogram
 * @param {number} count
 * @param {number} share - [0, 1]
 */
function percentile(histogram, count, share) {
  let sum = 0;
  for (let value = 0; value < 256; value++) {
    sum += histogram[value];
    if (sum > share * count) return value;
  }
  return 255;
}

/**
 * Nearest palette class of each pixel, by distance in RGB; transparent pixels become `background`.
 * @param {Uint8ClampedArray} rgba
 * @param {string[]} palette - `#rrggbb` by index
 * @param {number} background - class index
 * @returns {{indices: Uint8Array, snapped: number}} snapped: share of opaque pixels that were off the palette
 */
export function snapToPalette(rgba, palette, background) {
  const colors = palette.map(hexToRgb);
  const indices = new Uint8Array(rgba.length / 4).fill(background);
  /** @type {Map<number, number>} */
  const known = new Map(colors.map(([r, g, b], index) => [(r << 16) | (g << 8) | b, index]));
  const exact = new Set(known.keys());
  let off = 0;
  let opaque = 0;
  for (let k = 0, at = 0; k < indices.length; k++, at += 4) {
    if (rgba[at + 3] < 128) continue;
    const color = (rgba[at] << 16) | (rgba[at + 1] << 8) | rgba[at + 2];
    let index = known.get(color);
    if (index === undefined) {
      index = nearest(colors, rgba[at], rgba[at + 1], rgba[at + 2]);
      known.set(color, index);
    }
    opaque++;
    if (!exact.has(color)) off++;
    indices[k] = index;
  }
  return { indices, snapped: opaque ? off / opaque : 0 };
}

/**
 * @param {[number, number, number][]} colors
 * @param {number} red
 * @param {number} green
 * @param {number} blue
 */
function nearest(colors, red, green, blue) {
  let best = 0;
  let least = Infinity;
  colors.forEach(([r, g, b], index) => {
    const away = (r - red) ** 2 + (g - green) ** 2 + (b - blue) ** 2;
    if (away < least) [best, least] = [index, away];
  });
  return best;
}

/**
 * @param {Uint8Array} a
 * @param {Uint8Array} b
 */
export function sameBytes(a, b) {
  return a.length === b.length && a.every((value, k) => value === b[k]);
}

/**
 * Lays a picture on a background; a background of one value makes it gray (BT.601).
 * @param {Uint8ClampedArray} rgba
 * @param {number[]} background - one value per channel, [0, 255]
 */
export function overBackground(rgba, background) {
  const channels = background.length;
  const out = new Uint8Array((rgba.length / 4) * channels);
  for (let at = 0, to = 0; at < rgba.length; at += 4, to += channels) {
    const alpha = rgba[at + 3] / 255;
    const luma = 0.299 * rgba[at] + 0.587 * rgba[at + 1] + 0.114 * rgba[at + 2];
    for (let c = 0; c < channels; c++) {
      const value = channels === 1 ? luma : rgba[at + c];
      out[to + c] = Math.round(value * alpha + background[c] * (1 - alpha));
    }
  }
  return out;
}
