/** What buttons, menus and keys do: undo, clear, zoom, save, copy. One table gives the keys to the handlers and to the help. */

import { showHelp } from "./dialogs.js";
import { byId } from "./dom.js";
import { copyPicture, drawingCanvas, saveFile, sideBySide } from "./exporting.js";
import { mixName } from "./mix.js";
import { toFile } from "./png.js";
import { listen } from "./shortcuts.js";
import { SWATCHES } from "./palette.js";
import { writeProject } from "./project.js";
import { TOOLS, toolsFor } from "./tools.js";

/** @typedef {import("./main.js").AnyPage} Page */
/** @typedef {import("./shortcuts.js").Shortcut} Shortcut */

/** Two digits typed within this time name one class, as 1 and 2 name class 12. */
const TWO_DIGITS_MS = 700;
const ZOOM_STEP = 1.5;

/** @param {Page} page */
export function connectActions(page) {
  const shortcuts = shortcutsOf(page);
  listen(shortcuts);
  showKeys(page, shortcuts);
  byId("help-button", HTMLButtonElement).addEventListener("click", () => showHelp(page.words, shortcuts));
  connectHistory(page);
  connectView(page);
  connectSaving(page);
}

/**
 * @param {Page} page
 * @returns {Shortcut[]}
 */
function shortcutsOf(page) {
  const { studio, live, view, result, controls } = page;
  /** @type {Shortcut[]} */
  const tools = Object.entries(TOOLS).map(([id, tool]) => ({
    keys: tool.keys.map((key) => (key.length === 1 ? key.toUpperCase() : key)),
    label: tool.label,
    run: () => studio.setTool(id),
    only: () => toolsFor(studio.manifest).includes(id),
  }));
  return [
    ...tools,
    { keys: ["["], label: "key.smaller", run: () => studio.stepSize(-1) },
    { keys: ["]"], label: "key.larger", run: () => studio.stepSize(1) },
    { keys: ["Control+Z"], label: "action.undo", run: () => undo(page) },
    { keys: ["Control+Shift+Z", "Control+Y"], label: "action.redo", run: () => redo(page) },
    { keys: ["Delete"], label: "action.clear", run: () => studio.clear() },
    { keys: ["N"], label: "key.next", run: () => page.opener.nextSample() },
    {
      keys: ["C"],
      label: "key.compare",
      run: () => result.hold(true),
      release: () => result.hold(false),
    },
    { keys: ["S"], label: "seed.shuffle", run: () => controls.shuffle(), only: () => studio.manifest.latent !== null },
    { keys: ["Control+Enter"], label: "action.run", run: () => live.run() },
    {
      keys: ["Space"],
      label: "key.pan",
      run: () => setPanning(page, true),
      release: () => setPanning(page, false),
      only: () => [document.body, byId("drawing", HTMLElement)].includes(/** @type {HTMLElement} */ (document.activeElement)),
    },
    {
      keys: ["Escape"],
      label: "key.escape",
      run: () => escape(page),
      only: () => [page.tracing, page.photo.crop].some(({ isOpen }) => isOpen) || studio.isStroking || page.photo.camera.isOn,
    },
    { keys: ["Z"], label: "full.look", run: () => void page.photo.look(), only: () => page.photo.hasPhoto },
    { keys: ["T"], label: "trace.open", run: () => page.tracing.choose(), only: () => page.tracing.isOffered },
    { keys: ["K"], label: "camera.open", run: () => void page.photo.camera.start(), only: () => page.photo.takesCamera },
    { keys: ["Control+0"], label: "view.reset", run: () => view.reset() },
    { keys: ["+", "="], label: "key.zoom_in", run: () => zoom(page, ZOOM_STEP) },
    { keys: ["-"], label: "key.zoom_out", run: () => zoom(page, 1 / ZOOM_STEP) },
    { keys: ["Control+S"], label: "save.project", run: () => void save(page, "project") },
    { keys: ["Control+O"], label: "action.open", run: () => byId("file", HTMLInputElement).click() },
    { keys: ["Shift+Alt+C"], label: "action.copy", run: () => void copy(page) },
    { keys: ["?"], label: "help.open", run: () => showHelp(page.words, shortcutsOf(page)) },
    ...digitShortcuts(page),
  ];
}

/** Leaves what is open, the latest first. @param {Page} page */
function escape({ studio, photo, tracing }) {
  if (tracing.isOpen) tracing.cancel();
  else if (photo.camera.isOn) photo.camera.stop();
  else if (photo.crop.isOpen) photo.crop.cancel();
  else studio.cancelStroke();
}

/**
 * @param {Page} page
 * @returns {Shortcut[]}
 */
function digitShortcuts(page) {
  let typed = "";
  let at = 0;
  /** @param {number} digit */
  const choose = (digit) => {
    const { studio } = page;
    const now = performance.now();
    const longer = now - at < TWO_DIGITS_MS ? Number(typed + digit) : digit;
    const count = studio.drawing.labels?.colors.length ?? SWATCHES.length;
    const number = longer >= 1 && longer <= count ? longer : digit;
    [typed, at] = [String(digit), now];
    if (number < 1 || number > count) return;
    if (studio.drawing.labels) studio.setClass(number - 1);
    else if (studio.drawing.has("hints")) studio.setColor(SWATCHES[number - 1][0]);
  };
  const hasChoice = () => page.studio.drawing.labels !== null || page.studio.drawing.has("hints");
  return Array.from({ length: 10 }, (_, digit) => {
    return { keys: [String(digit)], label: "key.colors", run: () => choose(digit), only: hasChoice };
  });
}

