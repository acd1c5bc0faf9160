/** Taking pictures out: files to save, and the clipboard. */

import { byId } from "./dom.js";
import { decodePicture } from "./api.js";
import { toDataUrl, toFile } from "./png.js";

/**
 * @param {Blob} blob
 * @param {string} name
 */
export function saveFile(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/**
 * The drawing as people see it, as large as it is drawn.
 * @param {import("./drawing.js").Drawing} drawing
 */
export function drawingCanvas(drawing) {
  const canvas = document.createElement("canvas");
  drawing.compose(canvas, drawing.main.width, drawing.main.height);
  return canvas;
}

/** Largest canvas of some phones, pixels. */
const MAX_CANVAS = 2 ** 24;

/**
 * What was given and what was made of it in one picture.
 * @param {(canvas: HTMLCanvasElement, width: number, height: number) => void} paint - draws what was given, so large
 * @param {number} aspect - of what was given, width over height
 * @param {Blob} result
 * @returns {Promise<Blob>}
 */
export async function sideBySide(paint, aspect, result) {
  const picture = await decodePicture(result);
  const aspects = [aspect, picture.width / picture.height];
  const fits = Math.sqrt(MAX_CANVAS / (aspects[0] + aspects[1] + 1 / 32));
  const height = Math.floor(Math.min(fits, Math.max(picture.height, 512)));
  const gap = Math.round(height / 32);
  const widths = aspects.map((ratio) => Math.round(height * ratio));
  const left = document.createElement("canvas");
  paint(left, widths[0], height);
  const canvas = document.createElement("canvas");
  canvas.width = widths[0] + gap + widths[1];
  canvas.height = height;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(left, 0, 0);
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, widths[0] + gap, 0, widths[1], height);
  return toFile(canvas);
}

/**
 * Copies a picture. The clipboard is closed to pages on plain http, so there the picture is selected and copied as a person
 * would do it, and if that fails too it is shown for copying by hand.
 * @param {Blob} blob - PNG
 * @returns {Promise<boolean>} whether it was copied
 */
export async function copyPicture(blob) {
  try {
    await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
    return true;
  } catch {
    const image = byId("copy-picture", HTMLImageElement);
    image.src = await toDataUrl(blob);
    await image.decode();
    byId("copy-dialog", HTMLDialogElement).showModal();
    return copySelected(image);
  }
}

/** @param {HTMLImageElement} image */
function copySelected(image) {
  const range = document.createRange();
  range.selectNode(image);
  const selection = window.getSelection();
  selection?.removeAllRanges();
  selection?.addRange(range);
  // Deprecated, and the only way without a secure context.
  const isCopied = document.execCommand("copy");
  selection?.removeAllRanges();
  if (isCopied) byId("copy-dialog", HTMLDialogElement).close();
  return isCopied;
}
