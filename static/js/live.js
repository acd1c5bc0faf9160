/**
 * The live loop: asks for a picture when the drawing changed, at most one request under way, the newest state always sent last,
 * late answers dropped. It survives a lost server and never blocks drawing; it knows no canvas.
 */

import { decodeFrame, encodeFrame } from "./frame.js";
import { latentFields, mixText } from "./mix.js";
import { isSameSource } from "./request.js";

/** @typedef {import("./types").Request} Request */
/** @typedef {"live" | "stroke" | "manual"} LiveMode */
/** @typedef {"connecting" | "ready" | "working" | "busy" | "lost" | "paused"} LiveState */
/** @typedef {{picture: Blob, answer: import("./types").LiveAnswer, roundTrip: number, request: Request}} LivePicture */

/** Answers quicker than this let the picture follow in the middle of a stroke. */
const FLUENT_MS = 80;
/** On slow machines, how long the pen must rest after a stroke. */
const QUIET_MS = 120;
const ANSWER_TIMEOUT_MS = 5000;
const FIRST_BACKOFF_MS = 500;
const LONGEST_BACKOFF_MS = 10_000;
const SERVICE_RESTART = 1012;
const GOING_AWAY = 1001;

export class LiveLoop extends EventTarget {
  /** @type {LiveMode} */
  mode = "live";
  /** @type {LiveState} */
  state = "connecting";
  device = "";
  /** What the server takes in one frame, bytes. */
  #maxFrameBytes = Infinity;
  /** @type {string | null} */
  #model = null;
  /** @type {WebSocket | null} */
  #socket = null;
  /** Version of the drawing, the version last answered, and whether a run was asked for by hand. */
  #wanted = 0;
  #answered = 0;
  #isForced = false;
  #isCapturing = false;
  #nextId = 1;
  /** @type {{id: number, version: number, at: number, request: Request} | null} */
  #inFlight = null;
  /** @type {Request | null} */
  #lastRequest = null;
  /** @type {number[]} milliseconds, the latest few */
  #roundTrips = [];
  /** @type {number[]} times of the latest pictures */
  #pictureTimes = [];
  #changedAt = 0;
  #failures = 0;
  #timeouts = 0;
  #notBefore = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #sendTimer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #answerTimer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #reconnectTimer;

