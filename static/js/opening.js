/** Ways a file comes in: chosen, dropped, pasted. It hands files on and decodes nothing. */

import { byId } from "./dom.js";

/** @param {(files: File[], input: string) => void} open - gets at least one, and the name of the slot they are meant for or "" */
export function acceptFiles(open) {
  const input = byId("file", HTMLInputElement);
  for (const chooser of [input, byId("camera-file", HTMLInputElement)]) {
    chooser.addEventListener("change", () => {
      const files = [...(chooser.files ?? [])];
      // The same file chosen twice should open twice.
      chooser.value = "";
      if (files.length) open(files, "");
    });
  }
  byId("open", HTMLButtonElement).addEventListener("click", () => input.click());
  acceptDrops(open);
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])].filter((item) => item.type.startsWith("image/") || item.name.endsWith(".npy"));
    if (!files.length || event.target instanceof HTMLInputElement) return;
    event.preventDefault();
    open(files, slotOf(event));
  });
}

/** @param {Event} event */
function slotOf(event) {
  const slot = event.target instanceof Element ? event.target.closest(".input-slot") : null;
  return slot instanceof HTMLElement ? (slot.dataset.input ?? "") : "";
}

/** Marks the slot that a file is dragged over. @param {string} name - "" for none */
function markSlot(name) {
  for (const slot of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".input-slot"))) {
    slot.classList.toggle("over", slot.dataset.input === name);
  }
}

/** @param {(files: File[], input: string) => void} open */
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
    if (!hasFile(event) || --depth > 0) return;
    mark.hidden = true;
    markSlot("");
  });
  document.addEventListener("dragover", (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    markSlot(slotOf(event));
  });
  document.addEventListener("drop", (event) => {
    depth = 0;
    mark.hidden = true;
    markSlot("");
    const files = [...(event.dataTransfer?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    open(files, slotOf(event));
  });
}
