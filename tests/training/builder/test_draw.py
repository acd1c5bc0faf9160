"""Lines of pictures: extractors, what is done with their lines, and the stage."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image, ImageDraw
from pydantic import ValidationError
from scipy import ndimage

from training.builder.draw import DrawSettings, draw, lines_of, open_extractor
from training.builder.extractors import OnnxExtractor, Preprocessing, model_file, open_model
from training.builder.journal import BuildError, Entry, Journal

SIDE = 128


def sticker(side: int = SIDE) -> Image.Image:
    """A disc with two eyes on transparent ground, (side, side) RGBA."""
    picture = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    pen = ImageDraw.Draw(picture)
    unit = side / 128
    pen.ellipse([16 * unit, 16 * unit, 112 * unit, 112 * unit], fill=(190, 150, 110, 255))
    for x in (44, 74):
        pen.ellipse([x * unit, 44 * unit, (x + 12) * unit, 56 * unit], fill=(20, 20, 20, 255))
    return picture


def edge_model(path: Path, *, planar: bool = True, inputs: int = 1) -> Path:
    """An "edge model" whose map is the red channel as it is given: what was preprocessed can be read off its output."""
    shape = [1, 3, "h", "w"] if planar else [1, "h", "w", 3]
    given = [helper.make_tensor_value_info(f"x{k}", TensorProto.FLOAT, shape) for k in range(inputs)]
    axis = 1 if planar else 3
    constants = [helper.make_tensor(name, TensorProto.INT64, [1], [value]) for name, value in (("a", 0), ("b", 1), ("c", axis))]
    nodes = [helper.make_node("Slice", ["x0", "a", "b", "c"], ["edges"])]
    out = helper.make_tensor_value_info("edges", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "edges", given, [out], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save_model(model, str(path))
    return path


def _settings(**values: object) -> DrawSettings:
    return DrawSettings.model_validate({"method": "canny", "sigma": 1.0, "size": SIDE, "scale": 1.0, **values})


def _ink(settings: DrawSettings, picture: Image.Image | None = None, detail: float = 0.5) -> np.ndarray:  # type: ignore[type-arg]
    extractor = open_extractor(settings, Path())
    drawing = lines_of(picture or sticker(), extractor, detail, settings)[1]
    return 255 - drawing[..., 0].astype(int)


def _true_edges() -> np.ndarray:  # type: ignore[type-arg]
    """The borders of disc and eyes, computed from the picture's own areas."""
    pixels = np.asarray(sticker())
    dark = (pixels[..., 0] < 100) & (pixels[..., 3] > 127)
    opaque = pixels[..., 3] > 127
    return (opaque & ~ndimage.binary_erosion(opaque)) | (dark & ~ndimage.binary_erosion(dark))


def _shift(ink: np.ndarray, edges: np.ndarray) -> float:  # type: ignore[type-arg]
    """How far lines lie to one side of their edges on average, the larger of down and right, pixels."""
    nearest = ndimage.distance_transform_edt(~edges, return_distances=False, return_indices=True)
    places = np.argwhere(ink)
    return float(np.abs(np.mean([place - nearest[:, *place] for place in places], axis=0)).max())


@pytest.mark.parametrize("method", ["canny", "model"])
@pytest.mark.parametrize("scale", [1.0, 1.5, 2.0])
def test_lines_sit_on_their_edges(method: str, scale: float, bundled_tracer: Path) -> None:
    model = bundled_tracer if method == "model" else None
    ink = _ink(_settings(method=method, model=model, scale=scale, line_width=1.0, outline=False), detail=0.6) > 127
    edges = _true_edges()
    assert np.quantile(ndimage.distance_transform_edt(~edges)[ink], 0.95) <= 2.5
    assert np.quantile(ndimage.distance_transform_edt(~ink)[edges], 0.9) <= 2.5
    assert _shift(ink, edges) < 0.45
    moved = np.roll(ink, (1, 1), axis=(0, 1))
    assert _shift(moved, edges) > 0.45  # so a drawing that is one pixel off would not pass


def test_lines_have_the_width_of_the_pen() -> None:
    thin, thick = (_ink(_settings(line_width=width)) for width in (1.5, 5.0))
    assert 2.3 < thick.sum() / thin.sum() < 4.2


def test_eyes_are_drawn() -> None:
    ink = _ink(_settings())
    assert ink[40:60, 40:60].sum() > 0
    assert ink[40:60, 70:90].sum() > 0


