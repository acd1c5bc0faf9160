"""Export: the graph does what the module does, the folder is whole, and a graph that is off is never written."""

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from torch import Tensor, nn

from server.manifest import Manifest
from tests.training.synthetic import FREE, SIDE, make_dataset
from training.datasets import PairedDataset
from training.evaluate import Evaluation
from training.export import Exported, Labelling, export_model, measure_parity
from training.families.protocol import Exportable, LatentSpec
from training.figures import Figures
from training.gallery import gallery
from training.onnx_graph import (
    HALF_MIN_ELEMENTS,
    ExportError,
    read_weights,
    rounded_to_half,
    store_weights_as_half,
    write_graph,
)
from training.recipes.recipe import Drawing
from training.serving import draw_latent, graph_feeds, translate, without_hints

LABELLING = Labelling(
    model_id="squares",
    title={"en": "Squares", "ja": "四角"},
    description={"en": "Draw a square.", "ja": "四角を描きます。"},
    family="toy",
    config={"name": "squares", "data": "data/squares"},
    seen_images=1234,
)

EVALUATION = Evaluation(
    recipe="squares",
    split="val",
    images=1234,
    figures=(Figures(name="plain", protocol="squares, all 5 pairs", pairs=5, values={"l1": 0.25, "psnr": 11.5, "ssim": 0.5}),),
)


