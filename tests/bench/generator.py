"""Promise: a bundled generator is small and quick."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

import onnx

from tests.bench.bare import THREADS, BareLoop, Model
from tests.bench.macs import count_macs
from tests.bench.row import Row, at_most

LIMIT_MB, LIMIT_GMAC, LIMIT_MILLISECONDS = 8.0, 1.6, 30.0


def rows(model: Model, *, quick: bool) -> Iterator[Row]:
    """Size of its graphs, arithmetic of one picture, time of one run."""
    name = model.manifest.id
    yield at_most(f"{name}: file", sum(graph.stat().st_size for graph in model.folder.glob("*.onnx")) / 1e6, LIMIT_MB, "MB")
    yield at_most(f"{name}: arithmetic", count_macs(onnx.load(model.graph)) / 1e9, LIMIT_GMAC, "GMAC")
    loop = BareLoop.fastest(model)
    loop.time_runs(5)  # the first runs lay out memory
    milliseconds = median(loop.time_runs(20 if quick else 200))
    yield at_most(f"{name}: one run, p50, {THREADS} threads", milliseconds, LIMIT_MILLISECONDS, "ms")
