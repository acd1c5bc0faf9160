"""Typed configuration of a training run: defaults here, a TOML file that differs, then `--set key=value`.

An unknown key or a wrong type is an error that names the key. Nothing here builds anything.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

CONFIG_FOLDER = Path(__file__).parent / "configs"
"""Published configurations; `train emoji` finds `emoji.toml` here."""


MODEL_ID = r"^[a-z0-9][a-z0-9-]{0,63}$"


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names the key, the value and the rule."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class Upsampling(StrEnum):
    """How a decoder level doubles the resolution."""

    TRANSPOSE = "transpose"
    RESIZE = "resize"


class NoiseKind(StrEnum):
    """What one number of the dropout noise switches: one element of a feature map, or one whole channel."""

    ELEMENT = "element"
    CHANNEL = "channel"


class AdversarialLoss(StrEnum):
    """`VANILLA` is the paper's cross-entropy (3.1); `LSGAN` the least-squares form."""

    VANILLA = "vanilla"
    LSGAN = "lsgan"


class ColorSpace(StrEnum):
    """What a colouriser's network paints or sees: RGB, all of YCbCr, or its colour part alone under the given luma."""

    RGB = "rgb"
    YCBCR = "ycbcr"
    CBCR = "cbcr"


class DiscriminatorAugment(StrEnum):
    """A random change of what a discriminator sees (Zhao et al. 2020)."""

    COLOR = "color"
    TRANSLATION = "translation"
    CUTOUT = "cutout"


class GeneratorConfig(_Section):
    """The U-Net of pix2pix, 6.1.1. Defaults are the paper's 256x256 layer list."""

    base_channels: int = Field(default=64, ge=4, description="Channels of the first encoder level; cost grows with its square.")
    max_channels: int = Field(default=512, ge=4, description="Cap on the channels of deeper levels.")
    levels: int = Field(default=8, ge=2, le=10, description="Halvings; the image side must be a multiple of 2**levels.")
    upsampling: Upsampling = Upsampling.TRANSPOSE
    input_skip: bool = Field(default=False, description="Show the last layer the input at full resolution, for sharp outlines.")
    noise: NoiseKind = NoiseKind.ELEMENT
    noise_levels: int = Field(default=3, ge=0, description="Innermost decoder levels that drop out; more of them vary more.")
    finish_channels: int = Field(
        default=0, ge=0, description="Features at full resolution before the last layer, for smooth rims; 0: none."
    )


class ResNetConfig(_Section):
    """The residual generator of CycleGAN, 7.2. Defaults are the paper's list for 256 pixels; its list for 128 has 6 blocks."""

    base_channels: int = Field(default=64, ge=4, description="Channels at full resolution; cost grows with its square.")
    max_channels: int = Field(default=256, ge=4, description="Cap on the channels of deeper levels.")
    downsamplings: int = Field(default=2, ge=1, le=6, description="Halvings; the image side must be a multiple of 2**this.")
    residual_blocks: int = Field(default=9, ge=1, le=24, description="Blocks at the lowest resolution; more change more.")
    upsampling: Upsampling = Upsampling.TRANSPOSE
    input_skip: bool = Field(
        default=False, description="Show the last layer the input, for detail that few pixels cannot hold."
    )


class DiscriminatorConfig(_Section):
    """PatchGAN, 6.1.2. `layers` 0 is the 1x1 pixel network; 1, 3, 5 see 16, 70 and 286 pixels."""

    base_channels: int = Field(default=64, ge=4)
    layers: int = Field(default=3, ge=0, le=6)
    window: int = Field(
        default=0, ge=0, description="Side of the random window that is judged each step, pixels; 0 judges whole pictures."
    )
    augment: tuple[DiscriminatorAugment, ...] = Field(
        default=(), description="Random changes of input and picture together; helps where pairs are few (below about 1,000)."
    )


class LossConfig(_Section):
    """Weights of the generator's losses (3.3)."""

    adversarial: AdversarialLoss = AdversarialLoss.VANILLA
    lambda_l1: float = Field(default=100.0, ge=0, description="Weight of L1; higher is safer and blurrier.")
    lambda_hints: float = Field(default=0.0, ge=0, description="Weight of L1 where a hint lies; higher obeys dabs more.")
    lambda_chroma: float = Field(default=0.0, ge=0, description="Weight of L1 of Cb and Cr alone, for colourisers.")
    lambda_adversarial: float = Field(default=1.0, ge=0)


