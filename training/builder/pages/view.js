/** The preview of a build: puts its parts together and says what keys mean. */

import { applyStrikes, readListing, saveStrike } from "./api.js";
import { byId, counted, make } from "./dom.js";
import { Grid } from "./grid.js";
import { LargeView } from "./largeview.js";
import { Notices } from "./notices.js";
import { Strikes } from "./strikes.js";

/**
 * @typedef {import("./api.js").Listing} Listing
 * @typedef {import("./api.js").Pair} Pair
 */

const ALL = "all";
const STRUCK = "struck";
const NARROW_PIXELS = 600;
const NARROW_TILE = "160";

const notices = new Notices();
const strikes = new Strikes({
  save: saveStrike,
  onChange: changed,
  onFailure: (reason) => notices.show(`Not saved: ${reason}`, "problem"),
});
const grid = new Grid(byId("grid", HTMLElement), byId("top", HTMLElement), {
  isStruck: (id) => strikes.ids.has(id),
  onOpen: showLarge,
  onStrike: (id) => strikes.toggle(id),
});
const large = new LargeView({ onMove: moveLarge, onStrike: toggleCurrent, onClose: backToGrid });
const size = byId("size", HTMLInputElement);
const filters = byId("filters", HTMLElement);
const keys = byId("keys", HTMLDialogElement);
const confirmation = byId("confirm", HTMLDialogElement);

/** @type {Listing | null} */
let listing = null;
/** @type {Pair[]} */
let pairs = [];
let filter = ALL;
/** The pair that is shown large, or was last. */
let largeId = "";

/** @param {Listing} read */
function begin(read) {
  listing = read;
  pairs = Object.entries(read.splits).flatMap(([split, ids]) => ids.map((id, index) => ({ id, split, index })));
  document.title = `${read.title}: pairs`;
  byId("title", HTMLElement).textContent = read.title;
  strikes.load(read.struck);
  large.setUp(read.version, read.kind);
  grid.fill(pairs, read.version);
  filters.replaceChildren(...[ALL, STRUCK, ...Object.keys(read.splits)].map(makeFilter));
  choose(filter);
}

/**
 * @param {string} name
 * @param {number} place
 */
function makeFilter(name, place) {
  const title = `${name[0].toUpperCase()}${name.slice(1)}`;
  const key = String(place + 1);
  const button = make("button", { type: "button", "data-filter": name, title: `${title} (${key})` }, [title, " ", make("small")]);
  button.addEventListener("click", () => choose(name));
  return button;
}

/** @param {string} name - of a filter */
function choose(name) {
  filter = name;
  grid.filter(isShown);
  for (const button of filters.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.dataset.filter === name));
  const empty = byId("empty", HTMLElement);
  empty.hidden = grid.count > 0;
  empty.textContent = name === STRUCK ? "Nothing is struck." : "There are no pairs here.";
  count();
  notices.announce(`${counted(grid.count, "pair")} shown.`);
}

/** @param {Pair} pair */
function isShown(pair) {
  return filter === ALL || (filter === STRUCK ? strikes.ids.has(pair.id) : pair.split === filter);
}

function count() {
  const struck = pairs.filter(({ id }) => strikes.ids.has(id)).length;
  byId("counts", HTMLElement).textContent = `${counted(pairs.length, "pair")}, ${struck.toLocaleString("en")} struck`;
  for (const button of filters.querySelectorAll("button")) {
    const { filter: name } = button.dataset;
    const shown = name === ALL ? pairs.length : name === STRUCK ? struck : pairs.filter(({ split }) => split === name).length;
    button.querySelector("small")?.replaceChildren(shown.toLocaleString("en"));
  }
  const apply = byId("apply", HTMLButtonElement);
  apply.disabled = struck === 0;
  apply.textContent = struck ? `Apply ${counted(struck, "strike")}` : "Apply";
  byId("undo", HTMLButtonElement).disabled = !strikes.canUndo;
}

/** @param {string} id - of a pair that was struck or is no longer */
function changed(id) {
  const isStruck = strikes.ids.has(id);
  grid.mark(id);
  if (grid.current?.id === id) large.mark(isStruck);
  count();
  notices.announce(isStruck ? "Struck." : "No longer struck.");
}

function toggleCurrent() {
  if (grid.current) strikes.toggle(grid.current.id);
}

function undo() {
  const id = strikes.undo();
  if (id === null) return;
  if (!grid.goTo(id)) return;
  if (large.isOpen) showLarge();
  else grid.focus();
}

function showLarge() {
  const pair = grid.current;
  if (!pair || !listing) return;
  largeId = pair.id;
  large.show({ pair, place: grid.place, count: grid.count, credit: listing.credits[pair.id], neighbours: grid.neighbours });
  large.mark(strikes.ids.has(pair.id));
}

