"""The report of a build: one file that needs nothing else, also of a build that is not finished."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.training.builder.builds import BOX, REJECTS, STAGES, make_build
from training.builder.build_report import EXAMPLES, FOLLOWED, REASONS, write_build_report
from training.builder.journal import BuildError, Entry, Journal
from training.builder.strikes import remove_struck, strike
from training.builder.thumbnails import CHECK_GRAYS, thumbnail

MEGABYTE = 1024 * 1024


def words(page: str) -> str:
    """What is written on a page, in one line."""
    text = re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL)
    return " ".join(text.split())


def pictures(page: str) -> list[Image.Image]:
    found = re.findall(r'src="data:image/webp;base64,([^"]+)"', page)
    return [Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB") for data in found]


def section(page: str, title: str) -> str:
    """From a heading to the next one."""
    (found,) = re.findall(rf"<h2>{re.escape(title)}.*?(?=<h2>|</body>)", page, flags=re.DOTALL)
    return str(found)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report of a finished build of 20 pairs."""
    return write_build_report(make_build(tmp_path_factory.mktemp("builds") / "discs", pairs=20)).read_text("utf-8")


def test_report_tells_what_each_stage_was_given_kept_and_rejected(page: str) -> None:
    told = words(section(page, "Stages"))
    assert "Collect 29 26 89.7% 3 Detect 26 22 84.6% 4 Cut out 22 20 90.9% 2 Draw 20 20 100.0% 0" in told
    assert "Pair and split 20 20 100.0% 0" in told
    assert "waiting" not in told


@pytest.mark.parametrize(
    ("title", "row"),
    [
        ("Collect: 3 rejected", "looks like another 2 6.9% cannot be read 1 3.4%"),
        ("Detect: 4 rejected", "no disc found 3 11.5% more than one disc 1 3.8%"),
        ("Cut out: 2 rejected", "outline frays 2 9.1%"),
    ],
)
def test_reasons_come_with_counts_and_shares_the_most_frequent_first(page: str, title: str, row: str) -> None:
    assert row in words(section(page, title))


def test_stage_that_rejected_nothing_has_no_table_of_reasons(page: str) -> None:
    assert "Draw:" not in words(page)
    assert "Pair and split:" not in words(page)


def test_rejected_pictures_are_shown_as_the_stage_or_the_one_before_saw_them(page: str) -> None:
    seen = [picture.size for picture in pictures(section(page, "Detect: 4 rejected"))]
    # The three that left no picture are shown as collected, the other one as the crop that the stage left.
    assert seen == [(128, 85)] * 3 + [(128, 128)]
    assert len(pictures(section(page, "Collect: 3 rejected"))) == REJECTS["1-collect"]["looks like another"]


def test_examples_of_a_reason_are_limited_and_rare_reasons_are_one_line(tmp_path: Path) -> None:
    build = make_build(tmp_path / "discs", until="1-collect")
    journal = Journal.open(build / "1-collect", {})
    shown = next(entry.file for entry in journal if entry.is_kept)
    for k in range(EXAMPLES + 4):
        journal.add(Entry(f"many{k}", shown, "far too small"))
    for k in range(REASONS + 5):
        journal.add(Entry(f"rare{k}", None, f"oddity {k}"))
    reasons = section(write_build_report(build).read_text("utf-8"), "Collect")
    assert len(pictures(reasons)) == EXAMPLES + 2
    assert "far too small 10" in words(reasons)
    assert "8 other reasons 8" in words(reasons)


def test_same_pictures_are_shown_through_every_stage(page: str) -> None:
    table = section(page, "The same pictures through every stage")
    assert "collect detect cut out draw pair" in words(table)
    rows = re.findall(r"<tr>(?:<td>.*?</td>)+</tr>", table, flags=re.DOTALL)
    assert len(rows) == FOLLOWED
    for row in rows:
        titles = re.findall(r'title="(.*?), ([0-9a-f]{16})"', row)
        assert [title for title, _ in titles] == ["Collect", "Detect", "Cut out", "Draw", "Pair"]
        assert len({entry_id for _, entry_id in titles}) == 1
    collected, _, _, drawn, pair = pictures(rows[0])
    assert collected.size == (200, 133)
    assert drawn.getpixel((0, 0)) == (255, 255, 255)
    assert pair.width == 2 * pair.height


