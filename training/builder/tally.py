"""What each stage of a build was given, kept and rejected, counted from journals and the set. It judges and shows nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from training.builder.journal import JOURNAL, Entry, Journal
from training.builder.prepared import DATASET_FOLDER
from training.builder.strikes import STRUCK_REASON, read_struck

DETECT_FOLDER = "2-detect"
STAGES: Mapping[str, str] = {"1-collect": "Collect", DETECT_FOLDER: "Detect", "3-cutout": "Cut out", "4-draw": "Draw"}
"""Folder of each stage that has a journal -> its title."""


@dataclass(frozen=True)
class Tally:
    """One stage.

    Attributes:
        given: How many pictures the stage before kept; of the first stage those that it saw.
        rejected: Entries by reason, the most frequent reason first.
    """

    title: str
    folder: Path
    is_begun: bool
    given: int
    kept: Sequence[Entry] = ()
    rejected: Mapping[str, Sequence[Entry]] = field(default_factory=dict)

    @property
    def rejects(self) -> int:
        return sum(len(entries) for entries in self.rejected.values())

    @property
    def waiting(self) -> int:
        """Pictures that the stage has not come to."""
        return self.given - len(self.kept) - self.rejects


def tally_stages(build: Path) -> list[Tally]:
    """Counts of all stages that have a journal, in their order, also of those that have not begun."""
    tallies: list[Tally] = []
    for name, title in STAGES.items():
        tallies.append(_tally(title, build / name, tallies[-1] if tallies else None))
    return tallies


def tally_pairs(build: Path, drawn: Tally, paired: Collection[str] | None) -> Tally:
    """Counts of the last stage, which has no journal: of what it was given it leaves out what was struck.

    Args:
        paired: Ids of the pairs of the set; None where there is none yet.
    """
    struck = read_struck(build)
    gone = [
        Entry(entry.id, None, STRUCK_REASON) for entry in drawn.kept if entry.id in struck and entry.id not in (paired or ())
    ]
    return Tally(
        title="Pair and split",
        folder=build / DATASET_FOLDER,
        is_begun=paired is not None,
        given=len(drawn.kept),
        kept=[entry for entry in drawn.kept if entry.id in (paired or ())],
        rejected={STRUCK_REASON: gone} if gone and paired is not None else {},
    )


def _tally(title: str, folder: Path, before: Tally | None) -> Tally:
    """A journal may also hold pictures that the stage before no longer keeps, since its settings changed; they do not count."""
    entries = list(Journal.read(folder))
    if before is not None:
        given = {entry.id for entry in before.kept}
        entries = [entry for entry in entries if entry.id in given]
    return Tally(
        title=title,
        folder=folder,
        is_begun=(folder / JOURNAL).is_file(),
        given=len(entries) if before is None else len(before.kept),
        kept=[entry for entry in entries if entry.is_kept],
        rejected=_by_reason(entries),
    )


def _by_reason(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    reasons: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.reason is not None:
            reasons.setdefault(entry.reason, []).append(entry)
    return dict(sorted(reasons.items(), key=lambda item: (-len(item[1]), item[0])))
