/** A photo as it was opened: its file, its true size, and a smaller copy for the screen. It knows neither models nor the page. */

import { decodePicture } from "./api.js";
import { croppedSize, cropMatrix, isWhole } from "./cropgeometry.js";
import { isArrayInput } from "./inputs.js";
import { NpyError, readNpy, toRgba } from "./npy.js";

/** @typedef {import("./types").Crop} Crop */
/** @typedef {import("./types").Rect} Rect */
/** @typedef {import("./npy.js").PixelArray} PixelArray */
/** @typedef {HTMLCanvasElement | HTMLVideoElement | ImageBitmap} Source */

/** Longer side of the copy for the screen, pixels. */
const SCREEN_SIDE = 2048;
/** What servers accept unless told otherwise (INKWASH_MAX_PIXELS), and the largest canvas of some phones. */
export const MAX_PIXELS = 2 ** 24;
const SIGNATURES = [
  { type: "image/png", at: 0, bytes: [0x89, 0x50, 0x4e, 0x47] },
  { type: "image/jpeg", at: 0, bytes: [0xff, 0xd8, 0xff] },
  { type: "image/webp", at: 8, bytes: [0x57, 0x45, 0x42, 0x50] },
  // "ftyp", then the brand: AVIF's begins with "av", everything else in this box that phones write is HEIC.
  { type: "image/avif", at: 4, bytes: [0x66, 0x74, 0x79, 0x70, 0x61, 0x76] },
  { type: "image/heic", at: 4, bytes: [0x66, 0x74, 0x79, 0x70] },
  { type: "application/x-npy", at: 0, bytes: [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59] },
];
/** Formats that the server reads, so that such a file can be sent as it is. */
const SENT_AS_IS = ["image/png", "image/jpeg", "image/webp", "application/x-npy"];

/** Why a file is no photo, as a message key and the values of its places. */
export class PhotoError extends Error {
  /**
   * @param {string} key
   * @param {Record<string, string | number>} values
   */
  constructor(key, values) {
    super(key);
    this.key = key;
    this.values = values;
  }
}

export class Photo {
  /**
   * @param {object} parts
   * @param {string} parts.name - of its file
   * @param {Blob | null} parts.blob - the file; null where `screen` is all there is
   * @param {HTMLCanvasElement | HTMLVideoElement} parts.screen - a film only for as long as it runs
   * @param {{width: number, height: number}} parts.size - upright, pixels
   * @param {string} [parts.type] - what the file's bytes are
   * @param {PixelArray | null} [parts.array] - the numbers, where the file is an array
   */
  constructor({ name, blob, screen, size, type = "", array = null }) {
    this.name = name;
    this.blob = blob;
    this.screen = screen;
    this.size = size;
    this.type = type;
    this.array = array;
  }

  /**
   * @param {Blob} blob
   * @param {string} name
   * @returns {Promise<Photo>} upright, as its EXIF orientation says
   * @throws {PhotoError}
   */
  static async open(blob, name) {
    const type = await typeOf(blob);
    if (type === "application/x-npy") return openArray(blob, name);
    const bitmap = await decodePicture(blob).catch(() => null);
    if (!bitmap) throw new PhotoError(type === "image/heic" ? "open.heic" : type ? "open.damaged" : "open.unreadable", { name });
    const size = { width: bitmap.width, height: bitmap.height };
    const screen = copyOf(bitmap, size, SCREEN_SIDE);
    bitmap.close();
    return new Photo({ name, blob, screen, size, type });
  }

  /**
   * @param {import("./types").ImageInput} input - that it is for
   * @param {Blob} blob
   * @param {string} name
   * @returns {Promise<Photo>} with as many channels as the input takes
   * @throws {PhotoError}
   */
  static async openFor(input, blob, name) {
    const photo = await Photo.open(blob, name);
    const found = photo.array?.channels ?? 3;
    const { channels } = input;
    if (isArrayInput(input) && !photo.array) throw new PhotoError("open.array_wanted", { name, channels });
    const isFitting = isArrayInput(input) ? found === channels : found === 1 || found === 3;
    if (!isFitting) throw new PhotoError("open.array_channels", { name, found, channels });
    return photo;
  }

  /**
   * @param {Source} source - may be given up afterwards
   * @param {{width: number, height: number}} size - pixels
   * @param {string} name
   * @param {boolean} [isMirrored]
   */
  static of(source, size, name, isMirrored = false) {
    return new Photo({ name, blob: null, screen: copyOf(source, size, Infinity, isMirrored), size });
  }

