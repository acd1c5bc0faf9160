from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from server.__main__ import main
from tests.server import models
from tests.server.conftest import pixels


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, restored_logging: None):  # noqa: ARG001
    monkeypatch.setenv("INKWASH_BUNDLED_MODELS", "false")
    monkeypatch.setenv("COLUMNS", "200")

    def invoke(*arguments: object) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return invoke


@pytest.fixture
def drawings(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "cat.png", tmp_path / "dog.png"]
    for path in paths:
        models.cat_drawing(16).save(path)
    return paths


def test_the_version_is_told(run) -> None:
    result = run("--version")
    assert result.exit_code == 0
    assert result.output.startswith("inkwash ")


def test_models_are_listed(run, models_dir: Path) -> None:
    result = run("models", "--models", models_dir)
    assert result.exit_code == 0
    assert "demo-lines" in result.output
    assert "line + hints (optional)" in result.output


def test_broken_folders_are_listed_and_end_with_1(run, models_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = run("models", "--models", models_dir, "--models", tmp_path)
    assert result.exit_code == 1
    assert "empty: manifest.json is missing" in result.output


def test_a_model_of_your_own_with_the_id_of_another_is_a_note_and_no_error(run, models_dir: Path, tmp_path: Path) -> None:
    models.write_model(tmp_path / "copy", models.identity_graph(8))
    result = run("models", "--models", tmp_path, "--models", models_dir)
    assert result.exit_code == 0
    assert "broken" not in result.output
    assert "is served instead" in result.output


def test_files_are_translated(run, models_dir: Path, tmp_path: Path, drawings: list[Path]) -> None:
    out = tmp_path / "out"
    result = run("translate", *drawings, "--model", "copy", "--models", models_dir, "--out", out, "--format", "webp")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in out.iterdir()) == ["cat-copy.webp", "dog-copy.webp"]
    assert pixels((out / "cat-copy.webp").read_bytes()).shape[:2] == (16, 16)


def test_a_seed_repeats_a_picture(run, models_dir: Path, tmp_path: Path, drawings: list[Path]) -> None:
    contents = []
    for number, seed in enumerate((3, 3, 4)):
        out = tmp_path / str(number)
        assert (
            run("translate", drawings[0], "--model", "noise", "--models", models_dir, "--out", out, "--seed", seed).exit_code
            == 0
        )
        contents.append((out / "cat-noise.png").read_bytes())
    assert contents[0] == contents[1] != contents[2]


