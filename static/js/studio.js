/**
 * The state of the page: model, drawing, tool, colours and history, and the rules by which they change; what is chosen beside the sheet
 * is `Choice`'s. It tells of every change by an event; it draws no interface and sends nothing.
 */

import { Choice } from "./choice.js";
import { clamp } from "./geometry.js";
import { History } from "./history.js";
import { mixText, plain } from "./mix.js";
import { TOOLS, inputOf, toolsFor } from "./tools.js";
import { newWork, putPictures } from "./work.js";

/** @typedef {import("./types").Manifest} Manifest */
/** @typedef {import("./types").Point} Point */
/** @typedef {import("./types").Modifiers} Modifiers */
/** @typedef {import("./drawing.js").Drawing} Drawing */
/** @typedef {import("./types").Mix} Mix */
/** @typedef {import("./work.js").Pictures} Pictures */
/** @typedef {import("./work.js").Work} Work */
/** @typedef {"work" | "tool" | "size" | "color" | "class" | "change" | "stroke" | "frame" | "preview"} StudioEvent */

const RECENT_COLORS = 6;

export class Studio extends EventTarget {
  history = new History();
  toolId = "pen";
  color = "#d7263d";
  /** @type {string[]} */
  recentColors = [];
  classIndex = 0;
  /** Tool from before the eyedropper, to go back to after picking. */
  #previousTool = "pen";
  /** @type {Map<string, number>} */
  #sizes = new Map();
  /** @type {{gesture: import("./types").Gesture, step: string} | null} */
  #stroke = null;
  /** What is on show and is no step yet. @type {{label: string, settle: () => void} | null} label: message key of the step it would be */
  #preview = null;
  /** @type {(point: Point) => string | null} */
  pictureColor = () => null;

  /**
   * @param {Manifest} manifest
   * @param {Pictures} pictures - inputs of the example it opens with
   */
  constructor(manifest, pictures) {
    super();
    this.work = newWork(manifest);
    this.choice = new Choice(this.work, this.history);
    this.choice.on("change", () => this.#tell("change"));
    putPictures(this.drawing, pictures);
    this.drawing.commit();
    this.#adopt();
  }

  get manifest() {
    return this.work.manifest;
  }

  get drawing() {
    return this.work.drawing;
  }

  get isStroking() {
    return this.#stroke !== null;
  }

  get hasPreview() {
    return this.#preview !== null;
  }

  /**
   * @param {StudioEvent} event
   * @param {() => void} listener
   */
  on(event, listener) {
    this.addEventListener(event, listener);
  }

  /** @param {StudioEvent} event */
  #tell(event) {
    this.dispatchEvent(new Event(event));
  }

  /**
   * Opens another model with an example on it. One undo step leads back to the model and the drawing before.
   * @param {Manifest} manifest
   * @param {Pictures} pictures - the example's inputs; none for an empty drawing
   */
  switchModel(manifest, pictures) {
    const after = newWork(manifest);
    this.choice.carryTo(after);
    putPictures(after.drawing, pictures);
    after.drawing.commit();
    this.replaceWork("step.model", after);
  }

  /**
   * Puts other work in the place of the present one, as one undo step.
   * @param {string} label - message key
   * @param {Work} after - its drawing committed
   */
  replaceWork(label, after) {
    this.dropPreview();
    const before = this.work;
    this.#setWork(after);
    this.history.push({ label, undo: () => this.#setWork(before), redo: () => this.#setWork(after) });
  }

  /** @param {Work} work */
  #setWork(work) {
    this.dropPreview();
    this.cancelStroke();
    this.choice.adopt(work);
    this.work = work;
    this.#adopt();
    this.#tell("work");
    this.#tell("change");
  }

  /** Keeps the tool and the class where the model has them. */
  #adopt() {
    const offered = toolsFor(this.manifest);
    if (!offered.includes(this.toolId)) this.toolId = offered[0];
    const classes = this.drawing.labels?.colors.length ?? 0;
    if (this.classIndex >= classes) this.classIndex = 0;
    // Painting the background over the background would show nothing: start with another class.
    if (classes > 1 && this.classIndex === this.drawing.labels?.background) this.classIndex = this.classIndex === 0 ? 1 : 0;
  }

  /** @param {string} id */
  setTool(id) {
    if (!toolsFor(this.manifest).includes(id)) return;
    // A picked colour leads back to what draws, and not into a crop that came between.
    const { cursor, mode } = TOOLS[this.toolId];
    if (cursor !== "pick" && !mode) this.#previousTool = this.toolId;
    this.toolId = id;
    this.#tell("tool");
    this.#tell("size");
  }

