/**
 * What the random input of a picture is made of: seeds and perhaps a style, each with a weight. A plain seed is the simplest mix. Pure
 * arithmetic; the server makes the latent of it (docs/protocol.md).
 */

/** @typedef {import("./types").Mix} Mix */
/** @typedef {import("./types").Term} Term */
/** @typedef {import("./types").Point} Point */
/** @typedef {"normal" | "bernoulli" | string} Distribution of the latent */

export const MAX_SEED = 2 ** 32 - 1;
/** What the server takes. */
const MAX_TERMS = 16;
/** Of the largest weight; a term below changes no picture that anybody could tell. */
const LEAST_SHARE = 0.004;
/** The heaviest weight that the server takes. */
const MAX_WEIGHT = 1e6;
/** Where the heaviest is lighter, the decimals of the lightest would not do. */
const MIN_HEAVIEST = 0.05;
/** Decimals of a weight as text. */
const DIGITS = 4;
/** How much of a variation its neighbours keep, and how much of a new seed they take: together they have the length of one. */
const KEPT = 0.9;
const NEW = Math.sqrt(1 - KEPT ** 2);
/** The same of the variations of a style, which should stay near it. */
const STYLE_KEPT = 0.95;
const STYLE_NEW = 0.3;

/** The style itself. @type {Mix} */
export const STYLE = [{ what: "style", weight: 1 }];

export function randomSeed() {
  return Math.floor(Math.random() * (MAX_SEED + 1));
}

/**
 * @param {number} seed
 * @returns {Mix}
 */
export function plain(seed) {
  return [{ what: seed, weight: 1 }];
}

/**
 * The seed that is the whole mix, or null.
 * @param {Mix} mix
 * @returns {number | null}
 */
export function seedOf(mix) {
  const [{ what }] = mix;
  return mix.length === 1 && typeof what === "number" ? what : null;
}

/**
 * The seed that a mix has most of: what is left of it for those who know seeds only.
 * @param {Mix} mix
 */
export function mainSeed(mix) {
  const seeds = mix.flatMap(({ what }) => (typeof what === "number" ? [what] : []));
  return seeds[0] ?? 0;
}

/** @param {Mix} mix */
export function hasStyle(mix) {
  return mix.some(({ what }) => what === "style");
}

/**
 * @param {Mix} mix
 * @returns {Mix | null} null where nothing is left
 */
export function withoutStyle(mix) {
  const rest = mix.filter(({ what }) => what !== "style");
  if (rest.length === 1) return plain(/** @type {number} */ (rest[0].what));
  return rest.length ? rest : null;
}

/**
 * The canonical text: `7` for a plain seed, else `7:0.8,12:0.6`, the heaviest first.
 * @param {Mix} mix
 */
export function mixText(mix) {
  if (mix.length === 1) return String(mix[0].what);
  return mix.map(({ what, weight }) => `${what}:${Number(weight.toFixed(DIGITS))}`).join(",");
}

/**
 * How a mix goes to the server: a plain seed as one, which every server takes.
 * @param {Mix} mix
 * @returns {{seed: number} | {mix: string}} to spread among a request's fields
 */
export function latentFields(mix) {
  const seed = seedOf(mix);
  return seed === null ? { mix: mixText(mix) } : { seed };
}

/**
 * For the name of a file: weights in percent.
 * @param {Mix} mix
 */
export function mixName(mix) {
  if (mix.length === 1) return String(mix[0].what);
  return mix.map(({ what, weight }) => `${what}x${Math.round(weight * 100)}`).join("_");
}

/**
 * @param {string} text - as `mixText` gives it; blanks and the weight of 1 may be left out
 * @returns {Mix | null} null where it is no mix
 */
export function parseMix(text) {
  const terms = text.split(",").map((part) => parseTerm(part.trim()));
  if (terms.length > MAX_TERMS || terms.some((term) => term === null)) return null;
  const mix = merge(/** @type {Term[]} */ (terms));
  if (!mix.length) return null;
  return mix.length === 1 ? [{ what: mix[0].what, weight: 1 }] : writable(mix);
}

/**
 * The same mix with weights that its text can tell and the server takes.
 * @param {Mix} mix - the heaviest first
 * @returns {Mix}
 */
function writable(mix) {
  const heaviest = mix[0].weight;
  const isWritable = heaviest >= MIN_HEAVIEST && heaviest <= MAX_WEIGHT;
  return rounded(isWritable ? mix : mix.map(({ what, weight }) => ({ what, weight: weight / heaviest })));
}

