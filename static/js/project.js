/**
 * Project files: a drawing with its model, variation and parameters as JSON, to open again later. A file may come from anywhere, so
 * all of it is read and checked before anything on the page changes.
 */

import { decodePicture } from "./api.js";
import { isCrop, wholeCrop } from "./cropgeometry.js";
import { clamp } from "./geometry.js";
import { LabelSurface } from "./labelsurface.js";
import { Photo } from "./photo.js";
import { PhotoSurface } from "./photosurface.js";
import { MAX_SEED, hasStyle, mainSeed, mixText, parseMix, plain, seedOf, withoutStyle } from "./mix.js";
import { StylePicture } from "./style.js";
import { newWork } from "./work.js";

/** @typedef {import("./drawing.js").AnySurface} AnySurface */
/** @typedef {import("./types").Manifest} Manifest */
/** @typedef {{kind?: unknown, picture?: unknown, runs?: unknown, name?: unknown, crop?: unknown, width?: unknown, height?: unknown}} Layer */
/** @typedef {{picture?: unknown, name?: unknown}} StyleEntry */
/** @typedef {import("./types").Mix} Mix */
/** @typedef {{model: string, mix: Mix, style: StyleEntry | null, params: Record<string, unknown>, layers: Record<string, Layer>}} Project */

const VERSION = 1;
const PICTURE = /^data:(image\/\w+|application\/x-npy);base64,/;

/** What is wrong with a project, as a message key and the values of its places. */
export class ProjectError extends Error {
  /**
   * @param {string} key
   * @param {Record<string, unknown>} [values]
   */
  constructor(key, values = {}) {
    super(key);
    this.key = key;
    this.values = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, shorten(value)]));
  }
}

/**
 * @param {import("./studio.js").Studio} studio
 * @returns {Promise<Blob>}
 */
export async function writeProject(studio) {
  const layers = await studio.drawing.toLayers();
  const { manifest } = studio;
  const { mix, style, params } = studio.choice;
  // Who knows seeds only, as older pages do, still opens it.
  const chosen = { seed: mainSeed(mix), ...(seedOf(mix) === null && { mix: mixText(mix) }), ...(style && { style: await style.toLayer() }) };
  const project = { format: "inkwash", version: VERSION, model: manifest.id, ...chosen, params, layers };
  return new Blob([JSON.stringify(project)], { type: "application/json" });
}

/**
 * Reads what can be checked without knowing the model.
 * @param {Blob} file
 * @returns {Promise<Project>}
 */
export async function readProject(file) {
  /** @type {any} */
  const content = await file.text().then(JSON.parse).catch(() => null);
  if (!isTable(content) || content.format !== "inkwash") throw new ProjectError("project.unreadable");
  const { version, model, seed, mix: text, style = null, params = {}, layers } = content;
  if (version !== VERSION) throw new ProjectError("project.version", { value: version, version: VERSION });
  if (typeof model !== "string" || !model) throw new ProjectError("project.model", { value: model });
  if (!isWhole(seed, MAX_SEED)) throw new ProjectError("project.seed", { value: seed, max: MAX_SEED });
  const mix = text === undefined ? plain(seed) : typeof text === "string" ? parseMix(text) : null;
  if (!mix) throw new ProjectError("project.mix", { value: text, max: MAX_SEED });
  if (style !== null && !isTable(style)) throw new ProjectError("project.style", { value: style });
  if (!isTable(params)) throw new ProjectError("project.params", { value: params });
  if (!isTable(layers)) throw new ProjectError("project.layers", { value: layers });
  return /** @type {Project} */ ({ model, mix, style, params, layers });
}

/**
 * Makes a project's drawing beside the one on the page. Layers that the project leaves out stay empty.
 * @param {Project} project
 * @param {Manifest} manifest - of the project's model
 * @returns {Promise<import("./work.js").Work>}
 */
export async function restoreWork(project, manifest) {
  const work = { ...newWork(manifest), ...(await restoreChoice(project, manifest)) };
  work.params = { ...work.params, ...readParams(project.params, manifest) };
  const { surfaces } = work.drawing;
  for (const [name, layer] of Object.entries(project.layers)) {
    const surface = surfaces.find(({ input }) => input.name === name);
    if (!surface) throw new ProjectError("project.layer_unknown", { layer: name, model: manifest.id });
    await restoreLayer(surface, layer);
  }
  work.drawing.commit();
  return work;
}

/**
 * The variation. A model that has no styles any more keeps the rest of the mix.
 * @param {Project} project
 * @param {Manifest} manifest
 */
async function restoreChoice({ mix, style }, { encode }) {
  const picture = encode && style ? await restoreStyle(style, encode.input) : null;
  if (picture || !hasStyle(mix)) return { mix, style: picture };
  if (encode) throw new ProjectError("project.style", { value: null });
  return { mix: withoutStyle(mix) ?? plain(0), style: null };
}

/**
 * @param {StyleEntry} style
 * @param {import("./types").ImageInput} input
 */
