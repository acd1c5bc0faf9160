/**
 * The camera: opens it, hands on its frames, switches between front and back, and lets go of it. It shows nothing and knows no
 * model. Browsers give pages a camera only in secure contexts: over https or on the machine itself.
 */

/** @typedef {"unsupported" | "refused" | "missing" | "busy"} CameraTrouble */

const REASONS = { NotAllowedError: "refused", SecurityError: "refused", NotFoundError: "missing", OverconstrainedError: "missing" };
const WANTED = { width: { ideal: 1920 }, height: { ideal: 1080 } };

export class CameraError extends Error {
  /** @param {CameraTrouble} trouble */
  constructor(trouble) {
    super(trouble);
    this.trouble = trouble;
  }
}

/** Whether this page may ask for a camera at all. */
export function hasCamera() {
  return window.isSecureContext && Boolean(navigator.mediaDevices?.getUserMedia);
}

export class Camera extends EventTarget {
  /** Shows the latest frame to whoever draws it. */
  video = document.createElement("video");
  /** @type {MediaStream | null} */
  #stream = null;
  /** @type {string[]} devices to switch between */
  #devices = [];
  /** Counts starts and stops, so that a late answer to an older one is let go. */
  #turn = 0;

  constructor() {
    super();
    this.video.muted = true;
    // Without it an iPhone would show the film full screen.
    this.video.playsInline = true;
  }

  get isOn() {
    return this.#stream !== null;
  }

  get canSwitch() {
    return this.#devices.length > 1;
  }

  /**
   * @param {MediaTrackConstraints} [which]
   * @throws {CameraError}
   */
  async start(which = { facingMode: { ideal: "environment" } }) {
    if (!hasCamera()) throw new CameraError("unsupported");
    const turn = ++this.#turn;
    const stream = await open({ ...WANTED, ...which });
    if (turn !== this.#turn) return release(stream);
    this.#stream = stream;
    stream.getVideoTracks()[0].addEventListener("ended", () => stream === this.#stream && this.stop());
    this.video.srcObject = stream;
    await this.video.play().catch(() => undefined);
    const devices = await navigator.mediaDevices.enumerateDevices();
    this.#devices = devices.filter(({ kind }) => kind === "videoinput").map(({ deviceId }) => deviceId);
    if (turn !== this.#turn) return;
    this.dispatchEvent(new Event("state"));
    this.#follow(turn);
  }

  /** Takes the next camera there is. */
  async switch() {
    const now = this.#stream?.getVideoTracks()[0].getSettings().deviceId ?? "";
    const next = this.#devices[(this.#devices.indexOf(now) + 1) % this.#devices.length];
    // Many phones open only one camera at a time.
    if (this.#stream) release(this.#stream);
    this.#stream = null;
    await this.start({ deviceId: { exact: next } });
  }

  stop() {
    this.#turn++;
    if (!this.#stream) return;
    release(this.#stream);
    this.#stream = null;
    this.video.srcObject = null;
    this.dispatchEvent(new Event("state"));
  }

  /** @param {number} turn */
  #follow(turn) {
    const next = () => {
      if (turn !== this.#turn) return;
      this.dispatchEvent(new Event("frame"));
      this.#follow(turn);
    };
    if ("requestVideoFrameCallback" in this.video) this.video.requestVideoFrameCallback(next);
    else requestAnimationFrame(next);
  }

  /** Frame size, pixels; null before the first. */
  get size() {
    const { videoWidth: width, videoHeight: height } = this.video;
    return width && height ? { width, height } : null;
  }

  /** Whether it looks at the person, who expects a mirror. */
  get isFront() {
    return this.#stream?.getVideoTracks()[0].getSettings().facingMode === "user";
  }
}

/** @param {MediaTrackConstraints} video */
async function open(video) {
  try {
    return await navigator.mediaDevices.getUserMedia({ video, audio: false });
  } catch (error) {
    const name = error instanceof DOMException ? error.name : "";
    throw new CameraError(/** @type {CameraTrouble} */ (REASONS[/** @type {keyof typeof REASONS} */ (name)] ?? "busy"));
  }
}

/** @param {MediaStream} stream */
function release(stream) {
  for (const track of stream.getTracks()) track.stop();
}
