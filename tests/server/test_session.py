from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from server.catalog import Entry, read_entry
from server.errors import ModelError
from server.graph import check_self_contained
from server.imaging import ImageLimits
from server.providers import PROVIDERS
from server.session import OrtSession, SessionOptions, blank_feeds
from server.translator import load_session
from tests.server import models

OPTIONS = SessionOptions(PROVIDERS["cpu"], threads=1)
BATCHING = SessionOptions(replace(PROVIDERS["cpu"], batch_sizes=(1, 4)), threads=1)
LIMITS = ImageLimits(10**6, 10**4)


def entry_of(tmp_path: Path, graph: models.Graph, **options: object) -> Entry:
    return read_entry(models.write_model(tmp_path / "model", graph, **options))  # type: ignore[arg-type]


def test_a_graph_gives_back_its_input(tmp_path: Path) -> None:
    session = OrtSession(entry_of(tmp_path, models.identity_graph(4)), OPTIONS)
    image = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1)
    np.testing.assert_array_equal(session.run({"lines": image}), image)
    assert session.provider == "CPUExecutionProvider"


@pytest.mark.parametrize("microseconds", [0, 50])
def test_threads_spin_within_a_run_for_as_long_as_is_wished(tmp_path: Path, microseconds: int) -> None:
    session = OrtSession(entry_of(tmp_path, models.identity_graph(4)), replace(OPTIONS, spin_microseconds=microseconds))
    settings = session._session.get_session_options()
    assert settings.get_session_config_entry("session.intra_op.allow_spinning") == str(int(microseconds > 0))
    if microseconds:
        assert settings.get_session_config_entry("session.intra_op.spin_duration_us") == str(microseconds)
    assert settings.get_session_config_entry("session.force_spinning_stop") == "1"


def test_batches_are_padded_to_a_known_size_and_cut_again(tmp_path: Path) -> None:
    session = OrtSession(entry_of(tmp_path, models.identity_graph(4)), BATCHING)
    assert session.batch_limit == 4
    images = np.arange(48, dtype=np.uint8).reshape(3, 4, 4, 1)
    np.testing.assert_array_equal(session.run({"lines": images}), images)


def test_a_graph_with_a_fixed_batch_axis_runs_one_at_a_time(tmp_path: Path) -> None:
    graph = models.identity_graph(4)
    session = OrtSession(entry_of(tmp_path, replace(graph, text=graph.text.replace("N,", "1,"))), BATCHING)
    assert session.batch_limit == 1


def test_warm_up_runs_every_kind_of_input(models_dir: Path) -> None:
    for folder in sorted(models_dir.iterdir()):
        load_session(read_entry(folder), BATCHING, LIMITS)


def test_blank_feeds_hold_backgrounds_and_defaults(models_dir: Path) -> None:
    feeds = blank_feeds(read_entry(models_dir / "noise").manifest)
    assert feeds["lines"].min() == 255
    assert feeds["strength"].tolist() == [[0.5]]
    assert feeds["latent"].shape == (1, 16, 16, 1)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("uint8[N,4,4,1] lines", "float[N,4,4,1] lines", r"input 'lines' has type tensor\(float\); it must be tensor\(uint8\)"),
        ("uint8[N,4,4,1] lines", "uint8[N,1,4,4] lines", r"input 'lines' has shape .*the manifest says \(N, 4, 4, 1\)"),
        ("uint8[N,4,4,1] lines", "uint8[N,4,4] lines", "input 'lines' has shape"),
        ("[N,4,4,1]", "[2,4,4,1]", "input 'lines' has shape"),
        ("lines", "drawing", "inputs are drawing, but the manifest declares lines"),
    ],
)
def test_a_graph_unlike_its_manifest_is_refused(tmp_path: Path, old: str, new: str, reason: str) -> None:
    text = """<ir_version: 9, opset_import: ["": 17]>
    g (uint8[N,4,4,1] lines) => (uint8[N,4,4,1] image) { half = Cast <to = 1> (lines)
      flat = Reshape (half, shape)
      image = Cast <to = 2> (flat) }""".replace(old, new)
    shape = {"shape": np.array([2 if "[2," in new else -1, 4, 4, 1], np.int64)}
    entry = entry_of(tmp_path, replace(models.identity_graph(4), text=text, constants=shape))
    with pytest.raises(ModelError, match=reason):
        OrtSession(entry, OPTIONS)


def test_an_output_of_the_wrong_size_is_refused(tmp_path: Path) -> None:
    graph = models.identity_graph(4)
    entry = entry_of(tmp_path, replace(graph, output=graph.output | {"size": {"height": 8, "width": 4}}))
    with pytest.raises(ModelError, match="output 'image' has shape"):
        OrtSession(entry, OPTIONS)


def test_two_outputs_are_refused(tmp_path: Path) -> None:
    graph = models.identity_graph(4)
    text = graph.text.replace("(uint8[N,4,4,1] image)", "(uint8[N,4,4,1] image, uint8[N,4,4,1] other)")
    text = text.replace("image = Identity (lines)", "image = Identity (lines) other = Identity (lines)")
    with pytest.raises(ModelError, match="2 outputs"):
        OrtSession(entry_of(tmp_path, replace(graph, text=text)), OPTIONS)


def test_a_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    entry = entry_of(tmp_path, models.identity_graph(4))
    entry.graph.write_bytes(entry.graph.read_bytes() + b"\x00")
    with pytest.raises(ModelError, match=r"has sha256 .* but the manifest says"):
        OrtSession(entry, OPTIONS)


