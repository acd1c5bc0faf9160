/**
 * PNG encoding of exact bytes. A canvas would premultiply colours, may be perturbed by privacy settings and is slow to answer
 * `toBlob` while someone draws; this writes what it is given.
 */

import { crc32 } from "./crc.js";

/**
 * @typedef {object} PngImage
 * @property {number} width
 * @property {number} height
 * @property {1 | 3 | 4} channels - gray (or index when there is a palette), RGB, RGBA
 * @property {Uint8Array} data - row by row, no padding
 * @property {string[]} [palette] - `#rrggbb` by index
 */

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const COLOR_TYPE = { 1: 0, 3: 2, 4: 6 };
const INDEXED = 3;

/**
 * @param {PngImage} image
 * @returns {Promise<Uint8Array>}
 */
export async function encodePng(image) {
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, image.width);
  view.setUint32(4, image.height);
  header[8] = 8;
  header[9] = image.palette ? INDEXED : COLOR_TYPE[image.channels];
  const parts = [chunk("IHDR", header)];
  if (image.palette) parts.push(chunk("PLTE", Uint8Array.from(image.palette.flatMap(hexToRgb))));
  parts.push(chunk("IDAT", await deflate(scanlines(image))), chunk("IEND", new Uint8Array()));
  return concat([Uint8Array.from(SIGNATURE), ...parts]);
}

/**
 * @param {string} color - `#rrggbb`
 * @returns {[number, number, number]}
 */
export function hexToRgb(color) {
  const value = parseInt(color.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

/**
 * @param {Iterable<number>} rgb - red, green and blue, [0, 255]
 * @returns {string} `#rrggbb`
 */
export function rgbToHex([red, green, blue]) {
  return `#${[red, green, blue].map((value) => value.toString(16).padStart(2, "0")).join("")}`;
}

/**
 * @param {Uint8Array | Blob} content
 * @returns {Promise<string>}
 */
export function toDataUrl(content, type = "image/png") {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(/** @type {string} */ (reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(new Blob([/** @type {BlobPart} */ (content)], { type }));
  });
}

/**
 * A canvas as a file, encoded by the browser.
 * @param {HTMLCanvasElement} canvas
 * @param {string} [type]
 * @param {number} [quality] - [0, 1], of JPEG
 * @returns {Promise<Blob>}
 */
export function toFile(canvas, type = "image/png", quality = 0.95) {
  return new Promise((resolve, reject) => {
    const take = (/** @type {Blob | null} */ blob) => (blob ? resolve(blob) : reject(new Error("The browser could not encode the picture.")));
    canvas.toBlob(take, type, quality);
  });
}

/**
 * Rows with their filter byte: "up" for flat drawings would save little, so none is filtered.
 * @param {PngImage} image
 */
function scanlines(image) {
  const stride = image.width * image.channels;
  const rows = new Uint8Array((stride + 1) * image.height);
  for (let y = 0; y < image.height; y++) {
    rows.set(image.data.subarray(y * stride, (y + 1) * stride), y * (stride + 1) + 1);
  }
  return rows;
}

/**
 * @param {Uint8Array} bytes
 * @returns {Promise<Uint8Array>} a zlib stream
 */
async function deflate(bytes) {
  if (typeof CompressionStream !== "function") return storedZlib(bytes);
  const blob = new Blob([/** @type {BlobPart} */ (bytes)]);
  const stream = blob.stream().pipeThrough(/** @type {TransformStream} */ (new CompressionStream("deflate")));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/**
 * A zlib stream of stored blocks, for browsers without CompressionStream.
 * @param {Uint8Array} bytes
 * @returns {Uint8Array}
 */
export function storedZlib(bytes) {
  const limit = 0xffff;
  /** @type {Uint8Array[]} */
  const parts = [Uint8Array.of(0x78, 0x01)];
  for (let at = 0; at === 0 || at < bytes.length; at += limit) {
    const block = bytes.subarray(at, at + limit);
    const last = at + limit >= bytes.length ? 1 : 0;
    const size = block.length;
    parts.push(Uint8Array.of(last, size & 255, size >> 8, ~size & 255, (~size >> 8) & 255), block);
  }
  const sum = adler32(bytes);
  parts.push(Uint8Array.of(sum >>> 24, (sum >> 16) & 255, (sum >> 8) & 255, sum & 255));
  return concat(parts);
}

/** @param {Uint8Array} bytes */
function adler32(bytes) {
  let a = 1;
  let b = 0;
  for (const byte of bytes) {
    a = (a + byte) % 65521;
    b = (b + a) % 65521;
  }
  return ((b << 16) | a) >>> 0;
}

/**
 * @param {string} type
 * @param {Uint8Array} data
 */
function chunk(type, data) {
  const out = new Uint8Array(data.length + 12);
  const view = new DataView(out.buffer);
  view.setUint32(0, data.length);
  for (let k = 0; k < 4; k++) out[4 + k] = type.charCodeAt(k);
  out.set(data, 8);
  view.setUint32(data.length + 8, crc32(out.subarray(4, data.length + 8)));
  return out;
}

/** @param {Uint8Array[]} parts */
export function concat(parts) {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
