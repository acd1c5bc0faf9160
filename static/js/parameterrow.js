/** The slider or switch of one parameter, drawn from the manifest alone. Where its value is kept is others' business. */

import { icon, make } from "./dom.js";

/**
 * @typedef {object} Value
 * @property {string} id - of the control's element
 * @property {() => number} get
 * @property {(value: number) => void} set
 */

/**
 * @param {import("./types").Parameter} parameter
 * @param {import("./words.js").Words} words
 * @param {Value} value
 * @returns {HTMLElement} label, control, what it is set to, and a button back to the default
 */
export function parameterRow(parameter, words, { id, get, set }) {
  const isSwitch = parameter.kind === "bool";
  const input = make("input", { id, type: isSwitch ? "checkbox" : "range" });
  const output = make("output", { for: id });
  const show = () => {
    const value = get();
    if (isSwitch) input.checked = value >= 0.5;
    else input.value = String(value);
    output.textContent = isSwitch ? "" : words.number(value, 2);
  };
  const change = (/** @type {number} */ value) => {
    set(value);
    show();
  };
  input.min = String(parameter.min);
  input.max = String(parameter.max);
  input.step = String(parameter.kind === "int" ? Math.max(1, parameter.step) : parameter.step);
  input.addEventListener("input", () => change(isSwitch ? Number(input.checked) : Number(input.value)));
  const reset = make("button", { type: "button", class: "icon-button small", "data-t-label": "params.reset" }, [icon("reset")]);
  words.name(reset);
  reset.addEventListener("click", () => change(parameter.default));
  show();
  const row = make("div", { class: "param" }, [make("label", { for: id }, [words.pick(parameter.title)]), input, output, reset]);
  row.title = words.pick(parameter.help);
  return row;
}
