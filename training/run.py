"""A run directory: resolved configuration, checkpoints, metrics and samples. It trains nothing."""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from training.config import TrainConfig, parse_config

CHECKPOINT_FORMAT = 1


class RunError(ValueError):
    """A run directory or checkpoint that cannot be used; the message says what to do."""


@dataclass(frozen=True)
class Run:
    """Paths of one run and the few ways to write to them.

    config.json  metrics.jsonl  checkpoints/last.ckpt  samples/000002000.png  tensorboard/  report.html
    """

    root: Path

    @property
    def checkpoint(self) -> Path:
        return self.root / "checkpoints" / "last.ckpt"

    @property
    def metrics(self) -> Path:
        return self.root / "metrics.jsonl"

    @property
    def samples(self) -> Path:
        return self.root / "samples"

    @classmethod
    def create(cls, root: Path, config: TrainConfig) -> Run:
        """Makes the folders and writes the resolved configuration."""
        run = cls(root)
        for folder in (run.checkpoint.parent, run.samples):
            folder.mkdir(parents=True, exist_ok=True)
        (root / "config.json").write_text(config.model_dump_json(indent=2) + "\n", encoding="utf-8")
        return run

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

    def save_checkpoint(self, state: dict[str, Any]) -> None:
        """Replaces the checkpoint in one move, so that a kill in the middle leaves the old one."""
        partial = self.checkpoint.with_suffix(".partial")
        torch.save({"format": CHECKPOINT_FORMAT, **state}, partial)
        partial.replace(self.checkpoint)

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
