"""Many answers to one photo: every figure against numbers worked out by hand, and the command that puts them side by side."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from rich.console import Console
from scipy.linalg import sqrtm
from torch import Tensor, nn
from typer.testing import CliRunner

from tests.training.conftest import TINY_CINN, TINY_CVAE, BuildConfig
from tests.training.synthetic import SIDE, make_dataset
from training.__main__ import app
from training.datasets import DatasetError, PairedDataset
from training.diversity import DiversityReport, Protocol, draw, markdown, measure_diversity
from training.diversity_figures import errors_of, frechet_distance, mean, root_mean
from training.encoding import encode_picture
from training.entrants import Entrant, EntrantError, Likelihood, gray, open_entrants, training_seconds
from training.export import export_run
from training.families.protocol import Exportable, LatentSpec, ParameterSpec
from training.feature_extractor import FeatureExtractor, FeaturesError, FeatureSource
from training.run import Run
from training.session import Placement, run_training
from training.sheets import GAP_PX, TITLE_PX
from training.trained import open_trained

WORDS = {"en": "", "ja": ""}
TEMPERATURE = ParameterSpec("temperature", 0.0, 1.2, 0.05, 0.8, title=WORDS, help=WORDS)


# --- figures of one picture


def _pixels(*rows: Sequence[int]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Samples of a picture one pixel high and wide; each row is R, G, B."""
    return np.array(rows, np.uint8).reshape(len(rows), 1, 1, 3)


def test_best_of_each_number_is_not_the_best_picture() -> None:
    """Truth (100, 100, 100). The first sample is right in red, the second in green, the third a little wrong everywhere."""
    samples = _pixels((100, 200, 200), (200, 100, 190), (110, 110, 110))
    errors = errors_of(samples, _pixels((100, 100, 100))[0])
    assert errors.best_by_number * 255**2 == pytest.approx((0 + 0 + 10**2) / 3, rel=1e-5)
    assert errors.best_by_picture * 255**2 == pytest.approx(10**2, rel=1e-5)
    assert errors.first * 255**2 == pytest.approx((0 + 100**2 + 100**2) / 3, rel=1e-5)
    # Of the third number 200, 190, 110: mean 166.67, squared distances 1111.1, 544.4, 3211.1, their mean 1622.2
    red = green = ((100 - 410 / 3) ** 2 + (200 - 410 / 3) ** 2 + (110 - 410 / 3) ** 2) / 3
    assert errors.variance * 255**2 == pytest.approx((red + green + 1622.2222) / 3, rel=1e-5)


def test_samples_that_are_alike_have_no_variance_and_one_error() -> None:
    errors = errors_of(_pixels((30, 40, 50), (30, 40, 50)), _pixels((30, 43, 46))[0])
    assert errors.variance == 0
    assert errors.best_by_number == errors.best_by_picture == errors.first == pytest.approx(25 / 3 / 255**2)


def test_root_is_taken_of_the_mean_over_pictures() -> None:
    estimate = root_mean([0.01, 0.07], 100)
    assert estimate.value == pytest.approx(100 * 0.2)
    assert mean([1.0, 2.0, 6.0], 1000).value == pytest.approx(3000)


def test_standard_error_is_that_of_a_mean() -> None:
    """Of 400 pictures with deviation 1 the mean has an error of 1/20; 256 resamplings tell it to a tenth or so."""
    values = np.tile([-1.0, 1.0], 200)
    assert mean(values.tolist()).error == pytest.approx(0.05, rel=0.2)
    assert mean([2.0, 2.0]).error == 0
    assert mean(values.tolist()) == mean(values.tolist())


# --- Frechet distance


