/** Project files: a drawing with its model, seed and parameters as JSON, to open again later. */

import { decodePicture } from "./api.js";
import { LabelSurface } from "./labelsurface.js";

/**
 * @typedef {object} Project
 * @property {"inkwash"} format
 * @property {1} version
 * @property {string} model
 * @property {number} seed
 * @property {Record<string, number>} params
 * @property {Record<string, {kind: string, picture?: string, runs?: number[], width?: number, height?: number}>} layers
 */

/**
 * @param {import("./studio.js").Studio} studio
 * @returns {Promise<Blob>}
 */
export async function writeProject(studio) {
  const layers = await studio.drawing.toLayers();
  const project = { format: "inkwash", version: 1, model: studio.manifest.id, seed: studio.seed, params: studio.params, layers };
  return new Blob([JSON.stringify(project)], { type: "application/json" });
}

/**
 * @param {Blob} file
 * @returns {Promise<Project | null>} null when it is no project of this version
 */
export async function readProject(file) {
  try {
    const project = JSON.parse(await file.text());
    const isProject = project.format === "inkwash" && project.version === 1 && typeof project.layers === "object";
    return isProject ? project : null;
  } catch {
    return null;
  }
}

/**
 * Puts a project's layers into the drawing of its model, as one undo step.
 * @param {import("./studio.js").Studio} studio - already at the project's model
 * @param {Project} project
 */
export async function loadProject(studio, project) {
  const pictures = new Map();
  for (const [name, layer] of Object.entries(project.layers)) {
    if (layer.picture) pictures.set(name, await decodePicture(dataUrlToBlob(layer.picture)));
  }
  studio.cancelStroke();
  studio.drawing.clear();
  for (const surface of studio.drawing.surfaces) {
    const layer = project.layers[surface.input.name];
    const picture = pictures.get(surface.input.name);
    if (surface instanceof LabelSurface) {
      const fits = layer?.width === surface.size.width && layer.height === surface.size.height;
      if (layer?.runs && fits) surface.loadRuns(layer.runs);
    } else if (picture) {
      surface.loadFine(picture);
    }
  }
  for (const parameter of studio.manifest.parameters) {
    const value = project.params?.[parameter.name];
    if (typeof value === "number") studio.setParam(parameter.name, Math.min(parameter.max, Math.max(parameter.min, value)));
  }
  studio.record("step.project", project.seed);
}

/**
 * Decoded by hand: the page's policy lets nothing be fetched from a data URL.
 * @param {string} url
 */
function dataUrlToBlob(url) {
  const bytes = Uint8Array.from(atob(url.slice(url.indexOf(",") + 1)), (char) => char.charCodeAt(0));
  return new Blob([bytes], { type: "image/png" });
}
