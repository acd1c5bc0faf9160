/** Requests to the server this page came from. Every failure is an `ApiError` with the problem's code. */

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
 * @returns {Promise<Blob>} one picture
 */
export async function translate(id, wanted) {
  return (await post(id, wanted, 1, wanted.type)).blob();
}

/**
 * @param {string} id
 * @param {Request} wanted
 * @param {number} n
 * @returns {Promise<import("./types").Variation[]>}
 */
export async function translateMany(id, wanted, n) {
  return (await (await post(id, wanted, n, "application/json")).json()).images;
}

/**
 * @param {string} id
 * @param {Request} wanted
 * @param {number} n
 * @param {string} accept
 */
async function post(id, wanted, n, accept) {
  const entries = wanted.inputs.map(async ({ name, bytes }) => [name, await toDataUrl(bytes)]);
  const inputs = Object.fromEntries(await Promise.all(entries));
  return request(`translate/${id}`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: accept },
    body: JSON.stringify({ inputs, seed: wanted.seed, n, params: wanted.params }),
  });
}

/**
 * Translates a picture file at its own size. The answer is as large as the picture.
 * @param {string} id
 * @param {object} wanted
 * @param {Blob} wanted.picture - for the main input: PNG, JPEG or WebP
 * @param {import("./types").EncodedInput[]} [wanted.others] - further inputs
 * @param {number} wanted.seed
 * @param {Record<string, number>} wanted.params
 * @param {string} wanted.type - image type wanted back
 * @param {AbortSignal} [signal]
 * @returns {Promise<Blob>}
 */
export async function translateFile(id, { picture, others = [], seed, params, type }, signal) {
  const query = new URLSearchParams({ size: "original", seed: String(seed) });
  for (const [name, value] of Object.entries(params)) query.set(name, String(value));
  const form = new FormData();
  form.set("image", picture, "image");
  for (const { name, bytes } of others) form.set(name, new Blob([/** @type {BlobPart} */ (bytes)]), name);
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
