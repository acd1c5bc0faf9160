/**
 * The crop tool: the whole photo on the sheet with a frame on it, held by mouse, finger or keys, and the bar below with shapes, turns
 * and straightening. What it chooses is shown at once and becomes one step when it is done.
 */

import { byId } from "./dom.js";
import * as geometry from "./cropgeometry.js";
import { TOOLS } from "./tools.js";

/** @typedef {import("./types").Crop} Crop */
/** @typedef {import("./types").Point} Point */
/** @typedef {import("./cropgeometry.js").Handle} Handle */

/** Room around the photo for the handles, CSS pixels. */
const MARGIN = 26;
/** Arrow keys move by this share of the photo's shorter side; with Shift by one pixel. */
const KEY_SHARE = 0.02;

/** Shapes by name: width over height, or null where any will do. @type {Record<string, (photo: geometry.Extent, turns: number) => number | null>} */
const ASPECTS = {
  free: () => null,
  original: (photo, turns) => ratio(geometry.turnedExtent(photo, turns)),
  square: () => 1,
};

/** What the bar's buttons do. @type {Record<string, (crop: Crop, photo: geometry.Extent) => Crop>} */
const MOVES = {
  left: (crop) => geometry.turn(crop, -1),
  right: (crop) => geometry.turn(crop, 1),
  mirror: (crop) => geometry.mirror(crop),
  whole: (_, photo) => geometry.wholeCrop(photo),
};

export class CropMode {
  #sheet = byId("drawing", HTMLElement);
  #overlay = byId("crop", HTMLElement);
  #canvas = byId("crop-photo", HTMLCanvasElement);
  #frame = byId("crop-frame", HTMLElement);
  #bar = byId("crop-bar", HTMLElement);
  #usualBar = byId("drawing-bar", HTMLElement);
  #angle = byId("crop-angle", HTMLInputElement);
  #angleValue = byId("crop-angle-value", HTMLOutputElement);
  #size = byId("crop-size", HTMLElement);
  #aspects = byId("crop-aspects", HTMLElement);
  #aspect = "free";
  #toolBefore = "";
  /** @type {{id: number, handle: Handle | "move", from: Point, crop: Crop} | null} */
  #drag = null;