async function restoreStyle({ picture, name }, input) {
  const blob = typeof picture === "string" ? dataUrlToBlob(picture) : null;
  const title = typeof name === "string" ? name : "";
  const restored = blob && (await StylePicture.restore(blob, title, input).catch(() => null));
  if (!restored) throw new ProjectError("project.style", { value: picture });
  return restored;
}

/**
 * A value beyond the ends of its slider is moved to the end: a newer version of the model may have narrowed it.
 * @param {Record<string, unknown>} params
 * @param {Manifest} manifest
 * @returns {Record<string, number>}
 */
function readParams(params, manifest) {
  const known = manifest.parameters.filter(({ name }) => name in params);
  return Object.fromEntries(
    known.map(({ name, min, max, kind }) => {
      const value = params[name];
      if (typeof value !== "number") throw new ProjectError("project.param", { param: name, value });
      return [name, clamp(kind === "int" ? Math.round(value) : value, min, max)];
    }),
  );
}

/**
 * @param {AnySurface} surface
 * @param {Layer} layer
 */
async function restoreLayer(surface, layer) {
  const { name, kind } = surface.input;
  const found = isTable(layer) ? layer.kind : layer;
  if (found !== kind) throw new ProjectError("project.layer_kind", { layer: name, kind, value: found });
  if (surface instanceof LabelSurface) restoreLabels(surface, layer);
  else if (surface instanceof PhotoSurface) await restorePhoto(surface, layer);
  else await restorePaint(surface, layer);
}

/**
 * @param {LabelSurface} surface
 * @param {Layer} layer
 */
function restoreLabels(surface, { width, height, runs }) {
  const { size } = surface;
  const layer = surface.input.name;
  if (width !== size.width || height !== size.height) {
    throw new ProjectError("project.layer_size", { layer, value: sizeText({ width, height }), size: sizeText(size) });
  }
  if (!areRuns(runs, size.width * size.height, surface.colors.length)) {
    throw new ProjectError("project.layer_runs", { layer, size: sizeText(size), last: surface.colors.length - 1 });
  }
  surface.loadRuns(runs);
}

/**
 * @param {import("./paintsurface.js").PaintSurface} surface
 * @param {Layer} layer
 */
async function restorePaint(surface, { picture }) {
  const { size, input } = surface;
  const blob = typeof picture === "string" ? dataUrlToBlob(picture) : null;
  const bitmap = blob && (await decodePicture(blob).catch(() => null));
  if (!bitmap) throw new ProjectError("project.layer_picture", { layer: input.name });
  // As fine as it likes, but of the same shape: anything else would come out stretched.
  if (bitmap.width * size.height !== bitmap.height * size.width) {
    throw new ProjectError("project.layer_size", { layer: input.name, value: sizeText(bitmap), size: sizeText(size) });
  }
  surface.loadFine(bitmap);
  bitmap.close();
}

/**
 * @param {PhotoSurface} surface
 * @param {Layer} layer - `picture` is null where no photo was open
 */
async function restorePhoto(surface, { picture, name, crop }) {
  if (picture === null) return;
  const blob = typeof picture === "string" ? dataUrlToBlob(picture) : null;
  const photo = blob && (await Photo.openFor(surface.input, blob, typeof name === "string" ? name : "").catch(() => null));
  if (!photo) throw new ProjectError("project.layer_picture", { layer: surface.input.name });
  const wanted = crop ?? wholeCrop(photo.size);
  if (!isCrop(wanted, photo.size)) {
    throw new ProjectError("project.layer_crop", { layer: surface.input.name, size: sizeText(photo.size) });
  }
  surface.restore(photo, wanted);
}

/**
 * Decoded by hand: the page's policy lets nothing be fetched from a data URL.
 * @param {string} url
 * @returns {Blob | null}
 */
function dataUrlToBlob(url) {
  if (!PICTURE.test(url)) return null;
  try {
    const bytes = Uint8Array.from(atob(url.replace(PICTURE, "")), (char) => char.charCodeAt(0));
    return new Blob([bytes], { type: "image/png" });
  } catch {
    return null;
  }
}

/**
 * @param {unknown} runs
 * @param {number} length - of all runs together
 * @param {number} classes
 * @returns {runs is number[]}
 */
function areRuns(runs, length, classes) {
  if (!Array.isArray(runs) || runs.length % 2) return false;
  let covered = 0;
  for (let k = 0; k < runs.length; k += 2) {
    if (!isWhole(runs[k], length) || !isWhole(runs[k + 1], classes - 1)) return false;
    covered += runs[k];
  }
  return covered === length;
}

/**
 * @param {unknown} value
 * @param {number} max
 */
function isWhole(value, max) {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= max;
}

/**
 * @param {unknown} value
 * @returns {value is Record<string, any>}
 */
function isTable(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** @param {{width: unknown, height: unknown}} size */
function sizeText({ width, height }) {
  return `${shorten(width)} × ${shorten(height)}`;
}

/** @param {unknown} value */
function shorten(value) {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "—");
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
