"""The Prometheus series of one app. Base units, no user data in labels, no process-wide registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_BATCHES = (1, 2, 4, 8, 16)

DepthReader = Callable[[], Mapping[str, int]]
"""Tells how many translations wait, by model."""


class _QueueDepth(Collector):
    """Read when scraped: a gauge that is set on every change would cost each request for nobody's benefit."""

    def __init__(self, read: DepthReader) -> None:
        self._read = read

    def collect(self) -> list[GaugeMetricFamily]:
        family = GaugeMetricFamily("inkwash_queue_depth", "Translations that wait for their turn.", labels=["model"])
        for model, depth in self._read().items():
            family.add_metric([model], depth)
        return [family]


class Metrics:
    """All series, each named for what it counts; `inkwash_` prefix."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        self.requests = Counter(
            "inkwash_requests", "HTTP requests by route and status.", ["route", "status"], registry=registry
        )
        self.request_seconds = Histogram(
            "inkwash_request_seconds", "Time from request to answer.", ["route"], buckets=_SECONDS, registry=registry
        )
        self.stage_seconds = Histogram(
            "inkwash_stage_seconds",
            "Time of one stage of a translation: decode, queue, trace, style, infer, encode.",
            ["stage", "model"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.batch_size = Histogram(
            "inkwash_batch_size", "Images in one run of a graph.", ["model"], buckets=_BATCHES, registry=registry
        )
        self.rejected = Counter(
            "inkwash_rejected",
            "Requests, frames and sockets that were answered with an error, by code.",
            ["code"],
            registry=registry,
        )
        self.model_load_seconds = Histogram(
            "inkwash_model_load_seconds", "Time to load and self-test a model.", ["model"], registry=registry
        )
        self.loaded_models = Gauge("inkwash_loaded_models", "Models in memory.", registry=registry)
        self.live_connections = Gauge("inkwash_live_connections", "Open live sockets.", ["model"], registry=registry)
        self.live_frames = Counter(
            "inkwash_live_frames",
            "Live frames by outcome: received, rendered, superseded, failed.",
            ["model", "outcome"],
            registry=registry,
        )
        self.info = Gauge(
            "inkwash_info",
            "Always 1; the labels say what runs.",
            ["version", "device", "provider", "runtime"],
            registry=registry,
        )

    def watch_queues(self, read: DepthReader) -> None:
        """Adds the depth of the queues, read at each scrape."""
        self._registry.register(_QueueDepth(read))

    def observe_stages(self, model: str, milliseconds: Mapping[str, float]) -> None:
        """Records the stages of one translation."""
        for stage, value in milliseconds.items():
            self.stage_seconds.labels(stage, model).observe(value / 1000)

    def render(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self._registry)