  /**
   * @param {import("./studio.js").Studio} studio
   * @param {import("./words.js").Words} words
   * @param {import("./view.js").View} view
   */
  constructor(studio, words, view) {
    this.studio = studio;
    this.words = words;
    this.view = view;
    this.#listenToFrame();
    this.#listenToBar();
    studio.on("preview", () => studio.hasPreview || this.#close());
    words.addEventListener("change", () => this.isOpen && this.#show());
    new ResizeObserver(() => this.isOpen && this.#show()).observe(this.#sheet);
  }

  get isOpen() {
    return !this.#overlay.hidden;
  }

  /** @returns {{photo: import("./photo.js").Photo, crop: Crop} | null} */
  get #shown() {
    return this.studio.drawing.photo?.shown ?? null;
  }

  /** @param {string} toolBefore - to go back to */
  open(toolBefore) {
    if (this.isOpen || !this.#shown) return;
    this.#toolBefore = toolBefore;
    this.view.reset();
    this.#setAspect("free");
    this.studio.preview("step.crop", () => {}, () => this.#takeAlong());
    this.#toggle(true);
    this.#show();
    /** @type {HTMLElement} */ (this.#frame.querySelector("[data-handle=move]")).focus({ preventScroll: true });
  }

  /** Keeps what was chosen, as one step. */
  done() {
    if (this.isOpen) this.studio.keepPreview();
  }

  /** What is painted over the photo, and the slots' pictures, go with it. */
  #takeAlong() {
    const { photo } = this.studio.drawing;
    const before = photo?.committedCrop;
    if (photo?.shown && before) this.studio.drawing.followCrop(before, photo.shown.crop, photo.shown.photo.size);
  }

  /** Goes back to how it was. */
  cancel() {
    if (this.isOpen) this.studio.dropPreview();
  }

  /** What was chosen has become a step, or was dropped. */
  #close() {
    if (!this.isOpen) return;
    this.#toggle(false);
    // Another tool may have been chosen, which ended it.
    if (TOOLS[this.studio.toolId].mode === "crop") this.studio.setTool(this.#toolBefore);
    this.#sheet.focus({ preventScroll: true });
  }

  /** @param {boolean} isOpen */
  #toggle(isOpen) {
    this.#drag = null;
    this.#overlay.hidden = !isOpen;
    this.#bar.hidden = !isOpen;
    this.#usualBar.hidden = isOpen;
  }

  #listenToFrame() {
    const frame = this.#overlay;
    frame.addEventListener("pointerdown", (event) => this.#down(event));
    frame.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of /** @type {const} */ (["pointerup", "pointercancel"])) frame.addEventListener(name, () => (this.#drag = null));
    frame.addEventListener("keydown", (event) => this.#key(event));
    // The sheet below would pan and zoom.
    for (const name of ["pointerdown", "pointermove", "pointerup", "wheel"]) frame.addEventListener(name, (event) => event.stopPropagation());
  }

  #listenToBar() {
    this.#aspects.addEventListener("click", (event) => {
      const { aspect } = /** @type {HTMLElement} */ (event.target).closest("button")?.dataset ?? {};
      if (aspect) this.#chooseAspect(aspect);
    });
    this.#bar.addEventListener("click", (event) => {
      const { crop } = /** @type {HTMLElement} */ (event.target).closest("button")?.dataset ?? {};
      if (crop === "done") this.done();
      else if (crop === "cancel") this.cancel();
      else if (crop) this.#apply(MOVES[crop]);
    });
    this.#angle.addEventListener("input", () => {
      this.#apply((crop, photo) => geometry.straighten(crop, Number(this.#angle.value), photo));
    });
    byId("crop-level", HTMLButtonElement).addEventListener("click", () => {
      this.#apply((crop, photo) => geometry.straighten(crop, 0, photo));
    });
  }

  /** @param {string} name */
  #setAspect(name) {
    this.#aspect = name;
    for (const button of this.#aspects.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.dataset.aspect === name));
    }
  }

  /** @param {string} name */
  #chooseAspect(name) {
    this.#setAspect(name);
    this.#apply((crop, photo) => {
      const aspect = ASPECTS[name](photo, crop.turns);
      return aspect ? geometry.reshape(crop, aspect, photo) : crop;
    });
  }

  /** @param {(crop: Crop, photo: geometry.Extent) => Crop} change */
  #apply(change) {
    const shown = this.#shown;
    // In some browsers a slider that is hidden while it is held tells of moves all the same.
    if (!shown || !this.isOpen) return;
    const changed = change(shown.crop, shown.photo.size);
    // Turned by a quarter, a frame of a kept shape has its other shape.
    if (this.#aspect === "original" && changed.turns % 2 !== shown.crop.turns % 2) this.#setAspect("original");
    this.#set(changed);
  }

  /** @param {Crop} crop */
  #set(crop) {
    this.studio.drawing.photo?.setCrop(crop);
    this.studio.previewChanged();
    this.#show();
  }

  /** CSS pixels per photo pixel. */
  get #scale() {
    const shown = this.#shown;
    if (!shown) return 1;
    const { width, height } = geometry.turnedExtent(shown.photo.size, shown.crop.turns);
    const { clientWidth, clientHeight } = this.#sheet;
    return Math.min((clientWidth - 2 * MARGIN) / width, (clientHeight - 2 * MARGIN) / height);
  }

  #show() {
    const shown = this.#shown;
    if (!shown) return;
    const { crop } = shown;
    this.#showPhoto();
    const scale = this.#scale;
    const { style } = this.#frame;
    style.left = `${this.#sheet.clientWidth / 2 + crop.rect.x * scale}px`;
    style.top = `${this.#sheet.clientHeight / 2 + crop.rect.y * scale}px`;
    style.width = `${crop.rect.width * scale}px`;
    style.height = `${crop.rect.height * scale}px`;
    this.#angle.value = String(crop.angle);
    const degrees = this.words.t("crop.degrees", { degrees: this.words.number(crop.angle, 1) });
    this.#angleValue.textContent = degrees;
    this.#angle.setAttribute("aria-valuetext", degrees);
    const { width, height } = geometry.croppedSize(crop);
    this.#size.textContent = `${width} × ${height}`;
  }

  /** The whole photo, turned as the crop says, with its centre in the middle of the sheet. */
  #showPhoto() {
    const { photo, crop } = /** @type {import("./photosurface.js").Shown} */ (this.#shown);
    const ratio = Math.min(2, window.devicePixelRatio);
    const [width, height] = [this.#sheet.clientWidth * ratio, this.#sheet.clientHeight * ratio].map(Math.round);
    if (this.#canvas.width !== width || this.#canvas.height !== height) [this.#canvas.width, this.#canvas.height] = [width, height];
    const context = /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext("2d"));
    context.clearRect(0, 0, width, height);
    const sides = { width: width / (this.#scale * ratio), height: height / (this.#scale * ratio) };
    const rect = { x: -sides.width / 2, y: -sides.height / 2, ...sides };
    photo.draw(context, { ...crop, rect }, { x: 0, y: 0, width, height });
    this.#canvas.dataset.kind = this.studio.drawing.main.input.kind;
  }

  /** @param {PointerEvent} event */
  #down(event) {
    const { handle } = /** @type {HTMLElement} */ (event.target).closest("button")?.dataset ?? {};
    if (!handle || !this.#shown || event.button !== 0 || this.#drag) return;
    this.#overlay.setPointerCapture(event.pointerId);
    const from = { x: event.clientX, y: event.clientY };
    this.#drag = { id: event.pointerId, handle: /** @type {Handle | "move"} */ (handle), from, crop: this.#shown.crop };
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const drag = this.#drag;
    if (drag?.id !== event.pointerId) return;
    const scale = this.#scale;
    this.#pull(drag.crop, drag.handle, (event.clientX - drag.from.x) / scale, (event.clientY - drag.from.y) / scale);
  }

  /**
   * @param {Crop} crop - before the pull
   * @param {Handle | "move"} handle
   * @param {number} dx - photo pixels
   * @param {number} dy - photo pixels
   */
  #pull(crop, handle, dx, dy) {
    const photo = this.#shown?.photo.size;
    if (!photo) return;
    if (handle === "move") this.#set(geometry.moveFrame(crop, dx, dy, photo));
    else this.#set(geometry.pullHandle(crop, handle, dx, dy, this.#keptAspect(crop), photo));
  }

  /**
   * The shape to keep: as chosen, but a frame that was turned since keeps the shape it has.
   * @param {Crop} crop
   */
  #keptAspect({ rect }) {
    return this.#aspect === "free" ? null : ratio(rect);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const direction = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const { handle } = /** @type {HTMLElement} */ (event.target).dataset;
    if (event.key === "Enter" && handle) this.done();
    else if (direction && handle && this.#shown) {
      const { photo, crop } = this.#shown;
      const step = event.shiftKey ? 1 : Math.max(1, KEY_SHARE * Math.min(photo.size.width, photo.size.height));
      this.#pull(crop, /** @type {Handle | "move"} */ (handle), direction[0] * step, direction[1] * step);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

/** @param {geometry.Extent} extent */
function ratio({ width, height }) {
  return width / height;
}
