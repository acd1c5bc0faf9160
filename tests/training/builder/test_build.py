"""Plans, pairs, and whole builds from raw photos to a set that can be trained on."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from tests.training.builder.test_draw import sticker
from training.builder import build as build_module
from training.builder import pairing
from training.builder.build import FOLDERS, Built, build
from training.builder.journal import BuildError, Entry, Journal
from training.builder.pairing import PairSettings, pair
from training.builder.plan import PLAN_FOLDER, BuildPlan, find_plan, read_plan
from training.builder.strikes import strike
from training.datasets import PairedDataset

PLAN = """
name = "discs"
title.en = "Lines to discs"
[collect]
near_duplicate_bits = -1
[[collect.folders]]
path = "photos"
license = "CC0-1.0"
[cutout]
method = "none"
[draw]
method = "canny"
sigma = 1.0
size = 64
outline = false
min_ink = 0.002
[pair]
val_share = 0.3
"""


def _photos(folder: Path, count: int = 14) -> None:
    """Discs on plain ground, each in a place and colour of its own."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for k in range(count):
        ground = Image.fromarray(np.full((240, 240, 3), generator.integers(10, 70, 3), np.uint8))
        disc = sticker(160).rotate(int(generator.integers(0, 360)))
        ground.paste(disc, tuple(int(v) for v in generator.integers(0, 80, 2)), disc)
        ground.save(folder / f"{k:02}.png")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A folder with a plan, photos, a double and a broken file."""
    _photos(tmp_path / "photos")
    shutil.copy(tmp_path / "photos" / "00.png", tmp_path / "photos" / "99.png")
    (tmp_path / "photos" / "broken.png").write_bytes(b"\x89PNG broken")
    (tmp_path / "discs.toml").write_text(PLAN, "utf-8")
    return tmp_path


def _build(base: Path, plan: BuildPlan | None = None) -> Built:
    plan = plan or read_plan(base / "discs.toml")
    return build(plan, base, base / "build", environment={}, console=Console(quiet=True))


def _files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_build_goes_from_raw_photos_to_pairs(base: Path) -> None:
    built = _build(base)
    assert built.stages == {"1-collect": (16, 14), "2-detect": (14, 14), "3-cutout": (14, 14), "4-draw": (14, 14)}
    assert sum(built.info.counts.values()) == 14
    assert min(built.info.counts.values()) >= 1
    train = PairedDataset.open(base / "build" / "dataset", "train")
    assert train.source.shape[1:] == (64, 64, 1)
    assert train.target.shape[1:] == (64, 64, 3)
    assert (train.source < 128).any(axis=(1, 2, 3)).all()
    assert built.info.main.ink == "dark"
    assert sum(built.info.rejects.values()) == 2  # the double and the broken file
    assert "CC0-1.0" in built.info.origin.license
    assert (base / "build" / "sources.csv").read_text("utf-8").count("\n") == 15
    assert "<html" in built.report.read_text("utf-8")
    assert json.loads((base / "build" / "plan.json").read_text("utf-8"))["name"] == "discs"


def _kill_after(monkeypatch: pytest.MonkeyPatch, stage: str, pictures: int) -> None:
    """Ends the process, as far as a build can tell, once a stage has journaled so many pictures."""
    real = Journal.add

    def add(self: Journal, entry: Entry) -> None:
        real(self, entry)
        if self.folder.name == stage and len(self) >= pictures:
            raise KeyboardInterrupt

    monkeypatch.setattr(Journal, "add", add)


@pytest.mark.parametrize("stage", FOLDERS)
def test_build_killed_in_any_stage_ends_like_one_that_was_not(base: Path, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    with monkeypatch.context() as patch:
        _kill_after(patch, stage, 5)
        with pytest.raises(KeyboardInterrupt):
            _build(base)
    kept = len(Journal.read(base / "build" / stage))
    assert kept >= 5
    _build(base)
    resumed = _files(base / "build" / "dataset")
    shutil.rmtree(base / "build")
    _build(base)
    assert _files(base / "build" / "dataset") == resumed


def test_second_run_makes_nothing_again(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _build(base)

    def refuse(self: Journal, entry: Entry) -> None:
        raise AssertionError(f"{self.folder.name} made {entry.id} again")

    monkeypatch.setattr(Journal, "add", refuse)
    _build(base)


def test_report_is_written_of_a_build_that_stops(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Journal:
        raise BuildError("no room")

    monkeypatch.setattr(build_module, "draw", fail)
    with pytest.raises(BuildError, match="no room"):
        _build(base)
    assert (base / "build" / "report.html").is_file()


def test_struck_pairs_stay_out_of_the_next_build(base: Path) -> None:
    built = _build(base)
    names = PairedDataset.open(base / "build" / "dataset", "train").names
    strike(base / "build", names[0], True)
    again = _build(base)
    assert sum(again.info.counts.values()) == sum(built.info.counts.values()) - 1
    assert again.info.rejects["struck by hand"] == 1
    assert names[0] not in PairedDataset.open(base / "build" / "dataset", "train").names


def _drawn(folder: Path, authors: list[str | None]) -> Journal:
    journal = Journal.open(folder, {})
    for k, author in enumerate(authors):
        name = f"{k:016x}"
        picture = journal.save_image(Image.new("RGB", (16, 16), (k, 0, 0)), f"{name}-picture.png")
        lines = journal.save_image(Image.new("L", (16, 16), 255 - k), f"{name}.png")
        journal.add(Entry(name, lines, facts={"picture": picture, "author": author, "license": "CC BY 4.0"}))
    return journal


def _pair(journal: Journal, tmp_path: Path, **settings: Any) -> Any:
    return pair(PairSettings(**settings), {"en": "Lines"}, "lines", [journal], tmp_path / "build", line_width_px=2.0)


def test_pictures_of_one_author_are_on_one_side(tmp_path: Path) -> None:
    authors: list[str | None] = [f"author {k // 6}" for k in range(60)]
    _pair(_drawn(tmp_path / "4-draw", authors), tmp_path, val_share=0.3)
    sides = {
        split: {authors[int(name, 16)] for name in PairedDataset.open(tmp_path / "build" / "dataset", split).names}
        for split in ("train", "val")
    }
    assert sides["train"]
    assert sides["val"]
    assert not sides["train"] & sides["val"]


def test_more_pictures_move_no_other_across_the_split(tmp_path: Path) -> None:
    few = _pair(_drawn(tmp_path / "a", [None] * 40), tmp_path, val_share=0.3)
    held_out = set(PairedDataset.open(tmp_path / "build" / "dataset", "val").names)
    more = _pair(_drawn(tmp_path / "b", [None] * 60), tmp_path, val_share=0.3)
    assert more.counts["train"] > few.counts["train"]
    assert held_out <= set(PairedDataset.open(tmp_path / "build" / "dataset", "val").names)


def test_pair_belongs_together(tmp_path: Path) -> None:
    _pair(_drawn(tmp_path / "4-draw", [None] * 40), tmp_path, val_share=0.3)
    pairs = PairedDataset.open(tmp_path / "build" / "dataset", "train")
    for name, drawing, picture in zip(pairs.names, pairs.source, pairs.target, strict=True):
        assert int(name, 16) == picture[0, 0, 0] == 255 - drawing[0, 0, 0]


def test_too_few_pairs_are_told_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"No pair is left for split 'val' of 1 kept pictures; collect more"):
        _pair(_drawn(tmp_path / "4-draw", [None]), tmp_path, val_share=0.01)


def test_author_of_most_pictures_is_split_by_picture(tmp_path: Path) -> None:
    info = _pair(_drawn(tmp_path / "4-draw", ["Me"] * 40), tmp_path, val_share=0.2)
    assert min(info.counts.values()) >= 2


def test_pictures_taken_out_of_the_sources_leave_the_set_and_new_terms_hold(base: Path) -> None:
    built = _build(base)
    for name in ("03.png", "07.png", "11.png"):
        (base / "photos" / name).unlink()
    path = base / "discs.toml"
    path.write_text(path.read_text("utf-8").replace("CC0-1.0", "CC BY-NC 4.0"), "utf-8")
    again = _build(base)
    assert sum(again.info.counts.values()) == sum(built.info.counts.values()) - 3
    assert again.info.origin.license == "CC BY-NC 4.0"
    assert (base / "build" / "sources.csv").read_text("utf-8").count("\n") == 12


def test_full_disk_while_the_set_is_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pairing, "write_dataset", full)
    with pytest.raises(BuildError, match=r"No space left on device.*make room"):
        _pair(_drawn(tmp_path / "4-draw", [None] * 40), tmp_path, val_share=0.3)


def test_notice_tells_licences_and_authors(tmp_path: Path) -> None:
    info = _pair(_drawn(tmp_path / "4-draw", [f"A{k}" for k in range(40)]), tmp_path, val_share=0.3)
    assert "40 pictures: CC BY 4.0" in info.origin.notice
    assert all(f"A{k}" in info.origin.notice for k in range(40))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (('method = "canny"', 'method = "magic"'), "draw.method"),
        (("size = 64", "sise = 64"), "draw.sise"),
        (("title.en", "title.ja"), "title has no 'en'"),
        (("[cutout]", "[cutout"), "not valid TOML"),
        (('path = "photos"', ""), "collect.folders.0.path"),
    ],
)
def test_plan_that_cannot_be_built_names_the_key(tmp_path: Path, change: tuple[str, str], told: str) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(PLAN.replace(*change), "utf-8")
    with pytest.raises(BuildError, match=told):
        read_plan(path)


def test_missing_plan_names_the_published_ones(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="published: cats, flowers-drawn"):
        find_plan(str(tmp_path / "nothing.toml"))


def test_every_published_plan_is_one() -> None:
    plans = sorted(PLAN_FOLDER.glob("*.toml"))
    assert plans
    for path in plans:
        assert read_plan(find_plan(path.stem)).name == path.stem