/**
 * Tells the keys of the buttons that the page has from the start.
 * @param {Page} page
 * @param {Shortcut[]} shortcuts
 */
function showKeys(page, shortcuts) {
  for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (document.querySelectorAll("button[data-t-label]"))) {
    const found = shortcuts.find(({ label }) => label === button.dataset.tLabel);
    if (!found) continue;
    button.dataset.key = found.keys[0].replace("Control", "Ctrl");
    button.setAttribute("aria-keyshortcuts", found.keys.join(" "));
    page.words.name(button);
  }
}

/** @param {Page} page */
function connectHistory(page) {
  const { studio } = page;
  const [undoButton, redoButton] = [byId("undo", HTMLButtonElement), byId("redo", HTMLButtonElement)];
  undoButton.addEventListener("click", () => undo(page));
  redoButton.addEventListener("click", () => redo(page));
  byId("clear", HTMLButtonElement).addEventListener("click", () => studio.clear());
  studio.history.addEventListener("change", () => {
    undoButton.disabled = !studio.history.canUndo;
    redoButton.disabled = !studio.history.canRedo;
  });
}

/** @param {Page} page */
function undo({ studio, notices, words }) {
  const step = studio.undo();
  if (step) notices.announce(words.t("history.undone", { step: words.t(step.label) }));
}

/** @param {Page} page */
function redo({ studio, notices, words }) {
  const step = studio.redo();
  if (step) notices.announce(words.t("history.redone", { step: words.t(step.label) }));
}

/** @param {Page} page */
function connectView(page) {
  const { view, pointer, words, notices } = page;
  const zoomChip = byId("zoom", HTMLButtonElement);
  zoomChip.addEventListener("click", () => view.reset());
  view.addEventListener("change", () => {
    zoomChip.hidden = view.zoom === 1;
    byId("zoom-value", HTMLElement).textContent = `${words.number(view.zoom * 100)} %`;
  });
  const penChip = byId("pen-mode", HTMLButtonElement);
  penChip.addEventListener("click", () => pointer.setPenMode(!pointer.isPenMode));
  pointer.addEventListener("penmode", () => {
    if (penChip.hidden) notices.show(words.t("pen.started"));
    penChip.hidden = false;
    penChip.setAttribute("aria-pressed", String(pointer.isPenMode));
  });
}

/**
 * @param {Page} page
 * @param {boolean} isPanning
 */
function setPanning({ pointer, cursor }, isPanning) {
  pointer.isSpaceDown = isPanning;
  cursor.setPanning(isPanning);
}

/**
 * @param {Page} page
 * @param {number} factor
 */
function zoom({ view, stage }, factor) {
  const sheet = /** @type {HTMLElement} */ (stage.parentElement).getBoundingClientRect();
  view.zoomAt({ x: sheet.left + sheet.width / 2, y: sheet.top + sheet.height / 2 }, factor);
}

/** @param {Page} page */
function connectSaving(page) {
  const menu = byId("save-menu", HTMLElement);
  menu.addEventListener("click", (event) => {
    const item = /** @type {HTMLElement} */ (event.target).closest("button");
    if (!item) return;
    menu.hidePopover();
    if (item.dataset.save === "open-project") byId("file", HTMLInputElement).click();
    else void save(page, item.dataset.save ?? "");
  });
  byId("copy", HTMLButtonElement).addEventListener("click", () => void copy(page));
}

/**
 * @param {Page} page
 * @param {string} what
 */
async function save(page, what) {
  const { studio } = page;
  const name = `${studio.manifest.id}-${mixName(studio.choice.mix)}`;
  try {
    if (what === "project") saveFile(await writeProject(studio), `${name}.inkwash`);
    else if (what === "drawing") saveFile(await drawingPng(page), `${name}-drawing.png`);
    else if (what === "both") saveFile(await both(page), `${name}-both.png`);
    else if (what === "jpeg") saveFile(await page.photo.picture("image/jpeg"), `${name}.jpg`);
    else saveFile(await page.resultPng(), `${name}.png`);
  } catch (error) {
    page.fail(error);
  }
}

/** @param {Page} page */
async function both(page) {
  const { drawing } = page.studio;
  const ofPhoto = await page.photo.both();
  if (ofPhoto) return ofPhoto;
  const { width, height } = drawing.size;
  return sideBySide((canvas, ...size) => drawing.compose(canvas, ...size), width / height, await page.resultPng());
}

/** Label maps are saved as the model reads them, exact to the pixel, and photos at their own size. @param {Page} page */
async function drawingPng({ studio, photo }) {
  const { labels } = studio.drawing;
  const ofPhoto = await photo.photoFile();
  if (ofPhoto) return ofPhoto;
  if (!labels) return toFile(drawingCanvas(studio.drawing));
  return new Blob([/** @type {BlobPart} */ (await labels.encode())], { type: "image/png" });
}

/** @param {Page} page */
async function copy(page) {
  try {
    if (await copyPicture(await page.resultPng())) page.notices.show(page.words.t("copy.done"));
  } catch (error) {
    page.fail(error);
  }
}
