/** Popovers: placing them at their button, and arrow keys within menus. */

const MARGIN = 12;

/** Makes every popover of the page appear at the button that opens it. */
export function placeMenus() {
  for (const menu of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[popover]"))) {
    const opener = /** @type {HTMLElement | null} */ (document.querySelector(`[popovertarget="${menu.id}"]`));
    if (!opener) continue;
    menu.addEventListener("toggle", () => {
      if (!menu.matches(":popover-open")) return;
      place(menu, opener);
      if (menu.role === "menu") menu.querySelector("button")?.focus();
    });
    menu.addEventListener("keydown", (event) => moveFocus(menu, event));
    window.addEventListener("resize", () => menu.matches(":popover-open") && place(menu, opener));
  }
}

/**
 * @param {HTMLElement} menu
 * @param {HTMLElement} opener
 */
function place(menu, opener) {
  const anchor = opener.getBoundingClientRect();
  const size = menu.getBoundingClientRect();
  const isRight = anchor.left + anchor.width / 2 > window.innerWidth / 2;
  const left = isRight ? anchor.right - size.width : anchor.left;
  const fitsBelow = anchor.bottom + 6 + size.height + MARGIN <= window.innerHeight;
  const top = fitsBelow ? anchor.bottom + 6 : anchor.top - 6 - size.height;
  menu.style.left = `${Math.max(MARGIN, Math.min(left, window.innerWidth - size.width - MARGIN))}px`;
  menu.style.top = `${Math.max(MARGIN, top)}px`;
}

/**
 * @param {HTMLElement} menu
 * @param {KeyboardEvent} event
 */
function moveFocus(menu, event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const items = [...menu.querySelectorAll("button")].filter((item) => !item.disabled);
  if (!step || !items.length) return;
  event.preventDefault();
  const at = items.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
  items[(at + step + items.length) % items.length].focus();
}
