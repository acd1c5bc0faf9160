/** A picture whose style is wanted: a small copy, as large as the model reads it, for every request to carry. */

import { croppedSize, wholeCrop } from "./cropgeometry.js";
import { workingSize } from "./geometry.js";
import { Photo } from "./photo.js";
import { paperOf } from "./photosurface.js";
import { toDataUrl, toFile } from "./png.js";

/** @typedef {import("./types").ImageInput} ImageInput */

/** Colours count here, and every live frame carries the file. */
const QUALITY = 0.92;
/** Of models that read any size, pixels. */
const USUAL_SIDE = 256;
/** A file for every frame to carry; what `open` makes has a tenth of it. */
const MAX_BYTES = 2 ** 19;

export class StylePicture {
  /**
   * @param {string} name - of its file
   * @param {HTMLCanvasElement} canvas - at the size that the model reads
   * @param {Uint8Array} bytes - the same as a file
   */
  constructor(name, canvas, bytes) {
    this.name = name;
    this.canvas = canvas;
    this.bytes = bytes;
  }

  /**
   * Writes the file anew whatever it is: a photo's own may tell where it was taken.
   * @param {Blob} blob
   * @param {string} name
   * @param {ImageInput} input - what the model reads styles as
   * @throws {import("./photo.js").PhotoError}
   */
  static async open(blob, name, input) {
    const { canvas } = await read(blob, name, input);
    const file = await toFile(canvas, "image/jpeg", QUALITY);
    return new StylePicture(name, canvas, new Uint8Array(await file.arrayBuffer()));
  }

  /**
   * Out of a project file, as `toLayer` wrote it: written anew it would be another style, unless the model reads another size by now.
   * @param {Blob} blob
   * @param {string} name
   * @param {ImageInput} input - what the model reads styles as
   * @returns {Promise<StylePicture | null>} null where the file is too large to be one of ours
   * @throws {import("./photo.js").PhotoError}
   */
  static async restore(blob, name, input) {
    if (blob.size > MAX_BYTES) return null;
    const { photo, canvas } = await read(blob, name, input);
    const isMade = photo.type === "image/jpeg" && photo.size.width === canvas.width && photo.size.height === canvas.height;
    if (!isMade) return StylePicture.open(blob, name, input);
    return new StylePicture(name, canvas, new Uint8Array(await blob.arrayBuffer()));
  }

  /** For a project file. */
  async toLayer() {
    return { picture: await toDataUrl(this.bytes, "image/jpeg"), name: this.name };
  }
}

/**
 * @param {Blob} blob
 * @param {string} name
 * @param {ImageInput} input
 */
async function read(blob, name, input) {
  const photo = await Photo.openFor(input, blob, name);
  return { photo, canvas: draw(photo, workingSize(input.size, USUAL_SIDE), paperOf(input)) };
}

/**
 * The middle of a photo, filling the size: no border may lend its colour to the style.
 * @param {Photo} photo
 * @param {import("./types").Size} size
 * @param {string} paper - CSS colour of what is transparent
 */
function draw(photo, size, paper) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [size.width, size.height];
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.fillStyle = paper;
  context.fillRect(0, 0, size.width, size.height);
  photo.draw(context, middleOf(photo, size), { x: 0, y: 0, ...size });
  return canvas;
}

/**
 * @param {Photo} photo
 * @param {import("./types").Size} size
 */
function middleOf(photo, size) {
  const whole = wholeCrop(photo.size);
  const extent = croppedSize(whole);
  const scale = Math.min(extent.width / size.width, extent.height / size.height);
  const [width, height] = [size.width * scale, size.height * scale];
  return { ...whole, rect: { x: -width / 2, y: -height / 2, width, height } };
}
