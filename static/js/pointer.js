/**
 * Mouse, touch and pen on the drawing: which pointers draw, which pan and zoom, and what cancels a stroke. It turns pointer
 * events into strokes of the studio and moves of the view, and draws nothing itself.
 */

import { distance, midpoint } from "./geometry.js";
import { TOOLS } from "./tools.js";

/** @typedef {import("./types").Point} Point */

/** A stroke younger than this is taken back when a second finger comes down; an older one is kept and can be undone. */
const ACCIDENT_MS = 500;
const ERASER_BUTTON = 32;

export class PointerInput extends EventTarget {
  /** Whether fingers only pan and zoom, as after the first contact of a pen. */
  isPenMode = false;
  isSpaceDown = false;
  /** @type {Map<number, Point>} touching fingers, and the mouse while it pans */
  #fingers = new Map();
  /** @type {{id: number, type: string, at: number} | null} the pointer that draws, and since when */
  #drawing = null;

  /**
   * @param {HTMLElement} sheet - takes the events
   * @param {import("./view.js").View} view
   * @param {import("./studio.js").Studio} studio
   */
  constructor(sheet, view, studio) {
    super();
    this.sheet = sheet;
    this.view = view;
    this.studio = studio;
    sheet.addEventListener("pointerdown", (event) => this.#down(event));
    sheet.addEventListener("pointermove", (event) => this.#move(event));
    sheet.addEventListener("pointerup", (event) => this.#up(event));
    sheet.addEventListener("pointercancel", (event) => this.#cancel(event));
    sheet.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    sheet.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  /** @param {boolean} isPenMode */
  setPenMode(isPenMode) {
    this.isPenMode = isPenMode;
    this.dispatchEvent(new Event("penmode"));
  }

  /** @param {PointerEvent} event */
  #down(event) {
    if (event.pointerType === "pen" && !this.isPenMode) this.setPenMode(true);
    if (event.pointerType === "mouse" && event.button > 1) return;
    this.sheet.setPointerCapture(event.pointerId);
    event.preventDefault();
    // Preventing the default keeps the page still, but also keeps the focus where it was: an open text field must lose it.
    if (document.activeElement instanceof HTMLInputElement) document.activeElement.blur();
    if (this.#isPalm(event)) return;
    if (this.#navigates(event)) this.#addFinger(event);
    else if (!this.#drawing || this.#takesOver(event)) this.#beginStroke(event);
  }

  /** Whether a touch comes while pen or mouse draws: a resting hand, no wish to move the view. @param {PointerEvent} event */
  #isPalm(event) {
    return event.pointerType === "touch" && this.#drawing !== null && this.#drawing.type !== "touch";
  }

  /** Whether a pen comes down after the hand that holds it. @param {PointerEvent} event */
  #takesOver(event) {
    return event.pointerType === "pen" && this.#drawing?.type === "touch";
  }

  /** @param {PointerEvent} event */
  #navigates(event) {
    if (this.isSpaceDown || event.button === 1 || this.#isLooking) return true;
    if (event.pointerType !== "touch") return false;
    return this.isPenMode || this.#drawing !== null || this.#fingers.size > 0;
  }

  /** Whether the chosen tool only moves the view. */
  get #isLooking() {
    return TOOLS[this.studio.toolId]?.cursor === "grab";
  }

  /** @param {PointerEvent} event */
  #addFinger(event) {
    if (event.pointerType === "touch" && this.#drawing) {
      const first = this.#drawing;
      this.#drawing = null;
      if (event.timeStamp - first.at < ACCIDENT_MS) this.studio.cancelStroke();
      else this.studio.endStroke();
      this.#fingers.set(first.id, this.#last);
    }
    this.#fingers.set(event.pointerId, positionOf(event));
  }

  /** @type {Point} */
  #last = { x: 0, y: 0 };

  /** @param {PointerEvent} event */
  #beginStroke(event) {
    this.#drawing = { id: event.pointerId, type: event.pointerType, at: event.timeStamp };
    // Whatever rested on the sheet before must not move the view under the stroke.
    this.#fingers.clear();
    this.#last = positionOf(event);
    const erasers = { pen: "eraser", straight: "eraser", eraser: "eraser", hint: "unhint", unhint: "unhint" };
    const { toolId } = this.studio;
    const isEraserEnd = (event.buttons & ERASER_BUTTON) !== 0;
    const tool = isEraserEnd ? (erasers[/** @type {keyof typeof erasers} */ (toolId)] ?? toolId) : toolId;
    this.studio.beginStroke(this.#toModel(this.#last), tool);
  }

  /** @param {PointerEvent} event */
  #move(event) {
    this.dispatchEvent(new CustomEvent("hover", { detail: event }));
    if (this.#drawing?.id === event.pointerId) this.#extend(event);
    else if (this.#fingers.has(event.pointerId)) this.#navigate(event);
  }

  /** @param {PointerEvent} event */
  #extend(event) {
    // Only offered in secure contexts, so not on http://192.168.x.x; synthetic events have none.
    const coalesced = event.getCoalescedEvents?.() ?? [];
    for (const part of coalesced.length ? coalesced : [event]) {
      this.#last = positionOf(part);
      this.studio.moveStroke(this.#toModel(this.#last), { shift: event.shiftKey });
    }
    this.studio.strokeMoved();
  }

  /** @param {PointerEvent} event */
  #navigate(event) {
    const before = [...this.#fingers.values()];
    this.#fingers.set(event.pointerId, positionOf(event));
    const after = [...this.#fingers.values()];
    const from = before.length > 1 ? midpoint(before[0], before[1]) : before[0];
    const to = after.length > 1 ? midpoint(after[0], after[1]) : after[0];
    this.view.pan(to.x - from.x, to.y - from.y);
    if (before.length > 1) this.view.zoomAt(to, distance(after[0], after[1]) / Math.max(1, distance(before[0], before[1])));
  }

  /** @param {PointerEvent} event */
  #up(event) {
    this.#fingers.delete(event.pointerId);
    if (this.#drawing?.id !== event.pointerId) return;
    this.#drawing = null;
    this.studio.endStroke();
  }

  /** @param {PointerEvent} event */
  #cancel(event) {
    this.#fingers.delete(event.pointerId);
    if (this.#drawing?.id !== event.pointerId) return;
    this.#drawing = null;
    this.studio.cancelStroke();
  }

  /** @param {WheelEvent} event */
  #wheel(event) {
    if (event.altKey) {
      event.preventDefault();
      this.studio.stepSize(event.deltaY > 0 ? -1 : 1);
    } else if (event.ctrlKey || event.metaKey || this.#isLooking) {
      event.preventDefault();
      this.view.zoomAt(positionOf(event), Math.exp(-event.deltaY / 300));
    } else if (this.view.zoom > 1) {
      event.preventDefault();
      this.view.pan(-event.deltaX, -event.deltaY);
    }
  }

  /** @param {Point} client */
  #toModel(client) {
    return this.view.toModel(client, this.studio.drawing.size);
  }
}

/**
 * @param {MouseEvent} event
 * @returns {Point}
 */
function positionOf(event) {
  return { x: event.clientX, y: event.clientY };
}
