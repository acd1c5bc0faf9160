/** The help dialog with all shortcuts, and the model card: what a model learned from. */

import { fetchCard } from "./api.js";
import { byId, make } from "./dom.js";
import { renderMarkdown } from "./markdown.js";

/** @typedef {import("./words.js").Words} Words */
/** @typedef {import("./types").Manifest} Manifest */

/**
 * @param {Words} words
 * @param {import("./shortcuts.js").Shortcut[]} shortcuts
 */
export function showHelp(words, shortcuts) {
  const steps = ["help.step1", "help.step2", "help.step3"].map((key) => make("li", {}, [words.t(key)]));
  /** @type {Map<string, string[]>} */
  const keysByLabel = new Map();
  for (const { keys, label } of shortcuts) keysByLabel.set(label, [...(keysByLabel.get(label) ?? []), ...keys]);
  const rows = [...keysByLabel].map(([label, keys]) => {
    const shown = keys.length > 3 ? [`${keys[0]} – ${keys.at(-1)}`] : keys.slice(0, 2).map(readable);
    const spread = shown.flatMap((key, k) => [k ? " " : "", make("kbd", {}, [key])]);
    return make("li", {}, [make("span", {}, [words.t(label)]), make("span", {}, spread)]);
  });
  byId("help-body", HTMLElement).replaceChildren(
    make("ol", {}, steps),
    make("h3", {}, [words.t("help.keys")]),
    make("ul", { class: "keys" }, rows),
    make("h3", {}, [words.t("help.hands")]),
    make("ul", {}, ["help.touch", "help.pen", "help.keyboard"].map((key) => make("li", {}, [words.t(key)]))),
    make("p", {}, [words.t("page.privacy")]),
  );
  byId("help", HTMLDialogElement).showModal();
}

/** @param {string} key */
function readable(key) {
  const isMac = /Mac|iP(hone|ad)/.test(navigator.userAgent);
  return key.replace("Control", isMac ? "⌘" : "Ctrl").replace("Alt", isMac ? "⌥" : "Alt").replace(/\+(?=.)/g, " + ");
}

/**
 * @param {Words} words
 * @param {Manifest} manifest
 */
export async function showCard(words, manifest) {
  byId("card-title", HTMLElement).textContent = words.pick(manifest.title);
  const body = byId("card-body", HTMLElement);
  const about = make("p", {}, [words.pick(manifest.description)]);
  const notes = make("div");
  body.replaceChildren(about, make("h3", {}, [words.t("card.learned")]), facts(words, manifest), ...metrics(words, manifest), notes);
  byId("card", HTMLDialogElement).showModal();
  const text = await fetchCard(manifest.id).catch(() => "");
  notes.replaceChildren(...renderMarkdown(text));
}

/**
 * @param {Words} words
 * @param {Manifest} manifest
 */
function facts(words, manifest) {
  const { training } = manifest;
  /** @type {[string, string][]} */
  const rows = [
    ["card.source", training.source],
    ["card.source_license", training.source_license],
    ["card.images", words.number(training.images)],
    ["card.seen", words.number(training.seen_images)],
    ["card.family", manifest.family],
    ["card.license", manifest.license],
    ["card.version", training.code_version],
    ["card.sha", manifest.sha256.slice(0, 16)],
  ];
  const cells = rows.map(([key, value]) => make("tr", {}, [make("th", { scope: "row" }, [words.t(key)]), make("td", {}, linked(value))]));
  return make("table", {}, cells);
}

/**
 * @param {Words} words
 * @param {Manifest} manifest
 */
function metrics(words, manifest) {
  if (!manifest.metrics.length) return [];
  const head = ["card.metric", "card.value", "card.protocol"].map((key) => make("th", { scope: "col" }, [words.t(key)]));
  const rows = manifest.metrics.map(({ name, value, protocol }) =>
    make("tr", {}, [make("td", {}, [name]), make("td", {}, [words.number(value, 4)]), make("td", {}, [protocol])]),
  );
  return [make("h3", {}, [words.t("card.metrics")]), make("table", {}, [make("tr", {}, head), ...rows])];
}

/**
 * Text with its addresses as links.
 * @param {string} text
 */
function linked(text) {
  return text.split(/(https?:\/\/[^\s,)]+)/).map((part, k) => {
    return k % 2 ? make("a", { href: part, target: "_blank", rel: "noreferrer noopener" }, [part]) : part;
  });
}
