/**
 * The drawing tools, one entry each: toolbar, shortcuts, cursor and help are drawn from this table. A tool changes the drawing
 * between pointer down and up; recording the step and asking for a picture is the studio's.
 */

import { distance, midpoint, snapAngle, snapSquare } from "./geometry.js";
import { isArrayInput, layerInputs } from "./inputs.js";

/** @typedef {import("./types").Point} Point */
/** @typedef {import("./types").Gesture} Gesture */
/** @typedef {import("./types").InputKind} InputKind */
/** @typedef {import("./types").SizeRange} SizeRange */
/**
 * @typedef {object} ToolContext what a tool may use
 * @property {import("./drawing.js").Drawing} drawing
 * @property {number} size - model pixels
 * @property {string} color - `#rrggbb`, of hints
 * @property {number} classIndex - of labels
 * @property {(color: string) => void} pickColor
 * @property {(index: number) => void} pickClass
 * @property {(point: Point) => string | null} pictureColor - colour of the result under a point
 */
/**
 * @typedef {object} Tool
 * @property {(InputKind | "array")[]} kinds - inputs it works on; `array`: photos of more channels than can be shown
 * @property {string} icon
 * @property {string} label - message key
 * @property {string[]} keys - shortcuts; the first is shown
 * @property {"round" | "cross" | "move" | "pick" | "grab"} cursor - with `grab` the pointer moves the view and begins nothing
 * @property {string} step - message key of the undo step
 * @property {"crop"} [mode] - what takes the sheet over while the tool is chosen
 * @property {((input: import("./types").ImageInput, side: number) => SizeRange)} [sizes] - model pixels; side: the model's width
 * @property {(context: ToolContext, point: Point) => Gesture} begin
 */

/** @type {Record<string, Tool>} */
export const TOOLS = {
  pen: {
    kinds: ["line"],
    icon: "pen",
    label: "tool.pen",
    keys: ["b", "p"],
    cursor: "round",
    step: "step.line",
    sizes: (input) => ({ min: 0.5, max: 16, default: input.line_width_px ?? 2, step: 0.5 }),
    begin: (context, point) => paintStroke(context, "line", point, false),
  },
  straight: {
    kinds: ["line"],
    icon: "straight",
    label: "tool.straight",
    keys: ["l"],
    cursor: "cross",
    step: "step.line",
    sizes: (input) => ({ min: 0.5, max: 16, default: input.line_width_px ?? 2, step: 0.5 }),
    begin: straightLine,
  },
  eraser: {
    kinds: ["line"],
    icon: "eraser",
    label: "tool.eraser",
    keys: ["e"],
    cursor: "round",
    step: "step.erase",
    sizes: (input, side) => ({ min: 2, max: Math.round(side / 4), default: Math.round(side / 16), step: 1 }),
    begin: (context, point) => paintStroke(context, "line", point, true),
  },
  hint: {
    kinds: ["hints"],
    icon: "brush",
    label: "tool.hint",
    keys: ["h"],
    cursor: "round",
    step: "step.hint",
    sizes: (input, side) => ({ min: 2, max: Math.round(side / 4), default: Math.round(side / 21), step: 1 }),
    begin: (context, point) => paintStroke(context, "hints", point, false),
  },
  unhint: {
    kinds: ["hints"],
    icon: "brush-off",
    label: "tool.unhint",
    keys: ["Shift+H"],
    cursor: "round",
    step: "step.erase",
    sizes: (input, side) => ({ min: 2, max: Math.round(side / 4), default: Math.round(side / 12), step: 1 }),
    begin: (context, point) => paintStroke(context, "hints", point, true),
  },
  brush: {
    kinds: ["labels"],
    icon: "brush",
    label: "tool.brush",
    keys: ["b", "p"],
    cursor: "round",
    step: "step.paint",
    sizes: (input, side) => ({ min: 1, max: Math.round(side / 4), default: Math.round(side / 18), step: 1 }),
    begin: labelStroke,
  },
  rectangle: {
    kinds: ["labels"],
    icon: "rectangle",
    label: "tool.rectangle",
    keys: ["r"],
    cursor: "cross",
    step: "step.rectangle",
    begin: rectangle,
  },
  fill: {
    kinds: ["labels"],
    icon: "fill",
    label: "tool.fill",
    keys: ["g", "f"],
    cursor: "cross",
    step: "step.fill",
    begin: (context, point) => {
      context.drawing.labels?.fill(point, context.classIndex);
      return nothing();
    },
  },
  pick: {
    kinds: ["labels", "hints"],
    icon: "pick",
    label: "tool.pick",
    keys: ["i"],
    cursor: "pick",
    step: "step.paint",
    begin: eyedropper,
  },
  move: {
    kinds: ["line", "labels"],
    icon: "move",
    label: "tool.move",
    keys: ["m", "v"],
    cursor: "move",
    step: "step.move",
    begin: moveAll,
  },
  look: {
    kinds: ["gray", "photo", "array"],
    icon: "hand",
    label: "tool.look",
    keys: ["v"],
    cursor: "grab",
    step: "step.move",
    begin: nothing,
  },
  crop: {
    kinds: ["gray", "photo"],
    icon: "crop",
    label: "tool.crop",
    keys: ["x"],
    cursor: "cross",
    step: "step.crop",
    mode: "crop",
    begin: nothing,
  },
};

