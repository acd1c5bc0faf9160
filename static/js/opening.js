/** Ways a file comes in: chosen, dropped, pasted. It hands files on and decodes nothing. */

import { byId } from "./dom.js";

/** @param {(file: File) => void} open */
export function acceptFiles(open) {
  const input = byId("file", HTMLInputElement);
  input.addEventListener("change", () => {
    const file = input.files?.[0];
    // The same file chosen twice should open twice.
    input.value = "";
    if (file) open(file);
  });
  byId("open", HTMLButtonElement).addEventListener("click", () => input.click());
  acceptDrops(open);
  document.addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files ?? [])].find((item) => item.type.startsWith("image/"));
    if (!file || event.target instanceof HTMLInputElement) return;
    event.preventDefault();
    open(file);
  });
}

/** @param {(file: File) => void} open */
function acceptDrops(open) {
  const mark = byId("drop", HTMLElement);
  // Entering a child fires before leaving its parent, so a count tells when the pointer is really gone.
  let depth = 0;
  /** @param {DragEvent} event */
  const hasFile = (event) => event.dataTransfer?.types.includes("Files") ?? false;
  document.addEventListener("dragenter", (event) => {
    if (!hasFile(event)) return;
    depth++;
    mark.hidden = false;
  });
  document.addEventListener("dragleave", (event) => {
    if (hasFile(event) && --depth <= 0) mark.hidden = true;
  });
  document.addEventListener("dragover", (event) => {
    if (hasFile(event)) event.preventDefault();
  });
  document.addEventListener("drop", (event) => {
    depth = 0;
    mark.hidden = true;
    const file = event.dataTransfer?.files[0];
    if (!file) return;
    event.preventDefault();
    open(file);
  });
}
