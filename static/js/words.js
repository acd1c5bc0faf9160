/** The page's words in the chosen language, and switching it in place, so that a drawing survives the switch. */

/** @typedef {import("./types").Boot} Boot */
/** @typedef {import("./types").Translated} Translated */

export class Words extends EventTarget {
  /** @param {Boot} boot */
  constructor(boot) {
    super();
    this.lang = boot.lang;
    this.messages = boot.messages;
  }

  /**
   * @param {string} key
   * @param {Record<string, string | number>} [values] - for the `{name}` places of the message
   * @returns {string}
   */
  t(key, values = {}) {
    const message = this.messages[key] ?? key;
    return message.replace(/\{(\w+)\}/g, (place, name) => String(values[name] ?? place));
  }

  /** @param {Translated} text - from a manifest */
  pick(text) {
    return text[this.lang] ?? text.en ?? Object.values(text)[0] ?? "";
  }

  /** @param {number} value */
  number(value, digits = 0) {
    return new Intl.NumberFormat(this.lang, { maximumFractionDigits: digits }).format(value);
  }

  /**
   * Fetches the page in another language and takes its words over.
   * @param {string} lang
   */
  async switchTo(lang) {
    const url = new URL(location.href);
    url.searchParams.set("lang", lang);
    const response = await fetch(url, { headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const boot = readBoot(page);
    this.lang = boot.lang;
    this.messages = boot.messages;
    history.replaceState(null, "", url);
    document.documentElement.lang = boot.lang;
    document.title = this.t("page.title");
    this.apply(document.body);
    this.dispatchEvent(new Event("change"));
  }

  /**
   * Puts the words into every element that names one.
   * @param {HTMLElement} root
   */
  apply(root) {
    for (const element of root.querySelectorAll("[data-t]")) {
      element.textContent = this.t(/** @type {HTMLElement} */ (element).dataset.t ?? "");
    }
    for (const element of root.querySelectorAll("[data-t-label]")) this.name(/** @type {HTMLElement} */ (element));
  }

  /** @param {HTMLElement} element - carries its message key in `data-t-label`, and maybe a shortcut */
  name(element) {
    const name = this.t(element.dataset.tLabel ?? "");
    element.setAttribute("aria-label", name);
    if (element instanceof HTMLButtonElement) element.title = element.dataset.key ? `${name} (${element.dataset.key})` : name;
  }
}

/**
 * @param {Document} page
 * @returns {Boot}
 */
export function readBoot(page) {
  return JSON.parse(page.getElementById("boot")?.textContent ?? "{}");
}
