from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from server.catalog import read_entry
from server.manifest import FORMAT_VERSION, RESERVED_NAMES, FlexibleSize, Manifest, OutputLine, Size, Tiling
from tests.server import models

PAST = sorted((Path(__file__).parents[1] / "data").glob("manifest-format-*.json"))


def test_there_is_a_manifest_of_every_format() -> None:
    versions = [json.loads(path.read_text(encoding="utf-8"))["format_version"] for path in PAST]
    assert versions == list(range(1, FORMAT_VERSION + 1))


@pytest.mark.parametrize("path", PAST, ids=lambda path: path.stem)
def test_a_manifest_of_a_past_format_still_loads_with_all_that_it_says(path: Path) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    loaded = Manifest.model_validate(document).model_dump(mode="json")
    assert _contains(loaded, document)
    assert loaded["output"]["tiling"] is None
    assert loaded["output"]["line"] is None


def _contains(whole: Any, part: Any) -> bool:
    if isinstance(part, dict):
        return all(_contains(whole[name], value) for name, value in part.items())
    if isinstance(part, list):
        return len(whole) == len(part) and all(map(_contains, whole, part))
    return bool(whole == part)


@pytest.mark.parametrize(
    ("size", "smallest", "largest"),
    [((8, 16, 64), 16, 64), ((8, 17, 63), 24, 56), ((1, 1, 1), 1, 1), ((64, 1, 100), 64, 64)],
)
def test_a_flexible_size_knows_its_shortest_and_longest_side(size: tuple[int, int, int], smallest: int, largest: int) -> None:
    flexible = FlexibleSize(multiple_of=size[0], min=size[1], max=size[2])
    assert (flexible.smallest, flexible.largest) == (smallest, largest)


def document(graph: models.Graph, tmp_path: Path, overlap: object, **output: object) -> dict[str, Any]:
    declared = replace(graph, output=graph.output | {"tiling": {"overlap": overlap}} | output)
    folder = models.write_model(tmp_path / "model", declared)
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return manifest


@pytest.mark.parametrize("graph", [models.photo_graph(16), models.chroma_graph(16), models.flexible_graph(8, 16, 23)])
@pytest.mark.parametrize("overlap", [1, 8])
def test_photo_models_may_declare_tiling(graph: models.Graph, tmp_path: Path, overlap: int) -> None:
    document(graph, tmp_path, overlap)
    manifest = read_entry(tmp_path / "model").manifest
    assert manifest.output.tiling == Tiling(overlap=overlap)


@pytest.mark.parametrize(
    ("graph", "overlap", "output", "reason"),
    [
        (models.photo_graph(16), 9, {}, "output.tiling.overlap is 9; it may be half a tile at most, 8 for 16 pixels."),
        (
            models.flexible_graph(8, 16, 23),
            9,
            {},
            "output.tiling.overlap is 9; it may be half a tile at most, 8 for 16 pixels.",
        ),
        (models.photo_graph(16), 0, {}, "greater than or equal to 1"),
        (models.photo_graph(16), "wide", {}, "valid integer"),
        (models.identity_graph(16), 4, {}, "output.tiling is for photos; input 'lines' is of kind line, not photo or gray."),
        (models.labels_graph(32), 4, {}, "output.tiling is for photos; input 'labels' is of kind labels"),
        (
            models.photo_graph(16),
            4,
            {"size": {"height": 32, "width": 32}},
            "output.tiling needs inputs and output of one size; that of input 'photo' differs.",
        ),
    ],
)
def test_tiling_that_cannot_be_is_refused(
    graph: models.Graph, tmp_path: Path, overlap: object, output: dict[str, object], reason: str
) -> None:
    with pytest.raises(ValidationError, match=re.escape(reason)):
        Manifest.model_validate(document(graph, tmp_path, overlap, **output))


def test_tiles_of_several_inputs_need_one_size(tmp_path: Path) -> None:
    graph = models.photo_graph(16)
    second = models.photo_input("relief", 8)
    with pytest.raises(ValidationError, match="that of input 'relief' differs"):
        Manifest.model_validate(document(replace(graph, inputs=(*graph.inputs, second)), tmp_path, 4))


def line_document(tmp_path: Path, **output: object) -> dict[str, Any]:
    graph = models.sketch_graph()
    folder = models.write_model(tmp_path / "sketch", graph)
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["output"] |= output
    return manifest


@pytest.mark.parametrize("ink", ["dark", "light"])
@pytest.mark.parametrize("parameter", ["line_width", None])
def test_a_model_may_say_that_its_pictures_are_lines(tmp_path: Path, ink: str, parameter: str | None) -> None:
    manifest = Manifest.model_validate(line_document(tmp_path, line={"ink": ink, "width_parameter": parameter}))
    assert manifest.output.line == OutputLine(ink=ink, width_parameter=parameter)  # type: ignore[arg-type]
    assert manifest.output.line.paper == {"dark": 255, "light": 0}[ink]
    assert Manifest.model_validate_json(manifest.model_dump_json()) == manifest


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ({"channels": 3}, "output.line is for pictures of one channel; output.channels is 3, set it to 1."),
        ({"compose": "chroma"}, "output.line is for pictures that are the answer; output.compose is chroma, not replace."),
        ({"line": {}}, "Field required"),
        ({"line": {"ink": "blue"}}, "Input should be 'dark' or 'light'"),
        (
            {"line": {"ink": "dark", "width_parameter": "thickness"}},
            "output.line.width_parameter is 'thickness', which is no parameter; the parameters are: detail, line_width.",
        ),
    ],
)
def test_lines_that_cannot_be_are_refused(tmp_path: Path, output: dict[str, object], reason: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(reason)):
        Manifest.model_validate(line_document(tmp_path, **output))


def test_a_width_is_a_number(tmp_path: Path) -> None:
    document = line_document(tmp_path)
    document["parameters"][1]["kind"] = "bool"
    with pytest.raises(ValidationError, match="'line_width' is a bool; a width must be a float or an int"):
        Manifest.model_validate(document)


@pytest.mark.parametrize("name", ["seed", "n", "params", "from", "mix", "style"])
@pytest.mark.parametrize("part", ["parameters", "inputs"])
def test_words_of_the_api_are_no_names(tmp_path: Path, part: str, name: str) -> None:
    document = line_document(tmp_path, line=None)
    document[part][0]["name"] = name
    with pytest.raises(ValidationError, match=f"the names {name} belong to the API; rename these inputs or parameters"):
        Manifest.model_validate(document)


def test_the_protocol_lists_the_words_of_the_api() -> None:
    text = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
    listed = re.search(r"none of them a word of the API: ([^.]*?)\s+are reserved", text)
    assert listed is not None
    assert set(re.findall(r"`(\w+)`", listed[1])) == RESERVED_NAMES


def test_sizes_are_bounded() -> None:
    with pytest.raises(ValidationError, match="less than or equal to 8192"):
        Size(height=8193, width=1)
    with pytest.raises(ValidationError, match=r"size\.min 9 is larger than size\.max 8"):
        FlexibleSize(multiple_of=1, min=9, max=8)