class DirectionConfig(_Section):
    """What a model that translates one way is called; what is left empty follows from the run's name and the data set."""

    id: str | None = Field(default=None, pattern=MODEL_ID)
    title: dict[str, str] = Field(default_factory=dict)
    description: dict[str, str] = Field(default_factory=dict)


class CycleGANConfig(_Section):
    """Losses of CycleGAN (3, 5.2) and what keeps it from going astray, each with a value that turns it off."""

    adversarial: AdversarialLoss = AdversarialLoss.LSGAN
    lambda_cycle: float = Field(default=10.0, ge=0, description="Weight of cycle consistency; higher changes less.")
    lambda_identity: float = Field(
        default=5.0,
        ge=0,
        description="Weight of leaving alone what is in the domain already; 0 saves a third of a step, and colours drift. The "
        "authors' 0.5 is a share of lambda_cycle.",
    )
    pool_capacity: int = Field(default=50, ge=0, description="Old fakes that a discriminator is reminded of; 0: none.")
    discriminator_augment: tuple[DiscriminatorAugment, ...] = Field(
        default=(DiscriminatorAugment.TRANSLATION, DiscriminatorAugment.CUTOUT),
        description="Helps below about 10,000 pictures. 'color' is left out: colour is often what tells the domains apart.",
    )
    gradient_norm_max: float = Field(
        default=10.0, ge=0, description="Longest gradient of one network; longer ones are shortened. 0 shortens none."
    )
    ab: DirectionConfig = DirectionConfig()
    ba: DirectionConfig = DirectionConfig()


class OptimizerConfig(_Section):
    """Adam as in 3.3."""

    learning_rate: float = Field(default=2e-4, gt=0)
    beta1: float = Field(default=0.5, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)
    batch_size: int = Field(default=1, ge=1)
    total_images: int = Field(default=80_000, ge=1, description="Pairs shown to the generator over the run, repeats counted.")
    accumulate: int = Field(
        default=1, ge=1, description="Batches whose gradients make one step: a batch that much larger in the memory of one."
    )
    decay_start: float = Field(default=0.5, ge=0, le=1, description="Share of the run with constant rate; then linear to zero.")
    warmup_images: int = Field(
        default=0, ge=0, description="Pairs over which the rate rises to its full value, for likelihoods."
    )
    ema_half_life_images: float = Field(
        default=1000.0, ge=0, description="Half-life of the averaged generator; 0 keeps no average."
    )

    @field_validator("warmup_images")
    @classmethod
    def _reach_the_rate(cls, warmup: int, info: ValidationInfo) -> int:
        """Refuses a run that would end before its rate is reached."""
        total = info.data.get("total_images", warmup + 1)
        if warmup >= total:
            raise ValueError(f"the rate would never reach its value in the {total} of optimizer.total_images; give less")
        return warmup

    @field_validator("accumulate")
    @classmethod
    def _take_a_step(cls, accumulate: int, info: ValidationInfo) -> int:
        """Refuses a step that would be the whole run."""
        batch, total = info.data.get("batch_size", 1), info.data.get("total_images", accumulate)
        if accumulate > 1 and accumulate * batch > total:
            raise ValueError(f"a step would take {accumulate * batch} images, more than the {total} of optimizer.total_images")
        return accumulate