/**
 * The tools a model offers, in the table's order.
 * @param {import("./types").Manifest} manifest
 * @returns {string[]}
 */
export function toolsFor(manifest) {
  const kinds = new Set(layerInputs(manifest).map(kindOf));
  return Object.keys(TOOLS).filter((id) => TOOLS[id].kinds.some((kind) => kinds.has(kind)));
}

/**
 * The input a tool works on.
 * @param {Tool} tool
 * @param {import("./types").Manifest} manifest
 */
export function inputOf(tool, manifest) {
  return layerInputs(manifest).find((input) => tool.kinds.includes(kindOf(input))) ?? manifest.inputs[0];
}

/** @param {import("./types").ImageInput} input */
function kindOf(input) {
  return isArrayInput(input) ? "array" : input.kind;
}

/**
 * A freehand stroke: curves through the midpoints of what the pointer reports, so that its corners do not show.
 * @param {ToolContext} context
 * @param {"line" | "hints"} kind
 * @param {Point} start
 * @param {boolean} erase
 * @returns {Gesture}
 */
function paintStroke(context, kind, start, erase) {
  const surface = context.drawing.paint(kind);
  const style = { width: context.size, color: context.color, erase };
  let last = start;
  let joint = start;
  surface?.curve(start, start, start, style);
  return {
    move(point) {
      if (distance(last, point) < 0.05) return;
      const middle = midpoint(last, point);
      surface?.curve(joint, last, middle, style);
      [joint, last] = [middle, point];
    },
    end() {
      surface?.curve(joint, last, last, style);
    },
  };
}

/**
 * @param {ToolContext} context
 * @param {Point} start
 * @returns {Gesture}
 */
function straightLine(context, start) {
  const surface = context.drawing.paint("line");
  const style = { width: context.size, color: context.color, erase: false };
  surface?.curve(start, start, start, style);
  return {
    move(point, modifiers) {
      const end = modifiers.shift ? snapAngle(start, point) : point;
      surface?.reset();
      surface?.curve(start, midpoint(start, end), end, style);
    },
    end() {},
  };
}

/**
 * @param {ToolContext} context
 * @param {Point} start
 * @returns {Gesture}
 */
function labelStroke(context, start) {
  const { labels } = context.drawing;
  let last = start;
  labels?.segment(start, start, context.size, context.classIndex);
  return {
    move(point) {
      labels?.segment(last, point, context.size, context.classIndex);
      last = point;
    },
    end() {},
  };
}

/**
 * @param {ToolContext} context
 * @param {Point} start
 * @returns {Gesture}
 */
function rectangle(context, start) {
  const { labels } = context.drawing;
  labels?.rectangle(start, start, context.classIndex);
  return {
    move(point, modifiers) {
      labels?.reset();
      labels?.rectangle(start, modifiers.shift ? snapSquare(start, point) : point, context.classIndex);
    },
    end() {},
  };
}

/**
 * Takes a class, or for hints the colour of a hint or else of the result.
 * @param {ToolContext} context
 * @param {Point} start
 * @returns {Gesture}
 */
function eyedropper(context, start) {
  /** @param {Point} point */
  function pick(point) {
    const index = context.drawing.labels?.classAt(point);
    if (index !== null && index !== undefined) context.pickClass(index);
    if (context.drawing.labels) return;
    const color = context.drawing.paint("hints")?.colorAt(point) ?? context.pictureColor(point);
    if (color) context.pickColor(color);
  }
  pick(start);
  return { move: pick, end() {} };
}

/**
 * @param {ToolContext} context
 * @param {Point} start
 * @returns {Gesture}
 */
function moveAll(context, start) {
  return {
    move(point) {
      context.drawing.shift(Math.round(point.x - start.x), Math.round(point.y - start.y));
    },
    end() {},
  };
}

/** For what is done at once, or not by a stroke. @returns {Gesture} */
function nothing() {
  return { move() {}, end() {} };
}