  /** @returns {import("./types").SizeRange | null} sizes of the current tool, model pixels */
  get sizeRange() {
    const tool = TOOLS[this.toolId];
    return tool?.sizes?.(inputOf(tool, this.manifest), this.drawing.size.width) ?? null;
  }

  /** Brush size in model pixels. */
  get size() {
    const range = this.sizeRange;
    if (!range) return 1;
    return clamp(this.#sizes.get(this.#sizeKey) ?? range.default, range.min, range.max);
  }

  get #sizeKey() {
    return `${this.manifest.id} ${this.toolId}`;
  }

  /** @param {number} size - model pixels */
  setSize(size) {
    const range = this.sizeRange;
    if (!range) return;
    this.#sizes.set(this.#sizeKey, clamp(Math.round(size / range.step) * range.step, range.min, range.max));
    this.#tell("size");
  }

  /** @param {1 | -1} direction */
  stepSize(direction) {
    const range = this.sizeRange;
    if (range) this.setSize(this.size + direction * Math.max(range.step, Math.round(this.size * 0.15)));
  }

  resetSize() {
    this.#sizes.delete(this.#sizeKey);
    this.#tell("size");
  }

  /** @param {string} color - `#rrggbb` */
  setColor(color) {
    this.color = color.toLowerCase();
    if (this.drawing.has("hints") && this.toolId !== "hint") this.setTool("hint");
    this.#tell("color");
  }

  /** @param {number} index */
  setClass(index) {
    if (!this.drawing.labels || index >= this.drawing.labels.colors.length) return;
    this.classIndex = index;
    this.#tell("class");
  }

  /**
   * @param {Point} point - model pixels
   * @param {string} [toolId] - instead of the chosen tool, as for the eraser end of a pen
   */
  beginStroke(point, toolId = this.toolId) {
    // Who draws on what is offered has taken it.
    this.keepPreview();
    this.cancelStroke();
    const tool = TOOLS[toolId];
    const chosen = this.toolId;
    this.toolId = toolId;
    const context = {
      drawing: this.drawing,
      size: this.size,
      color: this.color,
      classIndex: this.classIndex,
      pickColor: (/** @type {string} */ color) => this.#pick(() => (this.color = color), "color"),
      pickClass: (/** @type {number} */ index) => this.#pick(() => (this.classIndex = index), "class"),
      pictureColor: this.pictureColor,
    };
    this.toolId = chosen;
    this.#stroke = { gesture: tool.begin(context, point), step: tool.step };
    if (toolId === "hint") this.#remember(this.color);
    this.#tell("stroke");
    this.#tell("change");
  }