def test_outline_of_the_cut_out_is_closed_and_drawn_once() -> None:
    with_outline, without = (_ink(_settings(outline=outline, line_width=1.0)) > 127 for outline in (True, False))
    labels, count = ndimage.label(~with_outline)
    assert labels[0, 0] != labels[64, 64]
    assert count >= 2
    # One line wherever a ray from the middle leaves the disc, not two side by side.
    crossing = np.flatnonzero(with_outline[64, 90:])
    assert len(crossing) <= 2
    assert without[64, 90:].any()


def test_specks_are_dropped() -> None:
    picture = sticker()
    ImageDraw.Draw(picture).ellipse([60, 80, 63, 83], fill=(0, 0, 0, 255))
    fine, coarse = (_ink(_settings(min_line_px=least, line_width=1.0), picture) for least in (0, 25))
    assert fine[76:88, 56:68].any()
    assert not coarse[76:88, 56:68].any()


def test_more_detail_draws_no_less() -> None:
    assert _ink(_settings(), detail=0.9).sum() >= _ink(_settings(), detail=0.1).sum()


def test_ink_of_difference_of_gaussians_is_left_as_it_is() -> None:
    ink = _ink(_settings(method="xdog"))
    assert ink[50, 50] > 127  # a dark eye is solid ink
    assert ink[5, 5] == 0


def test_picture_that_is_not_square_is_padded_with_paper() -> None:
    settings = _settings()
    photo, drawing = lines_of(sticker().resize((128, 64)), open_extractor(settings, Path()), 0.5, settings)
    assert photo.shape == (SIDE, SIDE, 3)
    assert drawing.shape == (SIDE, SIDE, 1)
    assert (photo[:20] == 255).all()
    assert (drawing[:20] == 255).all()


@pytest.mark.parametrize("planar", [True, False])
def test_edge_model_of_another_project_gets_what_it_wants(tmp_path: Path, planar: bool) -> None:
    path = edge_model(tmp_path / "edges.onnx", planar=planar)
    how = Preprocessing(order="bgr", scale=1 / 255, mean=(0.1, 0, 0), std=(0.5, 1, 1), multiple_of=32)
    extractor = open_model(path, how)
    assert isinstance(extractor, OnnxExtractor)
    photo = np.zeros((40, 50, 3), np.uint8)
    photo[:, 25, 2] = 128  # a blue line: the model's first channel in this order
    lines = extractor(photo, 0.5)
    assert lines.shape == (40, 50)
    assert set(np.nonzero(lines)[1]) == {25}
    # (128 / 255 - 0.1) / 0.5 is 0.804: it is drawn from that detail on at which the threshold is below.
    assert not extractor(photo, 0.0).any()
    assert extractor(photo, 0.1).any()


def test_faint_line_of_an_edge_model_is_drawn_with_much_detail(tmp_path: Path) -> None:
    extractor = open_model(edge_model(tmp_path / "edges.onnx"), Preprocessing())
    photo = Image.new("RGB", (SIDE, SIDE))
    ImageDraw.Draw(photo).line([(64, 0), (64, SIDE)], fill=(115, 0, 0))  # 0.45
    ink = [(lines_of(photo, extractor, detail, _settings())[1] < 128).sum() for detail in (0.5, 0.9)]
    assert ink[0] == 0
    assert ink[1] > SIDE


def test_edge_model_of_another_size_is_told(tmp_path: Path) -> None:
    path = edge_model(tmp_path / "edges.onnx")
    model = onnx.load_model(str(path))
    model.graph.node[0].output[0] = "full"
    model.graph.node.append(helper.make_node("MaxPool", ["full"], ["edges"], kernel_shape=[2, 2], strides=[2, 2]))
    onnx.save_model(model, str(path))
    with pytest.raises(BuildError, match=r"is \(1, 1, 16, 16\) for a picture of \(32, 32\)"):
        open_model(path, Preprocessing())(np.zeros((32, 32, 3), np.uint8), 0.5)


def test_frame_of_a_photo_is_no_outline() -> None:
    photo = Image.new("RGB", (128, 80), (120, 140, 200))
    assert not _ink(_settings(outline=True), photo)[30:98].any()


@pytest.mark.parametrize("detail", [[2.0, 3.0], [-0.1, 0.5]])
def test_detail_beyond_its_range_is_refused(detail: list[float]) -> None:
    with pytest.raises(ValidationError, match="detail"):
        _settings(detail=detail)


