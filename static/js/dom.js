/** Finding and making elements, with their types. */

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function byId(id, type) {
  const element = document.getElementById(id);
  if (!(element instanceof type)) throw new Error(`The page has no ${type.name} #${id}.`);
  return element;
}

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string>} [attributes]
 * @param {(Node | string)[]} [children]
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, attributes = {}, children = []) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/**
 * @param {string} name - of a symbol in the page's sprite
 * @returns {SVGSVGElement}
 */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(space, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/**
 * One tab stop for a group of buttons, arrow keys within it.
 * @param {HTMLElement} group
 */
export function makeRoving(group) {
  group.addEventListener("keydown", (event) => {
    const buttons = buttonsOf(group);
    const at = buttons.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    const next = at < 0 ? -1 : nextIndex(event.key, at, buttons.length);
    if (next < 0) return;
    event.preventDefault();
    event.stopPropagation();
    buttons[next].focus();
  });
  group.addEventListener("focusin", (event) => setTabStop(group, /** @type {HTMLButtonElement} */ (event.target)));
}

/**
 * @param {HTMLElement} group
 * @param {HTMLElement | null} [stop] - the one that Tab reaches; by default the pressed one or the first
 */
export function setTabStop(group, stop = null) {
  const buttons = buttonsOf(group);
  const chosen = stop ?? buttons.find((button) => button.getAttribute("aria-pressed") === "true") ?? buttons[0];
  for (const button of buttons) button.tabIndex = button === chosen ? 0 : -1;
}

/** @param {HTMLElement} group */
function buttonsOf(group) {
  return [...group.querySelectorAll("button")].filter((button) => !button.disabled && !button.hidden);
}

/**
 * @param {string} key
 * @param {number} at
 * @param {number} count
 */
function nextIndex(key, at, count) {
  if (key === "Home") return 0;
  if (key === "End") return count - 1;
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[key];
  return step ? (at + step + count) % count : -1;
}
