/**
 * Writes ZIP archives of files that are compressed already, pictures for one: they are stored as they are. The archive is a Blob
 * made of the files' own Blobs, so nothing is copied; only check sums are computed, piece by piece.
 */

import { crc32 } from "./crc.js";

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const VERSION = 20;
/** Bit 11: names are UTF-8. */
const UTF8 = 0x0800;
/** Beyond these an archive needs ZIP64, which this does not write. */
export const MAX_FILES = 0xffff;
export const MAX_BYTES = 0xffffffff;

/** @typedef {{name: string, blob: Blob, modified?: Date}} ZipFile */

/**
 * @param {ZipFile[]} files - names made unique, see `uniqueName`
 * @returns {Promise<Blob>}
 * @throws {RangeError} when there are too many files or bytes
 */
export async function makeZip(files) {
  if (files.length > MAX_FILES) throw new RangeError(`${files.length} files; an archive holds at most ${MAX_FILES}. Make several.`);
  /** @type {BlobPart[]} */
  const parts = [];
  /** @type {Uint8Array<ArrayBuffer>[]} */
  const directory = [];
  let offset = 0;
  for (const file of files) {
    const entry = { name: new TextEncoder().encode(file.name), size: file.blob.size, crc: await crcOf(file.blob), time: dosTime(file.modified) };
    const header = localHeader(entry);
    parts.push(header, file.blob);
    directory.push(centralHeader(entry, offset));
    offset += header.length + file.blob.size;
    if (offset > MAX_BYTES) throw new RangeError(`More than ${MAX_BYTES} bytes; an archive holds no more. Make several.`);
  }
  const directorySize = directory.reduce((sum, header) => sum + header.length, 0);
  parts.push(...directory, endRecord(files.length, directorySize, offset));
  return new Blob(parts, { type: "application/zip" });
}

/**
 * A file name that is not taken yet and that every system accepts; `photo.jpg` becomes `photo-2.jpg`. Case does not tell names
 * apart, because on many systems it does not.
 * @param {string} name
 * @param {Set<string>} taken - names in lower case; the new one is added
 * @returns {string}
 */
export function uniqueName(name, taken) {
  const safe = name.replace(/[\\/:*?"<>|\u0000-\u001f]/g, "_").replace(/^\.+/, "_").slice(-120) || "_";
  const dot = safe.lastIndexOf(".");
  const [stem, ending] = dot > 0 ? [safe.slice(0, dot), safe.slice(dot)] : [safe, ""];
  let unique = safe;
  for (let k = 2; taken.has(unique.toLowerCase()); k++) unique = `${stem}-${k}${ending}`;
  taken.add(unique.toLowerCase());
  return unique;
}

/** @typedef {{name: Uint8Array, size: number, crc: number, time: number}} Entry */

/** @param {Entry} entry */
function localHeader(entry) {
  const { bytes, view } = record(30, entry.name);
  view.setUint32(0, LOCAL, true);
  putCommon(view, 4, entry);
  return bytes;
}

/**
 * @param {Entry} entry
 * @param {number} offset - of its local header
 */
function centralHeader(entry, offset) {
  const { bytes, view } = record(46, entry.name);
  view.setUint32(0, CENTRAL, true);
  view.setUint16(4, VERSION, true);
  putCommon(view, 6, entry);
  view.setUint32(42, offset, true);
  return bytes;
}

/**
 * The fields that both headers have in the same order.
 * @param {DataView} view
 * @param {number} at
 * @param {Entry} entry
 */
function putCommon(view, at, { name, size, crc, time }) {
  view.setUint16(at, VERSION, true);
  view.setUint16(at + 2, UTF8, true);
  view.setUint32(at + 6, time, true);
  view.setUint32(at + 10, crc, true);
  view.setUint32(at + 14, size, true);
  view.setUint32(at + 18, size, true);
  view.setUint16(at + 22, name.length, true);
}

/**
 * @param {number} count
 * @param {number} size - of the directory
 * @param {number} offset - of the directory
 */
function endRecord(count, size, offset) {
  const { bytes, view } = record(22, new Uint8Array());
  view.setUint32(0, END, true);
  view.setUint16(8, count, true);
  view.setUint16(10, count, true);
  view.setUint32(12, size, true);
  view.setUint32(16, offset, true);
  return bytes;
}

/**
 * @param {number} length
 * @param {Uint8Array} name - follows the record
 */
function record(length, name) {
  const bytes = new Uint8Array(length + name.length);
  bytes.set(name, length);
  return { bytes, view: new DataView(bytes.buffer) };
}

/** Local time as FAT has it: two-second steps, from 1980 on; time in the lower half, date in the upper. @param {Date} [date] */
function dosTime(date = new Date()) {
  const time = (date.getHours() << 11) | (date.getMinutes() << 5) | (date.getSeconds() >> 1);
  const day = (Math.min(127, Math.max(0, date.getFullYear() - 1980)) << 9) | ((date.getMonth() + 1) << 5) | date.getDate();
  return ((day << 16) | time) >>> 0;
}

/** @param {Blob} blob */
async function crcOf(blob) {
  let crc = 0;
  const reader = blob.stream().getReader();
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    crc = crc32(piece.value, crc);
  }
  return crc;
}
