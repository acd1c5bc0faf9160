/**
 * Tells a photo from line art by what it looks like. Pure arithmetic on pixels: it opens nothing and decides nothing for anyone.
 *
 * A drawing is paper with a little ink, and paper is the same everywhere or, on a photo of a sheet, a little darker towards one side.
 * So the picture is cut into blocks; the lightest part of each is its paper, where it has any. A plane is laid through the papers of
 * all blocks, and what lies off it, and is not the one tone of the ink, is the tones and colours of a photo.
 */

/** Side of a block, pixels. */
const BLOCK = 8;
/** Of a block's pixels, sorted from dark to light, the one that is taken for its paper. */
const PAPER_SHARE = 0.85;
/** Steps of 255 that a block's paper may be off the plane; colours may be as far from the paper's. */
const TOLERANCE = 26;
/** What is darker than this and has no colour is black. */
const BLACK = 70;
/** Rounds of laying the plane anew through the blocks that are near it. */
const ROUNDS = 4;
/** Of a photo, so many blocks are neither paper nor black, and so many differ among themselves too, as one pen's do not. */
const OTHER_SHARE = 0.12;
const VARIED_SHARE = 0.05;

/**
 * @typedef {object} Block the lightest part of a block
 * @property {number} x - of the block, blocks
 * @property {number} y
 * @property {number} light - luma, [0, 255]; of a picture that is dark all over, turned over
 * @property {[number, number]} tint - red and blue beyond luma
 */

/**
 * Whether a picture looks like a photo or a coloured picture, and not like line art.
 * @param {Uint8ClampedArray} rgba - some 100 to 500 pixels a side
 * @param {number} width - pixels
 * @param {number} height - pixels
 */
export function looksLikePhoto(rgba, width, height) {
  const { other, varied } = measure(rgba, width, height);
  return other > OTHER_SHARE && varied > VARIED_SHARE;
}

/**
 * @param {Uint8ClampedArray} rgba
 * @param {number} width - pixels
 * @param {number} height - pixels
 * @returns {{other: number, varied: number}} shares of blocks: neither paper nor black, and not of the usual tone of those either
 */
export function measure(rgba, width, height) {
  const blocks = readBlocks(overWhite(rgba), width, height);
  const paper = paperOf(blocks);
  const other = blocks.filter((block) => !isNear(block, paper) && !isBlack(block));
  const ink = toneOf(other);
  const varied = other.filter((block) => !isNear(block, ink));
  return { other: other.length / blocks.length, varied: varied.length / blocks.length };
}

/** @param {Uint8ClampedArray} rgba */
function overWhite(rgba) {
  const rgb = new Float32Array((rgba.length / 4) * 3);
  for (let at = 0, to = 0; at < rgba.length; at += 4, to += 3) {
    const alpha = rgba[at + 3] / 255;
    for (let c = 0; c < 3; c++) rgb[to + c] = rgba[at + c] * alpha + 255 * (1 - alpha);
  }
  return rgb;
}

/**
 * @param {Float32Array} rgb
 * @param {number} width
 * @param {number} height
 * @returns {Block[]}
 */
function readBlocks(rgb, width, height) {
  const isDark = darkShare(rgb) > 0.5;
  /** @type {Block[]} */
  const blocks = [];
  for (let y = 0; y * BLOCK < height; y++) {
    for (let x = 0; x * BLOCK < width; x++) blocks.push(readBlock(rgb, width, height, x, y, isDark));
  }
  return blocks;
}

/** @param {Float32Array} rgb */
function darkShare(rgb) {
  let dark = 0;
  for (let at = 0; at < rgb.length; at += 3) if (lumaAt(rgb, at) < 128) dark++;
  return (3 * dark) / rgb.length;
}

/**
 * @param {Float32Array} rgb
 * @param {number} at
 */
function lumaAt(rgb, at) {
  return 0.299 * rgb[at] + 0.587 * rgb[at + 1] + 0.114 * rgb[at + 2];
}