class AugmentConfig(_Section):
    """One geometric draw for both halves of a pair; then, for line inputs, what people's pens do to lines."""

    image_size: int = Field(default=256, ge=16)
    zoom_min: float = Field(default=1.0, gt=0, description="Smallest scale; below 1 shows paper around the picture.")
    zoom_max: float = Field(default=286 / 256, gt=0, description="Largest scale; the paper's jitter is 286 -> 256.")
    stretch: float = Field(default=0.0, ge=0, le=0.5, description="Largest change of aspect, as a share.")
    rotation_degrees: float = Field(default=0.0, ge=0, le=180)
    shift: float = Field(default=0.0, ge=0, le=0.5, description="Largest shift beyond what the zoom leaves, share of the side.")
    flip: bool = True
    reflect: bool = Field(default=False, description="Show a photo's mirror image beyond its border in place of white.")
    jitter: float = Field(
        default=0.0, ge=0, le=1, description="Largest change of a photo's brightness, contrast and saturation, as a share."
    )
    crop_size: int = Field(default=0, ge=0, description="Train on random crops of this side instead of whole images; 0: whole.")
    line_thicken_px: float = Field(default=0.0, ge=0, le=8, description="Largest thickening of drawn lines.")
    line_thin_px: float = Field(default=0.0, ge=0, le=4, description="Largest thinning of drawn lines.")
    line_hollow_share: float = Field(
        default=0.0, ge=0, le=1, description="Share of drawings whose solid areas become outlines."
    )
    line_gaps: int = Field(default=0, ge=0, le=64, description="Most gaps knocked into the lines of one drawing.")
    line_warp_px: float = Field(default=0.0, ge=0, le=16, description="Largest wobble of the lines against their picture.")


class HintConfig(_Section):
    """Colour hints as a second, optional input."""

    enabled: bool = False
    none_share: float = Field(default=1 / 3, ge=0, le=1, description="Share of samples without a single hint.")
    max_dabs: int = Field(default=12, ge=1, le=64)
    recolor_share: float = Field(
        default=0.6, ge=0, le=1, description="Share of hinted samples whose picture is recoloured first."
    )
    spread: bool = Field(default=False, description="Show the generator also how far each dab runs within the lines.")


class ColorSchemeConfig(_Section):
    """Dominant colours that the generator is told of, so that a seed can choose them where lines do not tell."""

    colors: int = Field(default=0, ge=0, le=8, description="Dominant colours of a picture that the generator is told; 0: none.")
    swap_share: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="Share of samples that are told another picture's; higher keeps what is known to its usual colours.",
    )


class ColorConfig(_Section):
    """Colour spaces of the family `colorizer`."""

    generator: ColorSpace = Field(default=ColorSpace.CBCR, description="What the generator paints.")
    discriminator: Literal[ColorSpace.RGB, ColorSpace.YCBCR] = Field(
        default=ColorSpace.RGB, description="What the discriminator sees."
    )
    discriminator_sees_gray: bool = Field(default=False, description="Lay the gray picture beside it, as pix2pix does.")
    shrink: int = Field(
        default=1, ge=1, le=8, description="Networks see pictures smaller by this factor; their colour is enlarged again."
    )


class EdgesConfig(_Section):
    """Network and losses of the family `edges`."""

    channels: tuple[int, ...] = Field(default=(16, 24, 48, 80, 112), description="Channels a level, each at half the size.")
    blocks: tuple[int, ...] = Field(default=(0, 1, 2, 2, 1), description="Residual blocks a level.")
    agreement: float = Field(
        default=0.3,
        gt=0,
        le=1,
        description="Share of the people who must have drawn a pixel; what fewer drew counts neither way.",
    )
    negative_weight: float = Field(
        default=1.1,
        gt=0,
        description="Weight of what nobody drew beside what was drawn, both made equal first; higher draws less.",
    )
    lambda_dice: float = Field(default=0.0, ge=0, description="Weight of the Dice loss of the fusion, for thinner lines.")


class FlowTarget(StrEnum):
    """What a flow models: Cb and Cr under the source as luma, or the whole target."""

    CHROMA = "chroma"
    PICTURE = "picture"


class SamplerConfig(_Section):
    """What the families that draw many colourings of one photo share: sizes, the condition network, how they learn."""

    shrink: int = Field(default=4, ge=1, le=16, description="What is modelled has the picture's side divided by this.")
    condition_shrink: int = Field(default=2, ge=1, le=16, description="The same of what the condition network sees.")
    base_channels: int = Field(default=40, ge=4, description="Of the condition's encoder; as the colouriser it starts from.")
    max_channels: int = Field(default=160, ge=4)
    encoder_levels: int = Field(default=4, ge=1, le=8, description="Of that encoder; narrow levels follow below them.")
    map_channels: int = Field(default=48, ge=4, description="Of the condition's maps.")
    vector_channels: int = Field(default=96, ge=4, description="Of the condition's vector.")
    lambda_guess: float = Field(
        default=1.0,
        ge=0,
        description="Weight of the condition network's own guesses of the mean answer, which teach it to see.",
    )
    weight_decay: float = Field(default=1e-5, ge=0)
    gradient_norm_max: float = Field(default=10.0, ge=0, description="Longest gradient; 0 shortens none.")
    temperature: float = Field(default=0.8, gt=0, le=1.2, description="Default of the served parameter.")


