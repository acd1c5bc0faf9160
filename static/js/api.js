/** Requests to the server this page came from. Every failure is an `ApiError` with the problem's code. */

import { latentFields } from "./mix.js";
import { toDataUrl } from "./png.js";

/** @typedef {import("./types").Manifest} Manifest */
/** @typedef {import("./types").Request} Request */

export class ApiError extends Error {
  /** @param {import("./types").Problem} problem */
  constructor(problem) {
    super(problem.detail || problem.title);
    this.problem = problem;
  }
}

/**
 * @param {string} path - below the page's address
 * @returns {string}
 */
export function urlOf(path) {
  return new URL(path, document.baseURI).href;
}

/** @param {string} id */
export function liveUrl(id) {
  const url = new URL(`live/${id}`, document.baseURI);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

/** @param {string} id */
export function previewUrl(id) {
  return urlOf(`models/${id}/preview`);
}

/**
 * @param {string} id
 * @param {number} k
 * @param {string} [part] - input name; without it the result
 */
export function sampleUrl(id, k, part) {
  return urlOf(`models/${id}/samples/${k}${part ? `?part=${encodeURIComponent(part)}` : ""}`);
}

/**
 * @param {string} id
 * @returns {Promise<Manifest>}
 */
export async function fetchManifest(id) {
  return (await request(`models/${id}`)).json();
}

/** @param {string} id */
export async function fetchCard(id) {
  return (await request(`models/${id}/card`)).text();
}

/**
 * @param {string} url
 * @returns {Promise<ImageBitmap>}
 */
export async function fetchPicture(url) {
  return decodePicture(await fetchFile(url));
}

/** @param {string} url */
export async function fetchFile(url) {
  return (await request(url)).blob();
}

/**
 * @param {Blob} blob
 * @param {number} [width] - scaled to, pixels
 * @returns {Promise<ImageBitmap>} upright, with the bytes' own colours
 */
export function decodePicture(blob, width) {
  return createImageBitmap(blob, { colorSpaceConversion: "none", ...(width && { resizeWidth: width, resizeQuality: "high" }) });
}

/**
 * @param {string} id
 * @param {Request} wanted
 * @param {AbortSignal} [signal]
 * @returns {Promise<Blob>} one picture
 */
export async function translate(id, { inputs, mix, style, params, type }, signal) {
  const entries = inputs.map(async ({ name, bytes }) => [name, await toDataUrl(bytes)]);
  const pictures = Object.fromEntries(await Promise.all(entries));
  const body = { inputs: pictures, params, ...latentFields(mix), ...(style && { style: await toDataUrl(style) }) };
  const headers = { "Content-Type": "application/json", Accept: type };
  return (await request(`translate/${id}`, { method: "POST", headers, body: JSON.stringify(body), signal })).blob();
}

/**
 * Translates a picture file at its own size. The answer is as large as the picture.
 * @param {string} id
 * @param {object} wanted
 * @param {Blob} wanted.picture - for the main input: PNG, JPEG or WebP
 * @param {import("./types").EncodedInput[]} [wanted.others] - further inputs
 * @param {import("./types").Mix} wanted.mix
 * @param {Uint8Array | null} [wanted.style]
 * @param {Record<string, number>} wanted.params
 * @param {string} wanted.type - image type wanted back
 * @param {AbortSignal} [signal]
 * @returns {Promise<Blob>}
 */
export async function translateFile(id, { picture, others = [], mix, style = null, params, type }, signal) {
  const query = new URLSearchParams({ size: "original" });
  for (const [name, value] of Object.entries({ ...latentFields(mix), ...params })) query.set(name, String(value));
  const form = new FormData();
  form.set("image", picture, "image");
  const further = style ? [...others, { name: "style", bytes: style }] : others;
  for (const { name, bytes } of further) form.set(name, new Blob([/** @type {BlobPart} */ (bytes)]), name);
  const response = await request(`translate/${id}?${query}`, { method: "POST", headers: { Accept: type }, body: form, signal });
  return response.blob();
}

/**
 * How long the server asks to wait, or null when it does not answer or does not ask.
 * @returns {Promise<number | null>} seconds
 */
export async function probe() {
  try {
    const response = await fetch(urlOf("v2/health/ready"), { cache: "no-store" });
    return retryAfter(response);
  } catch {
    return null;
  }
}

/**
 * @param {string} path
 * @param {RequestInit} [init]
 */
async function request(path, init) {
  /** @type {Response} */
  let response;
  try {
    response = await fetch(urlOf(path), init);
  } catch (error) {
    if (init?.signal?.aborted) throw error;
    throw new ApiError({ status: 0, code: "unreachable", title: "unreachable", detail: "", retryAfter: null });
  }
  if (response.ok) return response;
  const told = await response.json().catch(() => ({}));
  throw new ApiError({
    status: response.status,
    code: told.code ?? "internal",
    title: told.title ?? response.statusText,
    detail: told.detail ?? "",
    retryAfter: retryAfter(response),
  });
}

/** @param {Response} response */
function retryAfter(response) {
  const seconds = Number(response.headers.get("Retry-After"));
  return Number.isFinite(seconds) && seconds > 0 ? seconds : null;
}
