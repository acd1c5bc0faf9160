"""One self-contained page about a build: what each stage kept and rejected and why, the same pictures through all of them,
licences, the plan. No script, nothing from elsewhere; an unfinished build is told as far as it has come.
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from training.builder.credits import read_credits
from training.builder.journal import BuildError, Entry, disk_errors, write_whole
from training.builder.prepared import DATASET_FOLDER, open_mapped, read_build_info
from training.builder.tally import DETECT_FOLDER, Tally, tally_pairs, tally_stages
from training.builder.thumbnails import data_url, thumbnail
from training.builder.viewed import side_by_side
from training.datasets import DatasetInfo, PairedDataset

REPORT_FILE = "report.html"
PLAN_FILE = "plan.json"
FOLLOWED = 12
"""Pictures that are shown through every stage."""
EXAMPLES = 6
"""Rejected pictures that are shown of each reason."""
REASONS = 20
"""Reasons that are listed one by one; what is rarer is one line."""
FOLLOWED_PX, EXAMPLE_PX = 200, 128

Item = TypeVar("Item")

_STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { --faint: color-mix(in srgb, currentColor 14%, transparent); overflow-wrap: break-word; }
body { max-width: 1180px; margin: 2rem auto; padding: 0 1rem; } h2 { margin: 2.4rem 0 0.6rem; } p { max-width: 46rem; }
table { border-collapse: collapse; } th, td { padding: 0.25rem 1.4rem 0.25rem 0; text-align: left; vertical-align: top; }
th.number, td.number { text-align: right; white-space: nowrap; } td.number { font-variant-numeric: tabular-nums; }
thead th { border-bottom: 1px solid var(--faint); font-weight: 600; } tbody th { font-weight: 400; }
tbody tr + tr > * { border-top: 1px solid var(--faint); } td { overflow-wrap: anywhere; }
.soft { opacity: 0.65; } pre { overflow-x: auto; } .wide { overflow-x: auto; }
.bar { width: 20rem; min-width: 6rem; } .bar span { display: block; height: 0.7rem; border-radius: 2px; }
.bar .whole { margin-top: 0.4rem; background: var(--faint); } .bar .part { background: #2a6fdb; }
.followed { width: 100%; min-width: 760px; } .followed tr > *, .followed tr + tr > * { padding: 4px 6px 4px 0; border-top: 0; }
.followed td { width: 16.6%; } .followed td:last-child { width: 33.3%; padding-right: 1px; }
.reasons { width: 100%; } .reasons th:first-child { width: 15rem; } .reasons .number { width: 3rem; }
img { display: block; max-width: 100%; height: auto; border-radius: 4px; outline: 1px solid var(--faint); background: #fff; }
.examples { display: flex; flex-wrap: wrap; gap: 7px; padding: 1px; } .examples img { height: 96px; width: auto; }
.none { display: grid; place-items: center; min-height: 5rem; border: 1px dashed; border-radius: 4px; opacity: 0.5; }
@media (max-width: 700px) {
  .bar, .reasons thead { display: none; } .reasons, .reasons tbody { display: block; }
  .reasons tr { display: grid; grid-template-columns: 1fr auto auto; padding: 0.5rem 0; }
  .reasons tr > *, .reasons tr + tr > * { border: 0; } .reasons th:first-child, .reasons td { width: auto; }
  .reasons td:last-child { grid-column: 1 / -1; padding: 0; } .reasons tr + tr { border-top: 1px solid var(--faint); }
  .examples img { height: 72px; } th, td { padding-right: 0.8rem; }
}
"""


@dataclass(frozen=True)
class _Found:
    """All that there is of a build.

    Attributes:
        tallies: Of all stages, that of the pairs at the end.
    """

    build: Path
    tallies: Sequence[Tally]
    info: DatasetInfo | None
    splits: Mapping[str, PairedDataset]

    @property
    def names(self) -> list[str]:
        """Ids of the pairs."""
        return [name for pairs in self.splits.values() for name in pairs.names]


def write_build_report(build: Path) -> Path:
    """Writes `report.html` into a build, finished or not, and returns its path.

    Raises:
        BuildError: The folder is no build, its set is damaged, or it cannot be written.
        DatasetError: An array of its set is damaged.
    """
    found = _find(build)
    title = _title(found)
    sections = (
        f"<h1>{html.escape(title)}</h1>",
        _summary(found),
        _stages(found),
        _followed(found),
        *(_rejects(k, found) for k in range(len(found.tallies))),
        _licences(found),
        _set(found),
        _plan(build),
    )
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}: data set report</title><style>{_STYLE}</style>"
    )
    page = f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(sections)}</body></html>\n'
    with disk_errors(build):
        write_whole(build / REPORT_FILE, page.encode())
    return build / REPORT_FILE


def _find(build: Path) -> _Found:
    tallies = tally_stages(build)
    has_set = (build / DATASET_FOLDER / "dataset.json").is_file()
    if not has_set and not any(tally.is_begun for tally in tallies) and not (build / PLAN_FILE).is_file():
        raise BuildError(f"'{build}' is no build folder; name the one that `inkwash-train dataset build` wrote.")
    info = read_build_info(build) if has_set else None
    splits = {split: open_mapped(build, info, split) for split in info.counts} if info else {}
    paired = {name for pairs in splits.values() for name in pairs.names} if info else None
    return _Found(build, [*tallies, tally_pairs(build, tallies[-1], paired)], info, splits)