  /** Whether the file shows just what the crop shows, in a format that the server reads. @param {Crop} crop */
  canSendFile(crop) {
    return this.blob !== null && SENT_AS_IS.includes(this.type) && isWhole(crop, this.size);
  }

  /**
   * Draws the crop from the copy for the screen.
   * @param {CanvasRenderingContext2D} context
   * @param {Crop} crop
   * @param {Rect} box - target pixels
   */
  draw(context, crop, box) {
    drawCropped(context, this.screen, this.size, crop, box);
  }

  /**
   * A small copy to tell photos apart.
   * @param {number} side - of the square that it fits into, pixels
   */
  thumbnail(side) {
    return copyOf(this.screen, this.size, side);
  }

  /**
   * The crop at the photo's own resolution.
   * @param {Crop} crop
   * @param {number} [maxPixels] - of the result; it is made smaller where it would have more
   * @returns {Promise<HTMLCanvasElement>}
   */
  async render(crop, maxPixels = MAX_PIXELS) {
    const size = limited(croppedSize(crop), maxPixels);
    const canvas = newCanvas(size);
    const isScreenEnough = this.screen.width === this.size.width;
    const bitmap = isScreenEnough ? null : await this.#whole();
    const context = contextOf(canvas);
    // Transparent parts would turn black in a JPEG.
    context.fillStyle = "#fff";
    context.fillRect(0, 0, size.width, size.height);
    drawCropped(context, bitmap ?? this.screen, this.size, crop, { x: 0, y: 0, ...size });
    if (bitmap instanceof ImageBitmap) bitmap.close();
    return canvas;
  }

  /** All of its pixels, where they are more than the copy for the screen has. */
  async #whole() {
    if (this.array) return canvasOf(this.array);
    return this.blob && decodePicture(this.blob);
  }
}

/**
 * @param {Blob} blob
 * @param {string} name
 * @returns {Promise<Photo>}
 */
async function openArray(blob, name) {
  try {
    const array = readNpy(new Uint8Array(await blob.arrayBuffer()));
    const size = { width: array.width, height: array.height };
    const screen = copyOf(canvasOf(array), size, SCREEN_SIDE);
    return new Photo({ name, blob, screen, size, type: "application/x-npy", array });
  } catch (error) {
    throw error instanceof NpyError ? new PhotoError(error.key, { name }) : error;
  }
}

/** @param {PixelArray} array */
function canvasOf(array) {
  const canvas = newCanvas(array);
  contextOf(canvas).putImageData(new ImageData(toRgba(array), array.width, array.height), 0, 0);
  return canvas;
}

/**
 * The format that a file's first bytes tell, whatever its name and type say.
 * @param {Blob} blob
 * @returns {Promise<string>} "" where it is none that we know
 */
export async function typeOf(blob) {
  const head = new Uint8Array(await blob.slice(0, 16).arrayBuffer());
  const found = SIGNATURES.find(({ at, bytes }) => bytes.every((byte, k) => head[at + k] === byte));
  return found?.type ?? "";
}

/**
 * The size itself, or one of the same shape with at most so many pixels.
 * @param {{width: number, height: number}} size
 * @param {number} maxPixels
 */
export function limited({ width, height }, maxPixels) {
  const scale = Math.min(1, Math.sqrt(maxPixels / (width * height)));
  return { width: Math.max(1, Math.floor(width * scale)), height: Math.max(1, Math.floor(height * scale)) };
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Source} source - of the photo's shape, of any size
 * @param {{width: number, height: number}} size - the photo's
 * @param {Crop} crop
 * @param {Rect} box
 */
function drawCropped(context, source, size, crop, box) {
  context.save();
  context.beginPath();
  context.rect(box.x, box.y, box.width, box.height);
  context.clip();
  context.transform(...cropMatrix(crop, size, box));
  context.imageSmoothingQuality = "high";
  context.drawImage(source, 0, 0, size.width, size.height);
  context.restore();
}

/**
 * @param {Source} source
 * @param {{width: number, height: number}} size
 * @param {number} maxSide
 */
function copyOf(source, size, maxSide, isMirrored = false) {
  const scale = Math.min(1, maxSide / Math.max(size.width, size.height));
  const canvas = newCanvas({ width: Math.max(1, Math.round(size.width * scale)), height: Math.max(1, Math.round(size.height * scale)) });
  const context = contextOf(canvas);
  context.imageSmoothingQuality = "high";
  if (isMirrored) context.setTransform(-1, 0, 0, 1, canvas.width, 0);
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  return canvas;
}

/** @param {{width: number, height: number}} size */
function newCanvas({ width, height }) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  return canvas;
}

/** @param {HTMLCanvasElement} canvas */
function contextOf(canvas) {
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
}