def test_box_is_drawn_on_the_crop_and_the_cutout_lies_on_a_checkerboard(page: str) -> None:
    _, crop, cutout, *_ = (np.asarray(picture) for picture in pictures(section(page, "The same pictures")))
    left, top, right, bottom = (round(edge * 200 / 64) for edge in BOX)
    # Near its corners, where the disc is not; the ground has little red.
    for y, x in ((top, left + 12), (bottom - 2, right - 12), (top + 12, left), (bottom - 12, right - 2)):
        assert crop[y : y + 2, x : x + 2, 0].mean() > 110
    assert crop[top + 8, left + 8, 0] < 60
    corner = cutout[:24, :24].mean(axis=-1)
    assert abs(corner.min() - min(CHECK_GRAYS)) < 6
    assert abs(corner.max() - max(CHECK_GRAYS)) < 6


def test_licences_are_summed_up_for_all_pictures_and_for_the_set(page: str) -> None:
    told = words(section(page, "Licences"))
    assert "CC-BY-4.0 15 10 3" in told
    assert "CC0-1.0 14 10 3" in told


def test_report_shows_plan_and_set(page: str) -> None:
    assert "Discs" in words(page)
    assert "&quot;subject&quot;: [" in section(page, "Plan")
    assert "32 × 32 pixels" in words(section(page, "The set"))
    assert "20 pairs (15 train, 5 val) from 29 pictures." in words(page)


def test_report_is_one_small_file_that_asks_for_nothing(page: str) -> None:
    assert not re.search(r"(src|href)=\"(?!data:)|https?://|<script|@import|url\(", page)
    assert len(page) < 5 * MEGABYTE


def test_what_others_wrote_is_shown_as_text(tmp_path: Path) -> None:
    build = make_build(tmp_path / "discs")
    journal = Journal.open(build / "2-detect", {})
    entry_id = next(entry.id for entry in journal if entry.reason)
    journal.add(Entry(entry_id, None, "<script>alert(1)</script>"))
    with (build / "sources.csv").open("a", encoding="utf-8") as file:
        file.write('x,y,,"<img src=x>",,,,\n')
    (build / "plan.json").write_text(json.dumps({"name": "</pre><b>"}), "utf-8")
    page = write_build_report(build).read_text("utf-8")
    assert "&lt;script&gt;alert(1)" in page
    assert "&lt;img src=x&gt;" in page
    assert not re.search(r"<script|<b>|<img src=x", page)


@pytest.mark.parametrize("until", STAGES[:-1])
def test_unfinished_build_is_told_as_far_as_it_has_come(tmp_path: Path, until: str) -> None:
    page = write_build_report(make_build(tmp_path / "discs", until=until)).read_text("utf-8")
    assert words(section(page, "Stages")).count("not begun") == len(STAGES) - 1 - STAGES.index(until)
    assert "has no pairs yet" in words(page)
    assert pictures(section(page, "The same pictures"))


def test_pictures_that_a_stage_has_not_come_to_are_waiting(tmp_path: Path) -> None:
    build = make_build(tmp_path / "discs", until="2-detect")
    path = build / "2-detect" / "journal.jsonl"
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:-3]), "utf-8")
    told = words(section(write_build_report(build).read_text("utf-8"), "Stages"))
    assert "came in kept share rejected waiting" in told
    assert "Detect 14 7 50.0% 4 3" in told


