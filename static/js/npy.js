/**
 * NumPy's `.npy` files as pixels and back, by the rules of the server (`server/arrays.py`): what it would refuse is refused here, and a
 * value becomes the same byte. It touches neither canvas nor page.
 */

/** @typedef {{width: number, height: number, channels: number, data: Uint8Array}} PixelArray rows of pixels of `channels` bytes */

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
const MAX_CHANNELS = 16;
/** Bytes of the header's length by the format's major version. */
const LENGTH_BYTES = /** @type {Record<number, number>} */ ({ 1: 2, 2: 4 });
/** An array of this many values is read in a second or two; more than any picture that a server takes. */
const MAX_VALUES = 2 ** 28;

/**
 * Bytes of a value, and how it becomes one in [0, 255].
 * @type {Record<string, {bytes: number, read: (view: DataView, at: number, isLittle: boolean) => number}>}
 */
const KINDS = {
  u1: { bytes: 1, read: (view, at) => view.getUint8(at) },
  u2: { bytes: 2, read: (view, at, isLittle) => Math.floor((view.getUint16(at, isLittle) + 128) / 257) },
  f2: { bytes: 2, read: (view, at, isLittle) => fromShare(half(view.getUint16(at, isLittle))) },
  f4: { bytes: 4, read: (view, at, isLittle) => fromShare(view.getFloat32(at, isLittle)) },
  f8: { bytes: 8, read: (view, at, isLittle) => fromShare(view.getFloat64(at, isLittle)) },
};

/** Why an array cannot be read, as a message key. */
export class NpyError extends Error {
  /** @param {"open.array_header" | "open.array_shape" | "open.array_values"} key */
  constructor(key) {
    super(key);
    this.key = key;
  }
}

/**
 * @param {Uint8Array} bytes - a whole file
 * @returns {PixelArray}
 * @throws {NpyError}
 */
export function readNpy(bytes) {
  const { kind, isLittle, isFortran, shape, start } = readHeader(bytes);
  const [height, width, channels = 1] = shape;
  const count = height * width * channels;
  if (bytes.length - start !== count * kind.bytes) throw new NpyError("open.array_header");
  const view = new DataView(bytes.buffer, bytes.byteOffset + start);
  const data = new Uint8Array(count);
  // Fortran's order runs down the rows first, then across, then through the channels.
  const steps = isFortran ? [1, height, height * width] : [width * channels, channels, 1];
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let channel = 0; channel < channels; channel++, to++) {
        data[to] = kind.read(view, (y * steps[0] + x * steps[1] + channel * steps[2]) * kind.bytes, isLittle);
      }
    }
  }
  return { width, height, channels, data };
}

