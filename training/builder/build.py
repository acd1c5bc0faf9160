"""The stages of a build in their order. What each does is its own business."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from training.builder.build_report import write_build_report
from training.builder.collect import collect, write_sources
from training.builder.cutout import cut_out
from training.builder.detect import detect, open_detector
from training.builder.draw import draw
from training.builder.journal import BuildError, Journal, disk_errors, write_whole
from training.builder.pairing import pair
from training.builder.plan import BuildPlan
from training.builder.tally import STAGES, tally_stages
from training.datasets import DatasetError, DatasetInfo

FOLDERS = tuple(STAGES)


@dataclass(frozen=True)
class Built:
    """A finished build.

    Attributes:
        stages: By folder: how many pictures came in, and how many were kept.
    """

    info: DatasetInfo
    stages: Mapping[str, tuple[int, int]]
    report: Path


def build(plan: BuildPlan, base: Path, out: Path, *, environment: Mapping[str, str], console: Console) -> Built:
    """Runs every stage as far as it has not been run yet, and writes the set and the report.

    Args:
        base: Folder of the plan's file.
        out: The build's folder; made when it is not there.
        environment: Where the key of the search API is.

    Raises:
        BuildError: A stage cannot go on; what was done stays.
    """
    _write_plan(plan, out)
    collect_folder, detect_folder, cutout_folder, draw_folder = (out / name for name in FOLDERS)
    try:
        with _bar(console, "Collecting") as progress:
            collected = collect(
                plan.collect,
                base,
                collect_folder,
                environment=environment,
                tell=lambda words: console.print(words, highlight=False),
                on_progress=progress.set,
            )
            progress.set(len(collected), len(collected))
        with disk_errors(out):
            write_sources(collected, out / "sources.csv")
        with _bar(console, "Detecting", collected, detect_folder) as progress:
            detected = detect(plan.detect, collected, detect_folder, base=base, on_progress=progress.advance)
        with _bar(console, "Cutting out", detected, cutout_folder) as progress:
            detector = open_detector(plan.detect, base) if plan.detect.detector else None
            cut = cut_out(plan.cutout, detected, cutout_folder, detector=detector, on_progress=progress.advance)
        with _bar(console, "Drawing", cut, draw_folder) as progress:
            drawn = draw(plan.draw, cut, draw_folder, base=base, on_progress=progress.advance)
        stages = [collected, detected, cut, drawn]
        info = pair(plan.pair, plan.title, plan.name, stages, out, line_width_px=plan.draw.line_width)
    except BaseException:
        with suppress(BuildError, DatasetError):  # what stopped the build is the news, not what the report stumbles over
            write_build_report(out)
        raise
    report = write_build_report(out)
    counts = {tally.folder.name: (tally.given, len(tally.kept)) for tally in tally_stages(out)}
    return Built(info, counts, report)


@dataclass(frozen=True)
class _Advance:
    """How a stage reports that a picture is done."""

    set: Callable[[int, int], None]
    advance: Callable[[], None]


@contextmanager
def _bar(console: Console, words: str, before: Journal | None = None, folder: Path | None = None) -> Iterator[_Advance]:
    """A progress bar over what `before` kept and the stage in `folder` has not done yet."""
    columns = (TextColumn("{task.description:<12}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    todo = sum(entry.is_kept for entry in before) if before is not None else None
    done = len(Journal.read(folder)) if folder is not None and todo is not None else 0
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(words, total=todo, completed=min(done, todo or 0))
        yield _Advance(
            set=lambda count, total: progress.update(task, completed=count, total=total),
            advance=lambda: progress.advance(task),
        )
        if todo is not None:
            progress.update(task, completed=todo)


def _write_plan(plan: BuildPlan, out: Path) -> None:
    text = json.dumps(plan.model_dump(mode="json"), indent=2, ensure_ascii=False)
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        write_whole(out / "plan.json", (text + "\n").encode())
