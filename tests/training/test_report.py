"""The report: one file that needs nothing else, with curves, figures and pictures."""

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from tests.training.conftest import BuildConfig
from training.evaluate import Evaluation
from training.figures import Figures
from training.report import CHART_POINTS, chart, read_metrics, write_report
from training.run import Run, RunError


@pytest.fixture
def run(tmp_path: Path, tiny_config: BuildConfig) -> Run:
    run = Run.create(tmp_path / "run", tiny_config())
    lines = [json.dumps({"images": 10 * k, "l1": 1 / k, "adversarial": 0.5 + k}) for k in range(1, 6)]
    run.metrics.write_text("\n".join(lines) + "\n", "utf-8")
    return run


def test_report_shows_curves_and_configuration(run: Run) -> None:
    page = write_report(run.root).read_text("utf-8")
    assert page.count("<polyline") == 2
    assert "50 images" in page
    assert "&quot;ema_half_life_images&quot;: 4.0" in page


def test_report_shows_figures_and_pictures(run: Run) -> None:
    figures = Figures(name="plain", protocol="5 <pairs>", pairs=5, values={"l1": 0.125, "psnr": 18.5, "ssim": 0.75})
    evaluation = Evaluation(recipe="squares", split="val", images=50, figures=(figures,))
    (run.root / "evaluation.json").write_text(evaluation.model_dump_json(), "utf-8")
    for path in (run.root / "evaluation.png", run.samples / "000000050.png"):
        Image.new("RGB", (40, 20), "red").save(path)
    page = write_report(run.root).read_text("utf-8")
    assert "5 &lt;pairs&gt;" in page
    assert "18.5" in page
    assert page.count("data:image/webp;base64,") == 2


def test_report_asks_for_nothing_from_elsewhere(run: Run) -> None:
    page = write_report(run.root).read_text("utf-8")
    assert not re.search(r"(src|href)=\"(?!data:)|https?://|<script", page)


def test_report_of_a_run_without_losses_says_so(tmp_path: Path, tiny_config: BuildConfig) -> None:
    Run.create(tmp_path / "run", tiny_config())
    page = write_report(tmp_path / "run").read_text("utf-8")
    assert "No losses were logged yet" in page
    assert "inkwash-train evaluate" in page


def test_report_of_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not a run"):
        write_report(tmp_path)


def test_metrics_end_before_a_line_that_was_cut_short(run: Run) -> None:
    with run.metrics.open("a", encoding="utf-8") as file:
        file.write('{"images": 60, "l1"')
    assert [record["images"] for record in read_metrics(run.metrics)] == [10, 20, 30, 40, 50]


def test_chart_of_many_points_is_thinned_and_keeps_its_extent() -> None:
    drawing = chart("l1", [(float(k), float(k % 7)) for k in range(10_000)])
    points = re.search(r'points="([^"]+)"', drawing)
    assert points is not None
    assert 100 < len(points[1].split()) <= CHART_POINTS


def test_chart_of_a_constant_has_no_division_by_zero() -> None:
    assert "<polyline" in chart("learning_rate", [(1.0, 2.0), (2.0, 2.0)])
