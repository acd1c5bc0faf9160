/**
 * The finished examples of a model: a strip under the sheet, and for models of photos a gallery with titles and credit that is
 * offered on the empty sheet too.
 */

import { fetchFile, fetchPicture, sampleUrl } from "./api.js";
import { byId, make } from "./dom.js";
import { isArrayInput } from "./inputs.js";
import { Photo } from "./photo.js";

/** @typedef {import("./types").Manifest} Manifest */
/** @typedef {{k: number, title: Record<string, string>, seed: number, inputs: import("./work.js").Pictures, result: ImageBitmap}} Example */

/** So many are offered on the empty sheet. */
const OFFERED = 4;

export class Examples {
  #studio = byId("studio", HTMLElement);
  #section = byId("examples", HTMLElement);
  #heading = byId("examples-heading", HTMLElement);
  #row = byId("example-row", HTMLElement);
  #offer = byId("empty-samples", HTMLElement);
  #offerRow = byId("empty-row", HTMLElement);

  /**
   * @param {import("./studio.js").Studio} studio
   * @param {import("./words.js").Words} words
   * @param {(k: number) => void} load
   */
  constructor(studio, words, load) {
    this.studio = studio;
    this.words = words;
    this.load = load;
    studio.on("work", () => this.draw());
    words.addEventListener("change", () => this.draw());
    // The sheet below would take the pointer for a stroke or a pan, and the keys for its brush.
    for (const name of ["pointerdown", "pointermove", "pointerup", "keydown"]) this.#offer.addEventListener(name, (event) => event.stopPropagation());
  }

  draw() {
    const { words } = this;
    const { samples } = this.studio.manifest;
    const isGallery = this.studio.drawing.photo !== null;
    this.#section.hidden = samples.length === 0;
    this.#studio.classList.toggle("has-gallery", isGallery);
    this.#section.classList.toggle("gallery", isGallery);
    this.#heading.dataset.t = isGallery ? "gallery.heading" : "examples.heading";
    this.#heading.textContent = words.t(this.#heading.dataset.t);
    this.#row.replaceChildren(...samples.map((_, k) => this.#button(k, isGallery)));
    const offer = byId("empty-offer", HTMLElement);
    offer.dataset.t = isArrayInput(this.studio.manifest.inputs[0]) ? "gallery.offer_array" : "gallery.offer";
    offer.textContent = words.t(offer.dataset.t);
    this.#offer.hidden = !isGallery || samples.length === 0;
    this.#offerRow.replaceChildren(...samples.slice(0, OFFERED).map((_, k) => this.#small(k)));
  }

  /**
   * @param {number} k
   * @param {boolean} isGallery
   */
  #button(k, isGallery) {
    const name = this.words.pick(this.studio.manifest.samples[k].title);
    const button = this.#opener(k, "example thumbnail", this.#pictures(k));
    button.dataset.sample = String(k);
    button.title = name;
    return isGallery ? make("figure", { class: "example-figure" }, [button, make("figcaption", {}, [name])]) : button;
  }

  /** The input beside the result; of an array the result alone, which is all that can be shown. @param {number} k */
  #pictures(k) {
    const { id, inputs } = this.studio.manifest;
    const result = picture(sampleUrl(id, k), 76);
    return isArrayInput(inputs[0]) ? [result] : [picture(sampleUrl(id, k, inputs[0].name), 76), result];
  }

  /** @param {number} k */
  #small(k) {
    return this.#opener(k, "empty-sample", this.#pictures(k).slice(0, 1));
  }

  /**
   * @param {number} k
   * @param {string} className
   * @param {Node[]} pictures
   */
  #opener(k, className, pictures) {
    const name = this.words.pick(this.studio.manifest.samples[k].title);
    const button = make("button", { type: "button", class: className }, pictures);
    button.setAttribute("aria-label", this.words.t("examples.load", { name }));
    button.addEventListener("click", () => this.load(k));
    return button;
  }
}

/**
 * @param {string} src
 * @param {number} side - pixels
 */
function picture(src, side) {
  return make("img", { src, alt: "", width: String(side), height: String(side), loading: "lazy" });
}

/**
 * @param {Manifest} manifest
 * @param {number} k
 * @returns {Promise<Example | null>} null when the model has no such example
 */
export async function fetchExample(manifest, k) {
  const sample = manifest.samples[k];
  if (!sample) return null;
  const names = Object.keys(sample.inputs);
  const [result, ...parts] = await Promise.all([
    fetchPicture(sampleUrl(manifest.id, k)),
    ...names.map((name) => fetchInput(manifest, k, name)),
  ]);
  return { k, title: sample.title, seed: sample.seed, inputs: new Map(names.map((name, n) => [name, parts[n]])), result };
}

/**
 * @param {Manifest} manifest
 * @param {number} k
 * @param {string} name
 */
async function fetchInput(manifest, k, name) {
  const url = sampleUrl(manifest.id, k, name);
  const input = manifest.inputs.find((one) => one.name === name);
  if (!input || !isArrayInput(input)) return fetchPicture(url);
  return Photo.openFor(input, await fetchFile(url), "");
}
