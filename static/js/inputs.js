/**
 * Where each input of a model belongs on the page: on the sheet, or in a slot of its own beside it, and what opens there. It knows
 * manifests only.
 */

/** @typedef {import("./types").ImageInput} ImageInput */
/** @typedef {import("./types").Manifest} Manifest */
/** @typedef {import("./words.js").Words} Words */

/**
 * Whether the input takes an array of numbers that no picture holds.
 * @param {ImageInput} input
 */
export function isArrayInput({ kind, channels }) {
  return kind === "photo" && channels !== 1 && channels !== 3;
}

/**
 * The inputs on the sheet: the main one, and colour hints over it.
 * @param {Manifest} manifest
 */
export function layerInputs({ inputs }) {
  return inputs.filter((input, k) => k === 0 || input.kind === "hints");
}

/**
 * The inputs beside the sheet, each opened from a file.
 * @param {Manifest} manifest
 */
export function slotInputs({ inputs }) {
  return inputs.filter((input, k) => k > 0 && input.kind !== "hints");
}

/**
 * What people call an input: a known name in their language, else the name as it is written in the manifest.
 * @param {ImageInput} input
 * @param {Words} words
 */
export function inputTitle({ name }, words) {
  const known = words.messages[`input.name.${name}`];
  const spaced = name.replaceAll("_", " ");
  return known ?? spaced[0].toUpperCase() + spaced.slice(1);
}

/**
 * What may be opened for an input, in words.
 * @param {ImageInput} input
 * @param {Words} words
 */
export function inputFormat(input, words) {
  if (isArrayInput(input)) return words.t("input.format.array", { channels: input.channels });
  return words.t(`input.format.${input.kind}`);
}

const PICTURES = "image/png,image/jpeg,image/webp,image/gif,image/avif,image/bmp";

/**
 * What a file chooser offers for an input.
 * @param {ImageInput} input
 */
export function acceptedFiles(input) {
  if (isArrayInput(input)) return ".npy";
  return ["gray", "photo"].includes(input.kind) ? `${PICTURES},.npy` : PICTURES;
}

/** A picture cannot be made because inputs are missing. */
export class MissingInputError extends Error {
  /** @param {ImageInput[]} inputs - at least one */
  constructor(inputs) {
    super(`Missing: ${inputs.map(({ name }) => name).join(", ")}`);
    this.inputs = inputs;
  }
}

/**
 * @param {ImageInput[]} inputs
 * @param {Words} words
 */
export function listTitles(inputs, words) {
  return new Intl.ListFormat(words.lang, { type: "conjunction" }).format(inputs.map((input) => inputTitle(input, words)));
}