  /**
   * @param {() => void} take
   * @param {StudioEvent} event
   */
  #pick(take, event) {
    take();
    this.#tell(event);
  }

  /**
   * @param {Point} point - model pixels
   * @param {Modifiers} modifiers
   */
  moveStroke(point, modifiers) {
    this.#stroke?.gesture.move(point, modifiers);
  }

  /** Tells that points were added; once per event, not once per point. */
  strokeMoved() {
    if (this.#stroke) this.#tell("change");
  }

  endStroke() {
    const stroke = this.#stroke;
    if (!stroke) return;
    stroke.gesture.end();
    this.#stroke = null;
    this.record(stroke.step);
    if (TOOLS[this.toolId].cursor === "pick") this.setTool(this.#previousTool);
    this.#tell("stroke");
  }

  /** Takes the unfinished stroke back; it leaves no undo step. */
  cancelStroke() {
    if (!this.#stroke) return;
    this.#stroke = null;
    this.drawing.reset();
    this.#tell("stroke");
    this.#tell("change");
  }

  /** @param {string} color */
  #remember(color) {
    this.recentColors = [color, ...this.recentColors.filter((other) => other !== color)].slice(0, RECENT_COLORS);
    this.#tell("color");
  }

  /**
   * Commits what was drawn as one undo step.
   * @param {string} label - message key
   * @param {Mix} [mix] - of a sample, taken over in the same step
   */
  record(label, mix = this.choice.mix) {
    const before = this.choice.mix;
    const toggle = this.drawing.commit();
    // A stroke has no part in the seed: one that was chosen after it stays when it is undone.
    const isOther = mixText(mix) !== mixText(before);
    const apply = (/** @type {Mix} */ value) => {
      if (isOther) this.choice.put(value);
      this.#tell("change");
    };
    if (toggle || isOther) {
      const change = (/** @type {Mix} */ value) => {
        toggle?.();
        apply(value);
      };
      this.history.push({ label, undo: () => change(before), redo: () => change(mix) });
    }
    apply(mix);
  }

  /**
   * Shows something that is no step yet, in place of what was shown so before. Whatever is done next decides on it: a stroke keeps
   * it, everything else drops it.
   * @param {string} label - message key of the step that it would be
   * @param {(drawing: Drawing) => void} draw
   * @param {() => void} [settle] - done once, when it becomes a step
   */
  preview(label, draw, settle = () => {}) {
    this.cancelStroke();
    this.drawing.reset();
    this.#preview = { label, settle };
    draw(this.drawing);
    this.#tell("preview");
    this.#tell("change");
  }

  /** Makes what is on show a step. */
  keepPreview() {
    if (this.#preview === null) return;
    const { label, settle } = this.#preview;
    this.#preview = null;
    settle();
    this.record(label);
    this.#tell("preview");
  }

  /** Goes back to what was there before. */
  dropPreview() {
    if (this.#preview === null) return;
    this.#preview = null;
    this.drawing.reset();
    this.#tell("preview");
    this.#tell("change");
  }

  clear() {
    this.dropPreview();
    this.cancelStroke();
    this.drawing.clear();
    this.record("step.clear");
  }

  /**
   * Puts a picture into the main input.
   * @param {ImageBitmap} bitmap
   * @returns {{inverted: boolean, snapped: number}}
   */
  openPicture(bitmap) {
    this.dropPreview();
    this.cancelStroke();
    this.drawing.clear();
    const report = this.drawing.main.load(bitmap);
    this.record("step.open");
    return report;
  }

  /**
   * Puts a photo into the main input.
   * @param {import("./photo.js").Photo} photo
   * @param {string} [label] - message key
   */
  openPhoto(photo, label = "step.open") {
    this.dropPreview();
    this.cancelStroke();
    this.drawing.clear();
    this.drawing.photo?.open(photo);
    this.record(label);
  }

  /**
   * Puts a picture into a slot.
   * @param {import("./drawing.js").AnySurface} slot - of the present drawing
   * @param {import("./photo.js").Photo | ImageBitmap} picture
   * @returns {{inverted: boolean, snapped: number}}
   */
  openInput(slot, picture) {
    this.keepPreview();
    this.cancelStroke();
    const report = this.drawing.fill(slot, picture);
    this.record("step.input");
    return report;
  }

  /** @param {import("./drawing.js").AnySurface} slot - of the present drawing */
  removeInput(slot) {
    this.keepPreview();
    this.cancelStroke();
    slot.clear();
    this.record("step.input_removed");
  }

  /** Tells that something is shown that belongs to no step yet, as a crop that is being chosen. */
  previewChanged() {
    this.#tell("change");
  }

  /** Tells that a camera's next frame is shown; they are too many to ask for a picture of each. */
  frameShown() {
    this.#tell("frame");
  }

  /**
   * Puts a sample's inputs into the drawing.
   * @param {Pictures} pictures
   * @param {number} seed
   */
  loadSample(pictures, seed) {
    this.dropPreview();
    this.cancelStroke();
    this.choice.drop();
    for (const surface of this.drawing.surfaces) surface.clear();
    putPictures(this.drawing, pictures);
    this.record("step.sample", this.choice.outlastsSamples ? this.choice.mix : plain(seed));
  }

  /**
   * Takes back what is going on, else the last step. The move of a slider is no step: it goes on, and what was done before it waits.
   * @returns {{label: string} | null} what was undone
   */
  undo() {
    const label = this.#dropUnfinished();
    if (label !== null) return { label };
    return this.choice.isSteering ? null : this.history.undo();
  }

  /** @returns {string | null} message key of the step that it would have been */
  #dropUnfinished() {
    const step = this.#stroke?.step;
    this.cancelStroke();
    if (step) return step;
    if (this.choice.drop()) return "step.variation";
    const label = this.#preview?.label ?? null;
    this.dropPreview();
    return label;
  }

  /** @returns {{label: string} | null} what was redone */
  redo() {
    // Nothing comes after what is still being made.
    if (this.isStroking || this.choice.isSteering) return null;
    this.dropPreview();
    return this.history.redo();
  }
}
