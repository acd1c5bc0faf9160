/** What one works on: a model with its drawing, its parameters and the variation of it. It holds state and changes none of its own accord. */

import { Drawing } from "./drawing.js";
import { plain, randomSeed } from "./mix.js";
import { PhotoSurface } from "./photosurface.js";

/** @typedef {import("./types").Manifest} Manifest */
/** @typedef {import("./types").Mix} Mix */
/** @typedef {import("./style.js").StylePicture} StylePicture */
/** @typedef {Map<string, ImageBitmap | import("./photo.js").Photo>} Pictures by input name */
/**
 * @typedef {object} Work
 * @property {Manifest} manifest
 * @property {Drawing} drawing
 * @property {Record<string, number>} params
 * @property {Mix} mix - what the random input is made of
 * @property {StylePicture | null} style - the picture whose style a mix may have
 */

/**
 * @param {Manifest} manifest
 * @returns {Work} an empty drawing with the model's defaults
 */
export function newWork(manifest) {
  const params = Object.fromEntries(manifest.parameters.map((parameter) => [parameter.name, parameter.default]));
  const mix = plain(manifest.samples[0]?.seed ?? randomSeed());
  return { manifest, drawing: new Drawing(manifest), params, mix, style: null };
}

/**
 * @param {Drawing} drawing
 * @param {Pictures} pictures
 */
export function putPictures(drawing, pictures) {
  for (const surface of drawing.surfaces) {
    const picture = pictures.get(surface.input.name);
    if (surface instanceof PhotoSurface && picture) surface.load(picture);
    else if (picture instanceof ImageBitmap) surface.load(picture);
  }
}
