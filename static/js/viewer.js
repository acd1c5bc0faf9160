/**
 * The large view: a photo and its picture at full size, one over the other with a divider between them, to zoom and to move by wheel,
 * fingers and keys. It shows what it is given and asks for nothing.
 */

import { byId } from "./dom.js";
import { clamp, distance, midpoint } from "./geometry.js";
import { Zoom } from "./zoom.js";

/** @typedef {import("./types").Point} Point */
/**
 * @typedef {object} Comparison
 * @property {string} title
 * @property {CanvasImageSource & {width: number, height: number}} before - of the same shape as `after`
 * @property {ImageBitmap} after - full size; closed here
 * @property {(type: string) => void} save
 */

const ZOOM_STEP = 1.5;
const PAN_STEP = 60;
/** Two taps within this time and distance are a double tap. */
const DOUBLE_MS = 350;
const DOUBLE_PIXELS = 30;
/** From this scale on single pixels are shown as squares. */
const SHARP_SCALE = 3;

export class Viewer {
  #dialog = byId("viewer", HTMLDialogElement);
  #stage = byId("viewer-stage", HTMLElement);
  #before = byId("viewer-before", HTMLCanvasElement);
  #after = byId("viewer-after", HTMLCanvasElement);
  #clip = byId("viewer-clip", HTMLElement);
  #divider = byId("viewer-divider", HTMLElement);
  #value = byId("viewer-scale", HTMLElement);
  #zoom = new Zoom({ width: 1, height: 1 }, { width: 1, height: 1 });
  /** Place of the divider, share of the window's width. */
  #share = 0.5;
  /** @type {Map<number, Point>} */
  #pointers = new Map();
  #isDividing = false;
  /** @type {{at: Point, time: number} | null} */
  #tap = null;
  /** @type {(type: string) => void} */
  #save = () => undefined;

  /** @param {import("./words.js").Words} words */
  constructor(words) {
    this.words = words;
    const stage = this.#stage;
    stage.addEventListener("pointerdown", (event) => this.#down(event));
    stage.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of /** @type {const} */ (["pointerup", "pointercancel"])) stage.addEventListener(name, (event) => this.#up(event));
    stage.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.#dialog.addEventListener("keydown", (event) => this.#key(event));
    this.#dialog.addEventListener("close", () => this.#forget());
    this.#dialog.addEventListener("click", (event) => {
      const { viewer } = /** @type {HTMLElement} */ (event.target).closest("button")?.dataset ?? {};
      if (viewer) this.#press(viewer);
    });
    new ResizeObserver(() => this.#dialog.open && this.#resize()).observe(stage);
  }

