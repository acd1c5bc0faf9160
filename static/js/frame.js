/** The binary frames of `/live`: a 4-byte little-endian header length, a JSON header, then the pictures. Pure. */

import { concat } from "./png.js";

/**
 * @param {Record<string, unknown>} header - `inputs` is added
 * @param {import("./types").EncodedInput[]} inputs
 * @returns {Uint8Array}
 */
export function encodeFrame(header, inputs) {
  const described = { ...header, inputs: inputs.map(({ name, bytes }) => ({ name, bytes: bytes.length })) };
  const json = new TextEncoder().encode(JSON.stringify(described));
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, json.length, true);
  return concat([length, json, ...inputs.map((input) => input.bytes)]);
}

/**
 * @param {ArrayBuffer} buffer
 * @returns {{header: import("./types").LiveAnswer, picture: Uint8Array}}
 */
export function decodeFrame(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  return { header, picture: new Uint8Array(buffer, 4 + length) };
}
