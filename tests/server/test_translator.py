from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from server.catalog import read_entry
from server.errors import BadParameterError, MissingInputError, UnknownInputError
from server.imaging import ImageLimits
from server.latents import seed_latent
from server.manifest import Manifest
from server.providers import PROVIDERS
from server.session import SessionOptions
from server.translator import (
    checked_parameters,
    checked_whole,
    feeds,
    finish,
    input_name,
    load_session,
    prepare,
)
from tests.server import models
from tests.server.conftest import png

LIMITS = ImageLimits(10**7, 10**4)


@pytest.fixture(scope="module")
def manifests(models_dir: Path) -> dict[str, Manifest]:
    return {folder.name: read_entry(folder).manifest for folder in models_dir.iterdir()}


def test_image_and_file_mean_the_main_input(manifests: dict[str, Manifest]) -> None:
    manifest = manifests["demo-lines"]
    assert [input_name(manifest, name) for name in ("image", "file", "lines", "hints")] == ["lines", "lines", "lines", "hints"]
    with pytest.raises(UnknownInputError, match="'mask' is not an input of 'demo-lines'; its inputs are: lines, hints"):
        input_name(manifest, "mask")


@pytest.mark.parametrize("given", [0.25, "0.25", 0, 1, "1e-1", True, "false"])
def test_parameters_within_their_range_are_taken(manifests: dict[str, Manifest], given: object) -> None:
    value = checked_parameters(manifests["noise"], {"strength": given})["strength"]
    assert 0 <= value <= 1


def test_parameters_have_defaults(manifests: dict[str, Manifest]) -> None:
    assert checked_parameters(manifests["noise"], {}) == {"strength": 0.5}


@pytest.mark.parametrize("given", [1.01, -0.1, "nan", "inf", "a lot", None, [1], "1e999", {}])
def test_parameters_out_of_range_are_refused_with_the_range(manifests: dict[str, Manifest], given: object) -> None:
    with pytest.raises(BadParameterError, match=r"Parameter 'strength' is .*from 0 to 1") as caught:
        checked_parameters(manifests["noise"], {"strength": given})
    assert caught.value.members["range"] == [0.0, 1.0]


@pytest.mark.parametrize(
    ("kind", "given", "is_taken"), [("int", 2, True), ("int", 2.5, False), ("bool", 1, True), ("bool", 0.5, False)]
)
def test_whole_and_switch_parameters_take_no_fractions(
    manifests: dict[str, Manifest], kind: str, given: object, is_taken: bool
) -> None:
    document = manifests["noise"].model_dump(mode="json")
    document["parameters"] = [models.parameter("steps", 0, 1 if kind == "bool" else 5, 0, kind, 1)]
    manifest = Manifest.model_validate(document)
    if is_taken:
        assert checked_parameters(manifest, {"steps": given}) == {"steps": given}
    else:
        with pytest.raises(BadParameterError, match=f"must be a {kind}"):
            checked_parameters(manifest, {"steps": given})


def test_unknown_parameters_are_refused(manifests: dict[str, Manifest]) -> None:
    with pytest.raises(BadParameterError, match="'speed' is not a parameter of 'copy'; it has none"):
        checked_parameters(manifests["copy"], {"speed": 1})


@pytest.mark.parametrize("given", [0, 5, "7", 2**32 - 1, str(2**32 - 1)])
def test_whole_numbers_are_taken(given: object) -> None:
    assert checked_whole("seed", given, 0, 2**32 - 1) == int(str(given))


@pytest.mark.parametrize("given", [-1, 2**32, "x", "", "-1", "1.5", 1.0, True, "٣", "9" * 30])
def test_what_is_no_whole_number_in_range_is_refused(given: object) -> None:
    with pytest.raises(BadParameterError, match=r"'seed' is .*from 0 to 4294967295"):
        checked_whole("seed", given, 0, 2**32 - 1)


def test_a_missing_input_is_named(manifests: dict[str, Manifest]) -> None:
    with pytest.raises(MissingInputError, match="'demo-lines' needs the input 'lines'"):
        prepare(manifests["demo-lines"], {"hints": png(models.hint_dabs(32))}, {}, LIMITS)


def test_an_optional_input_that_is_missing_is_empty(manifests: dict[str, Manifest]) -> None:
    prepared = prepare(manifests["demo-lines"], {"lines": png(models.cat_drawing(32))}, {}, LIMITS)
    assert prepared.images["hints"].shape == (32, 32, 4)
    assert prepared.images["hints"].max() == 0


def test_feeds_hold_every_input_with_a_batch_axis(manifests: dict[str, Manifest]) -> None:
    manifest = manifests["noise"]
    prepared = prepare(manifest, {"lines": png(models.cat_drawing(16))}, {"strength": 0.5}, LIMITS)
    assert {name: value.shape for name, value in feeds(manifest, prepared, seed_latent(manifest, 1)).items()} == {
        "lines": (1, 16, 16, 1),
        "latent": (1, 16, 16, 1),
        "strength": (1, 1),
    }


def translate(models_dir: Path, name: str, picture: Image.Image, size: str = "model") -> np.ndarray:
    entry = read_entry(models_dir / name)
    session = load_session(entry, SessionOptions(PROVIDERS["cpu"], threads=1), LIMITS)
    prepared = prepare(entry.manifest, {entry.manifest.inputs[0].name: png(picture)}, {}, LIMITS)
    return finish(prepared, session.run(feeds(entry.manifest, prepared, 0))[0], size)  # type: ignore[arg-type]


def test_a_photo_comes_back_through_a_graph_that_copies(models_dir: Path) -> None:
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8))
    np.testing.assert_array_equal(translate(models_dir, "photo", photo), np.asarray(photo))


def test_the_size_that_was_sent_can_be_had_back(models_dir: Path) -> None:
    assert translate(models_dir, "photo", Image.new("RGB", (40, 20)), "original").shape == (20, 40, 3)


@pytest.mark.parametrize(("size", "canvas"), [((50, 30), (32, 56)), ((8, 8), (16, 16)), ((200, 100), (32, 64))])
def test_a_flexible_model_gets_an_allowed_size(models_dir: Path, size: tuple[int, int], canvas: tuple[int, int]) -> None:
    assert translate(models_dir, "flexible", Image.new("RGB", size)).shape == (*canvas, 3)
    assert translate(models_dir, "flexible", Image.new("RGB", size), "original").shape == (size[1], size[0], 3)


def test_a_colouriser_keeps_the_photos_luma_at_its_own_size(models_dir: Path) -> None:
    gray = Image.fromarray(np.linspace(40, 200, 60 * 90).reshape(60, 90).astype(np.uint8))
    colored = translate(models_dir, "tint", gray, "original")
    assert colored.shape == (60, 90, 3)
    luma = colored.astype(float) @ [0.299, 0.587, 0.114]
    assert np.abs(luma - np.asarray(gray)).max() <= 1.0
    assert colored[30, 10, 0] > colored[30, 10, 2]
    assert colored[30, 80, 2] > colored[30, 80, 0]


def test_a_colouriser_can_answer_the_graphs_size(models_dir: Path) -> None:
    assert translate(models_dir, "tint", Image.new("L", (48, 24), 99)).shape == (8, 16, 3)
