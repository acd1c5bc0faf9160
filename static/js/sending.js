/**
 * Sends photos at their own size. A file goes as it is where that shows what is wanted; a server that will not have it so large, or
 * not in its format, gets it made anew, smaller each time. It waits for nothing: who calls decides when to try again.
 */

import { ApiError, translateFile } from "./api.js";
import { MAX_PIXELS } from "./photo.js";
import { toFile } from "./png.js";

/** @typedef {import("./types").Crop} Crop */
/** @typedef {import("./photo.js").Photo} Photo */
/**
 * @typedef {object} Order
 * @property {string} model - its id
 * @property {import("./types").Mix} mix
 * @property {Uint8Array | null} [style]
 * @property {Record<string, number>} params
 * @property {string} type - image type wanted back
 * @property {import("./types").EncodedInput[]} [others]
 */
/** @typedef {{picture: Blob, isReduced: boolean}} Translated isReduced: smaller than the photo */

/** Each try has a third of the pixels of the one before. */
const SHRINK = 3;
const TRIES = 4;
/** Not read as it is, but perhaps once the browser has written it anew. */
const FORMAT_CODES = ["bad_image", "unsupported_media_type"];
const SIZE_CODES = ["image_too_large", "body_too_large"];
/** Up to so many pixels a crop is sent without loss. */
const LOSSLESS_PIXELS = 2 ** 20;

/**
 * @param {Photo} photo
 * @param {Crop} crop
 * @param {Order} order
 * @param {AbortSignal} [signal]
 * @returns {Promise<Translated>}
 */
export async function translatePhoto(photo, crop, order, signal) {
  const full = crop.rect.width * crop.rect.height;
  if (photo.canSendFile(crop) && full <= MAX_PIXELS) {
    try {
      return { picture: await send(/** @type {Blob} */ (photo.blob), order, signal), isReduced: false };
    } catch (error) {
      if (!hasCode(error, [...FORMAT_CODES, ...SIZE_CODES])) throw error;
    }
  }
  return translateAnew(photo, crop, order, signal);
}

/**
 * @param {Photo} photo
 * @param {Crop} crop
 * @param {Order} order
 * @param {AbortSignal} [signal]
 * @returns {Promise<Translated>}
 */
async function translateAnew(photo, crop, order, signal) {
  const full = crop.rect.width * crop.rect.height;
  let pixels = Math.min(MAX_PIXELS, full);
  for (let left = TRIES; ; pixels /= SHRINK) {
    const canvas = await photo.render(crop, pixels);
    const made = await toFile(canvas, canvas.width * canvas.height <= LOSSLESS_PIXELS ? "image/png" : "image/jpeg");
    signal?.throwIfAborted();
    try {
      return { picture: await send(made, order, signal), isReduced: canvas.width * canvas.height < 0.98 * full };
    } catch (error) {
      if (--left === 0 || !hasCode(error, SIZE_CODES)) throw error;
    }
  }
}

/**
 * @param {Blob} picture
 * @param {Order} order
 * @param {AbortSignal} [signal]
 */
function send(picture, { model, ...rest }, signal) {
  return translateFile(model, { picture, ...rest }, signal);
}

/**
 * @param {unknown} error
 * @param {string[]} codes
 */
function hasCode(error, codes) {
  return error instanceof ApiError && codes.includes(error.problem.code);
}
