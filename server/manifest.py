"""The manifest: the one contract between training and serving.

A model is a folder with `model.onnx` and `manifest.json`. Training writes the manifest, the server reads it, the page draws
its tools from it. This module only describes and validates; it never opens a model or an image.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

FORMAT_VERSION = 1
MODEL_ID_PATTERN = r"^[a-z0-9][a-z0-9-]{0,63}$"
NAME_PATTERN = r"^[a-z][a-z0-9_]{0,31}$"

ModelId = Annotated[str, StringConstraints(pattern=MODEL_ID_PATTERN)]
"""Kebab-case folder name of a model."""

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
"""Name of a graph input or of a parameter."""

HexColor = Annotated[str, StringConstraints(pattern=r"^#[0-9a-f]{6}$")]
"""sRGB colour, `#rrggbb` in lower case."""

_SEGMENT = r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*"
RelativePath = Annotated[str, StringConstraints(pattern=rf"^{_SEGMENT}(/{_SEGMENT})*$", max_length=200)]
"""Path inside the model's folder, with forward slashes and no `..`."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""Digest of a file, in lower-case hexadecimal digits."""

STYLE_NAME: Final = "style"
"""What a picture is called whose style is wanted."""

RESERVED_NAMES: Final = frozenset({"seed", "n", "params", "from", "mix", STYLE_NAME})
"""Words of the API, which no input, parameter or latent may be called; docs/protocol.md lists them."""

Translated = Annotated[dict[str, str], Field(min_length=1)]
"""A text by language code; `en` is always there (checked by `Manifest`)."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class InputKind(StrEnum):
    """What a person draws or gives, which decides the page's tools and how the server fits the image."""

    LINE = "line"
    LABELS = "labels"
    HINTS = "hints"
    GRAY = "gray"
    PHOTO = "photo"


class Compose(StrEnum):
    """How the graph's picture becomes the answer."""

    REPLACE = "replace"
    CHROMA = "chroma"


class LatentDistribution(StrEnum):
    """What the random input is drawn from: 0 or 1 with equal chance, or a standard normal."""

    BERNOULLI = "bernoulli"
    NORMAL = "normal"


class Size(_Strict):
    """Height and width of an image in pixels."""

    height: int = Field(ge=1, le=8192)
    width: int = Field(ge=1, le=8192)