def _corners(middle: Sequence[float], deviations: Sequence[float]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Four points with exactly these means and deviations, and no correlation."""
    signs = np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)], float)
    return np.asarray(middle) + signs * np.asarray(deviations) * np.sqrt(3 / 4)  # np.cov divides by 3, not 4


def test_frechet_distance_of_two_gaussians_is_the_closed_form() -> None:
    """|(3, 4)|^2 + (2 - 1)^2 + (3 - 1)^2: deviations that lie along the same axes are subtracted."""
    distance = frechet_distance(_corners((0, 0), (2, 3)), _corners((3, 4), (1, 1)))
    assert distance == pytest.approx(25 + 1 + 4)
    assert frechet_distance(_corners((1, 2), (2, 3)), _corners((1, 2), (2, 3))) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_where_axes_are_turned() -> None:
    generator = np.random.default_rng(0)
    a, b = (generator.normal(size=(200, 5)) @ generator.normal(size=(5, 5)) + generator.normal(size=5) for _ in range(2))
    ca, cb = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(ca + cb - 2 * np.real(sqrtm(ca @ cb)))
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-8)


# --- feature extractor


def _extractor_file(path: Path, shape: Sequence[Any] = (1, 3, 4, 4)) -> Path:
    """Doubles a picture, then takes the mean of each channel; the doubled picture is an inner tensor."""
    given = helper.make_tensor_value_info("image", TensorProto.FLOAT, list(shape))
    out = helper.make_tensor_value_info("means", TensorProto.FLOAT, [1, 3, 1, 1])
    nodes = [
        helper.make_node("Mul", ["image", "two"], ["doubled"]),
        helper.make_node("GlobalAveragePool", ["doubled"], ["means"]),
    ]
    two = numpy_helper.from_array(np.array(2.0, np.float32), "two")
    graph = helper.make_graph(nodes, "means", [given], [out], [two])
    onnx.save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), str(path))
    return path


def test_features_are_pooled_and_fed_as_told(tmp_path: Path) -> None:
    path = _extractor_file(tmp_path / "means.onnx")
    pictures = np.broadcast_to(np.array([0, 51, 255], np.uint8), (2, 8, 8, 3))
    expected = np.array([0.0, 102.0, 510.0])
    np.testing.assert_allclose(FeatureExtractor(FeatureSource(path))(pictures), [expected, expected], rtol=1e-5)
    inner = FeatureExtractor(FeatureSource(path, "doubled", -1.0, 1.0, is_bgr=True))
    np.testing.assert_allclose(inner(pictures)[0], [2.0, -1.2, -2.0], rtol=1e-5)
    assert inner.words == "means, doubled"
    free = FeatureExtractor(FeatureSource(_extractor_file(tmp_path / "free.onnx", ("n", 3, "h", "w"))))
    np.testing.assert_allclose(free(pictures)[0], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("shape", "tensor", "words"),
    [
        ((1, 4, 4), None, "with a single input"),
        ((1, 3, 4, 4), "nothing", "has no tensor 'nothing'; its last ones are doubled, means"),
    ],
)
def test_other_extractors_are_refused(shape: Sequence[int], tensor: str | None, words: str, tmp_path: Path) -> None:
    with pytest.raises(FeaturesError, match=words):
        FeatureExtractor(FeatureSource(_extractor_file(tmp_path / "e.onnx", shape), tensor))


def test_file_that_is_no_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "e.onnx").write_text("no graph")
    for path in (tmp_path / "e.onnx", tmp_path / "missing.onnx"):
        with pytest.raises(FeaturesError, match="cannot be read as an ONNX graph"):
            FeatureExtractor(FeatureSource(path))


# --- entrants


class _Tinted(nn.Module):
    """Adds the latent's numbers, times temperature and 20, to red and blue."""

    def forward(self, image: Tensor, latent: Tensor, temperature: Tensor) -> Tensor:
        red, blue = (20 * latent * temperature).reshape(-1, 2, 1, 1).unbind(dim=1)
        tint = torch.stack([red, torch.zeros_like(red), blue], dim=3)
        return (image.expand(-1, -1, -1, 3).float() + tint).round().clamp(0, 255).to(torch.uint8)


TINTED = Exportable(_Tinted(), ("image",), LatentSpec((2,), "normal"), parameters=(TEMPERATURE,))
PHOTO = np.full((4, 4, 1), 120, np.uint8)


def test_samples_differ_by_seed_and_grow_with_temperature() -> None:
    entrant = Entrant("tinted", TINTED)
    cool, hot = (draw(entrant.at(temperature), PHOTO, 6, 5).astype(float) for temperature in (0.5, 1.0))
    assert cool.shape == (6, 4, 4, 3)
    assert len(np.unique(hot[:, 0, 0, 0])) == 6
    np.testing.assert_allclose(hot[..., 0] - 120, 2 * (cool[..., 0] - 120), atol=2)
    again = draw(entrant.at(1.0), PHOTO, 6, 5)
    np.testing.assert_array_equal(again, hot)
    np.testing.assert_array_equal(draw(entrant.at(1.0), PHOTO, 5, 6), hot[1:])  # each sample has a seed of its own


def test_calm_is_the_middle_of_the_latent() -> None:
    np.testing.assert_array_equal(draw(Entrant("tinted", TINTED).calm(), PHOTO, 1, 3)[0], np.repeat(PHOTO, 3, axis=2))
    masks = Entrant("dropout", replace(TINTED, latent=LatentSpec((2,), "bernoulli")))
    assert draw(masks.calm(), PHOTO, 1, 3)[0, 0, 0].tolist() == [128, 120, 128]  # 20 * 0.5 * 0.8
    assert gray().calm().latent is None


def test_without_a_latent_one_picture_stands_for_all() -> None:
    made = draw(gray().exportable, PHOTO, 3, 0)
    assert made.shape == (3, 4, 4, 3)
    assert (made == 120).all()


def test_time_of_training_is_summed_from_its_speeds(tmp_path: Path) -> None:
    lines = [(100, 10.0), (300, 20.0), (400, 10.0)]
    run = Run(tmp_path)
    text = [json.dumps({"images": images, "images_per_second": speed}) for images, speed in lines]
    run.metrics.write_text("\n".join([*text[:2], json.dumps({"images": 300, "val/l1": 0.1}), text[2]]) + "\n")
    assert training_seconds(run, 400) == pytest.approx(10 + 10 + 10)
    assert training_seconds(run, 300) == pytest.approx(20)
    assert training_seconds(Run(tmp_path / "none"), 300) is None


# --- the comparison


@pytest.fixture
def photos(tmp_path: Path) -> PairedDataset:
    make_dataset(tmp_path / "data", "gray")
    return PairedDataset.open(tmp_path / "data", "val")


def test_report_holds_gray_and_every_entrant(photos: PairedDataset, tmp_path: Path) -> None:
    scored = Likelihood(lambda batch: torch.arange(len(batch["target"])).float(), is_bound=True)
    extractor = FeatureExtractor(FeatureSource(_extractor_file(tmp_path / "means.onnx")))
    entrants = [Entrant("tinted", TINTED, (SIDE, SIDE), 1234, 5400.0, scored)]
    report = measure_diversity(entrants, photos, Protocol(samples=4), tmp_path / "out", extractor)
    plain, tinted = report.entrants
    assert (plain.name, tinted.name, report.photos, report.samples) == ("gray", "tinted", 5, 4)
    assert plain.best_by_number == plain.best_by_picture == plain.best_of_1
    by_hand = np.square((np.repeat(photos.source, 3, axis=3).astype(float) - photos.target) / 255).mean()
    assert plain.best_of_1.value == pytest.approx(100 * np.sqrt(by_hand), rel=1e-5)
    assert plain.variance.value == 0
    assert tinted.best_by_number.value < tinted.best_by_picture.value <= tinted.best_of_1.value
    assert tinted.variance.value > 0
    assert (tinted.nats.value if tinted.nats else None) == pytest.approx(2.0)  # the mean of 0 to 4
    assert plain.frechet is not None
    assert plain.frechet > 1
    assert DiversityReport.model_validate_json((tmp_path / "out" / "diversity.json").read_text("utf-8")) == report
    with Image.open(tmp_path / "out" / "samples-tinted.png") as sheet:
        assert sheet.size == (7 * (SIDE + GAP_PX) + GAP_PX, 5 * (SIDE + GAP_PX) + GAP_PX + TITLE_PX)


def test_table_says_what_is_bounded_and_what_is_missing(photos: PairedDataset, tmp_path: Path) -> None:
    scored = Likelihood(lambda batch: torch.full((len(batch["target"]),), 1.5), is_bound=True)
    report = measure_diversity(
        [Entrant("tinted", TINTED, None, 1234, 5400.0, scored)], photos, Protocol(2, 3), tmp_path / "out"
    )
    text = (tmp_path / "out" / "diversity.md").read_text("utf-8")
    assert text == markdown(report)
    assert "3 of 5 photos at 32x32; 2 samples of each at temperature 1" in text
    assert "No Fréchet distance: no feature extractor was given" in text
    row = text.splitlines()[-1]
    assert row.startswith("| tinted | 1,234 | 1.50 |")
    assert row.endswith("|  | ≤ 1.500 ± 0.000 |")


@pytest.mark.parametrize(
    ("size", "count", "error", "words"),
    [
        (
            (64, 64),
            None,
            EntrantError,
            "takes photos of 64x64 pixels, but the set has 32x32; prepare it with --size 64",
        ),
        (None, 1, DatasetError, "--count is 1; give 2 to 5"),
        (None, 6, DatasetError, "--count is 6; give 2 to 5"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    size: tuple[int, int] | None, count: int | None, error: type[Exception], words: str, photos: PairedDataset, tmp_path: Path
) -> None:
    with pytest.raises(error, match=words):
        measure_diversity([Entrant("tinted", TINTED, size)], photos, Protocol(2, count), tmp_path / "out")


def test_lines_are_no_photos(tmp_path: Path) -> None:
    make_dataset(tmp_path / "data", "line")
    with pytest.raises(DatasetError, match="holds no gray photos with their colours but 'line'"):
        measure_diversity([], PairedDataset.open(tmp_path / "data", "val"), Protocol(), tmp_path / "out")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of three families, and the flow exported as a model of the same name."""
    root = tmp_path_factory.mktemp("runs")
    make_dataset(root / "data", "gray")
    unet = {"base_channels": 8, "max_channels": 32, "levels": 4, "upsampling": "resize", "noise": "channel"}
    sections: dict[str, dict[str, Any]] = {"cinn": TINY_CINN, "cvae": TINY_CVAE, "colorizer": {"generator": unet}}
    from training.config import parse_config

    for family, section in sections.items():
        values = {
            "name": family,
            "family": family,
            "data": str(root / "data"),
            "discriminator": {"base_channels": 8, "layers": 1} if family == "colorizer" else None,
            "optimizer": {"batch_size": 2, "total_images": 4},
            "augment": {"image_size": SIDE},
            "loop": {"log_every_images": 2},
            **{name: value for name, value in section.items() if value is not None},
        }
        config = parse_config({name: value for name, value in values.items() if value is not None})
        run_training(config, root / "runs" / family, Placement(accelerator="cpu"))
    export_run(open_trained(root / "runs" / "cinn"), root / "models")
    return root


def test_runs_and_models_stand_side_by_side(runs: Path, tmp_path: Path) -> None:
    folders = [str(runs / "runs" / family) for family in ("cinn", "cvae", "colorizer")]
    command = ["diversity", *folders, str(runs / "models" / "cinn"), "--samples", "3", "--out", str(tmp_path)]
    result = CliRunner().invoke(app, [*command, "--temperature", "0.8"])
    assert result.exit_code == 0, result.output
    report = DiversityReport.model_validate_json((tmp_path / "diversity.json").read_text("utf-8"))
    plain, flow, autoencoder, colorizer, model = report.entrants
    assert [one.name for one in report.entrants] == ["gray", "runs/cinn", "cvae", "colorizer", "models/cinn"]
    # The exported graph is the run's: a latent of one seed gives the same picture, but for a step of uint8 here and there.
    assert model.best_of_1.value == pytest.approx(flow.best_of_1.value, rel=1e-2)
    assert model.variance.value == pytest.approx(flow.variance.value, rel=2e-2)
    assert [one.images for one in report.entrants] == [None, 4, 4, 4, 4]
    assert [one.nats is not None for one in report.entrants] == [False, True, True, False, False]
    assert [one.nats_is_bound for one in report.entrants] == [False, False, True, False, False]
    assert all(one.seconds and one.seconds > 0 for one in (flow, autoencoder, colorizer))
    assert model.seconds is None
    assert colorizer.variance.value > 0  # dropout
    assert plain.variance.value == 0
    assert {path.name for path in tmp_path.glob("*.png")} == {
        f"samples-{name}.png" for name in ("gray", "runs-cinn", "cvae", "colorizer", "models-cinn")
    }


def test_likelihood_is_that_of_the_family(runs: Path, tmp_path: Path) -> None:
    (entrant,) = open_entrants([runs / "runs" / "cinn"])
    photos = PairedDataset.open(runs / "data", "val")
    given, wanted = (encode_picture(torch.from_numpy(np.array(images))) for images in (photos.source, photos.target))
    family = open_trained(runs / "runs" / "cinn").family
    assert family is not None
    expected = family.likelihood({"source": given, "target": wanted}).mean()  # type: ignore[attr-defined]
    report = measure_diversity([entrant], photos, Protocol(samples=1), tmp_path)
    nats = report.entrants[1].nats
    assert nats is not None
    assert nats.value == pytest.approx(float(expected), rel=1e-5)


def test_folders_that_cannot_take_part_are_refused(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(EntrantError, match="neither a run"):
        open_entrants([tmp_path])
    with pytest.raises(EntrantError, match="named twice"):
        open_entrants([runs / "models" / "cinn", runs / "runs" / ".." / "models" / "cinn"])
    manifest = json.loads((runs / "models" / "cinn" / "manifest.json").read_text("utf-8"))
    manifest["inputs"][0]["kind"] = "line"
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(EntrantError, match="does not colour gray photos: it takes line"):
        open_entrants([tmp_path])
    (tmp_path / "manifest.json").write_text("{}", "utf-8")
    with pytest.raises(EntrantError, match="is damaged or of another version"):
        open_entrants([tmp_path])


def test_run_that_draws_is_refused(tmp_path: Path, tiny_config: BuildConfig) -> None:
    make_dataset(tmp_path / "data", "line")
    run_training(tiny_config(optimizer={"total_images": 2}), tmp_path / "run", Placement(accelerator="cpu"))
    with pytest.raises(EntrantError, match="does not colour gray photos"):
        open_entrants([tmp_path / "run"])


def test_command_asks_for_photos_and_a_range(runs: Path, tmp_path: Path) -> None:
    model = str(runs / "models" / "cinn")
    result = CliRunner().invoke(app, ["diversity", model, "--out", str(tmp_path)])
    assert "give a prepared set of gray photos by --data DIR" in str(result.exception)
    result = CliRunner().invoke(app, ["diversity", model, "--out", str(tmp_path), "--feature-range", "1"])
    assert "--feature-range is '1'; give two numbers as LOW:HIGH" in str(result.exception)


def test_table_fits_a_terminal(runs: Path, tmp_path: Path) -> None:
    command = ["diversity", str(runs / "runs" / "cvae"), "--samples", "2", "--out", str(tmp_path)]
    result = CliRunner().invoke(app, command)
    assert "cvae" in result.output
    assert "≤" in result.output
    assert max(map(len, result.output.splitlines())) <= Console(width=80).width