class CinnConfig(SamplerConfig):
    """Flow and condition network of the family `cinn`, whose `shrink` is 1 for whole pictures. Defaults are the small preset,
    for a processor."""

    target: FlowTarget = FlowTarget.CHROMA
    target_channels: Literal[1, 3] = Field(default=3, description="Of the data set's targets; for target 'picture' only.")
    couplings: tuple[int, ...] = Field(default=(4, 4, 4, 3), description="Two-sided couplings a level, each at half the side.")
    hidden: tuple[int, ...] = Field(default=(32, 40, 32, 32), description="Channels inside each level's couplings.")
    keep: tuple[int, ...] = Field(default=(8, 16, 8, 8), description="Channels that go on from each level; others are latent.")
    dense_couplings: int = Field(default=4, ge=1, le=32, description="Couplings of the coarsest level as one vector.")
    dense_hidden: int = Field(default=80, ge=4)
    dense_keep: int = Field(default=8, ge=1, description="Channels of the coarsest level that are coupled as one vector.")
    clamp: float = Field(default=1.5, gt=0, le=4, description="A coupling scales by exp(+-this) at most.")
    noise: float = Field(default=0.05, ge=0, le=1, description="Gaussian noise on what the flow learns, about 1 in size.")
    detail_temperature: float = Field(
        default=0.4, gt=0, le=1.2, description="Default of the second served parameter, which scales all but the coarsest."
    )

    @model_validator(mode="after")
    def _check_levels(self) -> CinnConfig:
        counts = {"couplings": len(self.couplings), "hidden": len(self.hidden), "keep": len(self.keep)}
        if len(set(counts.values())) > 1 or not self.couplings:
            told = ", ".join(f"{name} {count}" for name, count in counts.items())
            raise ValueError(f"couplings, hidden and keep must name as many levels; they name {told}")
        return self


class CvaeConfig(SamplerConfig):
    """Encoder, decoder and condition network of the family `cvae`. Defaults have as many weights as `cinn`'s."""

    channels: tuple[int, ...] = Field(
        default=(32, 48, 72, 72), min_length=1, description="Channels a level of encoder and decoder, each at half the side."
    )
    latent_size: int = Field(default=128, ge=1)
    beta: float = Field(default=1.0, ge=0, description="Weight of the divergence; 1 is the evidence bound, more varies less.")
    noise: float = Field(default=1.0, ge=0, le=1, description="Share of the posterior's deviation; 0 is a plain autoencoder.")