function backToGrid() {
  // The browser has given the focus back to the pair from which the large view was opened.
  grid.goTo(largeId);
  grid.focus();
}

/** @param {number} step */
function moveLarge(step) {
  grid.moveBy(step);
  showLarge();
  const isStruck = grid.current && strikes.ids.has(grid.current.id);
  notices.announce(`${grid.place + 1} of ${grid.count}${isStruck ? ", struck" : ""}`);
}

/** @param {number} step */
function resize(step) {
  size.valueAsNumber += step * 40;
  setSize();
}

function setSize() {
  grid.resize(size.valueAsNumber);
}

async function confirmApply() {
  await strikes.settled();
  const gone = pairs.filter(({ id }) => strikes.ids.has(id));
  if (!gone.length || !listing) return;
  const stay = Object.keys(listing.splits).map((split) => `${pairs.filter((pair) => pair.split === split && !gone.includes(pair)).length} ${split}`);
  byId("confirm-words", HTMLElement).textContent =
    `${counted(gone.length, "struck pair")} will be taken out of the data set; ${stay.join(" and ")} stay.`;
  confirmation.showModal();
}

async function apply() {
  if (!listing) return;
  const yes = byId("confirm-yes", HTMLButtonElement);
  yes.disabled = true;
  const before = pairs;
  const from = pairs.findIndex((pair) => pair === grid.current);
  try {
    begin(await applyStrikes(listing.version));
    before.slice(Math.max(0, from)).some(({ id }) => grid.goTo(id));
    notices.show(`${counted(before.length - pairs.length, "pair")} taken out; ${counted(pairs.length, "pair")} left to train on.`);
  } catch (error) {
    notices.show(`Nothing was changed: ${error instanceof Error ? error.message : error}`, "problem");
  }
  yes.disabled = false;
  confirmation.close();
  grid.focus();
}

/** @param {KeyboardEvent} event */
function pressed(event) {
  if (keys.open || confirmation.open || event.altKey) return;
  const isUndo = event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey);
  if (!isUndo && (event.ctrlKey || event.metaKey)) return;
  const target = /** @type {HTMLElement} */ (event.target);
  const isSlider = target instanceof HTMLInputElement;
  if (isUndo) undo();
  else if (common(event.key)) event.preventDefault();
  else if (isSlider || !(large.isOpen ? pressedLarge(event.key, target) : pressedGrid(event.key, target))) return;
  event.preventDefault();
}

/**
 * @param {string} key
 * @returns {boolean} whether it means something wherever one is
 */
function common(key) {
  if (key === "u" || key === "U") undo();
  else if (key === "?") keys.showModal();
  else if (key === "x" || key === "X" || key === "Delete") toggleCurrent();
  else return false;
  return true;
}

/**
 * @param {string} key
 * @param {HTMLElement} target
 */
function pressedLarge(key, target) {
  const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[key];
  if (step) moveLarge(step);
  else if (key === "o" || key === "O") large.toggleOverlay();
  else if ((key === "Enter" || key === " ") && !isPressable(target)) large.close();
  else return false;
  return true;
}

/**
 * @param {string} key
 * @param {HTMLElement} target
 */
function pressedGrid(key, target) {
  const chosen = filters.querySelectorAll("button")[Number(key) - 1];
  if (chosen) choose(chosen.dataset.filter ?? ALL);
  else if (key === "+" || key === "=") resize(1);
  else if (key === "-") resize(-1);
  else if ((key === "Enter" || key === " ") && !isPressable(target)) showLarge();
  else if (!grid.move(key)) return false;
  if (!large.isOpen) grid.focus();
  return true;
}

/** @param {HTMLElement} target */
function isPressable(target) {
  return target.closest("button, a, input") !== null;
}

function listen() {
  document.addEventListener("keydown", pressed);
  size.addEventListener("input", setSize);
  byId("undo", HTMLElement).addEventListener("click", undo);
  byId("help", HTMLElement).addEventListener("click", () => keys.showModal());
  byId("apply", HTMLElement).addEventListener("click", confirmApply);
  byId("confirm-yes", HTMLElement).addEventListener("click", apply);
  for (const button of document.querySelectorAll("[data-close]")) {
    button.addEventListener("click", () => button.closest("dialog")?.close());
  }
  // Errors of pictures do not bubble.
  document.addEventListener("error", (event) => event.target instanceof HTMLImageElement && pictureFailed(), true);
}

function pictureFailed() {
  notices.show("A picture cannot be read. Reload this page; if it does not open, start `inkwash-train dataset view` again.", "problem");
}

if (window.innerWidth < NARROW_PIXELS) size.value = NARROW_TILE;
setSize();
listen();
try {
  begin(await readListing());
  grid.focus();
} catch (error) {
  byId("empty", HTMLElement).textContent = `The pairs cannot be read: ${error instanceof Error ? error.message : error}`;
}
document.documentElement.dataset.ready = "";
