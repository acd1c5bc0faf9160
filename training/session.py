"""Puts configuration, data, family and device together for one command. The only place where they meet."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from lightning_fabric import Fabric
from PIL import Image

from training.checkpoint import load_networks
from training.compilation import CompilationError, compile_networks
from training.config import ConfigError, TrainConfig
from training.families import FAMILIES
from training.families.protocol import Family, FamilyType
from training.loop import Outcome, train
from training.material import Material, open_material
from training.onnx_graph import ExportError, read_weights
from training.record import Witness
from training.run import Run, RunError, read_checkpoint
from training.source import SourceSpec
from training.validation import open_validation


@dataclass(frozen=True)
class Workshop:
    """A family on its device."""

    config: TrainConfig
    family: Family
    fabric: Fabric


@dataclass(frozen=True)
class Placement:
    """Where a run computes, in Lightning Fabric's words: kind of device, how many of them a node, how many nodes."""

    accelerator: str = "auto"
    devices: str = "1"
    nodes: int = 1


def build_workshop(config: TrainConfig, source: SourceSpec, placement: Placement) -> Workshop:
    """Starts the device strategy and builds the family on it, with weights from the configuration's seed.

    Raises:
        ConfigError: The family is unknown, does not fit the data, or a launcher started another number of processes.
    """
    family_type = _family_type(config)
    fabric = Fabric(
        accelerator=placement.accelerator,
        devices=placement.devices,
        num_nodes=placement.nodes,
        precision=config.loop.precision,
    )
    fabric.launch()
    _require_all_processes(fabric)
    torch.manual_seed(config.seed)
    try:
        family = family_type(config, source, fabric)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return Workshop(config=config, family=family, fabric=fabric)


def _family_type(config: TrainConfig) -> FamilyType:
    if config.family not in FAMILIES:
        raise ConfigError(f"Config key 'family' has value '{config.family}'; known families: {', '.join(FAMILIES)}.")
    family_type = FAMILIES[config.family]
    _require_no_idle_section(config, family_type)
    return family_type


def _require_no_idle_section(config: TrainConfig, family_type: FamilyType) -> None:
    """Refuses settings that the family would never read."""
    read = family_type.sections
    for section in sorted({name for family in FAMILIES.values() for name in family.sections} - set(read)):
        if getattr(config, section) != TrainConfig.model_fields[section].default:
            raise ConfigError(
                f"Config section '{section}' does nothing for family '{config.family}', which reads {', '.join(read)}; "
                "leave it out."
            )


def _require_all_processes(fabric: Fabric) -> None:
    """Refuses a launcher's group that the options do not name: each process would train alone into one folder."""
    started = int(os.environ.get("WORLD_SIZE", fabric.world_size))
    if started != fabric.world_size:
        raise ConfigError(
            f"The launcher started {started} processes, but the options name {fabric.world_size}; give --devices and "
            "--num-nodes whose product is the number of processes."
        )


def run_training(config: TrainConfig, run_root: Path, placement: Placement) -> Outcome:
    """Trains a configuration into a run directory, going on from its checkpoint when there is one.

    Raises:
        ConfigError: Configuration and data do not fit.
        RunError: A checkpoint cannot be used.
    """
    material = open_material(config.data, _family_type(config).data_form, config.family)
    if material.size != config.augment.image_size:
        raise ConfigError(
            f"Config key 'augment.image_size' is {config.augment.image_size}, but {config.data} was prepared at "
            f"{material.size} pixels; change one of them."
        )
    workshop = build_workshop(config, material.source, placement)
    fabric, family = workshop.fabric, workshop.family
    validate = open_validation(family, material.held_out, config.loop, fabric.device)
    witness = Witness(draw_samples=_sample_drawer(workshop, material), validate=validate)
    run = Run(run_root)
    if fabric.is_global_zero:
        run.begin(config)
    fabric.barrier()
    if config.init_from is not None and not run.checkpoint.is_file():
        _start_from(family, config.init_from)
    _compile(workshop)
    return train(
        family,
        material.batches(config, fabric),
        config,
        run,
        witness,
        world_size=fabric.world_size,
        rank=fabric.global_rank,
        any_rank=_any_rank(fabric),
    )


def _compile(workshop: Workshop) -> None:
    """
    Raises:
        ConfigError: It is demanded and cannot be.
    """
    try:
        compile_networks(workshop.family.networks, workshop.config.loop.compile, workshop.fabric.device)
    except CompilationError as error:
        raise ConfigError(str(error)) from error


def _start_from(family: Family, origin: Path) -> None:
    """Weights of a checkpoint, or of an exported model: `model.onnx` or the folder that holds it.

    Raises:
        RunError: There are none, or they do not fit the configuration.
    """
    graph = origin / "model.onnx" if origin.is_dir() else origin
    if graph.suffix != ".onnx":
        load_networks(family, read_checkpoint(origin), str(origin))
        return
    try:
        family.start_from(read_weights(graph))
    except (ExportError, ValueError) as error:
        raise RunError(f"Config key 'init_from' is '{origin}': {error}") from error


def _any_rank(fabric: Fabric) -> Callable[[bool], bool]:
    """Whether any process says yes; all of them must ask. Ctrl-C may reach them at different steps."""
    if fabric.world_size == 1:
        return bool

    def ask(answer: bool) -> bool:
        votes = fabric.all_reduce(torch.tensor(float(answer), device=fabric.device), reduce_op="sum")
        return float(cast(torch.Tensor, votes)) > 0

    return ask


def _sample_drawer(workshop: Workshop, material: Material) -> Callable[[], Image.Image] | None:
    preview = getattr(workshop.family, "preview", None)
    if preview is None:
        return None

    def draw() -> Image.Image:
        torch.manual_seed(0)
        return material.sheet(preview, workshop.config, workshop.fabric.device)

    return draw