class _Toy(nn.Module):
    """Bytes in, bytes out, with a norm over the image, hints where asked for and a latent that tints."""

    def __init__(self, *, has_hints: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encode = nn.Conv2d(5 if has_hints else 1, 16, 3, padding=1)
        self.norm = nn.InstanceNorm2d(16, affine=True)
        self.decode = nn.Conv2d(16, 3, 3, padding=1)

    def forward(self, *inputs: Tensor) -> Tensor:
        *images, latent = inputs
        features = torch.cat([image.permute(0, 3, 1, 2).float() / 255 for image in images], dim=1)
        features = torch.relu(self.norm(self.encode(features))) * latent.reshape(-1, 16, 1, 1)
        picture = torch.sigmoid(self.decode(features)) * 255
        return torch.round(picture).to(torch.uint8).permute(0, 2, 3, 1)


def _exportable(*, has_hints: bool = True) -> Exportable:
    names = ("image", "hints") if has_hints else ("image",)
    return Exportable(_Toy(has_hints=has_hints).eval(), names, LatentSpec((16,), "bernoulli"))


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> PairedDataset:
    root = tmp_path_factory.mktemp("data") / "set"
    make_dataset(root)
    return PairedDataset.open(root, "val")


@pytest.fixture(scope="module")
def exported(held_out: PairedDataset, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """One export, which takes seconds, for all tests that only read it. It replaces an older folder."""
    models = tmp_path_factory.mktemp("models")
    (models / "squares").mkdir()
    (models / "squares" / "stale.txt").write_text("x", "utf-8")
    return export_model(_exportable(), held_out, models, LABELLING, EVALUATION)


def _manifest(exported: Exported) -> Manifest:
    return Manifest.model_validate_json((exported.folder / "manifest.json").read_text("utf-8"))


def _run(exported: Exported, inputs: dict[str, np.ndarray], seed: int) -> np.ndarray:  # type: ignore[type-arg]
    feeds = graph_feeds(_exportable(), {name: pixels[None] for name, pixels in inputs.items()}, [seed])
    session = onnxruntime.InferenceSession(str(exported.folder / "model.onnx"), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, feeds)[0][0])


def _square() -> np.ndarray:  # type: ignore[type-arg]
    image = np.full((SIDE, SIDE, 1), 255, np.uint8)
    image[8:24, 8:24] = 0
    return image


def test_exported_graph_agrees_with_the_module(exported: Exported) -> None:
    assert exported.parity.largest <= 1
    assert exported.parity.differing_share < 0.01  # only values that lie on a rounding border


def test_manifest_describes_the_inputs(exported: Exported) -> None:
    manifest = _manifest(exported)
    image, hints = manifest.inputs
    assert (image.kind, image.ink, image.line_width_px, image.background) == ("line", "dark", 3.0, (255,))
    assert (hints.kind, hints.optional, hints.background) == ("hints", True, (0, 0, 0, 0))
    assert manifest.latent is not None
    assert (manifest.latent.shape, manifest.latent.distribution) == ((16,), "bernoulli")
    assert (manifest.training.images, manifest.training.seen_images) == (8, 1234)
    assert [metric.value for metric in manifest.metrics] == [0.25, 11.5, 0.5]


def test_manifest_names_only_files_that_are_there(exported: Exported) -> None:
    manifest = _manifest(exported)
    golden = manifest.golden
    assert golden is not None
    named = [path for example in (*manifest.samples, golden) for path in (*example.inputs.values(), example.output)]
    assert len(manifest.samples) == 3
    assert all((exported.folder / path).is_file() for path in (*named, "preview.png", "README.md"))


def test_a_drawing_may_name_the_seed_that_it_is_shown_with(held_out: PairedDataset, tmp_path: Path) -> None:
    inputs = {"image": _square(), "hints": np.zeros((SIDE, SIDE, 4), np.uint8)}
    drawings = [Drawing({"en": "Red"}, inputs, seed=77), Drawing({"en": "Any"}, inputs)]
    exported = export_model(_exportable(), held_out, tmp_path / "models", LABELLING, None, drawings)
    assert [sample.seed for sample in _manifest(exported).samples[:2]] == [77, 2]
    with Image.open(exported.folder / "samples" / "red-result.png") as shown:
        assert np.array_equal(np.asarray(shown), _run(exported, inputs, 77))


def _gray_set(root: Path) -> PairedDataset:
    make_dataset(root, "gray")
    return PairedDataset.open(root, "val")


def test_tiles_are_declared_where_the_configuration_asks_for_them(tmp_path: Path) -> None:
    labelling = dataclasses.replace(LABELLING, tile_overlap=8)
    photos = _gray_set(tmp_path / "data")
    manifest = _manifest(export_model(_exportable(has_hints=False), photos, tmp_path / "models", labelling, EVALUATION))
    assert manifest.output.tiling is not None
    assert manifest.output.tiling.overlap == 8


@pytest.mark.parametrize(("kind", "overlap", "rule"), [("line", 8, "only photos"), ("gray", 17, "at most half a tile")])
def test_tiles_that_cannot_be_are_refused(kind: str, overlap: int, rule: str, tmp_path: Path) -> None:
    labelling = dataclasses.replace(LABELLING, tile_overlap=overlap)
    make_dataset(tmp_path / "data", cast(Any, kind))
    drawn = PairedDataset.open(tmp_path / "data", "val")
    with pytest.raises(ExportError, match=f"'tile_overlap' is {overlap}.*{rule}"):
        export_model(_exportable(has_hints=False), drawn, tmp_path / "models", labelling, EVALUATION)
    assert not list((tmp_path / "models").glob("*"))


def test_golden_pair_is_what_the_graph_gives(exported: Exported) -> None:
    golden = _manifest(exported).golden
    assert golden is not None
    image = np.asarray(Image.open(exported.folder / golden.inputs["image"]))[..., None]
    result = _run(exported, {"image": image, "hints": np.zeros((SIDE, SIDE, 4), np.uint8)}, golden.seed)
    np.testing.assert_array_equal(result, np.asarray(Image.open(exported.folder / golden.output)))


def test_seed_changes_the_picture(exported: Exported) -> None:
    inputs = {"image": _square(), "hints": np.zeros((SIDE, SIDE, 4), np.uint8)}
    assert (_run(exported, inputs, 1) != _run(exported, inputs, 2)).any()


def test_model_card_tells_origin_figures_and_command(exported: Exported) -> None:
    card = (exported.folder / "README.md").read_text("utf-8")
    for words in ("8 pairs of [Squares]", "CC0-1.0", "squares, all 5 pairs", "11.5", "inkwash-train prepare squares"):
        assert words in card


def test_labels_model_carries_its_palette_and_samples_in_its_colors(tmp_path: Path) -> None:
    make_dataset(tmp_path / "set", "labels")
    held_out = PairedDataset.open(tmp_path / "set", "val")
    exported = export_model(_exportable(has_hints=False), held_out, tmp_path / "models", LABELLING, None)
    manifest = _manifest(exported)
    palette = manifest.inputs[0].palette
    assert palette is not None
    assert [entry.color for entry in palette] == ["#000080", "#ff0000", "#00ff00"]
    with Image.open(exported.folder / manifest.samples[0].inputs["image"]) as sample:
        colors = {color for _, color in sample.convert("RGB").getcolors() or ()}
    assert colors == {(0, 0, 128), (255, 0, 0), (0, 255, 0)}


def test_set_without_a_free_license_ships_none_of_its_images(tmp_path: Path) -> None:
    make_dataset(tmp_path / "set", origin=FREE.model_copy(update={"free_samples": False}))
    held_out = PairedDataset.open(tmp_path / "set", "val")
    exported = export_model(_exportable(), held_out, tmp_path / "models", LABELLING, None)
    manifest = _manifest(exported)
    assert manifest.samples == ()
    assert manifest.golden is not None
    assert (np.asarray(Image.open(exported.folder / manifest.golden.inputs["image"])) == 255).all()


def test_gallery_of_a_model_without_hints_shows_no_drawing_twice(held_out: PairedDataset) -> None:
    emoji = dataclasses.replace(held_out, info=held_out.info.model_copy(update={"recipe": "noto-emoji"}))
    with_hints, without = (len(gallery(emoji, names)) for names in (("image", "hints"), ("image",)))
    assert with_hints == without + 5  # each drawing, with and without hints


def test_export_replaces_an_earlier_folder(exported: Exported) -> None:
    assert not (exported.folder / "stale.txt").exists()
    assert [path.name for path in exported.folder.parent.iterdir()] == ["squares"]


class _Twofaced(_Toy):
    """Another picture when traced than when run: what a broken exporter does."""

    def forward(self, *inputs: Tensor) -> Tensor:
        picture = super().forward(*inputs)
        return picture // 2 if torch.compiler.is_exporting() else picture


def test_graph_that_disagrees_is_refused_and_leaves_nothing(held_out: PairedDataset, tmp_path: Path) -> None:
    broken = dataclasses.replace(_exportable(), module=_Twofaced(has_hints=True).eval())
    with pytest.raises(ExportError, match=r"differ from PyTorch's by up to \d+ steps"):
        export_model(broken, held_out, tmp_path / "models", LABELLING, None)
    assert list((tmp_path / "models").iterdir()) == []


def test_weights_beyond_half_precision_are_refused() -> None:
    module = _Toy(has_hints=False)
    with torch.no_grad():
        module.decode.bias[0] = 1e6
    with pytest.raises(ExportError, match=r"'decode\.bias' is beyond float16"):
        rounded_to_half(module)


Graph = tuple[Exportable, Path]


@pytest.fixture(scope="module")
def graph(held_out: PairedDataset, tmp_path_factory: pytest.TempPathFactory) -> Graph:
    """A module with rounded weights and the file it was written to."""
    path = tmp_path_factory.mktemp("graph") / "model.onnx"
    exportable = dataclasses.replace(_exportable(), module=rounded_to_half(_exportable().module))
    feeds = graph_feeds(exportable, without_hints(held_out.inputs(slice(2))), [0, 1])
    write_graph(exportable, [torch.from_numpy(value) for value in feeds.values()], path)
    return exportable, path


@pytest.mark.parametrize("batch", [1, 3, 5])
def test_batch_axis_is_dynamic(held_out: PairedDataset, graph: Graph, batch: int) -> None:
    exportable, path = graph
    inputs = without_hints(held_out.inputs(slice(batch)))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    theirs = session.run(None, graph_feeds(exportable, inputs, range(batch)))[0].astype(int)
    assert np.abs(theirs - translate(exportable, inputs, range(batch))).max() <= 1


def test_graph_uses_the_standard_operators_and_holds_its_weights(graph: Graph) -> None:
    model = onnx.load(str(graph[1]), load_external_data=False)
    assert {node.domain for node in model.graph.node} == {""}
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    assert "InstanceNormalization" in {node.op_type for node in model.graph.node}


def test_large_weights_are_half_in_the_file_and_whole_in_the_runtime(graph: Graph, tmp_path: Path) -> None:
    path = graph[1]
    stored = onnx.load(str(path)).graph.initializer
    large = [tensor for tensor in stored if np.prod(tensor.dims) >= HALF_MIN_ELEMENTS]
    assert large
    assert {tensor.data_type for tensor in large} == {TensorProto.FLOAT16}
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    optimized = onnx.load(str(tmp_path / "optimized.onnx")).graph
    assert Counter(tensor.data_type for tensor in optimized.initializer)[TensorProto.FLOAT16] == 0
    assert not any(node.op_type == "Cast" and node.input[0].endswith("_half") for node in optimized.node)


def test_storing_as_half_leaves_what_it_cannot_represent() -> None:
    exact, inexact = np.full(512, 0.5, np.float32), np.full(512, 0.1, np.float32)
    nodes = [helper.make_node("Add", ["exact", "inexact"], ["sum"])]
    output = helper.make_tensor_value_info("sum", TensorProto.FLOAT, [512])
    weights = [numpy_helper.from_array(exact, "exact"), numpy_helper.from_array(inexact, "inexact")]
    model = helper.make_model(
        helper.make_graph(nodes, "sum", [], [output], weights), opset_imports=[helper.make_opsetid("", 18)]
    )
    assert store_weights_as_half(model) == 1
    onnx.checker.check_model(model, full_check=True)
    kinds = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    assert kinds == {"exact_half": TensorProto.FLOAT16, "inexact": TensorProto.FLOAT}


def test_parity_covers_the_hints(held_out: PairedDataset, graph: Graph) -> None:
    exportable, path = graph
    other = dataclasses.replace(exportable, module=_DeafToHints(has_hints=True).eval())
    assert measure_parity(exportable, path, held_out).largest <= 1
    assert measure_parity(other, path, held_out).largest > 1


class _DeafToHints(_Toy):
    """The same weights, blind to hints."""

    def forward(self, *inputs: Tensor) -> Tensor:
        image, hints, latent = inputs
        return super().forward(image, torch.zeros_like(hints), latent)


@pytest.mark.parametrize("distribution", ["bernoulli", "normal"])
def test_latent_is_a_function_of_the_seed(distribution: str) -> None:
    spec = LatentSpec((1000,), distribution)  # type: ignore[arg-type]
    latent = draw_latent(spec, 7)
    np.testing.assert_array_equal(latent, draw_latent(spec, 7))
    assert latent.dtype == np.float32
    assert (latent != draw_latent(spec, 8)).any()
    assert (set(np.unique(latent)) == {0.0, 1.0}) == (distribution == "bernoulli")


def test_manifest_on_disk_is_plain_json(exported: Exported) -> None:
    text = (exported.folder / "manifest.json").read_text("utf-8")
    assert json.loads(text)["format_version"] == 1
    assert "四角" in text


def test_weights_of_a_written_graph_are_read_back_by_name(held_out: PairedDataset, tmp_path: Path) -> None:
    exportable = dataclasses.replace(_exportable(), module=rounded_to_half(_exportable().module))
    inputs = graph_feeds(exportable, without_hints(held_out.inputs(slice(2))), [0, 1])
    write_graph(exportable, [torch.from_numpy(value) for value in inputs.values()], tmp_path / "model.onnx")
    weights, expected = read_weights(tmp_path / "model.onnx"), dict(exportable.module.named_parameters())
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def test_graph_tells_nothing_of_the_machine_that_made_it(exported: Exported) -> None:
    graph = (exported.folder / "model.onnx").read_bytes()
    home = str(Path(__file__).resolve().parents[2]).encode()
    assert home not in graph
    assert b"site-packages" not in graph


def test_weights_of_no_graph_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a graph")
    with pytest.raises(ExportError, match=r"model\.onnx"):
        read_weights(tmp_path / "model.onnx")