  /**
   * @param {object} parts
   * @param {(model: string) => WebSocket} parts.open
   * @param {() => Promise<Request | null>} parts.capture - the drawing as it is now; null while the model lacks something
   * @param {() => boolean} parts.isStroking
   * @param {() => boolean} parts.isSteering - a slider or a pad is moved: one waits for the picture, however slow it comes
   * @param {() => Promise<number | null>} parts.probe - seconds the server asks to wait
   */
  constructor({ open, capture, isStroking, isSteering, probe }) {
    super();
    this.open = open;
    this.capture = capture;
    this.isStroking = isStroking;
    this.isSteering = isSteering;
    this.probe = probe;
    document.addEventListener("visibilitychange", () => this.#visibilityChanged());
    window.addEventListener("online", () => this.#reconnectNow());
  }

  /** Median of the latest round trips in milliseconds, or null before the first. */
  get roundTrip() {
    const sorted = [...this.#roundTrips].sort((a, b) => a - b);
    return sorted.length ? sorted[sorted.length >> 1] : null;
  }

  /** Pictures in the last second. */
  get framesPerSecond() {
    const now = performance.now();
    return this.#pictureTimes.filter((time) => now - time < 1000).length;
  }

  /** Whether the newest drawing has its picture. */
  get isSettled() {
    return this.#answered === this.#wanted && !this.#inFlight && !this.#isCapturing;
  }

  /** Whether a picture is on its way or will be asked for without anybody doing anything. */
  get isBusy() {
    return !this.isSettled && (this.mode !== "manual" || this.#isForced || this.#inFlight !== null);
  }

  /** @param {string} model */
  setModel(model) {
    if (model === this.#model) return;
    this.#model = model;
    this.#lastRequest = null;
    this.#roundTrips = [];
    this.#failures = 0;
    this.#drop();
    this.#connect();
  }

  /** @param {LiveMode} mode */
  setMode(mode) {
    this.mode = mode;
    this.#schedule();
  }

  /** Tells that the drawing, the seed or a parameter changed, or that a stroke ended. */
  changed() {
    this.#wanted++;
    this.#changedAt = performance.now();
    this.#schedule();
  }

  /** Asks for a picture now, whatever the mode. */
  run() {
    this.#isForced = true;
    this.#wanted++;
    // From now on a picture is on its way, though the drawing is still to be read.
    this.#tell(this.state);
    this.#schedule();
  }

  #schedule() {
    clearTimeout(this.#sendTimer);
    if (this.#answered === this.#wanted || this.#inFlight || this.#isCapturing || document.hidden) return;
    if (this.mode === "manual" && !this.#isForced) return;
    if (!this.#socket) this.#wake();
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    const delay = this.#delay();
    if (delay !== null) this.#sendTimer = setTimeout(() => void this.#send(), delay);
  }

  /** @returns {number | null} milliseconds to wait before sending; null: until the stroke ends */
  #delay() {
    const now = performance.now();
    const backoff = Math.max(0, this.#notBefore - now);
    if (this.#isForced || this.isSteering()) return backoff;
    const isFluent = (this.roundTrip ?? 0) < FLUENT_MS;
    if (this.isStroking()) return this.mode === "live" && isFluent ? backoff : null;
    return Math.max(backoff, isFluent ? 0 : this.#changedAt + QUIET_MS - now);
  }

  async #send() {
    const version = this.#wanted;
    const model = this.#model;
    const request = await this.#captureOnce();
    if (model !== this.#model || this.#socket?.readyState !== WebSocket.OPEN) {
      this.#schedule();
    } else if (!request || (!this.#isForced && this.#lastRequest && isAnsweredBy(request, this.#lastRequest))) {
      this.#answered = version;
      this.#isForced = false;
      this.#tell("ready");
      this.#schedule();
    } else {
      this.#isForced = false;
      this.#dispatch(this.#socket, request, version);
    }
  }

  /**
   * @param {WebSocket} socket
   * @param {Request} request
   * @param {number} version
   */
  #dispatch(socket, request, version) {
    const id = this.#nextId++;
    const { inputs, mix, style, params, type } = request;
    const parts = style ? [...inputs, { name: "style", bytes: style }] : inputs;
    const frame = encodeFrame({ id, ...latentFields(mix), params, type }, parts);
    // The server would end the talk, and this would come again with every connection.
    if (frame.length > this.#maxFrameBytes) return this.#giveUp(version);
    this.#inFlight = { id, version, at: performance.now(), request };
    socket.send(/** @type {Uint8Array<ArrayBuffer>} */ (frame));
    this.#answerTimer = setTimeout(() => this.#timedOut(), ANSWER_TIMEOUT_MS);
    this.#tell("working");
  }

  /** @param {number} version - of a drawing that cannot be sent */
  #giveUp(version) {
    this.#answered = version;
    this.#tell("ready");
    this.dispatchEvent(new CustomEvent("problem", { detail: { code: "frame_too_large" } }));
    this.#schedule();
  }

  async #captureOnce() {
    this.#isCapturing = true;
    try {
      return await this.capture();
    } finally {
      this.#isCapturing = false;
    }
  }

  #timedOut() {
    this.#inFlight = null;
    this.#timeouts++;
    // A model's first answer may take long; a socket that stays silent twice is dead.
    if (this.#timeouts > 1) {
      void this.#lost(0);
    } else {
      this.#tell("busy");
      this.#schedule();
    }
  }

  /** @param {MessageEvent} event */
  #receive(event) {
    if (typeof event.data === "string") this.#receiveText(JSON.parse(event.data));
    else this.#receivePicture(event.data);
  }

  /** @param {Record<string, any>} message */
  #receiveText(message) {
    if (message.event === "ready") {
      this.device = message.device ?? this.device;
      this.#maxFrameBytes = message.max_frame_bytes ?? Infinity;
      this.#failures = 0;
      this.#tell("ready");
      this.#schedule();
    } else if (message.event === "error") {
      this.#refused(message);
    }
  }

  /** @param {Record<string, any>} message */
  #refused(message) {
    if (!this.#inFlight || (message.id ?? this.#inFlight.id) !== this.#inFlight.id) return;
    const { version } = this.#inFlight;
    this.#land();
    if ([429, 503, 504].includes(message.status)) {
      const seconds = Number(message.retry_after) || 1;
      this.#notBefore = performance.now() + seconds * 1000 * (1 + Math.random() / 2);
      this.#tell("busy");
    } else {
      this.#answered = version;
      this.#tell("ready");
      this.dispatchEvent(new CustomEvent("problem", { detail: message }));
    }
    this.#schedule();
  }

  /** @param {ArrayBuffer} buffer */
  #receivePicture(buffer) {
    const { header, picture } = decodeFrame(buffer);
    const flight = this.#inFlight;
    if (!flight || header.id !== flight.id) return;
    this.#land();
    this.#timeouts = 0;
    this.#answered = flight.version;
    this.#lastRequest = flight.request;
    const now = performance.now();
    const roundTrip = now - flight.at;
    this.#roundTrips = [...this.#roundTrips.slice(-4), roundTrip];
    this.#pictureTimes = [...this.#pictureTimes.filter((time) => now - time < 1000), now];
    const blob = new Blob([/** @type {BlobPart} */ (picture)], { type: header.type });
    /** @type {LivePicture} */
    const detail = { picture: blob, answer: header, roundTrip, request: flight.request };
    this.dispatchEvent(new CustomEvent("picture", { detail }));
    this.#tell("ready");
    this.#schedule();
  }

  #land() {
    clearTimeout(this.#answerTimer);
    this.#inFlight = null;
  }

  #connect() {
    clearTimeout(this.#reconnectTimer);
    if (!this.#model) return;
    const socket = this.open(this.#model);
    let wasOpen = false;
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    socket.onopen = () => (wasOpen = true);
    socket.onmessage = (event) => socket === this.#socket && this.#receive(event);
    socket.onclose = (event) => socket === this.#socket && this.#closed(event.code, wasOpen);
    if (this.state !== "lost") this.#tell("connecting");
  }

  /**
   * @param {number} code
   * @param {boolean} wasOpen
   */
  #closed(code, wasOpen) {
    const isAsleep = code === GOING_AWAY && this.isSettled;
    if (isAsleep) {
      this.#drop();
      return;
    }
    this.#lost(code, wasOpen);
  }

  /**
   * @param {number} code
   * @param {boolean} [wasOpen]
   */
  async #lost(code, wasOpen = true) {
    this.#drop();
    this.#timeouts = 0;
    this.#tell("lost");
    const model = this.#model;
    const asked = wasOpen ? null : await this.probe();
    if (model !== this.#model || this.#socket) return;
    const backoff = Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** this.#failures++);
    const base = asked ? asked * 1000 : code === SERVICE_RESTART ? FIRST_BACKOFF_MS : backoff;
    this.#reconnectTimer = setTimeout(() => this.#connect(), base * (0.5 + Math.random()));
  }

  /** Lets go of the socket and of what was under way. */
  #drop() {
    clearTimeout(this.#reconnectTimer);
    clearTimeout(this.#sendTimer);
    this.#land();
    const socket = this.#socket;
    this.#socket = null;
    // Browsers complain of a socket that is closed before it is open.
    if (socket?.readyState === WebSocket.CONNECTING) socket.onopen = () => socket.close();
    else socket?.close();
  }

  /** Opens a connection that the server closed because it was idle. */
  #wake() {
    if (this.state !== "lost") this.#connect();
  }

  #reconnectNow() {
    if (this.#model && !this.#socket && this.state === "lost") this.#connect();
  }

  #visibilityChanged() {
    if (document.hidden) {
      clearTimeout(this.#sendTimer);
      if (this.state !== "lost") this.#tell("paused");
      return;
    }
    if (this.state === "paused") this.#tell(this.#socket?.readyState === WebSocket.CONNECTING ? "connecting" : "ready");
    this.#reconnectNow();
    this.#schedule();
  }

  /** @param {LiveState} state */
  #tell(state) {
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }
}

/**
 * Whether an answer to `last` also answers `request`: a lossless picture serves where a lossy one would do, not the other way round.
 * @param {Request} request
 * @param {Request} last
 */
function isAnsweredBy(request, last) {
  const isGoodEnough = request.type === last.type || last.type === "image/png";
  return isGoodEnough && mixText(request.mix) === mixText(last.mix) && isSameSource(request, last);
}
