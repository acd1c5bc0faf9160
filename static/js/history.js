/** Unlimited undo and redo. It knows nothing of what a step does. */

/** @typedef {import("./types").Step} Step */

export class History extends EventTarget {
  /** @type {Step[]} */
  #steps = [];
  #done = 0;

  get canUndo() {
    return this.#done > 0;
  }

  get canRedo() {
    return this.#done < this.#steps.length;
  }

  /**
   * Records a step that has already happened; steps that were undone are given up.
   * @param {Step} step
   */
  push(step) {
    this.#steps.length = this.#done;
    this.#steps.push(step);
    this.#done++;
    this.#tell(step);
  }

  /** @returns {Step | null} what was undone */
  undo() {
    if (!this.canUndo) return null;
    const step = this.#steps[--this.#done];
    step.undo();
    this.#tell(step);
    return step;
  }

  /** @returns {Step | null} what was redone */
  redo() {
    if (!this.canRedo) return null;
    const step = this.#steps[this.#done++];
    step.redo();
    this.#tell(step);
    return step;
  }

  /** @param {Step} step - done, undone or redone */
  #tell(step) {
    this.dispatchEvent(new CustomEvent("change", { detail: step }));
  }
}