  /** @param {Comparison} shown */
  show({ title, before, after, save }) {
    byId("viewer-title", HTMLElement).textContent = title;
    byId("viewer-size", HTMLElement).textContent = `${after.width} × ${after.height}`;
    const size = { width: after.width, height: after.height };
    paint(this.#before, before, size);
    paint(this.#after, after, size);
    after.close();
    this.#save = save;
    this.#share = 0.5;
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#zoom = new Zoom(size, this.#frame);
    this.#draw();
    this.#stage.focus();
  }

  get #frame() {
    return { width: Math.max(1, this.#stage.clientWidth), height: Math.max(1, this.#stage.clientHeight) };
  }

  /** Large canvases are given back at once; phones have few to spare. */
  #forget() {
    for (const canvas of [this.#before, this.#after]) canvas.width = canvas.height = 1;
    this.#pointers.clear();
    this.#isDividing = false;
  }

  #resize() {
    this.#zoom.resize(this.#frame);
    this.#draw();
  }

  #draw() {
    const { scale, offset } = this.#zoom;
    const transform = `translate(${offset.x}px, ${offset.y}px) scale(${scale})`;
    for (const canvas of [this.#before, this.#after]) {
      canvas.style.transform = transform;
      canvas.toggleAttribute("data-sharp", scale * window.devicePixelRatio >= SHARP_SCALE);
    }
    const percent = Math.round(this.#share * 100);
    this.#clip.style.clipPath = `inset(0 ${100 - this.#share * 100}% 0 0)`;
    this.#divider.style.left = `${this.#share * 100}%`;
    this.#divider.setAttribute("aria-valuenow", String(percent));
    this.#divider.setAttribute("aria-valuetext", `${percent} %`);
    this.#value.textContent = `${this.words.number(scale * window.devicePixelRatio * 100)} %`;
  }

  /** @param {string} what */
  #press(what) {
    const middle = { x: this.#frame.width / 2, y: this.#frame.height / 2 };
    if (what === "fit") this.#zoom.fit();
    else if (what === "full") this.#zoom.zoomTo(middle, 1 / window.devicePixelRatio);
    else if (what === "in") this.#zoom.zoomAt(middle, ZOOM_STEP);
    else if (what === "out") this.#zoom.zoomAt(middle, 1 / ZOOM_STEP);
    else if (what.startsWith("image/")) this.#save(what);
    this.#draw();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const press = { "+": "in", "=": "in", "-": "out", 0: "fit", 1: "full" }[event.key];
    const arrow = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    const isOnDivider = event.target === this.#divider;
    if (press) this.#press(press);
    else if (isOnDivider && this.#divideByKey(event)) this.#draw();
    else if (arrow && event.target === this.#stage) {
      this.#zoom.pan(arrow[0] * PAN_STEP, arrow[1] * PAN_STEP);
      this.#draw();
    } else return;
    event.preventDefault();
  }

  /** @param {KeyboardEvent} event */
  #divideByKey({ key, shiftKey }) {
    const ends = { Home: 0, End: 1 };
    const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -5, PageUp: 5 }[key];
    if (key in ends) this.#share = ends[/** @type {keyof typeof ends} */ (key)];
    else if (step) this.#share = clamp(this.#share + step * (shiftKey ? 0.01 : 0.02), 0, 1);
    else return false;
    return true;
  }

  /** @param {PointerEvent} event */
  #down(event) {
    if (event.button > 1) return;
    this.#stage.setPointerCapture(event.pointerId);
    const isDivider = event.target instanceof Node && this.#divider.contains(event.target);
    if (isDivider && !this.#pointers.size) this.#isDividing = true;
    this.#pointers.set(event.pointerId, this.#at(event));
    if (this.#pointers.size === 1 && !this.#isDividing) this.#tapped(event);
    else this.#tap = null;
  }

  /** @param {PointerEvent} event */
  #tapped(event) {
    const at = this.#at(event);
    const last = this.#tap;
    this.#tap = { at, time: event.timeStamp };
    if (!last || event.timeStamp - last.time > DOUBLE_MS || distance(at, last.at) > DOUBLE_PIXELS) return;
    this.#tap = null;
    if (this.#zoom.isFitted) this.#zoom.zoomTo(at, Math.max(1 / window.devicePixelRatio, this.#zoom.fitScale * 2));
    else this.#zoom.fit();
    this.#draw();
  }

  /** @param {PointerEvent} event */
  #move(event) {
    if (!this.#pointers.has(event.pointerId)) return;
    const before = [...this.#pointers.values()];
    this.#pointers.set(event.pointerId, this.#at(event));
    const after = [...this.#pointers.values()];
    if (this.#isDividing) this.#share = clamp(after[0].x / this.#frame.width, 0, 1);
    else if (after.length === 1) this.#zoom.pan(after[0].x - before[0].x, after[0].y - before[0].y);
    else this.#pinch(before, after);
    this.#draw();
  }

  /**
   * @param {Point[]} before
   * @param {Point[]} after
   */
  #pinch([a, b], [c, d]) {
    const [from, to] = [midpoint(a, b), midpoint(c, d)];
    this.#zoom.pan(to.x - from.x, to.y - from.y);
    this.#zoom.zoomAt(to, distance(c, d) / Math.max(1, distance(a, b)));
  }

  /** @param {PointerEvent} event */
  #up(event) {
    this.#pointers.delete(event.pointerId);
    if (!this.#pointers.size) this.#isDividing = false;
  }

  /** @param {WheelEvent} event */
  #wheel(event) {
    event.preventDefault();
    // Line and page steps come from wheels of some browsers.
    const delta = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? 1 : 30);
    this.#zoom.zoomAt(this.#at(event), Math.exp(-delta / 300));
    this.#draw();
  }

  /** @param {MouseEvent} event @returns {Point} CSS pixels of the window */
  #at(event) {
    const box = this.#stage.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {CanvasImageSource} picture
 * @param {{width: number, height: number}} size
 */
function paint(canvas, picture, { width, height }) {
  [canvas.width, canvas.height] = [width, height];
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, width, height);
}