class FlexibleSize(_Strict):
    """Any height and width that are multiples of `multiple_of` pixels within `min` and `max`."""

    multiple_of: int = Field(ge=1, le=1024)
    min: int = Field(ge=1, le=8192)
    max: int = Field(ge=1, le=8192)

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"size.min {self.min} is larger than size.max {self.max}; swap them.")
        return self

    @property
    def smallest(self) -> int:
        """The shortest side that is allowed, pixels."""
        return -(-self.min // self.multiple_of) * self.multiple_of

    @property
    def largest(self) -> int:
        """The longest side that is allowed, pixels."""
        return max(self.max // self.multiple_of, 1) * self.multiple_of


class PaletteEntry(_Strict):
    """One class of a `labels` input. The index is what the graph sees; the colour is how the class is shown and uploaded."""

    index: int = Field(ge=0, le=255)
    name: Translated
    color: HexColor


class ImageInput(_Strict):
    """One image input of the graph: `uint8 (N, H, W, channels)`.

    On the wire an image input is a picture (PNG, JPEG, WebP; `photo` and `gray` also TIFF or a NumPy array). `line` and `gray`
    are read as gray, `labels` as RGB colours that are snapped to the palette and become class indices (channels 1), `hints` as
    RGBA with alpha 0 where nothing is hinted, `photo` as RGB, as gray (channels 1) or as an array of any other number of
    channels. Transparent parts of other kinds are laid over `background`.
    """

    name: Name
    kind: InputKind
    channels: int = Field(ge=1, le=16)
    size: Size | FlexibleSize
    background: tuple[int, ...] = Field(description="Value of an empty canvas, one per channel, [0, 255].")
    optional: bool = False
    ink: Literal["dark", "light"] | None = Field(default=None, description="`line`: are lines darker or lighter than paper?")
    line_width_px: float | None = Field(default=None, gt=0, le=64, description="`line`: width as trained, in graph pixels.")
    palette: tuple[PaletteEntry, ...] | None = Field(default=None, description="`labels`: the classes, index = position.")

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        expected = {InputKind.LINE: 1, InputKind.GRAY: 1, InputKind.LABELS: 1, InputKind.HINTS: 4}.get(self.kind)
        if expected is not None and self.channels != expected:
            raise ValueError(f"input '{self.name}' of kind {self.kind} has {self.channels} channels; it must have {expected}.")
        if len(self.background) != self.channels or not all(0 <= value <= 255 for value in self.background):
            raise ValueError(
                f"input '{self.name}': background needs {self.channels} values in [0, 255], not {self.background}."
            )
        if self.kind is InputKind.LINE and (self.ink is None or self.line_width_px is None):
            raise ValueError(f"input '{self.name}' of kind line must give ink and line_width_px.")
        if self.kind is InputKind.LABELS:
            self._check_palette()
        return self

    def _check_palette(self) -> None:
        if not self.palette:
            raise ValueError(f"input '{self.name}' of kind labels must give a palette.")
        indices = [entry.index for entry in self.palette]
        if indices != list(range(len(indices))):
            raise ValueError(f"input '{self.name}': palette indices must be 0, 1, 2, ... in order, not {indices}.")
        colors = [entry.color for entry in self.palette]
        if len(set(colors)) != len(colors):
            raise ValueError(f"input '{self.name}': two palette entries share a colour; each class needs its own.")
        if self.background[0] >= len(indices):
            raise ValueError(f"input '{self.name}': background {self.background[0]} is not a class of the palette.")


class Tiling(_Strict):
    """Says that the graph may be run on tiles of a photo, which are laid together again: each place depends on what is near it.

    Tiles have the graph's size, the largest where it is flexible.
    """

    overlap: int = Field(ge=1, le=4096, description="Pixels that neighbouring tiles share at least, at most half a tile.")


class OutputLine(_Strict):
    """Says that the picture is finished line art, which can be drawn on and given to a model of kind `line`."""

    ink: Literal["dark", "light"] = Field(description="Are lines darker or lighter than paper?")
    width_parameter: Name | None = Field(
        default=None, description="The parameter that is the lines' width in graph pixels, where there is one."
    )

    @property
    def paper(self) -> int:
        """Value of a place without lines, [0, 255]."""
        return 255 if self.ink == "dark" else 0


class Output(_Strict):
    """The graph's only output, of whatever name: `uint8 (N, H', W', channels)`, RGB, or 1 channel for lines and masks."""

    size: Size | FlexibleSize
    channels: Literal[1, 3] = 3
    compose: Compose = Compose.REPLACE
    tiling: Tiling | None = Field(default=None, description="Photos are translated at their own size on request; see Tiling.")
    line: OutputLine | None = Field(default=None, description="The picture is line art; see OutputLine.")

    @model_validator(mode="after")
    def _check_line(self) -> Self:
        if self.line and self.channels != 1:
            raise ValueError(f"output.line is for pictures of one channel; output.channels is {self.channels}, set it to 1.")
        if self.line and self.compose is not Compose.REPLACE:
            raise ValueError(f"output.line is for pictures that are the answer; output.compose is {self.compose}, not replace.")
        return self


class Latent(_Strict):
    """The random input of the graph: `float32 (N, *shape)`, made by the server from the seed."""

    name: Name = "latent"
    shape: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=1)
    distribution: LatentDistribution


class Encode(_Strict):
    """A second graph beside the first, `encode.onnx`: from a picture to the latent that stands for it.

    It takes the picture as its only input and gives `float32 (N, *latent.shape)`. Given that latent and each parameter's
    default, the model's own graph gives the picture back as nearly as it can; given another main input, it gives that input in
    the picture's style.
    """

    input: ImageInput = Field(description="The picture; always called `style`.")
    sha256: Sha256 = Field(description="Of encode.onnx.")

    @model_validator(mode="after")
    def _check_input(self) -> Self:
        spec = self.input
        if spec.name != STYLE_NAME or spec.kind is not InputKind.PHOTO or spec.channels != 3:
            raise ValueError(
                f"encode.input must be an RGB photo called {STYLE_NAME}; it is '{spec.name}' of kind {spec.kind} with "
                f"{spec.channels} channels."
            )
        return self


class Parameter(_Strict):
    """A scalar input of the graph, `float32 (N, 1)`, that the user sets; shown as a slider (or a switch for `bool`)."""

    name: Name
    kind: Literal["float", "int", "bool"] = "float"
    min: float
    max: float
    step: float = Field(gt=0)
    default: float
    title: Translated
    help: Translated

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        if not self.min <= self.default <= self.max:
            raise ValueError(f"parameter '{self.name}': default {self.default} is outside [{self.min}, {self.max}].")
        return self


class Sample(_Strict):
    """A finished example: pictures of the inputs and of the result, by path inside the folder."""

    title: Translated
    inputs: dict[Name, RelativePath] = Field(min_length=1)
    output: RelativePath
    seed: int = Field(default=0, ge=0, lt=2**32)


class Metric(_Strict):
    """One held-out figure and the protocol it was measured by."""

    name: str
    value: float
    protocol: str


class Training(_Strict):
    """Where the weights come from."""

    recipe: str
    source: str = Field(description="Name and home page of the data.")
    source_license: str
    images: int = Field(ge=0, description="Pairs in the training split.")
    seen_images: int = Field(ge=0, description="Pairs shown to the generator, repeats counted.")
    config: dict[str, object] = Field(description="The resolved training configuration.")
    code_version: str


class Golden(_Strict):
    """A known input and seed with the picture the graph must give, for the self-test at load."""

    inputs: dict[Name, RelativePath] = Field(min_length=1)
    seed: int = Field(default=0, ge=0, lt=2**32)
    output: RelativePath
    tolerance: float = Field(
        default=2.0, ge=0, le=32, description="Largest allowed mean absolute difference, in steps of uint8."
    )


class Manifest(_Strict):
    """Everything the server and the page know about a model. Written by `training/export.py`."""

    format_version: Literal[1] = 1
    id: ModelId
    title: Translated
    description: Translated
    family: str
    inputs: tuple[ImageInput, ...] = Field(min_length=1, description="The first input is the main one.")
    output: Output
    latent: Latent | None = None
    encode: Encode | None = Field(default=None, description="The graph that turns a picture into a latent; see Encode.")
    parameters: tuple[Parameter, ...] = ()
    samples: tuple[Sample, ...] = ()
    metrics: tuple[Metric, ...] = ()
    training: Training
    license: str
    sha256: Sha256 = Field(description="Of model.onnx.")
    golden: Golden | None = None

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        names = [spec.name for spec in self.inputs] + [parameter.name for parameter in self.parameters]
        names += [self.latent.name] if self.latent else []
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"graph inputs must have distinct names; repeated: {', '.join(repeated)}.")
        reserved = sorted(RESERVED_NAMES & set(names))
        if reserved:
            raise ValueError(f"the names {', '.join(reserved)} belong to the API; rename these inputs or parameters.")
        if self.inputs[0].optional:
            raise ValueError(f"the first input '{self.inputs[0].name}' cannot be optional.")
        return self

    @model_validator(mode="after")
    def _check_languages(self) -> Self:
        if "en" not in self.title or "en" not in self.description:
            raise ValueError("title and description must have an 'en' text.")
        return self

    @model_validator(mode="after")
    def _check_files(self) -> Self:
        known = {spec.name for spec in self.inputs}
        examples: list[Sample | Golden] = [*self.samples, *([self.golden] if self.golden else [])]
        for example in examples:
            unknown = sorted(set(example.inputs) - known)
            if unknown:
                raise ValueError(f"a sample or golden names inputs that are not declared: {', '.join(unknown)}.")
        return self

    @model_validator(mode="after")
    def _check_encode(self) -> Self:
        if self.encode and self.latent is None:
            raise ValueError("encode gives a latent, but the model declares none; leave encode out or declare latent.")
        return self

    @model_validator(mode="after")
    def _check_width_parameter(self) -> Self:
        name = self.output.line.width_parameter if self.output.line else None
        if name is None:
            return self
        found = self.parameter(name)
        if found is None:
            known = ", ".join(parameter.name for parameter in self.parameters) or "none"
            raise ValueError(f"output.line.width_parameter is '{name}', which is no parameter; the parameters are: {known}.")
        if found.kind == "bool":
            raise ValueError(f"output.line.width_parameter '{name}' is a bool; a width must be a float or an int.")
        return self

    @model_validator(mode="after")
    def _check_tiling(self) -> Self:
        if self.output.tiling is None:
            return self
        for spec in self.inputs:
            if spec.kind not in (InputKind.PHOTO, InputKind.GRAY):
                raise ValueError(f"output.tiling is for photos; input '{spec.name}' is of kind {spec.kind}, not photo or gray.")
            if spec.size != self.output.size:
                raise ValueError(f"output.tiling needs inputs and output of one size; that of input '{spec.name}' differs.")
        size, overlap = self.output.size, self.output.tiling.overlap
        side = min(size.height, size.width) if isinstance(size, Size) else size.largest
        if 2 * overlap > side:
            raise ValueError(
                f"output.tiling.overlap is {overlap}; it may be half a tile at most, {side // 2} for {side} pixels."
            )
        return self

    def input(self, name: str) -> ImageInput | None:
        """The image input called `name`, or None."""
        return next((spec for spec in self.inputs if spec.name == name), None)

    def parameter(self, name: str) -> Parameter | None:
        """The parameter called `name`, or None."""
        return next((parameter for parameter in self.parameters if parameter.name == name), None)
