"""One line of the table: a promise, what was measured on both sides, and whether it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Row:
    """Both sides as text with their unit. `ratio` is ours over the reference; None where there is nothing to divide."""

    promise: str
    ours: str
    reference: str
    ratio: float | None
    target: str
    is_kept: bool


def at_most(promise: str, ours: float, limit: float, unit: str) -> Row:
    """A promise with a fixed limit: the limit is the reference."""
    return Row(promise, f"{ours:.2f} {unit}", f"{limit:g} {unit}", ours / limit, "<= 1", ours <= limit)


def ratio_at_most(promise: str, ours: float, reference: float, limit: float, unit: str) -> Row:
    """A cost: both sides measured, ours at most `limit` times the reference."""
    ratio = ours / reference
    return Row(promise, f"{ours:.2f} {unit}", f"{reference:.2f} {unit}", ratio, f"<= {limit:g}", ratio <= limit)


def ratio_at_least(promise: str, ours: float, reference: float, limit: float, unit: str) -> Row:
    """A speed: both sides measured, ours at least `limit` times the reference."""
    ratio = ours / reference
    return Row(promise, f"{ours:.2f} {unit}", f"{reference:.2f} {unit}", ratio, f">= {limit:g}", ratio >= limit)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the sorted values lie, by nearest rank.

    Raises:
        ValueError: There are no values.
    """
    if not values:
        raise ValueError("There is nothing to take a percentile of: not one measurement succeeded.")
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


def print_table(rows: Sequence[Row], console: Console) -> None:
    """Prints all rows; the last column says whether the promise is kept."""
    table = Table(title="Promises", title_justify="left")
    for column in ("promise", "ours", "reference", "ratio", "target", "kept"):
        table.add_column(column, justify="left" if column == "promise" else "right", overflow="fold")
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        kept = "yes" if row.is_kept else "[bold]NO[/bold]"
        table.add_row(row.promise, row.ours, row.reference, ratio, row.target, kept)
    console.print(table)
