/** The rail of tools, drawn from the table of tools, and the size control. */

import { byId, icon, make, makeRoving, setTabStop } from "./dom.js";
import { TOOLS, toolsFor } from "./tools.js";

export class Toolbar {
  #rail = byId("tools", HTMLElement);
  #slider = byId("size", HTMLInputElement);
  #value = byId("size-value", HTMLOutputElement);
  #group = byId("size-group", HTMLElement);
  #reset = byId("size-reset", HTMLButtonElement);

  /**
   * @param {import("./studio.js").Studio} studio
   * @param {import("./words.js").Words} words
   */
  constructor(studio, words) {
    this.studio = studio;
    this.words = words;
    makeRoving(this.#rail);
    studio.on("work", () => this.draw());
    studio.on("tool", () => this.#press());
    studio.on("size", () => this.#showSize());
    this.#slider.addEventListener("input", () => studio.setSize(fromSlider(Number(this.#slider.value), studio.sizeRange)));
    this.#reset.addEventListener("click", () => studio.resetSize());
    const narrow = window.matchMedia("(max-width: 900px) and (orientation: portrait), (max-width: 640px)");
    const orient = () => this.#rail.setAttribute("aria-orientation", narrow.matches ? "horizontal" : "vertical");
    narrow.addEventListener("change", orient);
    orient();
  }

  draw() {
    const offered = toolsFor(this.studio.manifest);
    /** @type {HTMLElement[]} */
    const items = [];
    offered.forEach((id, k) => {
      if (k > 0 && group(id) !== group(offered[k - 1])) items.push(make("hr", { role: "presentation" }));
      items.push(this.#button(id));
    });
    this.#rail.replaceChildren(...items);
    this.#press();
    this.#showSize();
  }

  /** @param {string} id */
  #button(id) {
    const tool = TOOLS[id];
    const key = tool.keys[0].length === 1 ? tool.keys[0].toUpperCase() : tool.keys[0];
    const button = make("button", { type: "button", class: "tool", "data-tool": id, "aria-keyshortcuts": key }, [icon(tool.icon)]);
    button.dataset.tLabel = tool.label;
    button.dataset.key = key;
    this.words.name(button);
    button.addEventListener("click", () => this.studio.setTool(id));
    return button;
  }

  #press() {
    for (const button of this.#rail.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.dataset.tool === this.studio.toolId));
    }
    setTabStop(this.#rail);
    this.#showSize();
  }

  #showSize() {
    const { size, sizeRange } = this.studio;
    this.#group.hidden = sizeRange === null;
    if (!sizeRange) return;
    this.#slider.min = "0";
    this.#slider.max = "100";
    this.#slider.step = "any";
    this.#slider.value = String(toSlider(size, sizeRange));
    const text = this.words.t("size.value", { size: this.words.number(size, 1) });
    this.#value.textContent = text;
    this.#slider.setAttribute("aria-valuetext", text);
    this.#reset.disabled = size === sizeRange.default;
  }
}

/** Tools for lines, for colours, and for moving stand apart. @param {string} id */
function group(id) {
  const { kinds, cursor } = TOOLS[id];
  return cursor === "move" ? "move" : kinds.includes("line") ? "line" : "color";
}

/**
 * Small sizes need finer steps than large ones, so the slider is logarithmic.
 * @param {number} size
 * @param {import("./types").SizeRange} range
 */
function toSlider(size, range) {
  return (100 * Math.log(size / range.min)) / Math.log(range.max / range.min);
}

/**
 * @param {number} value - [0, 100]
 * @param {import("./types").SizeRange | null} range
 */
function fromSlider(value, range) {
  return range ? range.min * (range.max / range.min) ** (value / 100) : 1;
}
