/**
 * The camera on the sheet: its frames go through the live loop like strokes of a pen, newest first, and one of them can be taken as
 * a photo. Where a browser gives pages no camera it says why and offers the phone's own.
 */

import { Camera, CameraError, hasCamera } from "./camera.js";
import { wholeCrop } from "./cropgeometry.js";
import { byId } from "./dom.js";
import { Photo } from "./photo.js";

export class CameraMode {
  #camera = new Camera();
  #bar = byId("camera", HTMLElement);
  #button = byId("camera-button", HTMLButtonElement);
  #switch = byId("camera-switch", HTMLButtonElement);
  #take = byId("camera-take", HTMLButtonElement);
  #dialog = byId("camera-dialog", HTMLDialogElement);

  /**
   * @param {object} parts
   * @param {import("./studio.js").Studio} parts.studio
   * @param {import("./live.js").LiveLoop} parts.live
   * @param {import("./words.js").Words} parts.words
   * @param {import("./notices.js").Notices} parts.notices
   */
  constructor({ studio, live, words, notices }) {
    this.studio = studio;
    this.live = live;
    this.words = words;
    this.notices = notices;
    this.#camera.addEventListener("frame", () => this.#show());
    this.#camera.addEventListener("state", () => this.#changed());
    this.#button.addEventListener("click", () => (this.isOn ? this.stop() : void this.start()));
    this.#switch.addEventListener("click", () => void this.#try(() => this.#camera.switch()));
    this.#take.addEventListener("click", () => this.take());
    byId("camera-stop", HTMLButtonElement).addEventListener("click", () => this.stop());
    byId("camera-file-button", HTMLButtonElement).addEventListener("click", () => {
      this.#dialog.close();
      byId("camera-file", HTMLInputElement).click();
    });
    // What else is opened, undone or chosen takes the sheet from the camera.
    studio.history.addEventListener("change", (event) => {
      const step = /** @type {CustomEvent<import("./types").Step>} */ (event).detail;
      if (!step.isBesideSheet) this.stop();
    });
    studio.on("work", () => this.stop());
    document.addEventListener("visibilitychange", () => document.hidden && this.stop());
    // Strokes on the bar belong to its buttons.
    for (const name of ["pointerdown", "pointermove", "pointerup", "keydown"]) {
      this.#bar.addEventListener(name, (event) => /** @type {KeyboardEvent} */ (event).key !== "Escape" && event.stopPropagation());
    }
  }

  get isOn() {
    return this.#camera.isOn;
  }

  async start() {
    if (hasCamera()) await this.#try(() => this.#camera.start());
    else this.#dialog.showModal();
  }

  stop() {
    this.#camera.stop();
  }

  /** Makes the frame on show a photo like any other. */
  take() {
    const { video, size, isFront } = this.#camera;
    if (!this.isOn || !size) return;
    const photo = Photo.of(video, size, this.words.t("camera.name"), isFront);
    this.stop();
    this.studio.openPhoto(photo, "step.camera");
    this.notices.announce(this.words.t("camera.taken"));
  }

  /** @param {() => Promise<void>} start */
  async #try(start) {
    try {
      await start();
    } catch (error) {
      this.stop();
      const trouble = error instanceof CameraError ? error.trouble : "busy";
      this.notices.show(this.words.t(`camera.${trouble}`), "problem");
    }
  }

  #changed() {
    const { isOn } = this;
    const hadFocus = this.#bar.contains(document.activeElement);
    this.#bar.hidden = !isOn;
    this.#switch.hidden = !this.#camera.canSwitch;
    this.#button.setAttribute("aria-pressed", String(isOn));
    this.notices.announce(this.words.t(isOn ? "camera.on" : "camera.off"));
    if (isOn) return this.#take.focus({ preventScroll: true });
    this.studio.drawing.photo?.setFrame(null);
    this.studio.previewChanged();
    if (hadFocus) this.#button.focus({ preventScroll: true });
  }

  #show() {
    const { video, size, isFront } = this.#camera;
    if (!size) return;
    const frame = new Photo({ name: "", blob: null, screen: video, size });
    this.studio.drawing.photo?.setFrame({ photo: frame, crop: { ...wholeCrop(size), isMirrored: isFront } });
    this.studio.frameShown();
    // The loop waits for the pen to rest where answers are slow. A camera never rests, so it asks itself, once for every answer.
    if (this.live.isSettled && this.live.mode !== "manual") this.live.run();
  }
}