def test_a_file_that_cannot_be_used_is_told_and_passed_over(
    run, models_dir: Path, tmp_path: Path, drawings: list[Path]
) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"rubbish")
    gone = tmp_path / "gone.png"
    result = run("translate", bad, gone, *drawings, "--model", "copy", "--models", models_dir, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "bad.png: These bytes are not a PNG" in result.output
    assert "gone.png: No such file" in result.output
    assert len(list((tmp_path / "out").iterdir())) == 2


def translate(run, models_dir: Path, out: Path, *files: Path) -> Result:
    result: Result = run("translate", *files, "--model", "copy", "--models", models_dir, "--out", out)
    return result


def test_a_drawing_beside_its_result_is_left_alone(run, models_dir: Path, drawings: list[Path]) -> None:
    before = drawings[0].read_bytes()
    assert translate(run, models_dir, drawings[0].parent, drawings[0]).exit_code == 0
    assert drawings[0].read_bytes() == before
    assert drawings[0].with_name("cat-copy.png").is_file()


@pytest.mark.parametrize("link", [False, True])
def test_a_result_never_replaces_a_file_that_was_given(
    run, models_dir: Path, tmp_path: Path, drawings: list[Path], link: bool
) -> None:
    out = tmp_path / "out" if link else tmp_path
    named_alike = out / "cat-copy.png"
    out.mkdir(exist_ok=True)
    if link:
        named_alike.symlink_to(drawings[1])
    else:
        drawings[1].rename(named_alike)
        drawings[1] = named_alike
    before = drawings[1].read_bytes()
    result = translate(run, models_dir, out, *drawings)
    assert result.exit_code == 1
    assert "cat.png: its result would replace" in result.output
    assert "one of the given files" in result.output
    assert drawings[1].read_bytes() == before


def test_a_result_never_replaces_one_of_the_same_call(run, models_dir: Path, tmp_path: Path, drawings: list[Path]) -> None:
    (tmp_path / "more").mkdir()
    namesake = tmp_path / "more/cat.png"
    Image.new("L", (16, 16), 9).save(namesake)
    result = translate(run, models_dir, tmp_path / "out", drawings[0], namesake)
    assert result.exit_code == 1
    assert "cat.png: its result would replace" in result.output
    assert pixels((tmp_path / "out/cat-copy.png").read_bytes()).max() == 255, "the first one is there"
    assert translate(run, models_dir, tmp_path / "out", namesake).exit_code == 0, "another call may replace it"
    assert pixels((tmp_path / "out/cat-copy.png").read_bytes()).max() < 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "cats"], "no model 'cats'; the models are"),
        (["--model", "copy", "--format", "gif"], "must be png, jpeg or webp"),
        (["--model", "copy", "--format", "json"], "must be png, jpeg or webp"),
        (["--model", "copy", "--device", "cuda"], "'cuda' cannot be used"),
    ],
)
def test_arguments_that_cannot_be_used_end_with_2(
    run, models_dir: Path, drawings: list[Path], arguments: list[str], message: str
) -> None:
    result = run("translate", drawings[0], "--models", models_dir, *arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_a_model_that_fails_its_self_test_ends_with_2(run, tmp_path: Path, drawings: list[Path]) -> None:
    folder = models.write_model(tmp_path / "m/copy", models.identity_graph(16), pictures=[{"lines": models.cat_drawing(16)}])
    Image.new("L", (16, 16)).save(folder / "samples/0.png")
    result = run("translate", drawings[0], "--models", tmp_path / "m", "--model", "copy")
    assert result.exit_code == 2
    assert "self-test failed" in result.output


def test_an_output_folder_that_cannot_be_made_ends_with_2(run, models_dir: Path, drawings: list[Path]) -> None:
    result = run("translate", drawings[0], "--models", models_dir, "--model", "copy", "--out", drawings[1] / "x")
    assert result.exit_code == 2
    assert "cannot be made" in result.output


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("INKWASH_PROT", "1", "did you mean INKWASH_PORT?"),
        ("INKWASH_PORT", "x", "INKWASH_PORT = 'x'"),
        ("INKWASH_DEVICE", "gpu", "'gpu' is not a device"),
        ("INKWASH_DEVICE", "cuda", "'cuda' cannot be used"),
        ("INKWASH_MODELS_DIR", "/nowhere/at/all", "does not exist"),
    ],
)
def test_settings_that_cannot_be_used_end_with_2(
    run, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    monkeypatch.setenv(variable, value)
    result = run("serve")
    assert result.exit_code == 2
    assert message in result.output


def test_the_size_of_the_results_can_be_chosen(run, models_dir: Path, tmp_path: Path) -> None:
    photo = tmp_path / "wide.png"
    Image.new("RGB", (60, 20), (9, 99, 200)).save(photo)
    for size, shape in (("model", (16, 16)), ("original", (20, 60))):
        out = tmp_path / size
        result = run("translate", photo, "--model", "photo", "--models", models_dir, "--out", out, "--size", size)
        assert result.exit_code == 0, result.output
        assert pixels((out / "wide-photo.png").read_bytes()).shape[:2] == shape


def test_a_large_photo_is_translated_in_tiles(run, tmp_path: Path) -> None:
    graph = models.photo_graph(16)
    tiled = replace(graph, output=graph.output | {"tiling": {"overlap": 4}})
    models.write_model(tmp_path / "m/photo", tiled)
    picture = np.random.default_rng(0).integers(0, 256, (50, 41, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "large.png")
    arguments = ("--model", "photo", "--models", tmp_path / "m", "--out", tmp_path / "out", "--size", "original")
    assert run("translate", tmp_path / "large.png", *arguments).exit_code == 0
    np.testing.assert_array_equal(pixels((tmp_path / "out/large-photo.png").read_bytes()), picture)


@pytest.fixture
def traced_models(tmp_path: Path) -> Path:
    """A model that gives back the lines that it gets, and one that makes lines of photos."""
    models.write_model(tmp_path / "models" / "copy", models.identity_graph(64))
    models.write_model(tmp_path / "models" / "sketch", models.sketch_graph())
    models.write_model(tmp_path / "models" / "photo", models.photo_graph(64))
    return tmp_path / "models"


def test_photos_are_traced_for_a_model_of_lines(run, traced_models: Path, tmp_path: Path) -> None:
    photo = tmp_path / "hills.png"
    models.landscape(128, 64).save(photo)
    given = ("--models", traced_models, "--out", tmp_path / "out")
    result = run("translate", photo, "--model", "copy", "--from", "photo", *given)
    assert result.exit_code == 0, result.output
    picture = pixels((tmp_path / "out" / "hills-copy.png").read_bytes())
    assert 0.01 < (picture[16:48] < 128).mean() < 0.5
    assert (np.delete(picture, range(16, 48), axis=0) == 255).all()
    large = run("translate", photo, "--model", "copy", "--from", "photo", "--size", "original", *given)
    assert large.exit_code == 0
    assert pixels((tmp_path / "out" / "hills-copy.png").read_bytes()).shape == (64, 128)


def test_a_photo_that_cannot_be_read_is_passed_over_when_it_is_to_be_traced(run, traced_models: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"rubbish")
    result = run("translate", bad, "--model", "copy", "--from", "photo", "--models", traced_models, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "bad.png" in result.output


@pytest.mark.parametrize(
    ("model", "source", "reason"),
    [
        ("copy", "scan", "--from scan: 'from' is 'scan'; it must be photo."),
        ("photo", "photo", "--from photo: 'from' is for models that draw from lines"),
    ],
)
def test_tracing_that_makes_no_sense_ends_with_2(
    run, traced_models: Path, tmp_path: Path, model: str, source: str, reason: str
) -> None:
    result = run("translate", "x.png", "--model", model, "--from", source, "--models", traced_models, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert reason in result.output


def test_tracing_without_a_tracer_ends_with_2(run, models_dir: Path, tmp_path: Path) -> None:
    result = run("translate", "x.png", "--model", "copy", "--from", "photo", "--models", models_dir, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "No model here turns a photo into lines" in result.output


def test_a_tracer_that_cannot_be_used_ends_with_2(
    run, traced_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (traced_models / "sketch" / "model.onnx").write_bytes(b"rubbish")
    given = ("x.png", "--model", "copy", "--from", "photo", "--models", traced_models, "--out", tmp_path / "out")
    result = run("translate", *given)
    assert result.exit_code == 2
    assert "'sketch' cannot be used" in result.output
    monkeypatch.setenv("INKWASH_TRACER", "absent")
    assert "INKWASH_TRACER is 'absent'" in run("translate", *given).output


@pytest.fixture
def styled(tmp_path: Path) -> Path:
    """A folder of models, one of which takes styles, with a gray picture `gray.png` and a style `red.png` beside it."""
    models.write_demo_many(tmp_path / "models", 16)
    models.write_model(tmp_path / "models/noise", models.noise_graph(16))
    models.write_model(tmp_path / "models/copy", models.identity_graph(16))
    Image.new("L", (16, 16), 128).save(tmp_path / "gray.png")
    Image.new("RGB", (20, 30), (170, 110, 110)).save(tmp_path / "red.png")
    return tmp_path


def colored(run, folder: Path, *arguments: object) -> np.ndarray:
    given = ("--model", "demo-many", "--models", folder / "models", "--out", folder / "out")
    result = run("translate", folder / "gray.png", *given, *arguments)
    assert result.exit_code == 0, result.output
    return pixels((folder / "out/gray-demo-many.png").read_bytes()).astype(int)


def test_latents_are_mixed(run, styled: Path) -> None:
    seventh, ninth = colored(run, styled, "--seed", 7), colored(run, styled, "--seed", 9)
    np.testing.assert_array_equal(colored(run, styled, "--mix", "7"), seventh)
    mixed = colored(run, styled, "--mix", "7:1,9:1")
    assert (mixed != seventh).any()
    assert (mixed != ninth).any()


def test_a_style_is_followed(run, styled: Path) -> None:
    np.testing.assert_allclose(colored(run, styled, "--style", styled / "red.png").mean((0, 1)), (170, 110, 110), atol=2)
    mixed = colored(run, styled, "--style", styled / "red.png", "--mix", "7:1,style:0")
    np.testing.assert_array_equal(mixed, colored(run, styled, "--seed", 7))


@pytest.mark.parametrize(
    ("model", "arguments", "message"),
    [
        ("demo-many", ("--mix", "7:x"), "--mix 7:x: 'mix' has the term '7:x'"),
        ("demo-many", ("--mix", "style"), "no picture 'style' came along"),
        ("demo-many", ("--mix", "7", "--style", "red.png"), "'mix' (7:1) has no term 'style'"),
        ("demo-many", ("--style", "absent.png"), "No such file or directory"),
        ("demo-many", ("--style", "models/copy/model.onnx"), "'style' cannot be used. These bytes are not"),
        ("noise", ("--style", "red.png"), "'noise' takes no styles"),
        ("copy", ("--mix", "7"), "'copy' has no latent"),
    ],
)
def test_a_mix_or_style_that_cannot_be_ends_with_2(
    run, styled: Path, monkeypatch: pytest.MonkeyPatch, model: str, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(styled)
    result = run("translate", "gray.png", "--model", model, "--models", "models", *arguments)
    assert result.exit_code == 2
    assert message in result.output