/**
 * @param {string} text
 * @returns {Term | null}
 */
function parseTerm(text) {
  const found = /^(style|\d{1,10})(?:\s*:\s*(\d+(?:\.\d*)?|\.\d+))?$/.exec(text);
  if (!found) return null;
  const what = found[1] === "style" ? "style" : Number(found[1]);
  const weight = Number(found[2] ?? 1);
  // Even the sum of as many has to be a number.
  if (!Number.isFinite(weight * MAX_TERMS)) return null;
  return what !== "style" && what > MAX_SEED ? null : { what, weight };
}

/**
 * Adds the weights of what is there twice; what weighs too little is dropped, and so is what the server would not take.
 * @param {Term[]} terms
 * @returns {Mix} the heaviest first; empty when nothing weighs anything
 */
function merge(terms) {
  /** @type {Map<number | "style", number>} */
  const weights = new Map();
  for (const { what, weight } of terms) weights.set(what, (weights.get(what) ?? 0) + weight);
  const sorted = [...weights].map(([what, weight]) => ({ what, weight })).sort(heavierFirst);
  const least = (sorted[0]?.weight ?? 0) * LEAST_SHARE;
  return sorted.filter(({ weight }) => weight > least).slice(0, MAX_TERMS);
}

/**
 * @param {Term} a
 * @param {Term} b
 */
function heavierFirst(a, b) {
  return b.weight - a.weight || String(a.what).localeCompare(String(b.what));
}

/**
 * The same mix with weights as a latent of the distribution needs them: normal draws keep the variance of one (their squares sum up
 * to 1), masks stay between 0 and 1 (they sum up to 1).
 * @param {Mix} mix
 * @param {Distribution} distribution
 * @returns {Mix}
 */
export function normalized(mix, distribution) {
  const length = distribution === "normal" ? Math.hypot(...mix.map(({ weight }) => weight)) : sumOf(mix);
  return mix.map(({ what, weight }) => ({ what, weight: weight / length }));
}

/** @param {Mix} mix */
function sumOf(mix) {
  return mix.reduce((sum, { weight }) => sum + weight, 0);
}

/**
 * A mix of mixes. Each counts as one draw, however its own weights were written.
 * @param {Mix[]} mixes
 * @param {number[]} shares - of each
 * @param {Distribution} distribution
 * @returns {Mix} flat, as few terms as will do
 */
export function blend(mixes, shares, distribution) {
  const terms = mixes.flatMap((mix, k) => normalized(mix, distribution).map((term) => ({ ...term, weight: term.weight * shares[k] })));
  const flat = merge(terms);
  return flat.length === 1 ? [{ what: flat[0].what, weight: 1 }] : rounded(normalized(flat, distribution));
}

/** As the text says it, so that equal texts are equal mixes. @param {Mix} mix */
function rounded(mix) {
  return mix.map(({ what, weight }) => ({ what, weight: Number(weight.toFixed(DIGITS)) }));
}

/**
 * A neighbour: most of a mix, and some of a new seed.
 * @param {Mix} mix
 * @param {number} seed
 * @param {Distribution} distribution
 */
export function near(mix, seed, distribution) {
  return blend([mix, plain(seed)], [KEPT, NEW], distribution);
}

/**
 * A variation of the style.
 * @param {number} seed
 * @param {Distribution} distribution
 */
export function nearStyle(seed, distribution) {
  return blend([STYLE, plain(seed)], [STYLE_KEPT, STYLE_NEW], distribution);
}

/**
 * The shares of four corners at a point of a square, in reading order. For normal draws the way along an edge is the great circle
 * between its ends, at an even pace; for masks it is the straight line.
 * @param {Point} point - both from 0 to 1
 * @param {Distribution} distribution
 * @returns {number[]}
 */
export function cornerShares({ x, y }, distribution) {
  const [left, right] = ends(x, distribution);
  const [top, bottom] = ends(y, distribution);
  return [top * left, top * right, bottom * left, bottom * right];
}

/**
 * @param {number} at - from 0 to 1
 * @param {Distribution} distribution
 */
function ends(at, distribution) {
  if (distribution !== "normal") return [1 - at, at];
  return [Math.cos((at * Math.PI) / 2), Math.sin((at * Math.PI) / 2)];
}
