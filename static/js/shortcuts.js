/** Keyboard shortcuts from one table. Off while typing and while a dialog is open. */

/**
 * @typedef {object} Shortcut
 * @property {string[]} keys - as in `aria-keyshortcuts`: `b`, `Control+Shift+Z`, `[`; Meta counts as Control
 * @property {string} label - message key
 * @property {() => void} run
 * @property {() => void} [release] - for keys that act while held
 * @property {() => boolean} [only] - when it applies
 */

/** @param {Shortcut[]} shortcuts */
export function listen(shortcuts) {
  /** @type {Shortcut | null} */
  let held = null;
  document.addEventListener("keydown", (event) => {
    if (event.isComposing || isTyping(event.target) || document.querySelector("dialog[open]")) return;
    const found = shortcuts.find(({ keys, only }) => keys.some((key) => matches(event, key)) && (!only || only()));
    if (!found) return;
    // A focused button keeps its own key.
    if (event.key === " " && event.target instanceof HTMLButtonElement) return;
    event.preventDefault();
    if (event.repeat && found.release) return;
    if (found.release) held = found;
    found.run();
  });
  const letGo = () => {
    held?.release?.();
    held = null;
  };
  document.addEventListener("keyup", (event) => {
    if (held?.keys.some((key) => key === "Space" ? event.key === " " : letterOf(event) === key.toLowerCase())) letGo();
  });
  window.addEventListener("blur", letGo);
}

/** @param {EventTarget | null} target */
function isTyping(target) {
  if (target instanceof HTMLInputElement) return !["range", "checkbox", "radio", "color", "button", "file"].includes(target.type);
  return target instanceof HTMLTextAreaElement || (target instanceof HTMLElement && target.isContentEditable);
}

/**
 * @param {KeyboardEvent} event
 * @param {string} key
 */
export function matches(event, key) {
  const parts = key.split("+");
  // "+" alone, or at the end as in "Control++", is the key itself.
  const name = key.endsWith("+") ? "+" : (parts.at(-1) ?? "");
  if (parts.includes("Control") !== (event.ctrlKey || event.metaKey)) return false;
  if (parts.includes("Alt") !== event.altKey) return false;
  // For signs such as "?" Shift is how they are typed on some keyboards, so it only counts with letters.
  if (/^[a-z]$/i.test(name) && parts.includes("Shift") !== event.shiftKey) return false;
  if (name === "Space") return event.key === " ";
  return letterOf(event) === name.toLowerCase();
}

/**
 * The key as a lower-case letter or sign; by its place on the keyboard where the layout has another script or Alt changes it.
 * @param {KeyboardEvent} event
 */
function letterOf(event) {
  const byPlace = /^Key([A-Z])$/.exec(event.code)?.[1].toLowerCase();
  const isLatin = /^[\x20-\x7e]+$/.test(event.key) && event.key !== "Process";
  return isLatin && !(event.altKey && byPlace) ? event.key.toLowerCase() : (byPlace ?? event.key.toLowerCase());
}
