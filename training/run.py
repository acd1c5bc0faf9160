"""A run directory: resolved configuration, checkpoints, metrics and samples. It trains nothing."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from training.config import TrainConfig, parse_config

CHECKPOINT_FORMAT = 1

FIXED_KEYS = (
    "family", "generator.", "resnet.", "discriminator.", "hints.enabled", "hints.spread", "color.", "color_scheme.colors",
    "seed", "augment.image_size",
)  # fmt: skip
"""Settings, or sections of them, that a run cannot change while it goes on: its weights or its order of images hang on them."""


class RunError(ValueError):
    """A run directory or checkpoint that cannot be used; the message says what to do."""


@dataclass(frozen=True)
class Run:
    """Paths of one run and the few ways to write to them.

    config.json  changes.jsonl  metrics.jsonl  checkpoints/{last,best}.ckpt  samples/000002000.png  tensorboard/  report.html
    """

    root: Path

    @property
    def checkpoint(self) -> Path:
        return self.root / "checkpoints" / "last.ckpt"

    @property
    def beginning(self) -> Path:
        """What the run goes back to while it has no checkpoint."""
        return self.root / "checkpoints" / "beginning.ckpt"

    @property
    def best(self) -> Path:
        return self.root / "checkpoints" / "best.ckpt"

    @property
    def metrics(self) -> Path:
        return self.root / "metrics.jsonl"

    @property
    def samples(self) -> Path:
        return self.root / "samples"

    @property
    def changes(self) -> Path:
        return self.root / "changes.jsonl"

    @classmethod
    def create(cls, root: Path, config: TrainConfig) -> Run:
        """A run that `begin` has prepared."""
        run = cls(root)
        run.begin(config)
        return run

    def begin(self, config: TrainConfig) -> None:
        """Makes the folders and writes the resolved configuration; of a run that goes on, notes what changed in it.

        Raises:
            RunError: The run goes on with another network, another seed or other data than its checkpoint has.
        """
        for folder in (self.checkpoint.parent, self.samples):
            folder.mkdir(parents=True, exist_ok=True)
        if self.checkpoint.is_file():
            self._note_changes(config)
        (self.root / "config.json").write_text(config.model_dump_json(indent=2) + "\n", encoding="utf-8")

    def _note_changes(self, config: TrainConfig) -> None:
        changed = _differences(self.config().model_dump(mode="json"), config.model_dump(mode="json"))
        fixed = sorted(key for key in changed if key.startswith(FIXED_KEYS))
        if fixed:
            was, now = changed[fixed[0]]
            raise RunError(
                f"{self.root} was begun with {fixed[0]} = {was!r}, not {now!r}; a run cannot go on with it changed. Take "
                "the old value, or start another run (init_from takes over weights)."
            )
        if changed:
            self._note(self.load_checkpoint()["images"], changed)

    def read_changes(self) -> list[dict[str, Any]]:
        """What was changed while the run went on: position in images, old and new value by key, and a rollback's reason."""
        if not self.changes.is_file():
            return []
        return [json.loads(line) for line in self.changes.read_text(encoding="utf-8").splitlines()]

    @classmethod
    def open(cls, root: Path) -> Run:
        """An existing run.

        Raises:
            RunError: The folder holds no configuration.
        """
        if not (root / "config.json").is_file():
            raise RunError(f"{root} is not a run: it has no config.json. Give the folder that `inkwash-train train` made.")
        return cls(root)

    def config(self) -> TrainConfig:
        """The resolved configuration."""
        return parse_config(json.loads((self.root / "config.json").read_text(encoding="utf-8")))

    def note_rollback(self, images: int, scales: tuple[float, float], reason: str) -> None:
        """Notes that the run went back to a checkpoint, what became of the scale of its learning rate, and why."""
        self._note(images, {"learning_rate_scale": scales}, reason=reason)

    def _note(self, images: int, changed: Mapping[str, tuple[Any, Any]], **more: str) -> None:
        with self.changes.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"images": images, "changed": changed, **more}) + "\n")

    def save_checkpoint(self, state: dict[str, Any]) -> None:
        """Replaces the last checkpoint in one move, so that a kill in the middle leaves the old one."""
        _save(self.checkpoint, state)
        self.beginning.unlink(missing_ok=True)

    def save_best(self, state: dict[str, Any]) -> None:
        """Replaces the best weights, likewise."""
        _save(self.best, state)

    def save_beginning(self, state: dict[str, Any]) -> None:
        """Keeps what a run begins with until there is a checkpoint."""
        _save(self.beginning, state)

    def load_checkpoint(self) -> dict[str, Any]:
        """The last checkpoint, on the CPU.

        Raises:
            RunError: There is none, or it cannot be read.
        """
        return read_checkpoint(self.checkpoint)

    def truncate_metrics(self, images: int) -> None:
        """Drops lines that lie after a checkpoint which is resumed from: they will be written again."""
        if self.metrics.is_file():
            lines = self.metrics.read_text(encoding="utf-8").splitlines(keepends=True)
            kept = [line for line in lines if line.endswith("\n") and json.loads(line)["images"] <= images]
            self.metrics.write_text("".join(kept), encoding="utf-8")

    def log(self, images: int, values: dict[str, float], writer: SummaryWriter) -> None:
        """Adds one line to metrics.jsonl and scalars to TensorBoard."""
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"images": images, **values}) + "\n")
        for name, value in values.items():
            writer.add_scalar(name, value, images)

    def save_sample(self, images: int, sheet: Image.Image, writer: SummaryWriter) -> None:
        """Writes one sheet of held-out pictures, as a file and to TensorBoard."""
        sheet.save(self.samples / f"{images:09d}.png")
        writer.add_image("held_out", np.asarray(sheet.convert("RGB")), images, dataformats="HWC")


def _save(path: Path, state: dict[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    torch.save({"format": CHECKPOINT_FORMAT, **state}, partial)
    partial.replace(path)


def _differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> dict[str, tuple[Any, Any]]:
    """Old and new value of every key whose value differs, by its dotted path; titles and paths decide nothing."""
    result: dict[str, tuple[Any, Any]] = {}
    for key in new.keys() - {"data", "init_from", "title", "description", "loop"}:
        was, now = old.get(key), new[key]
        if isinstance(was, dict) and isinstance(now, dict):
            result |= _differences(was, now, f"{prefix}{key}.")
        elif was != now:
            result[f"{prefix}{key}"] = (was, now)
    return dict(sorted(result.items()))


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Reads a checkpoint file without running any code that it may hold.

    Raises:
        RunError: The file is missing, damaged or of another format.
    """
    if not path.is_file():
        raise RunError(f"No checkpoint at {path}; train first, or check the run's folder.")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise RunError(f"Checkpoint {path} cannot be read ({error}); it is damaged. Start again or restore a copy.") from error
    if state.get("format") != CHECKPOINT_FORMAT:
        raise RunError(
            f"Checkpoint {path} has format {state.get('format')}, not {CHECKPOINT_FORMAT}; use the version that wrote it."
        )
    return state
