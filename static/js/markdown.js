/** The part of Markdown that model cards use, as DOM nodes. Text never becomes HTML, so a card cannot bring scripts or pictures. */

import { make } from "./dom.js";

/**
 * @param {string} source
 * @returns {HTMLElement[]}
 */
export function renderMarkdown(source) {
  // The front matter that model hubs read says nothing to people.
  const lines = source.replace(/^---\n[\s\S]*?\n---\n/, "").split(/\r?\n/);
  /** @type {HTMLElement[]} */
  const blocks = [];
  while (lines.length) {
    if (!lines[0].trim()) lines.shift();
    else blocks.push(takeBlock(lines));
  }
  return blocks;
}

/**
 * Takes the lines of one block away and renders them.
 * @param {string[]} lines
 * @returns {HTMLElement}
 */
function takeBlock(lines) {
  const heading = /^(#{1,6})\s+(.*)/.exec(lines[0]);
  if (heading) {
    lines.shift();
    return make("h3", {}, inline(heading[2]));
  }
  if (lines[0].startsWith("```")) return takeCode(lines);
  if (lines[0].startsWith("|")) return takeTable(lines);
  if (/^\s*([-*]|\d+\.)\s/.test(lines[0])) return takeList(lines);
  const text = takeWhile(lines, (line) => line.trim() !== "" && !/^(#|```|\||\s*[-*]\s)/.test(line));
  return make("p", {}, inline((text.length ? text : [lines.shift() ?? ""]).join(" ")));
}

/** @param {string[]} lines */
function takeCode(lines) {
  lines.shift();
  const code = takeWhile(lines, (line) => !line.startsWith("```"));
  lines.shift();
  return make("pre", { tabindex: "0" }, [make("code", {}, [code.join("\n")])]);
}

/** @param {string[]} lines */
function takeTable(lines) {
  const rows = takeWhile(lines, (line) => line.startsWith("|")).map((line) => line.replace(/^\||\|\s*$/g, "").split("|"));
  const body = rows.filter((row, k) => k !== 1 || !row.every((cell) => /^[\s:-]*$/.test(cell)));
  const cells = body.map((row, k) => make("tr", {}, row.map((cell) => make(k ? "td" : "th", {}, inline(cell.trim())))));
  return make("table", {}, cells);
}

/** @param {string[]} lines */
function takeList(lines) {
  const isNumbered = /^\s*\d/.test(lines[0]);
  /** @type {string[]} */
  const items = [];
  for (const line of takeWhile(lines, (text) => text.trim() !== "" && !text.startsWith("#"))) {
    const item = /^\s*(?:[-*]|\d+\.)\s+(.*)/.exec(line);
    if (item) items.push(item[1]);
    else items[items.length - 1] += ` ${line.trim()}`;
  }
  return make(isNumbered ? "ol" : "ul", {}, items.map((item) => make("li", {}, inline(item))));
}

/**
 * @param {string[]} lines
 * @param {(line: string) => boolean} test
 */
function takeWhile(lines, test) {
  const end = lines.findIndex((line) => !test(line));
  return lines.splice(0, end < 0 ? lines.length : end);
}

/**
 * Bold, emphasis, code and links; an image becomes its description.
 * @param {string} text
 * @returns {(Node | string)[]}
 */
function inline(text) {
  const pattern = /`([^`]+)`|\*\*([^*]+)\*\*|\*([^*]+)\*|!?\[([^\]]*)\]\(([^)\s]+)\)/g;
  /** @type {(Node | string)[]} */
  const parts = [];
  let at = 0;
  for (const match of text.matchAll(pattern)) {
    parts.push(text.slice(at, match.index));
    const [whole, code, bold, emphasis, label, href] = match;
    if (code) parts.push(make("code", {}, [code]));
    else if (bold) parts.push(make("strong", {}, [bold]));
    else if (emphasis) parts.push(make("em", {}, [emphasis]));
    else if (whole.startsWith("!") || !/^https?:/.test(href)) parts.push(label);
    else parts.push(make("a", { href, target: "_blank", rel: "noreferrer noopener" }, [label]));
    at = match.index + whole.length;
  }
  parts.push(text.slice(at));
  return parts;
}