def _title(found: _Found) -> str:
    name = found.build.resolve().name
    return f"Data set {found.info.title.get('en', name) if found.info else name}"


def _summary(found: _Found) -> str:
    collected = found.tallies[0].given
    if found.info is None:
        stage = next((tally.title for tally in reversed(found.tallies) if tally.is_begun), None)
        state = f"at stage “{stage}”" if stage else "before its first stage"
        return f"<p>{_counted(collected, 'picture')} seen so far; the build stands {state} and has no pairs yet.</p>"
    counts = ", ".join(f"{count:,} {html.escape(split)}" for split, count in found.info.counts.items())
    words = f"{_counted(len(found.names), 'pair')} ({counts}) from {_counted(collected, 'picture')}."
    strange = len(found.names) - len(found.tallies[-1].kept)
    if strange:
        words += f" The set is older than its stages, which no longer keep the pictures of {_counted(strange, 'pair')} of it."
    return f"<p>{words}</p>"


# --- counts


def _stages(found: _Found) -> str:
    """A row a stage; bars are drawn to the scale of the longest."""
    names = ("came in", "kept", "share", "rejected", *["waiting"] * any(_waits(tally) for tally in found.tallies))
    heads = "".join(f'<th class="number">{name}</th>' for name in names)
    most = max(tally.given for tally in found.tallies)
    body = "".join(_stage_row(tally, most, len(names)) for tally in found.tallies)
    table = f'<table><thead><tr><th>stage</th><th class="bar"></th>{heads}</tr></thead><tbody>{body}</tbody></table>'
    return f"<h2>Stages</h2>{_scrolled('Stages', table)}"


def _waits(tally: Tally) -> bool:
    return tally.is_begun and tally.waiting > 0


def _stage_row(tally: Tally, most: int, columns: int) -> str:
    head = f'<tr><th scope="row">{tally.title}</th>'
    if not tally.is_begun or not tally.given:
        note = "nothing came in" if tally.is_begun else "not begun"
        return f'{head}<td class="bar"></td><td class="soft" colspan="{columns}">{note}</td></tr>'
    kept = len(tally.kept)
    cells = (tally.given, kept, _share(kept, tally.given), tally.rejects, tally.waiting or "")[:columns]
    numbers = "".join(f'<td class="number">{cell if isinstance(cell, str) else f"{cell:,}"}</td>' for cell in cells)
    part = f'<span class="part" style="width:{100 * kept / tally.given:.1f}%"></span>'
    whole = f'<span class="whole" style="width:{100 * tally.given / most:.1f}%">{part}</span>'
    return f'{head}<td class="bar" aria-hidden="true">{whole}</td>{numbers}</tr>'


def _rejects(place: int, found: _Found) -> str:
    """Reasons of one stage, with counts, shares of what came in, and pictures."""
    tally = found.tallies[place]
    if not tally.rejects:
        return ""
    listed = list(tally.rejected.items())
    shown = [(reason, len(entries), _examples(entries, found.tallies[: place + 1])) for reason, entries in listed[:REASONS]]
    rest = sum(len(entries) for _, entries in listed[REASONS:])
    if rest:
        shown.append((f"{_counted(len(listed) - REASONS, 'other reason')}", rest, ""))
    return _reason_table(f"{tally.title}: {tally.rejects:,} rejected", shown, tally.given)


def _reason_table(title: str, rows: Iterable[tuple[str, int, str]], given: int) -> str:
    body = "".join(
        f'<tr><th scope="row">{html.escape(reason)}</th><td class="number">{count:,}</td>'
        f'<td class="number">{_share(count, given)}</td><td><div class="examples">{pictures}</div></td></tr>'
        for reason, count, pictures in rows
    )
    head = '<thead><tr><th>reason</th><th class="number">count</th><th class="number">share</th><th></th></tr></thead>'
    return f'<h2>{title}</h2><table class="reasons">{head}<tbody>{body}</tbody></table>'


# --- pictures


def _followed(found: _Found) -> str:
    """The same pictures through all stages, a row each."""
    ids = _spread(_finished(found), FOLLOWED)
    if not ids:
        return ""
    columns: list[tuple[str, Callable[[str], str]]] = [
        (f"{tally.title.lower()}", _stage_picture(tally)) for tally in found.tallies[:-1] if tally.is_begun
    ]
    if found.info is not None:
        columns.append(("pair", _pair_picture(found.info, found.splits)))
    head = "".join(f"<th>{title}</th>" for title, _ in columns)
    rows = "".join(f"<tr>{''.join(f'<td>{cell(one)}</td>' for _, cell in columns)}</tr>" for one in ids)
    table = f'<table class="followed"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    title = "The same pictures through every stage"
    return f"<h2>{title}</h2>{_scrolled(title, table)}"


