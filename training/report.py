"""One self-contained page about a run: losses over time, held-out pictures, figures, configuration. No script, no link out."""

from __future__ import annotations

import base64
import html
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from training.evaluate import SHEET_FILE, Evaluation, read_evaluation
from training.figures import FIGURE_TITLES, Figures
from training.run import Run

REPORT_FILE = "report.html"
CHART_WIDTH, CHART_HEIGHT, CHART_POINTS = 420, 150, 240
SHEET_MAX_WIDTH = 1600

_STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 1080px; margin: 2rem auto; padding: 0 1rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(320px, 1fr)); gap: 1rem; }
figure { margin: 0; } figcaption { font-weight: 600; }
svg { width: 100%; height: auto; } polyline { fill: none; stroke: #2a6fdb; stroke-width: 1.5; }
svg text { font-size: 11px; fill: currentColor; } svg line { stroke: currentColor; opacity: 0.25; }
img { max-width: 100%; } table { border-collapse: collapse; } th, td { padding: 0.2rem 0.8rem; text-align: left; }
th.number, td.number { text-align: right; } td.number { font-variant-numeric: tabular-nums; } pre { overflow-x: auto; }
"""


def write_report(root: Path) -> Path:
    """Writes `report.html` into a run and returns its path.

    Raises:
        RunError: The folder is not a run.
    """
    run = Run.open(root)
    config = run.config()
    records = read_metrics(run.metrics)
    sections = (
        f"<h1>{html.escape(config.name)}</h1>",
        _losses(records),
        _changes(run),
        _figures(read_evaluation(root)),
        _sheets(run),
        f"<h2>Configuration</h2><pre>{html.escape(config.model_dump_json(indent=2))}</pre>",
    )
    head = f'<meta charset="utf-8"><title>{html.escape(config.name)}: training report</title><style>{_STYLE}</style>'
    page = f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(sections)}</body></html>\n'
    path = root / REPORT_FILE
    path.write_text(page, "utf-8")
    return path


def read_metrics(path: Path) -> list[dict[str, float]]:
    """The lines of metrics.jsonl; a last line that a kill cut short is left out."""
    if not path.is_file():
        return []
    records: list[dict[str, float]] = []
    for line in path.read_text("utf-8").splitlines():
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return records


def chart(name: str, points: Sequence[tuple[float, float]]) -> str:
    """One curve as inline SVG with its extremes written at the axes."""
    shown = _thinned(points)
    xs, ys = [x for x, _ in shown], [y for _, y in shown]
    low, high, first, last = min(ys), max(ys), min(xs), max(xs)
    left, bottom = 46, CHART_HEIGHT - 18

    def place(x: float, y: float) -> str:
        across = (x - first) / ((last - first) or 1)
        up = (y - low) / ((high - low) or 1)
        return f"{left + across * (CHART_WIDTH - left - 6):.1f},{bottom - up * (bottom - 8):.1f}"

    line = " ".join(place(x, y) for x, y in shown)
    title = html.escape(name.replace("_", " "))
    return f"""<figure><figcaption>{title}</figcaption>
<svg viewBox="0 0 {CHART_WIDTH} {CHART_HEIGHT}" role="img" aria-label="{title}: from {ys[0]:.4g} to {ys[-1]:.4g}">
<line x1="{left}" y1="8" x2="{left}" y2="{bottom}"/><line x1="{left}" y1="{bottom}" x2="{CHART_WIDTH - 6}" y2="{bottom}"/>
<text x="{left - 4}" y="14" text-anchor="end">{high:.4g}</text>
<text x="{left - 4}" y="{bottom}" text-anchor="end">{low:.4g}</text>
<text x="{left}" y="{CHART_HEIGHT - 4}">{first:,.0f}</text>
<text x="{CHART_WIDTH - 6}" y="{CHART_HEIGHT - 4}" text-anchor="end">{last:,.0f} images</text>
<polyline points="{line}"/></svg></figure>"""


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most CHART_POINTS points, each the mean of its neighbours."""
    group = -(-len(points) // CHART_POINTS)
    groups = [points[start : start + group] for start in range(0, len(points), group)]
    return [(sum(x for x, _ in part) / len(part), sum(y for _, y in part) / len(part)) for part in groups]


def _losses(records: Sequence[Mapping[str, float]]) -> str:
    names = dict.fromkeys(name for record in records for name in record if name != "images")
    if not names:
        return "<p>No losses were logged yet.</p>"
    curves = {name: _points(records, name) for name in names}
    charts = "".join(chart(name, points) for name, points in curves.items() if points)
    return f'<p>{records[-1]["images"]:,.0f} images.</p><h2>Over time</h2><div class="charts">{charts}</div>'


def _points(records: Sequence[Mapping[str, float]], name: str) -> list[tuple[float, float]]:
    """Images and value; what is not finite has no place on a chart."""
    return [(record["images"], record[name]) for record in records if name in record and math.isfinite(record[name])]


def _figures(evaluation: Evaluation | None) -> str:
    """A table of what is served, and beneath it, where there are several kinds of weights, one of all of them side by side."""
    if evaluation is None:
        return "<h2>Held-out figures</h2><p>Not measured yet: run <code>inkwash-train evaluate</code>.</p>"
    names = list(evaluation.figures[0].values)
    served = _table(("protocol",), names, [((figures.protocol,), figures) for figures in evaluation.figures])
    return f"<h2>Held-out figures</h2>{served}{_weights(evaluation, names) if len(evaluation.states) > 1 else ''}"


def _weights(evaluation: Evaluation, names: Sequence[str]) -> str:
    rows = [
        ((figures.name, f"{state.weights}{' (served)' * (state.weights == evaluation.weights)}", f"{state.images:,}"), figures)
        for asked in range(len(evaluation.figures))
        for state in evaluation.states
        for figures in (state.figures[asked],)
    ]
    return f"<h3>Last, averaged and best weights</h3>{_table(('protocol', 'weights', 'images'), names, rows)}"


def _table(heads: Sequence[str], names: Sequence[str], rows: Sequence[tuple[Sequence[str], Figures]]) -> str:
    """Figures by name, a row each, behind words that tell what they are of."""
    head = "".join(f"<th>{title}</th>" for title in heads)
    head += "".join(f'<th class="number">{FIGURE_TITLES[name]}</th>' for name in names)
    body = "".join(
        "<tr>"
        + "".join(f"<td>{html.escape(word)}</td>" for word in words)
        + "".join(f'<td class="number">{figures.values[name]:.4g}</td>' for name in names)
        + "</tr>"
        for words, figures in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _changes(run: Run) -> str:
    """What was changed on the way: by whoever went on with it, or by a rollback."""
    notes = [
        f"<li>After {change['images']:,} images: "
        + html.escape(", ".join(f"{key} from {was} to {now}" for key, (was, now) in change["changed"].items()))
        + (f" (rollback: {html.escape(change['reason'])})" if "reason" in change else "")
        + "</li>"
        for change in run.read_changes()
    ]
    return f"<h2>Changes on the way</h2><ul>{''.join(notes)}</ul>" if notes else ""


def _sheets(run: Run) -> str:
    """The evaluation's sheet and the last one made while training."""
    made = sorted(run.samples.glob("*.png"))[-1:]
    paths = [path for path in (run.root / SHEET_FILE, *made) if path.is_file()]
    pictures = "".join(f'<p><img alt="{html.escape(path.name)}" src="{_data_url(path)}"></p>' for path in paths)
    return f"<h2>Held-out pictures</h2>{pictures}" if pictures else ""


def _data_url(path: Path) -> str:
    with Image.open(path) as picture:
        sheet = picture.convert("RGB")
    sheet.thumbnail((SHEET_MAX_WIDTH, 10 * SHEET_MAX_WIDTH))
    buffer = io.BytesIO()
    sheet.save(buffer, "WEBP", quality=88)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
