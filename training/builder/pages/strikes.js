/** Which pairs are struck: at once on the page, one after the other on the disk, each step undone by `undo`. */

/**
 * @typedef {object} Hooks
 * @property {(id: string, struck: boolean) => Promise<unknown>} save
 * @property {(id: string) => void} onChange
 * @property {(reason: string) => void} onFailure - told after the page shows again what is on the disk
 */

export class Strikes {
  /** @type {Set<string>} */
  #shown = new Set();
  /** @type {Set<string>} */
  #saved = new Set();
  /** @type {string[]} ids in the order in which they were toggled */
  #steps = [];
  /** @type {Promise<void>} */
  #queue = Promise.resolve();
  #hooks;

  /** @param {Hooks} hooks */
  constructor(hooks) {
    this.#hooks = hooks;
  }

  /** @param {Iterable<string>} struck - as it is on the disk */
  load(struck) {
    this.#saved = new Set(struck);
    this.#shown = new Set(this.#saved);
    this.#steps = [];
  }

  get ids() {
    return /** @type {ReadonlySet<string>} */ (this.#shown);
  }

  get canUndo() {
    return this.#steps.length > 0;
  }

  /** @param {string} id */
  toggle(id) {
    this.#steps.push(id);
    this.#flip(id);
  }

  /** @returns {string | null} the pair that is as it was before the last step */
  undo() {
    const id = this.#steps.pop() ?? null;
    if (id !== null) this.#flip(id);
    return id;
  }

  /** @returns {Promise<void>} resolved once all is on the disk, or has failed */
  settled() {
    return this.#queue;
  }

  /** @param {string} id */
  #flip(id) {
    const struck = !this.#shown.has(id);
    setMember(this.#shown, id, struck);
    this.#hooks.onChange(id);
    this.#queue = this.#queue.then(() => this.#save(id, struck));
  }

  /**
   * @param {string} id
   * @param {boolean} struck
   */
  async #save(id, struck) {
    try {
      await this.#hooks.save(id, struck);
      setMember(this.#saved, id, struck);
    } catch (error) {
      setMember(this.#shown, id, this.#saved.has(id));
      this.#steps = this.#steps.filter((step) => step !== id);
      this.#hooks.onChange(id);
      this.#hooks.onFailure(error instanceof Error ? error.message : String(error));
    }
  }
}

/**
 * @param {Set<string>} ids
 * @param {string} id
 * @param {boolean} isMember
 */
function setMember(ids, id, isMember) {
  if (isMember) ids.add(id);
  else ids.delete(id);
}