def test_pictures_that_an_earlier_stage_no_longer_keeps_do_not_count(tmp_path: Path) -> None:
    build = make_build(tmp_path / "discs", until="2-detect")
    journal = Journal.open(build / "2-detect", {})
    for k in range(50):
        journal.add(Entry(f"gone{k}", None, "no disc found"))
    told = words(section(write_build_report(build).read_text("utf-8"), "Stages"))
    assert "Detect 14 10 71.4% 4" in told


def test_build_of_a_plan_alone_says_that_nothing_has_begun(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text("no JSON", "utf-8")
    page = write_build_report(tmp_path).read_text("utf-8")
    assert words(section(page, "Stages")).count("not begun") == len(STAGES)
    assert "no JSON" in section(page, "Plan")


def test_missing_or_broken_pictures_leave_a_blank(tmp_path: Path) -> None:
    build = make_build(tmp_path / "discs", pairs=4)
    for path in (build / "3-cutout").glob("*.png"):
        path.write_bytes(path.read_bytes()[:40])
    for path in (build / "2-detect").glob("*.png"):
        path.unlink()
    table = section(write_build_report(build).read_text("utf-8"), "The same pictures")
    assert table.count("no picture") == 8
    assert len(pictures(table)) == 12


def test_struck_pairs_are_counted_and_shown(tmp_path: Path) -> None:
    build = make_build(tmp_path / "discs")
    for name in (build / "dataset" / "train" / "names.txt").read_text("utf-8").split()[:2]:
        strike(build, name, True)
    remove_struck(build)
    page = write_build_report(build).read_text("utf-8")
    told = section(page, "Pair and split: 2 rejected")
    assert "struck by hand 2 25.0%" in words(told)
    assert len(pictures(told)) == 2
    assert "Pair and split 8 6 75.0% 2" in words(page)


def test_set_that_is_older_than_its_stages_is_told(tmp_path: Path) -> None:
    build = make_build(tmp_path / "discs")
    gone, waiting = (build / "dataset" / "train" / "names.txt").read_text("utf-8").split()[:2]
    Journal.open(build / "4-draw", {}).add(Entry(gone, None, "too few lines"))
    names = (build / "dataset" / "train" / "names.txt").read_text("utf-8")
    (build / "dataset" / "train" / "names.txt").write_text(names.replace(waiting, "0" * 16), "utf-8")
    told = words(write_build_report(build).read_text("utf-8"))
    assert "older than its stages, which no longer keep the pictures of 2 pairs" in told
    assert "Pair and split 7 6 85.7% 0 1" in told


def test_folder_that_is_no_build_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="is no build folder; name the one that `inkwash-train dataset build` wrote"):
        write_build_report(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_damaged_set_is_told_with_the_remedy(tmp_path: Path) -> None:
    build = make_build(tmp_path / "discs")
    (build / "dataset" / "dataset.json").write_text("{}", "utf-8")
    with pytest.raises(BuildError, match=r"dataset.json' is damaged.*Remove .* and run `inkwash-train dataset build` again"):
        write_build_report(build)


def test_report_of_another_time_is_replaced(tmp_path: Path) -> None:
    build = make_build(tmp_path / "discs", until="1-collect")
    first = write_build_report(build).read_text("utf-8")
    make_build(build)
    assert write_build_report(build).read_text("utf-8") != first
    assert [path.name for path in build.iterdir() if path.name.startswith(".")] == []


def test_thumbnail_of_a_turned_photo_is_upright_and_its_box_fits(tmp_path: Path) -> None:
    photo = Image.new("RGB", (400, 200), "white")
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    photo.save(tmp_path / "turned.jpg", exif=exif)
    small = thumbnail(tmp_path / "turned.jpg", 50, [50, 100, 150, 300])
    assert small is not None
    assert small.size == (25, 50)
    red = np.asarray(small)[..., 2] < 128
    rows, columns = np.nonzero(red)
    assert (columns.min(), rows.min()) == pytest.approx((50 * 25 / 200, 100 * 50 / 400), abs=1)
    assert (columns.max(), rows.max()) == pytest.approx((150 * 25 / 200, 300 * 50 / 400), abs=2)