class LoopConfig(_Section):
    """How often, in images, and with what arithmetic."""

    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    channels_last: bool = True
    compile: Literal["off", "auto", "on"] = Field(
        default="off", description="Compiles the networks, which takes minutes first; auto: on processors that can."
    )
    log_every_images: int = Field(default=200, ge=1)
    sample_every_images: int = Field(default=2000, ge=1)
    checkpoint_every_images: int = Field(default=1000, ge=1)
    validate_every_images: int = Field(
        default=0,
        ge=0,
        description="Images between held-out figures; 0: none. With keep_best as often as samples.",
    )
    validate_images: int = Field(default=64, ge=1, description="Most held-out pictures that are measured each time.")
    keep_best: str | None = Field(
        default=None, description="Held-out figure by which the best weights are kept, such as 'ssim'."
    )
    early_stop_patience: int = Field(
        default=0, ge=0, description="Validations in a row without a better keep_best figure that end the run; 0: never."
    )
    rollbacks_max: int = Field(
        default=3, ge=0, description="Times that a run with a lost loss goes back to its last checkpoint before it gives up."
    )
    rollback_learning_rate_factor: float = Field(
        default=0.5, gt=0, le=1, description="What the learning rate is multiplied by each time; the rest of the run has it."
    )

    @model_validator(mode="before")
    @classmethod
    def _validate_where_best_is_kept(cls, values: Any) -> Any:
        """Measures as often as samples are drawn where the best is to be kept and nobody said how often."""
        if isinstance(values, dict) and values.get("keep_best") and "validate_every_images" not in values:
            default = cls.model_fields["sample_every_images"].default
            return {**values, "validate_every_images": values.get("sample_every_images", default)}
        return values

    @field_validator("keep_best")
    @classmethod
    def _measure_what_is_kept(cls, metric: str | None, info: ValidationInfo) -> str | None:
        if metric and info.data.get("validate_every_images") == 0:
            raise ValueError("nothing is measured with loop.validate_every_images = 0; leave that out or give a number")
        return metric

    @field_validator("early_stop_patience")
    @classmethod
    def _watch_a_figure(cls, patience: int, info: ValidationInfo) -> int:
        if patience and not info.data.get("keep_best"):
            raise ValueError("it waits for a better figure, and loop.keep_best names none; name one, such as 'ssim'")
        return patience


class TrainConfig(_Section):
    """Everything that decides a run, with the data and the seed."""

    name: str = Field(pattern=MODEL_ID)
    family: str = "pix2pix"
    data: Path = Field(description="Folder that `inkwash-train prepare` wrote.")
    init_from: Path | None = Field(
        default=None, description="Checkpoint or exported model (its folder) whose weights a new run starts from."
    )
    seed: int = Field(default=0, ge=0, lt=2**31)
    tile_overlap: int = Field(
        default=0, ge=0, le=4096, description="Serve large photos in tiles that share this many pixels; 0 serves none in tiles."
    )
    title: dict[str, str] = Field(default_factory=dict)
    description: dict[str, str] = Field(default_factory=dict)
    generator: GeneratorConfig = GeneratorConfig()
    resnet: ResNetConfig = ResNetConfig()
    discriminator: DiscriminatorConfig = DiscriminatorConfig()
    loss: LossConfig = LossConfig()
    cyclegan: CycleGANConfig = CycleGANConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    augment: AugmentConfig = AugmentConfig()
    hints: HintConfig = HintConfig()
    color_scheme: ColorSchemeConfig = ColorSchemeConfig()
    edges: EdgesConfig = EdgesConfig()
    color: ColorConfig = ColorConfig()
    cinn: CinnConfig = CinnConfig()
    cvae: CvaeConfig = CvaeConfig()
    loop: LoopConfig = LoopConfig()


def load_config(path: Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """Reads a TOML file and applies `key.path=value` overrides.

    Raises:
        ConfigError: The file cannot be read, a key is unknown or a value has the wrong type.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"Config {path} cannot be read ({error.strerror}); give the path of a .toml file.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"Config {path} is not valid TOML: {error}.") from error
    for override in overrides:
        _apply_override(values, override)
    return parse_config(values)


def parse_config(values: dict[str, Any]) -> TrainConfig:
    """Checks plain values, for example those stored beside a run.

    Raises:
        ConfigError: A key is unknown or a value breaks a rule.
    """
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError("\n".join(_sentence(details) for details in error.errors())) from error


def _apply_override(values: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key.strip():
        raise ConfigError(f"--set '{override}' is not of the form key=value, for example optimizer.batch_size=4.")
    *parents, last = key.strip().split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
        if not isinstance(values, dict):
            raise ConfigError(f"--set '{override}': '{parent}' is a value, not a section.")
    values[last] = _toml_value(text.strip())


def _toml_value(text: str) -> Any:
    """A TOML value, or the bare text where it is none: `--set data=path` needs no quotes."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _sentence(details: Any) -> str:
    key = ".".join(str(part) for part in details["loc"])
    if details["type"] == "extra_forbidden":
        return f"Config key '{key}' is unknown; `inkwash-train train CONFIG --dry-run` prints all of them."
    return f"Config key '{key}' has value {details['input']!r}: {details['msg'].removeprefix('Value error, ').lower()}."