/**
 * @param {Float32Array} rgb
 * @param {number} width
 * @param {number} height
 * @param {number} x - blocks
 * @param {number} y - blocks
 * @param {boolean} isDark - take the darkest part and turn it over
 * @returns {Block}
 */
function readBlock(rgb, width, height, x, y, isDark) {
  const sign = isDark ? -1 : 1;
  /** @type {[number, number][]} place and turned luma of each pixel */
  const pixels = [];
  for (let v = y * BLOCK; v < Math.min(height, (y + 1) * BLOCK); v++) {
    for (let u = x * BLOCK; u < Math.min(width, (x + 1) * BLOCK); u++) {
      const at = (v * width + u) * 3;
      pixels.push([at, sign * lumaAt(rgb, at)]);
    }
  }
  pixels.sort((a, b) => a[1] - b[1]);
  const [at, turned] = pixels[Math.min(pixels.length - 1, Math.floor(PAPER_SHARE * pixels.length))];
  const luma = sign * turned;
  return { x, y, light: isDark ? 255 - luma : luma, tint: [rgb[at] - luma, rgb[at + 2] - luma] };
}

/**
 * @typedef {object} Tone
 * @property {(block: Block) => number} light - at a block
 * @property {[number, number]} tint
 */

/**
 * The plane that most blocks lie on: begun with the median, laid anew through those near it.
 * @param {Block[]} blocks
 * @returns {Tone}
 */
function paperOf(blocks) {
  let paper = toneOf(blocks);
  for (let round = 0; round < ROUNDS; round++) {
    const light = fitPlane(blocks.filter((block) => isNear(block, paper, 2 * TOLERANCE)));
    if (light) paper = { light, tint: paper.tint };
  }
  return paper;
}

/**
 * The tone that stands in the middle of all.
 * @param {Block[]} blocks
 * @returns {Tone}
 */
function toneOf(blocks) {
  const level = median(blocks.map(({ light }) => light));
  const [red, blue] = [0, 1].map((c) => median(blocks.map((block) => block.tint[c])));
  return { light: () => level, tint: [red, blue] };
}

/**
 * @param {Block} block
 * @param {Tone} tone
 */
function isNear(block, { light, tint }, tolerance = TOLERANCE) {
  const away = Math.hypot(block.tint[0] - tint[0], block.tint[1] - tint[1]);
  return Math.abs(block.light - light(block)) < tolerance && away < tolerance;
}

/** @param {Block} block */
function isBlack({ light, tint }) {
  return light < BLACK && Math.hypot(...tint) < TOLERANCE;
}

/** @param {number[]} values */
function median(values) {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

/**
 * Least squares of `light = a + b x + c y` about the blocks' centre, each slope by itself: what is left between them is small.
 * @param {Block[]} blocks
 * @returns {((block: Block) => number) | null} null when there are too few
 */
function fitPlane(blocks) {
  if (blocks.length < 8) return null;
  const mean = (/** @type {(block: Block) => number} */ of) => blocks.reduce((sum, block) => sum + of(block), 0) / blocks.length;
  const [x0, y0, l0] = [mean(({ x }) => x), mean(({ y }) => y), mean(({ light }) => light)];
  const xx = mean(({ x }) => (x - x0) ** 2);
  const yy = mean(({ y }) => (y - y0) ** 2);
  const xy = mean(({ x, y }) => (x - x0) * (y - y0));
  const xl = mean(({ x, light }) => (x - x0) * (light - l0));
  const yl = mean(({ y, light }) => (y - y0) * (light - l0));
  const determinant = xx * yy - xy * xy;
  if (determinant < 1e-6) return null;
  const across = (xl * yy - yl * xy) / determinant;
  const down = (yl * xx - xl * xy) / determinant;
  return ({ x, y }) => l0 + across * (x - x0) + down * (y - y0);
}