/** @param {Uint8Array} bytes */
function readHeader(bytes) {
  const lengthBytes = LENGTH_BYTES[bytes[6]];
  if (!MAGIC.every((value, k) => bytes[k] === value) || !lengthBytes || bytes.length < 12) throw new NpyError("open.array_header");
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const length = lengthBytes === 2 ? view.getUint16(8, true) : view.getUint32(8, true);
  const start = 8 + lengthBytes + length;
  const text = new TextDecoder("latin1").decode(bytes.subarray(8 + lengthBytes, start));
  const description = /['"]descr['"]\s*:\s*['"]([<>|=]?)(\w\d)['"]/.exec(text);
  const order = /['"]fortran_order['"]\s*:\s*(True|False)/.exec(text);
  const shape = /['"]shape['"]\s*:\s*\(([\d,\s]*)\)/.exec(text);
  const kind = description && KINDS[description[2]];
  if (!kind || !order || !shape || start > bytes.length) throw new NpyError("open.array_header");
  return { kind, isLittle: description[1] !== ">", isFortran: order[1] === "True", shape: readShape(shape[1]), start };
}

/** @param {string} text - numbers with commas between them */
function readShape(text) {
  const shape = text.split(",").filter((part) => part.trim()).map(Number);
  const [height = 0, width = 0, channels = 1] = shape;
  const isPicture = (shape.length === 2 || shape.length === 3) && channels <= MAX_CHANNELS && Math.min(...shape) > 0;
  if (!isPicture || height * width * channels > MAX_VALUES) throw new NpyError("open.array_shape");
  return shape;
}

/** A float from 0 to 1 as NumPy's `rint(float32(value) * 255)`: halves go to the even neighbour. @param {number} value */
function fromShare(value) {
  if (!(value >= 0 && value <= 1)) throw new NpyError("open.array_values");
  const scaled = Math.fround(Math.fround(value) * 255);
  const rounded = Math.round(scaled);
  return rounded - scaled === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}

/** @param {number} bits - of a half-precision float */
function half(bits) {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const sign = bits >> 15 ? -1 : 1;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
}

/**
 * @param {PixelArray} array
 * @returns {Uint8Array} a file
 */
export function writeNpy({ width, height, channels, data }) {
  const text = `{'descr': '|u1', 'fortran_order': False, 'shape': (${height}, ${width}, ${channels}), }`;
  // Magic, version, length, text and a final line break fill a multiple of 64 bytes, as the format asks.
  const length = Math.ceil((10 + text.length + 1) / 64) * 64 - 10;
  const file = new Uint8Array(10 + length + data.length);
  file.set([...MAGIC, 1, 0, length & 255, length >> 8]);
  file.set(new TextEncoder().encode(`${text.padEnd(length - 1)}\n`), 10);
  file.set(data, 10 + length);
  return file;
}

/**
 * The array made smaller: each pixel is the mean of the area that it covers.
 * @param {PixelArray} array
 * @param {number} width - at most the array's own
 * @param {number} height
 * @returns {PixelArray}
 */
export function shrink(array, width, height) {
  if (width === array.width && height === array.height) return array;
  const { channels } = array;
  const rowSize = array.width * channels;
  const narrow = new Float32Array(array.height * width * channels);
  for (const { to, from, weight } of shares(array.width, width)) {
    for (let y = 0; y < array.height; y++) {
      for (let channel = 0; channel < channels; channel++) {
        narrow[(y * width + to) * channels + channel] += weight * array.data[y * rowSize + from * channels + channel];
      }
    }
  }
  const small = new Float32Array(height * width * channels);
  for (const { to, from, weight } of shares(array.height, height)) {
    const size = width * channels;
    for (let k = 0; k < size; k++) small[to * size + k] += weight * narrow[from * size + k];
  }
  return { width, height, channels, data: Uint8Array.from(small, Math.round) };
}

/**
 * What share of each new pixel every old one has, along one side.
 * @param {number} before - pixels
 * @param {number} after - pixels
 */
function shares(before, after) {
  const step = before / after;
  const found = [];
  for (let to = 0; to < after; to++) {
    const [low, high] = [to * step, (to + 1) * step];
    for (let from = Math.floor(low); from < Math.min(before, Math.ceil(high)); from++) {
      const weight = (Math.min(high, from + 1) - Math.max(low, from)) / step;
      if (weight > 0) found.push({ to, from, weight });
    }
  }
  return found;
}

/**
 * Pixels to look at: gray of one or two channels, colours of the first three of more.
 * @param {PixelArray} array
 * @returns {Uint8ClampedArray<ArrayBuffer>} RGBA
 */
export function toRgba({ width, height, channels, data }) {
  const rgba = new Uint8ClampedArray(width * height * 4);
  const [green, blue] = channels < 3 ? [0, 0] : [1, 2];
  for (let at = 0, from = 0; at < rgba.length; at += 4, from += channels) {
    rgba[at] = data[from];
    rgba[at + 1] = data[from + green];
    rgba[at + 2] = data[from + blue];
    rgba[at + 3] = 255;
  }
  return rgba;
}
