"""From a trained graph to a model folder that the server serves: ONNX, manifest, samples, golden pair, preview and model card.

The only importer of the server's manifest. A folder appears only when the graph was compared with PyTorch and agrees.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from PIL import Image

from server.manifest import (
    STYLE_NAME,
    Compose,
    Encode,
    FlexibleSize,
    Golden,
    ImageInput,
    InputKind,
    Latent,
    LatentDistribution,
    Manifest,
    Metric,
    Output,
    OutputLine,
    Parameter,
    Sample,
    Size,
    Tiling,
    Training,
)
from server.manifest import PaletteEntry as ManifestPaletteEntry
from training.datasets import DatasetInfo, ImagesU8, InputInfo, PairedDataset, displayable
from training.evaluate import Evaluation
from training.families.protocol import Exportable, ParameterSpec
from training.gallery import gallery, in_strips, stand_in
from training.judge import judged
from training.model_card import Card, write_card
from training.offers import Labelling, offers
from training.onnx_graph import TRACE_BATCH, ExportError, rounded_to_half, write_graph
from training.recipes.recipe import Drawing
from training.serving import graph_feeds, translate, without_hints
from training.style_graph import write_style_graph
from training.trained import TrainedRun

PARITY_BATCHES = (1, 4)
PARITY_MAX_STEPS = 1
STYLE_GRAPH = "encode.onnx"
PREVIEW_SIDE = 256
FIRST_SEED = 1


@dataclass(frozen=True)
class Parity:
    """How far onnxruntime's pictures are from PyTorch's, in steps of uint8."""

    largest: int
    mean: float
    differing_share: float


@dataclass(frozen=True)
class Exported:
    """A written model folder."""

    folder: Path
    parity: Parity
    bytes: int


def export_run(trained: TrainedRun, models: Path, model_id: str | None = None) -> tuple[Exported, ...]:
    """Exports every model of a run to `models/<id>`, measuring held-out figures first if that has not been done for this state.

    Args:
        trained: The run.
        models: Folder of model folders.
        model_id: The configuration's name when absent. Of several models each gets an ending.

    Raises:
        ExportError: A graph cannot be exported or does not agree with PyTorch.
    """
    return tuple(
        export_model(offer.exportable, offer.held_out, models, offer.labelling, offer.evaluation, offer.drawings)
        for offer in offers(trained, judged(trained), model_id)
    )


def export_model(
    exportable: Exportable,
    held_out: PairedDataset,
    models: Path,
    labelling: Labelling,
    evaluation: Evaluation | None,
    drawings: Sequence[Drawing] = (),
) -> Exported:
    """Writes the folder of one model; an earlier one of that id is replaced at the very end.

    `drawings` are shown in its gallery first.

    Raises:
        ExportError: The graph cannot be exported or does not agree with PyTorch.
    """
    models.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{labelling.model_id}-", dir=models))
    try:
        exportable = dataclasses.replace(exportable, module=rounded_to_half(exportable.module))
        graph = staging / "model.onnx"
        write_graph(exportable, _trace_inputs(exportable, held_out), graph)
        parity = measure_parity(exportable, graph, held_out)
        require_parity(parity)
        if exportable.encoder is not None:
            write_style_graph(exportable, held_out, staging / STYLE_GRAPH)
        shown = [*drawings, *gallery(held_out, exportable.image_names)]
        _describe(staging, exportable, held_out, labelling, evaluation, parity, shown)
        folder = models / labelling.model_id
        if folder.exists():
            shutil.rmtree(folder)
        staging.chmod(0o755)
        staging.rename(folder)
        return Exported(folder, parity, (folder / "model.onnx").stat().st_size)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def measure_parity(exportable: Exportable, graph: Path, held_out: PairedDataset) -> Parity:
    """Runs both sides on held-out pairs, one by one and four at once, and where sizes are free on parts of them too."""
    session = _session(graph)
    differences = []
    for batch, (height, width) in [
        (batch, extent) for extent in _parity_extents(exportable, held_out) for batch in PARITY_BATCHES
    ]:
        chosen = np.arange(batch) % len(held_out)
        cut = {name: pixels[:, :height, :width] for name, pixels in held_out.inputs(chosen).items()}
        inputs, seeds = without_hints(cut), list(range(batch))
        if "hints" in exportable.image_names:
            inputs["hints"] = _corner_hints(held_out.target[chosen, :height, :width])
        ours = translate(exportable, inputs, seeds)
        theirs = session.run(None, graph_feeds(exportable, inputs, seeds))[0]
        differences.append(np.abs(ours.astype(np.int16) - theirs.astype(np.int16)).ravel())
    steps = np.concatenate(differences)
    return Parity(largest=int(steps.max()), mean=float(steps.mean()), differing_share=float((steps > 0).mean()))


def _parity_extents(exportable: Exportable, held_out: PairedDataset) -> list[tuple[int, int]]:
    """Height and width of what both sides are run on: whole pictures, and where sizes are free also low and narrow ones."""
    side, step = held_out.info.size, exportable.size_multiple_of
    if step is None:
        return [(side, side)]
    half, most = (max(side * share // 4 // step, 1) * step for share in (2, 3))
    return [(side, side), (half, most), (most, half)]


def require_parity(parity: Parity) -> None:
    """Refuses a graph that is off by more than rounding.

    Raises:
        ExportError: Says by how much.
    """
    if parity.largest > PARITY_MAX_STEPS:
        raise ExportError(
            f"onnxruntime's pictures differ from PyTorch's by up to {parity.largest} steps of uint8 (mean {parity.mean:.4f}, "
            f"{parity.differing_share:.2%} of values); at most {PARITY_MAX_STEPS} is allowed. Nothing was written."
        )


def graph_size(info: DatasetInfo, exportable: Exportable) -> Size | FlexibleSize:
    """The data set's size; where sizes are free, from half to twice that: textures have the size that they were learned at."""
    step = exportable.size_multiple_of
    if step is None:
        return Size(height=info.size, width=info.size)
    return FlexibleSize(multiple_of=step, min=-(-info.size // 2 // step) * step, max=2 * info.size)


def _tiling(overlap: int, info: DatasetInfo, size: Size | FlexibleSize) -> Tiling | None:
    if overlap == 0:
        return None
    other = next((spec.kind for spec in info.inputs if spec.kind not in ("photo", "gray")), None)
    if other is not None:
        raise ExportError(
            f"Config key 'tile_overlap' is {overlap}, but only photos are cut into tiles, not {other}; set it to 0."
        )
    side = min(size.height, size.width) if isinstance(size, Size) else size.largest
    if 2 * overlap > side:
        raise ExportError(f"Config key 'tile_overlap' is {overlap}; give at most half a tile of {side} pixels, {side // 2}.")
    return Tiling(overlap=overlap)


def input_specs(info: DatasetInfo, image_names: Sequence[str], size: Size | FlexibleSize) -> tuple[ImageInput, ...]:
    """The manifest's inputs for a prepared set."""
    specs = tuple(_input_spec(spec, size) for spec in info.inputs)
    if "hints" not in image_names:
        return specs
    hints = ImageInput(name="hints", kind=InputKind.HINTS, channels=4, size=size, background=(0, 0, 0, 0), optional=True)
    return (*specs, hints)


def _input_spec(spec: InputInfo, size: Size | FlexibleSize) -> ImageInput:
    palette = tuple(ManifestPaletteEntry(index=e.index, name=dict(e.name), color=e.color) for e in spec.palette)
    return ImageInput(
        name=spec.name,
        kind=InputKind(spec.kind),
        channels=spec.channels,
        size=size,
        background=(spec.background,) * spec.channels,
        ink=spec.ink,
        line_width_px=spec.line_width_px,
        palette=palette or None,
    )


def wire_image(pixels: ImagesU8, spec: InputInfo | None) -> Image.Image | None:
    """An input of the graph as the picture that a client sends: labels in palette colours, hints (no spec) as RGBA.

    None where no picture has so many channels, and an array is sent.
    """
    if spec is None:
        return Image.fromarray(pixels, "RGBA")
    if spec.kind == "labels":
        return Image.fromarray(displayable(pixels, spec))
    if spec.channels not in (1, 3):
        return None
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def _trace_inputs(exportable: Exportable, held_out: PairedDataset) -> list[torch.Tensor]:
    chosen = np.arange(TRACE_BATCH) % len(held_out)
    feeds = graph_feeds(exportable, without_hints(held_out.inputs(chosen)), range(TRACE_BATCH))
    return [torch.from_numpy(value) for value in feeds.values()]


def _corner_hints(target: ImagesU8) -> ImagesU8:
    """Hints in a quarter of each picture, so that parity also covers that input."""
    hints = np.zeros((*target.shape[:3], 4), np.uint8)
    half = target.shape[1] // 2
    hints[:, :half, :half, :3], hints[:, :half, :half, 3] = target[:, :half, :half], 255
    return hints


def _session(graph: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # training may run beside it
    return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


def _describe(
    folder: Path,
    exportable: Exportable,
    held_out: PairedDataset,
    labelling: Labelling,
    evaluation: Evaluation | None,
    parity: Parity,
    drawings: Sequence[Drawing],
) -> None:
    """Writes everything but the graph."""
    info = held_out.info
    size = graph_size(info, exportable)
    samples = _write_samples(folder / "samples", exportable, drawings, info)
    first = drawings[0] if drawings else stand_in(info, exportable.image_names)
    golden = _write_samples(folder / "golden", exportable, [first], info)[0]
    _write_preview(folder, first, golden.output, info)
    manifest = Manifest(
        id=labelling.model_id,
        title=dict(labelling.title),
        description=dict(labelling.description),
        family=labelling.family,
        inputs=input_specs(info, exportable.image_names, size),
        output=Output(
            size=size,
            channels=info.target_channels,
            compose=Compose(exportable.compose),
            tiling=_tiling(labelling.tile_overlap, info, size),
            line=OutputLine(ink="dark", width_parameter=exportable.line_width) if exportable.line_width else None,
        ),
        latent=_latent(exportable),
        encode=_encode(folder / STYLE_GRAPH, info) if exportable.encoder is not None else None,
        parameters=tuple(_parameter(spec) for spec in exportable.parameters),
        samples=samples,
        metrics=_metrics(evaluation),
        training=Training(
            recipe=info.recipe,
            source=", ".join(filter(None, (info.origin.name, info.origin.home_page))),
            source_license=info.origin.license,
            images=info.counts["train"],
            seen_images=labelling.seen_images,
            config=dict(labelling.config),
            code_version=code_version(),
        ),
        license=info.origin.weights_license,
        sha256=hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest(),
        golden=Golden(inputs=golden.inputs, seed=golden.seed, output=golden.output),
    )
    text = json.dumps(manifest.model_dump(mode="json", exclude_none=True), indent=2, ensure_ascii=False)
    (folder / "manifest.json").write_text(text + "\n", "utf-8")
    card = Card(
        manifest.model_dump(mode="json"),
        info,
        parity.largest,
        parity.mean,
        parity.differing_share,
        learned_from=labelling.learned_from,
        prepare=labelling.prepare,
        weaknesses=labelling.weaknesses,
    )
    write_card(folder / "README.md", card)


def _write_samples(folder: Path, exportable: Exportable, drawings: Sequence[Drawing], info: DatasetInfo) -> tuple[Sample, ...]:
    """Writes inputs and results of each drawing into `folder`, which lies in the model's; empty hints are left out.

    The main input is `<title>.png`, so that people can name it in a command; the others carry their part's name.
    """
    folder.mkdir()
    session, samples = _session(folder.parent / "model.onnx"), []
    for k, drawing in enumerate(drawings):
        seed, stem = FIRST_SEED + k if drawing.seed is None else drawing.seed, _stem(drawing, k, drawings)
        feeds = graph_feeds(exportable, {name: pixels[None] for name, pixels in drawing.inputs.items()}, [seed])
        result: ImagesU8 = session.run(None, feeds)[0][0]
        shown = {name: pixels for name, pixels in drawing.inputs.items() if name != "hints" or pixels[..., 3].any()}
        stems = {name: stem if name == exportable.image_names[0] else f"{stem}-{name}" for name in shown}
        files = {name: _write_input(folder, stems[name], pixels, _spec(info, name)) for name, pixels in shown.items()}
        Image.fromarray(result if result.shape[-1] == 3 else result[..., 0]).save(folder / f"{stem}-result.png", optimize=True)
        paths = {name: f"{folder.name}/{file}" for name, file in files.items()}
        samples.append(Sample(title=dict(drawing.title), inputs=paths, output=f"{folder.name}/{stem}-result.png", seed=seed))
    return tuple(samples)


def _write_input(folder: Path, stem: str, pixels: ImagesU8, spec: InputInfo | None) -> str:
    """Writes an input as a client would send it; returns the file's name."""
    image = wire_image(pixels, spec)
    if image is None:
        np.save(folder / f"{stem}.npy", pixels)
        return f"{stem}.npy"
    image.save(folder / f"{stem}.png", optimize=True)
    return f"{stem}.png"


def _spec(info: DatasetInfo, name: str) -> InputInfo | None:
    """What a set says of an input; nothing of hints."""
    return next((spec for spec in info.inputs if spec.name == name), None)


def _stem(drawing: Drawing, k: int, drawings: Sequence[Drawing]) -> str:
    """A file name from the English title; numbered where an earlier drawing has the same."""
    stem = re.sub(r"[^a-z0-9]+", "-", drawing.title["en"].lower()).strip("-") or "sample"
    is_taken = any(other.title["en"] == drawing.title["en"] for other in drawings[:k])
    return f"{stem}-{k}" if is_taken else stem


def _write_preview(folder: Path, drawing: Drawing, output: str, info: DatasetInfo) -> None:
    """Drawing and result side by side, for the model picker; of several inputs each has a strip of the drawing's place."""
    card = Image.new("RGB", (2 * PREVIEW_SIDE, PREVIEW_SIDE), "white")
    with Image.open(folder / output) as result:
        pictures = (Image.fromarray(in_strips(drawing, info)), result.convert("RGB"))
    for place, picture in enumerate(pictures):
        tile = picture.resize((PREVIEW_SIDE, PREVIEW_SIDE), Image.Resampling.LANCZOS)
        card.paste(tile, (place * PREVIEW_SIDE, 0))
    card.save(folder / "preview.png", optimize=True)


def _latent(exportable: Exportable) -> Latent | None:
    spec = exportable.latent
    if spec is None:
        return None
    return Latent(name=spec.name, shape=spec.shape, distribution=LatentDistribution(spec.distribution))


def _encode(graph: Path, info: DatasetInfo) -> Encode:
    size = Size(height=info.size, width=info.size)
    style = ImageInput(name=STYLE_NAME, kind=InputKind.PHOTO, channels=3, size=size, background=(255, 255, 255))
    return Encode(input=style, sha256=hashlib.sha256(graph.read_bytes()).hexdigest())


def _parameter(spec: ParameterSpec) -> Parameter:
    return Parameter(
        name=spec.name,
        min=spec.min,
        max=spec.max,
        step=spec.step,
        default=spec.default,
        title=dict(spec.title),
        help=dict(spec.help),
    )


def _metrics(evaluation: Evaluation | None) -> tuple[Metric, ...]:
    if evaluation is None:
        return ()
    return tuple(
        Metric(name=f"{figures.name}/{name}", value=value, protocol=figures.protocol)
        for figures in evaluation.figures
        for name, value in figures.values.items()
    )


def code_version() -> str:
    """Version of this package, as the manifest states it."""
    try:
        return importlib.metadata.version("inkwash")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
