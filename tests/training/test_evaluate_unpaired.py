"""Figures without a right answer, and what a run of two directions offers to export."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from tests.training.conftest import BuildConfig
from tests.training.synthetic import SIDE, make_unpaired
from training.evaluate import read_evaluation
from training.families.protocol import Exportable
from training.figures import FIGURE_TITLES
from training.judge import judge, judged
from training.offers import offers
from training.run import Run
from training.trained import TrainedRun


class _Shift(nn.Module):
    """Makes pictures brighter by a step of its own."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def forward(self, image: Tensor) -> Tensor:
        return (image.int() + self.steps).clamp(0, 255).to(torch.uint8)


@pytest.fixture
def trained(tmp_path: Path, tiny_config: BuildConfig) -> TrainedRun:
    """Towards b everything gets 10 steps brighter, back 4 steps darker."""
    info = make_unpaired(tmp_path / "discs")
    config = tiny_config(
        family="cyclegan", generator=None, cyclegan={"ba": {"id": "violet-to-golden", "title": {"en": "Back"}}}
    )
    graphs = {way: Exportable(_Shift(steps), ("image",), None) for way, steps in (("ab", 10), ("ba", -4))}
    return TrainedRun(Run.create(tmp_path / "run", config), config, tmp_path / "discs", info, 100, graphs)


def test_figures_tell_what_comes_back_stays_and_changes(trained: TrainedRun) -> None:
    there, back = judge(trained).figures
    assert (there.name, back.name, there.pairs, back.pairs) == ("ab", "ba", 3, 2)
    for figures, cycle, change in ((there, 6, 10), (back, 6, 4)):
        assert figures.values["cycle_l1"] == pytest.approx(cycle / 255, abs=1e-4)
        assert figures.values["identity_l1"] == pytest.approx(change / 255, abs=1e-4)
        assert figures.values["change_l1"] == pytest.approx(change / 255, abs=1e-4)
        assert figures.values.keys() <= FIGURE_TITLES.keys()
    assert there.values["lab_intersection_before"] == back.values["lab_intersection_before"] < 1
    assert "golden discs to violet discs, split val, all 3 and 2 pictures at 32x32; averaged" in there.protocol
    assert back.protocol.startswith("violet discs to golden discs, split val, all 2 and 3")


def test_colors_that_match_are_told_from_those_that_do_not(trained: TrainedRun) -> None:
    class _Swap(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return image.flip(-1)

    (trained.exportables["ab"].module).steps = 0
    unchanged = judge(trained).figures[0].values
    assert unchanged["lab_intersection"] == unchanged["lab_intersection_before"]
    trained.exportables["ab"].__dict__["module"] = _Swap()  # golden turns blue
    assert judge(trained).figures[0].values["lab_intersection"] > unchanged["lab_intersection"]


def test_figures_and_sheet_lie_in_the_run_and_are_measured_once(trained: TrainedRun) -> None:
    evaluation = judge(trained)
    assert read_evaluation(trained.run.root) == evaluation
    with Image.open(trained.run.root / "evaluation.png") as sheet:
        assert sheet.width > 6 * SIDE
    stamp = (trained.run.root / "evaluation.json").stat().st_mtime_ns
    assert judged(trained) == evaluation
    assert (trained.run.root / "evaluation.json").stat().st_mtime_ns == stamp


def test_every_direction_is_offered_under_its_own_name(trained: TrainedRun) -> None:
    there, back = offers(trained, judge(trained))
    assert [offer.labelling.model_id for offer in (there, back)] == ["tiny-ab", "violet-to-golden"]
    assert (there.labelling.title, back.labelling.title) == ({"en": "golden discs to violet discs"}, {"en": "Back"})
    assert [len(offer.held_out) for offer in (there, back)] == [3, 2]
    assert [figures.name for figures in back.evaluation.figures] == ["ba"]
    assert there.labelling.learned_from == "7 pictures of golden discs and 4 pictures of violet discs"
    assert there.labelling.prepare == "inkwash-train prepare unpaired --a DIR --b DIR --out data/discs"
    assert there.held_out.info.kind == "photo"
    assert next(iter(offers(trained, judge(trained), "mine"))).labelling.model_id == "mine-ab"