def _finished(found: _Found) -> Sequence[str]:
    """Ids of the pictures that came furthest."""
    kept = ([entry.id for entry in tally.kept] for tally in reversed(found.tallies))
    return next((ids for ids in kept if ids), found.names)


def _stage_picture(tally: Tally) -> Callable[[str], str]:
    entries = {entry.id: entry for entry in tally.kept}
    is_found_here = tally.folder.name == DETECT_FOLDER  # later stages know the box too, but there it would hide what is new

    def show(entry_id: str) -> str:
        entry = entries.get(entry_id)
        if entry is None or entry.file is None:
            return _image(None, "")
        box = _box(entry) if is_found_here else None
        return _image(thumbnail(tally.folder / entry.file, FOLLOWED_PX, box), f"{tally.title}, {entry_id}")

    return show


def _pair_picture(info: DatasetInfo, splits: Mapping[str, PairedDataset]) -> Callable[[str], str]:
    places = {name: (pairs, k) for pairs in splits.values() for k, name in enumerate(pairs.names)}

    def show(entry_id: str) -> str:
        pairs, k = places[entry_id]
        return _image(side_by_side(pairs.source[k], pairs.target[k], info.main, FOLLOWED_PX), f"Pair, {entry_id}")

    return show


def _examples(entries: Sequence[Entry], tallies: Sequence[Tally]) -> str:
    """Pictures as the stage saw them; where it left none, as the stage before did."""
    pictures = [(_last_picture(entry, tallies), entry.id) for entry in _spread(entries, EXAMPLES)]
    return "".join(_image(picture, entry_id) for picture, entry_id in pictures if picture is not None)


def _last_picture(entry: Entry, tallies: Sequence[Tally]) -> Image.Image | None:
    *before, last = tallies
    if entry.file is not None:
        return thumbnail(last.folder / entry.file, EXAMPLE_PX)
    earlier = next((kept for kept in before[-1].kept if kept.id == entry.id), None) if before else None
    return _last_picture(earlier, before) if earlier else None


def _image(picture: Image.Image | None, words: str) -> str:
    if picture is None:
        return '<div class="none">no picture</div>'
    size = f'width="{picture.width}" height="{picture.height}"'
    return f'<img {size} loading="lazy" src="{data_url(picture)}" alt="{html.escape(words)}" title="{html.escape(words)}">'


def _box(entry: Entry) -> Sequence[float] | None:
    box = entry.facts.get("box")
    return box if isinstance(box, list) and len(box) == 4 and all(isinstance(edge, int | float) for edge in box) else None


def _spread(items: Sequence[Item], most: int) -> list[Item]:
    """Some items, evenly from first to last."""
    chosen = np.linspace(0, len(items) - 1, min(most, len(items))).round().astype(int)
    return [items[k] for k in chosen]


# --- licences, set, plan


def _licences(found: _Found) -> str:
    known = read_credits(found.build)
    if not known:
        return ""
    paired = set(found.names)
    licences: dict[str, list[str]] = {}
    for entry_id, one in known.items():
        licences.setdefault(one.license or "not stated", []).append(entry_id)
    body = "".join(
        f'<tr><th scope="row">{html.escape(name)}</th><td class="number">{len(ids):,}</td>'
        f'<td class="number">{len(paired.intersection(ids)):,}</td>'
        f'<td class="number">{len({known[one].author for one in ids} - {""}):,}</td></tr>'
        for name, ids in sorted(licences.items(), key=lambda item: -len(item[1]))
    )
    numbers = "".join(f'<th class="number">{name}</th>' for name in ("pictures", "in the set", "authors named"))
    table = f"<table><thead><tr><th>licence</th>{numbers}</tr></thead><tbody>{body}</tbody></table>"
    return (
        f"<h2>Licences</h2>{_scrolled('Licences', table)}<p>Where each picture comes from is in <code>sources.csv</code>.</p>"
    )


def _set(found: _Found) -> str:
    if (info := found.info) is None:
        return ""
    facts = {
        "pairs": ", ".join(f"{count:,} {split}" for split, count in info.counts.items()),
        "size": f"{info.size} × {info.size} pixels",
        "source": f"{info.kind}, {info.main.channels} channel{'s' * (info.main.channels > 1)}",
        "line width": f"{info.main.line_width_px} pixels" if info.main.line_width_px else "",
        "licence of weights": info.origin.weights_license,
        "sha256": info.sha256,
    }
    rows = "".join(
        f'<tr><th scope="row">{name}</th><td>{html.escape(value)}</td></tr>' for name, value in facts.items() if value
    )
    return f"<h2>The set</h2><table><tbody>{rows}</tbody></table>"


def _plan(build: Path) -> str:
    path = build / PLAN_FILE
    if not path.is_file():
        return ""
    text = path.read_text("utf-8", errors="replace")
    with suppress(json.JSONDecodeError):  # shown as it is
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    return f"<h2>Plan</h2><pre>{html.escape(text)}</pre>"


def _scrolled(label: str, table: str) -> str:
    """A table that may be wider than the page; the keyboard can scroll what has the focus."""
    return f'<div class="wide" tabindex="0" role="region" aria-label="{label}">{table}</div>'


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else ""


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"
