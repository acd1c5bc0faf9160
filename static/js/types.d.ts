/** Text by language code; `en` is always there. */
export type Translated = Record<string, string>;

export interface Size {
  height: number;
  width: number;
}

export interface FlexibleSize {
  multiple_of: number;
  min: number;
  max: number;
}

export interface PaletteEntry {
  index: number;
  name: Translated;
  /** `#rrggbb` */
  color: string;
}

export type InputKind = "line" | "labels" | "hints" | "gray" | "photo";

export interface ImageInput {
  name: string;
  kind: InputKind;
  channels: number;
  size: Size | FlexibleSize;
  background: number[];
  optional: boolean;
  ink: "dark" | "light" | null;
  line_width_px: number | null;
  palette: PaletteEntry[] | null;
}

export interface Parameter {
  name: string;
  kind: "float" | "int" | "bool";
  min: number;
  max: number;
  step: number;
  default: number;
  title: Translated;
  help: Translated;
}

export interface Sample {
  title: Translated;
  inputs: Record<string, string>;
  output: string;
  seed: number;
}

export interface Metric {
  name: string;
  value: number;
  protocol: string;
}

export interface Training {
  recipe: string;
  source: string;
  source_license: string;
  images: number;
  seen_images: number;
  config: Record<string, unknown>;
  code_version: string;
}

/** Says that a model's pictures are line art. */
export interface OutputLine {
  ink: "dark" | "light";
  /** The parameter that is the lines' width, model pixels. */
  width_parameter: string | null;
}

/** `server/manifest.py` as JSON. */
export interface Manifest {
  format_version: number;
  id: string;
  title: Translated;
  description: Translated;
  family: string;
  inputs: ImageInput[];
  output: { size: Size | FlexibleSize; channels: number; compose: string; line: OutputLine | null };
  latent: { name: string; shape: number[]; distribution: string } | null;
  /** Of the graph that makes a latent of a picture. */
  encode?: { input: ImageInput } | null;
  parameters: Parameter[];
  samples: Sample[];
  metrics: Metric[];
  training: Training;
  license: string;
  sha256: string;
}

/** One row of `GET /models`. */
export interface ModelSummary {
  id: string;
  title: Translated;
  description: Translated;
  family: string;
  kind: InputKind;
  status: "ready" | "idle" | "failed";
  reason?: string;
  samples: number;
}

/** What the server puts into the page. */
export interface Boot {
  version: string;
  lang: string;
  languages: string[] | Record<string, string>;
  messages: Record<string, string>;
  models: ModelSummary[] | { models: ModelSummary[] };
  device: string;
  /** Id of the model that makes lines of photos. */
  tracer: string | null;
}

export interface Point {
  x: number;
  y: number;
}

export interface Rect {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** What of a photo is shown, see `cropgeometry.js`. Order: mirrored, turned by quarters, straightened, framed. */
export interface Crop {
  /** Quarter turns clockwise, 0 to 3. */
  turns: number;
  isMirrored: boolean;
  /** Degrees clockwise, from -45 to 45. */
  angle: number;
  /** The frame: photo pixels, origin at the photo's centre. */
  rect: Rect;
}

/** Change of a rectangle of a surface: the exclusive or of before and after, run-length coded where that is shorter. */
export interface Delta {
  rect: Rect;
  /** `runs`: pairs of count and value. `raw`: one value per pixel. */
  form: "runs" | "raw";
  data: Uint32Array;
}

/** One undoable step. */
export interface Step {
  /** Message key that names the step. */
  label: string;
  /** The step leaves the sheet as it is, as the choice of a variation does. */
  isBesideSheet?: boolean;
  undo(): void;
  redo(): void;
}

/** What a brush puts down. Width in model pixels. */
export interface BrushStyle {
  width: number;
  /** CSS colour; unused when `erase`. */
  color: string;
  erase: boolean;
}

/** A picture that goes to the server: the bytes of its file by input name. */
export interface EncodedInput {
  name: string;
  bytes: Uint8Array;
}

/** One part of a mix. */
export interface Term {
  /** A seed, or the style of the picture that goes along. */
  what: number | "style";
  weight: number;
}

/** What a latent is made of; at least one term, see `mix.js`. */
export type Mix = Term[];

/** Everything a translation needs. */
export interface Request {
  inputs: EncodedInput[];
  mix: Mix;
  /** Bytes of the picture whose style the mix has. */
  style: Uint8Array | null;
  params: Record<string, number>;
  /** Image type wanted back. */
  type: string;
}

/** Header of a live answer. */
export interface LiveAnswer {
  id: number;
  type: string;
  width: number;
  height: number;
  superseded: number;
  palette_snapped: number | null;
  timings: Record<string, number>;
}

/** A problem of the API (RFC 9457), or a live error message. */
export interface Problem {
  status: number;
  code: string;
  title: string;
  detail: string;
  retryAfter: number | null;
}

/** What a tool does between pointer down and up. Points are in model pixels. */
export interface Gesture {
  move(point: Point, modifiers: Modifiers): void;
  end(): void;
}

export interface Modifiers {
  shift: boolean;
}

export interface SizeRange {
  min: number;
  max: number;
  default: number;
  step: number;
}
