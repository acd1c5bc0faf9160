"""Edge detection: photos to the lines that people would draw in them (HED; Xie and Tu, ICCV 2015)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import ClassVar, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer

from training.config import TrainConfig
from training.descent import Descent, Objective
from training.encoding import encode_picture
from training.families.protocol import Batch, DataForm, Exportable, ParameterSpec
from training.linework import MAX_LINE_WIDTH, draw_lines
from training.losses import boundary_loss, dice_loss
from training.networks.average import averaged_copy, update_average
from training.networks.build import adam
from training.networks.edgenet import EdgeNetwork, fold_batch_norms
from training.source import SourceSpec

DETAIL = ParameterSpec(
    name="detail",
    min=0.0,
    max=1.0,
    step=0.05,
    default=0.5,
    title={"en": "Detail", "ja": "細かさ"},
    help={"en": "More draws fainter borders too.", "ja": "大きいほど薄い輪郭も描きます。"},
)
LINE_WIDTH = ParameterSpec(
    name="line_width",
    min=1.0,
    max=float(MAX_LINE_WIDTH),
    step=0.5,
    default=3.0,
    title={"en": "Line width", "ja": "線の太さ"},
    help={"en": "Pixels.", "ja": "ピクセル単位。"},
)


class EdgeDetector:
    """One network with side outputs, learned from what several people drew, and its running average, which is what is served.

    Batches hold `source` (N, 3, H, W) in [-1, 1] and `target` (N, 1, H, W) in [-1, 1]: a drawing, white where nobody drew and
    black where all did.
    """

    data_form: ClassVar[DataForm] = "paired"
    sections: ClassVar[tuple[str, ...]] = ("edges",)

    def __init__(self, config: TrainConfig, source: SourceSpec, fabric: Fabric) -> None:
        if source.kind != "photo" or source.channels != 3 or source.others:
            raise ValueError(f"Family 'edges' draws RGB photos, but the data set's input is '{source.kind}'; prepare bsds500.")
        self._options, self._fabric = config.edges, fabric
        self._half_life = config.optimizer.ema_half_life_images
        network = EdgeNetwork(config.edges.channels, config.edges.blocks)
        _require_fitting_size(config, network.size_multiple_of)
        if config.loop.channels_last:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._average = averaged_copy(network, fabric.device).eval()
        self._detector, optimizer = fabric.setup(network, adam(network, config.optimizer))
        self._optimizers = {"detector": cast(Optimizer, optimizer)}
        self._descent = Descent(fabric, {"detector": self._detector}, self._optimizers, gradient_norm_max=10.0)

    @property
    def networks(self) -> nn.ModuleDict:
        return nn.ModuleDict({"detector": self._detector.module, "average": self._average})

    @property
    def optimizers(self) -> Mapping[str, Optimizer]:
        return self._optimizers

    def step(self, *batches: Batch) -> dict[str, float]:
        """One step on the losses of all side outputs and of their fusion."""
        losses = self._descent.update(["detector"], batches, self._objective)
        pictures = sum(len(batch["target"]) for batch in batches) * self._fabric.world_size
        update_average(self._average, self._detector.module, pictures, self._half_life)
        return {name: loss.item() for name, loss in losses.items()}

    @torch.no_grad()
    def preview(self, batch: Batch) -> Tensor:
        """Drawings with every faint border in it, uint8 (N, H, W, 1)."""
        with self._fabric.autocast():
            boundary = torch.sigmoid(self._average(batch["source"])[:, -1:].float())
        return torch.round(255 * (1 - boundary)).to(torch.uint8).permute(0, 2, 3, 1)

    def start_from(self, weights: Mapping[str, Tensor]) -> None:  # noqa: ARG002 - the protocol's
        raise ValueError(
            "An exported edge detector cannot be trained on: the statistics of its batch normalisation are folded into its "
            "convolutions. Start from the checkpoint of its run."
        )

    def exportables(self, *, averaged: bool = True) -> Mapping[str, Exportable]:
        network = copy.deepcopy(self._average if averaged else self._detector.module).requires_grad_(False).float().cpu()
        served = ServedEdges(fold_batch_norms(cast(EdgeNetwork, network.eval()))).eval()
        step = cast(int, network.size_multiple_of)
        exportable = Exportable(
            served,
            ("image",),
            latent=None,
            size_multiple_of=step,
            parameters=(DETAIL, LINE_WIDTH),
            line_width=LINE_WIDTH.name,
        )
        return {"": exportable}

    def _objective(self, batch: Batch) -> Objective:
        logits = self._detector(batch["source"])
        boundary = (1 - batch["target"]) / 2
        options = self._options
        entropy = boundary_loss(logits, boundary, agreement=options.agreement, negative_weight=options.negative_weight)
        losses = {"boundary": entropy}
        if not options.lambda_dice:
            return entropy, losses
        losses["dice"] = dice_loss(logits[:, -1:], boundary, agreement=options.agreement)
        return entropy + options.lambda_dice * losses["dice"], losses


class ServedEdges(nn.Module):
    """The served graph: a photo in bytes in, a finished drawing out; everything between is nodes of it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, detail: Tensor, line_width: Tensor) -> Tensor:
        """uint8 (N, H, W, 3), float32 (N, 1), float32 (N, 1) in pixels -> uint8 (N, H, W, 1), dark lines on white."""
        boundary = self.boundary(image)
        ink = draw_lines(boundary, detail.reshape(-1, 1, 1, 1), line_width.reshape(-1, 1, 1, 1))
        return torch.round(255 * (1 - ink)).to(torch.uint8).permute(0, 2, 3, 1)

    def boundary(self, image: Tensor) -> Tensor:
        """How sure the network is of a border, before any line is drawn: uint8 (N, H, W, 3) -> (N, 1, H, W) in [0, 1]."""
        logits: Tensor = self.network(encode_picture(image))
        return torch.sigmoid(logits[:, -1:])


def _require_fitting_size(config: TrainConfig, step: int) -> None:
    side = config.augment.crop_size or config.augment.image_size
    if side % step:
        raise ValueError(
            f"Config key 'augment.crop_size' or 'augment.image_size' is {side}; with {len(config.edges.channels)} "
            f"levels it must be a multiple of {step}."
        )
