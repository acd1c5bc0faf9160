/** What two requests have in common. Pure. */

import { sameBytes } from "./pixels.js";

/** @typedef {import("./types").Request} Request */

/**
 * Whether both are of the same pictures and parameters, so that equal mixes make equal pictures.
 * @param {Request} a
 * @param {Request} b
 */
export function isSameSource(a, b) {
  return isSameStyle(a.style, b.style) && JSON.stringify(a.params) === JSON.stringify(b.params) && areSameInputs(a.inputs, b.inputs);
}

/**
 * @param {Uint8Array | null} a
 * @param {Uint8Array | null} b
 */
function isSameStyle(a, b) {
  return a === b || (a !== null && b !== null && sameBytes(a, b));
}

/**
 * @param {import("./types").EncodedInput[]} a
 * @param {import("./types").EncodedInput[]} b
 */
function areSameInputs(a, b) {
  return a.length === b.length && a.every(({ name, bytes }, k) => name === b[k].name && sameBytes(bytes, b[k].bytes));
}
