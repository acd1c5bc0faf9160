"""`make bench`: runs the measurements one after another and prints one table. Exit code 1 when a promise is not kept."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from server.catalog import bundled_folder
from tests.bench import generator, live, load, memory, overhead, photo, training, variations
from tests.bench.bare import Model, read_models
from tests.bench.process import ServerProcess
from tests.bench.row import Row, print_table

PARTS = ("generator", "overhead", "variations", "load", "live", "photo", "training", "memory")


def bench(
    quick: Annotated[bool, typer.Option("--quick", help="Fewer repeats: about two minutes, and noisier.")] = False,
    only: Annotated[list[str] | None, typer.Option(help=f"Parts to measure: {', '.join(PARTS)}. Repeatable.")] = None,
    models: Annotated[Path | None, typer.Option(help="Folder of model folders; the bundled ones when absent.")] = None,
) -> None:
    """Measures what Inkwash promises, on this machine."""
    parts = only or list(PARTS)
    unknown = sorted(set(parts) - set(PARTS))
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)} is not a part; the parts are {', '.join(PARTS)}.")
    console = Console(width=None if sys.stdout.isatty() else 140)
    if hasattr(os, "getloadavg"):
        console.print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} before the start")
    rows = []
    for row in _measure(parts, models or bundled_folder(), quick=quick):
        console.print(f"  {row.promise}: {row.ours}", highlight=False)
        rows.append(row)
    print_table(rows, console)
    if not all(row.is_kept for row in rows):
        raise typer.Exit(1)


def _measure(parts: list[str], folder: Path, *, quick: bool) -> Iterator[Row]:
    measured = read_models(folder) if set(parts) - {"photo", "training"} else []
    if "generator" in parts:
        for model in measured:
            yield from generator.rows(model, quick=quick)
    served = [part for part in ("overhead", "variations", "load", "live") if part in parts]
    if served:
        yield from _measure_service(served, measured, folder, quick=quick)
    if "photo" in parts:
        yield from photo.rows(quick=quick)
    if "training" in parts:
        yield from training.rows(quick=quick)
    if "memory" in parts:
        yield from memory.rows(measured[0], folder, quick=quick)


def _measure_service(parts: Sequence[str], models: list[Model], folder: Path, *, quick: bool) -> Iterator[Row]:
    """Overhead and variations for every model; load and live, which do not depend on what is drawn, for the first."""
    with ServerProcess(folder) as server:
        for model in models if "overhead" in parts else []:
            yield from overhead.rows(model, server, quick=quick)
        for model in models if "variations" in parts else []:
            yield from variations.rows(model, server, quick=quick)
        if "load" in parts:
            yield from load.rows(models[0], server, quick=quick)
        if "live" in parts:
            yield from live.rows(models[0], server, quick=quick)


if __name__ == "__main__":
    typer.run(bench)
