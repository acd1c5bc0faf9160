"""The bodies of the HTTP API. They shape and validate; they decide nothing."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

_MIX_TERM = {
    "type": "object",
    "properties": {
        "seed": {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
        "style": {"const": True},
        "weight": {"type": "number", "minimum": 0, "default": 1},
    },
    "additionalProperties": False,
}
MixField = Annotated[
    Any,
    WithJsonSchema({"anyOf": [{"type": "string", "maxLength": 4096}, {"type": "array", "items": _MIX_TERM, "maxItems": 16}]}),
]
"""Checked by `latents.py`, which can tell what is wrong with which term."""


class TranslateBody(BaseModel):
    """JSON form of a translation request."""

    model_config = ConfigDict(extra="forbid")

    image: str | None = Field(None, description="The main input: base64 or a data URL.")
    inputs: dict[str, str] = Field(default_factory=dict, description="Inputs by name: base64 or data URLs.")
    style: str | None = Field(
        None, description="For models with `encode`: a picture in whose style the answer is to be; base64 or a data URL."
    )
    seed: int | None = Field(None, description="0 to 4294967295; drawn and told when absent.")
    mix: MixField = Field(None, description="In place of the seed's latent several, mixed: `7:0.6,style:0.4`, or a list.")
    n: int = Field(1, description="Variations, 1 to 16; their seeds are seed, seed + 1, ...")
    params: dict[str, float | bool] = Field(default_factory=dict, description="The model's parameters by name.")
    from_: str | None = Field(
        None, alias="from", description="`photo`: the main input is a photo that is traced to lines first."
    )
    trace: dict[str, float | bool] = Field(default_factory=dict, description="With `from`: the tracer's parameters by name.")


class TranslatedImage(BaseModel):
    """One picture of an answer."""

    image: str = Field(description="Data URL.")
    seed: int


class FitBody(BaseModel):
    """Where the input was laid on the graph's canvas, or on that of all tiles."""

    mode: Literal["contain", "tiles"]
    scale: float
    box: tuple[int, int, int, int] = Field(description="left, top, width, height in graph pixels.")


class TranslateAnswer(BaseModel):
    """JSON form of an answer."""

    model: str
    images: list[TranslatedImage]
    width: int
    height: int
    fit: FitBody
    palette_snapped: float | None = Field(description="Share of pixels that were off the palette; null without labels.")
    mix: str | None = Field(description="What the latent was mixed of, as text; null where it is the seed's.")
    traced_by: str | None = Field(description="Id of the model that made lines of the photo; null unless `from` was asked for.")
    timings: dict[str, float] = Field(
        description="Milliseconds: decode, queue, infer, encode; trace where a photo was traced, style where one was used."
    )


class ModelSummary(BaseModel):
    """One model as the picker shows it."""

    id: str
    title: dict[str, str]
    description: dict[str, str]
    family: str
    kind: str = Field(description="Of the main input.")
    status: Literal["ready", "idle", "failed"]
    reason: str | None = Field(None, description="Why it failed.")
    sha256: str
    manifest: str
    preview: str
    samples: int


class BrokenFolder(BaseModel):
    """A folder that cannot be served."""

    id: str
    reason: str


class ModelList(BaseModel):
    """All models, the broken ones apart."""

    models: list[ModelSummary]
    broken: list[BrokenFolder]
    device: str
    tracer: str | None = Field(None, description="Id of the model that makes lines of photos, if there is one.")


class Readiness(BaseModel):
    """What serves, and whether it may be sent work."""

    status: Literal["ready", "starting", "stopping", "no_models"]
    device: str
    device_reason: str
    provider: str
    threads: int
    version: str
    models: dict[str, str] = Field(description="Status by model id.")
    broken: dict[str, str] = Field(description="Reason by folder.")


class Problem(BaseModel):
    """RFC 9457 problem document; some codes add members."""

    model_config = ConfigDict(extra="allow")

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    request_id: str


def problem_response(description: str) -> dict[str, Any]:
    """OpenAPI's entry for an error answer."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {"application/problem+json": {"schema": schema}}}