def test_a_golden_pair_that_differs_fails_the_self_test(tmp_path: Path) -> None:
    entry = entry_of(tmp_path, models.identity_graph(16), pictures=[{"lines": models.cat_drawing(16)}])
    models.Image.new("L", (16, 16), 0).save(entry.folder / "samples/0.png")
    with pytest.raises(ModelError, match=r"self-test failed: the golden output differs by \d+"):
        load_session(entry, OPTIONS, LIMITS)


def test_a_golden_pair_of_another_size_fails_the_self_test(tmp_path: Path) -> None:
    entry = entry_of(tmp_path, models.identity_graph(16), pictures=[{"lines": models.cat_drawing(16)}])
    models.Image.new("L", (8, 8), 0).save(entry.folder / "samples/0.png")
    with pytest.raises(ModelError, match="golden output is"):
        load_session(entry, OPTIONS, LIMITS)


@pytest.mark.parametrize("damage", ["missing", "rubbish"])
def test_a_golden_file_that_cannot_be_used_fails_the_self_test(tmp_path: Path, damage: str) -> None:
    entry = entry_of(tmp_path, models.identity_graph(16), pictures=[{"lines": models.cat_drawing(16)}])
    sample = entry.folder / "samples/0-lines.png"
    sample.unlink() if damage == "missing" else sample.write_bytes(b"rubbish")
    with pytest.raises(ModelError, match=r"missing from the model's folder|golden pair cannot be used"):
        load_session(entry, OPTIONS, LIMITS)


def test_a_photo_of_many_channels_is_taken(tmp_path: Path) -> None:
    graph = models.photo_graph(4)
    text = graph.text.replace("[N,4,4,3] photo", "[N,4,4,5] photo").replace("Identity (photo)", "Slice (photo, from, to, axis)")
    ends = {name: np.array([value], np.int64) for name, value in (("from", 0), ("to", 3), ("axis", 3))}
    inputs = (graph.inputs[0] | {"channels": 5, "background": [0] * 5},)
    session = load_session(entry_of(tmp_path, replace(graph, text=text, inputs=inputs, constants=ends)), OPTIONS, LIMITS)
    assert session.run({"photo": np.zeros((1, 4, 4, 5), np.uint8)}).shape == (1, 4, 4, 3)


def test_weights_in_other_files_are_refused() -> None:
    weight = onnx.numpy_helper.from_array(np.ones(4, np.float32), "w")
    text = '<ir_version: 9, opset_import: ["": 17]> g (float[4] x) => (float[4] y) { y = Mul (x, w) }'
    model = onnx.parser.parse_model(text)
    onnx.external_data_helper.set_external_data(weight, location="weights.bin")
    weight.ClearField("raw_data")
    model.graph.initializer.append(weight)
    with pytest.raises(ModelError, match="keeps weights in other files"):
        check_self_contained(model.SerializeToString(), "model.onnx")


def test_weights_in_other_files_are_found_inside_branches_too() -> None:
    text = """<ir_version: 9, opset_import: ["": 17]> g (bool c, float[4] x) => (float[4] y) {
      y = If (c) <then_branch = a () => (float[4] z) { z = Identity (x) }, else_branch = b () => (float[4] z) { z = Neg (x) }>
    }"""
    model = onnx.parser.parse_model(text)
    check_self_contained(model.SerializeToString(), "model.onnx")
    branch = model.graph.node[0].attribute[1].g
    branch.initializer.add(name="w", data_type=1, data_location=onnx.TensorProto.EXTERNAL, dims=[4])
    with pytest.raises(ModelError, match="keeps weights in other files"):
        check_self_contained(model.SerializeToString(), "model.onnx")


def test_custom_operators_are_refused() -> None:
    model = onnx.parser.parse_model(
        '<ir_version: 9, opset_import: ["": 17, "evil": 1]> g (float[4] x) => (float[4] y) { y = evil.Run (x) }'
    )
    with pytest.raises(ModelError, match=r"outside the ONNX standard: evil::Run"):
        check_self_contained(model.SerializeToString(), "model.onnx")


def test_functions_inside_the_file_are_no_custom_operators() -> None:
    model = onnx.parser.parse_model(
        """<ir_version: 9, opset_import: ["": 17, "own": 1]> g (float[4] x) => (float[4] y) { y = own.twice (x) }
        <opset_import: ["": 17], domain: "own"> twice (x) => (y) { y = Add (x, x) }"""
    )
    check_self_contained(model.SerializeToString(), "model.onnx")


@pytest.mark.parametrize("content", [b"\x0a", b"\xff" * 40, b"\x3a\xff\xff\x03abc", b"\x0f", b"\x3a\x04\x0a\x08ab"])
def test_a_file_that_is_no_graph_is_refused(content: bytes) -> None:
    with pytest.raises(ModelError, match="not an ONNX file or is truncated"):
        check_self_contained(content, "model.onnx")


def test_a_graph_that_the_runtime_cannot_open_is_refused(tmp_path: Path) -> None:
    entry = entry_of(tmp_path, models.identity_graph(4))
    content = entry.graph.read_bytes().replace(b"Identity", b"Identitx")
    entry.graph.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    changed = replace(entry, manifest=entry.manifest.model_copy(update={"sha256": sha256}))
    with pytest.raises(ModelError, match=r"cannot open model\.onnx"):
        OrtSession(changed, OPTIONS)
