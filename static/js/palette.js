/** Choosing a class of a label map, or the colour of a hint. Colours always come with a name or a number. */

import { byId, make, makeRoving, setTabStop } from "./dom.js";
import { hexToRgb } from "./png.js";

/** Colours for hints, each with the message key of its name. */
export const SWATCHES = [
  ["#d7263d", "red"],
  ["#f18f2b", "orange"],
  ["#f7d23e", "yellow"],
  ["#3da35d", "green"],
  ["#2f80c9", "blue"],
  ["#7b4ab8", "violet"],
  ["#e98ab5", "pink"],
  ["#8a5a3b", "brown"],
  ["#f3d3b5", "skin"],
  ["#ffffff", "white"],
  ["#8b8f96", "gray"],
  ["#22252b", "black"],
];

export class Palette {
  #root = byId("colors", HTMLElement);

  /**
   * @param {import("./studio.js").Studio} studio
   * @param {import("./words.js").Words} words
   */
  constructor(studio, words) {
    this.studio = studio;
    this.words = words;
    studio.on("work", () => this.draw());
    studio.on("class", () => this.#press());
    studio.on("color", () => this.draw());
    words.addEventListener("change", () => this.draw());
  }

  draw() {
    const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset.choice;
    const { drawing } = this.studio;
    this.#root.hidden = !drawing.labels && !drawing.has("hints");
    if (drawing.labels) this.#root.replaceChildren(this.#classes(drawing.labels.input.palette ?? []));
    else if (drawing.has("hints")) this.#root.replaceChildren(...this.#colors());
    else this.#root.replaceChildren();
    this.#press();
    if (focused) /** @type {HTMLElement | null} */ (this.#root.querySelector(`[data-choice="${focused}"]`))?.focus();
  }

  /** @param {import("./types").PaletteEntry[]} entries */
  #classes(entries) {
    const group = make("div", { class: "classes", role: "toolbar", "aria-label": this.words.t("palette.classes") });
    for (const entry of entries) {
      const chip = make("span", { class: "chip-color", "aria-hidden": "true" }, [String(entry.index + 1)]);
      chip.style.background = entry.color;
      chip.style.color = isLight(entry.color) ? "#000" : "#fff";
      const name = make("span", { class: "class-name" }, [this.words.pick(entry.name)]);
      const button = make("button", { type: "button", class: "class", "data-choice": `c${entry.index}` }, [chip, name]);
      button.title = this.words.pick(entry.name);
      button.addEventListener("click", () => this.studio.setClass(entry.index));
      group.append(button);
    }
    makeRoving(group);
    return group;
  }

  #colors() {
    const group = make("div", { class: "colors", role: "toolbar", "aria-label": this.words.t("palette.colors") });
    const known = new Set(SWATCHES.map(([color]) => color));
    SWATCHES.forEach(([color, name], k) => group.append(this.#swatch(color, this.words.t(`color.${name}`), k)));
    for (const color of this.studio.recentColors.filter((recent) => !known.has(recent))) {
      group.append(this.#swatch(color, this.words.t("palette.recent", { color }), -1));
    }
    makeRoving(group);
    return [group, this.#custom()];
  }

  /**
   * @param {string} color
   * @param {string} name
   * @param {number} k - number key, -1 when it has none
   */
  #swatch(color, name, k) {
    const button = make("button", { type: "button", class: "swatch", "data-choice": color, "aria-label": name });
    button.title = k >= 0 && k < 9 ? `${name} (${k + 1})` : name;
    button.style.background = color;
    button.addEventListener("click", () => this.studio.setColor(color));
    return button;
  }

  #custom() {
    const { words, studio } = this;
    const picker = make("input", { type: "color", "aria-label": words.t("palette.pick"), "data-choice": "picker" });
    picker.value = studio.color;
    picker.addEventListener("change", () => studio.setColor(picker.value));
    const hex = make("input", { type: "text", class: "hex", maxlength: "7", spellcheck: "false", autocomplete: "off" });
    hex.setAttribute("aria-label", words.t("palette.hex"));
    hex.dataset.choice = "hex";
    hex.value = studio.color;
    hex.addEventListener("change", () => {
      const color = parseHex(hex.value);
      hex.setAttribute("aria-invalid", String(color === null));
      if (color) studio.setColor(color);
    });
    return make("span", { class: "custom-color" }, [picker, hex]);
  }

  #press() {
    const chosen = this.studio.drawing.labels ? `c${this.studio.classIndex}` : this.studio.color;
    for (const button of this.#root.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.dataset.choice === chosen));
    }
    const group = /** @type {HTMLElement | null} */ (this.#root.firstElementChild);
    if (group) setTabStop(group);
  }
}

/**
 * @param {string} text - `#rgb` or `#rrggbb`, the sign may be left out
 * @returns {string | null} `#rrggbb`
 */
export function parseHex(text) {
  const digits = text.trim().replace(/^#/, "").toLowerCase();
  if (/^[0-9a-f]{6}$/.test(digits)) return `#${digits}`;
  if (/^[0-9a-f]{3}$/.test(digits)) return `#${[...digits].map((digit) => digit + digit).join("")}`;
  return null;
}

/**
 * Whether black reads better on a colour than white, by relative luminance (WCAG 2).
 * @param {string} color
 */
function isLight(color) {
  const [red, green, blue] = hexToRgb(color).map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179;
}