def test_dark_lines_of_an_edge_model_are_turned_round(tmp_path: Path) -> None:
    edge_model(tmp_path / "edges.onnx")
    photo = np.full((32, 32, 3), 255, np.uint8)
    photo[10] = 0
    lines = open_model(tmp_path / "edges.onnx", Preprocessing(is_dark=True))(photo, 0.5)
    assert set(np.nonzero(lines)[0]) == {10}


def test_model_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(BuildError, match=r"broken.onnx.*cannot be opened"):
        open_model(tmp_path / "broken.onnx", Preprocessing())
    with pytest.raises(BuildError, match=r"absent.*is missing; give draw.model"):
        model_file(Path("absent"), tmp_path)
    edge_model(tmp_path / "two.onnx", inputs=2)
    with pytest.raises(BuildError, match="single picture of 3 channels"):
        open_model(tmp_path / "two.onnx", Preprocessing())


def _cut_outs(folder: Path, count: int = 3) -> Journal:
    journal = Journal.open(folder, {"of": "tests"})
    for k in range(count):
        picture = sticker().rotate(20 * k)
        journal.add(Entry(f"{k:016x}", journal.save_image(picture, f"{k}.png"), facts={"author": f"A{k}"}))
    journal.add(Entry("f" * 16, reason="no cat found"))
    return journal


def test_stage_draws_what_was_kept_and_passes_facts_on(tmp_path: Path) -> None:
    drawn = draw(_settings(), _cut_outs(tmp_path / "3-cutout"), tmp_path / "4-draw", base=tmp_path)
    assert [entry.is_kept for entry in drawn] == [True] * 3
    entry = next(iter(drawn))
    assert entry.facts["author"] == "A0"
    assert 0.35 <= entry.facts["detail"] <= 0.7
    for name in (entry.file, entry.facts["picture"]):
        with Image.open(tmp_path / "4-draw" / str(name)) as image:
            assert image.size == (SIDE, SIDE)


def test_stage_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    before, folder = _cut_outs(tmp_path / "3-cutout"), tmp_path / "4-draw"
    draw(_settings(), before, folder, base=tmp_path)
    whole = (folder / "journal.jsonl").read_bytes()
    lines = whole.splitlines(keepends=True)
    (folder / "journal.jsonl").write_bytes(b"".join(lines[:2]) + lines[2][:20])
    made: list[None] = []
    draw(_settings(), before, folder, base=tmp_path, on_progress=lambda: made.append(None))
    assert len(made) == 2
    assert (folder / "journal.jsonl").read_bytes() == whole


def test_other_settings_draw_anew(tmp_path: Path) -> None:
    before, folder = _cut_outs(tmp_path / "3-cutout"), tmp_path / "4-draw"
    draw(_settings(), before, folder, base=tmp_path)
    made: list[None] = []
    draw(_settings(line_width=5.0), before, folder, base=tmp_path, on_progress=lambda: made.append(None))
    assert len(made) == 3


@pytest.mark.parametrize(
    ("limits", "reason"), [({"min_ink": 0.9}, "hardly any lines found"), ({"max_ink": 0.001}, "more ink than lines")]
)
def test_empty_and_crowded_drawings_are_rejected_with_something_to_show(
    tmp_path: Path, limits: dict[str, float], reason: str
) -> None:
    drawn = draw(_settings(**limits), _cut_outs(tmp_path / "3-cutout", 1), tmp_path / "4-draw", base=tmp_path)
    (entry,) = drawn
    assert entry.reason == reason
    assert (tmp_path / "4-draw" / str(entry.file)).is_file()


def test_damaged_cut_out_is_rejected(tmp_path: Path) -> None:
    before = _cut_outs(tmp_path / "3-cutout", 1)
    (tmp_path / "3-cutout" / "0.png").write_bytes(b"broken")
    assert [entry.reason for entry in draw(_settings(), before, tmp_path / "4-draw", base=tmp_path)] == ["cannot be read"]


def test_journal_names_the_model_that_drew(tmp_path: Path, bundled_tracer: Path) -> None:
    settings = _settings(method="model", model=bundled_tracer)
    draw(settings, _cut_outs(tmp_path / "3-cutout", 1), tmp_path / "4-draw", base=tmp_path)
    header = json.loads((tmp_path / "4-draw" / "journal.jsonl").read_text("utf-8").splitlines()[0])
    assert len(header["settings"]["model"]) == 64
