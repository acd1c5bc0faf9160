/** The choices a browser keeps: theme, live mode, and whether variations are shown. Drawings are never stored. */

/** @typedef {"theme" | "mode" | "variations"} Preference */

/**
 * @param {Preference} name
 * @returns {string | null}
 */
export function readPreference(name) {
  try {
    return localStorage.getItem(`inkwash.${name}`);
  } catch {
    return null;
  }
}

/**
 * @param {Preference} name
 * @param {string} value
 */
export function writePreference(name, value) {
  try {
    localStorage.setItem(`inkwash.${name}`, value);
  } catch {
    // Storage may be forbidden or full; the choice then lasts as long as the page.
  }
}

/** Switches between light and dark, and remembers it. */
export function toggleTheme() {
  const root = document.documentElement;
  const next = root.dataset.shade === "dark" ? "light" : "dark";
  root.dataset.theme = next;
  root.dataset.shade = next;
  writePreference("theme", next);
}
