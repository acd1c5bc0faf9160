"""The edge detector: network, losses, family, and its served graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor

from training.config import TrainConfig, parse_config
from training.families.edges import EdgeDetector
from training.losses import boundary_loss, dice_loss
from training.networks.edgenet import EdgeNetwork, fold_batch_norms
from training.onnx_graph import rounded_to_half, write_graph
from training.source import SourceSpec

PHOTO = SourceSpec("photo", 3)


def _config(**edges: object) -> TrainConfig:
    return parse_config(
        {
            "name": "edges",
            "family": "edges",
            "data": "data",
            "edges": {"channels": (8, 16, 16), "blocks": (0, 1, 1), **edges},
            "optimizer": {"learning_rate": 5e-3, "beta1": 0.9, "batch_size": 2, "total_images": 100},
            "augment": {"image_size": 32},
        }
    )


def _family(config: TrainConfig | None = None, source: SourceSpec = PHOTO) -> EdgeDetector:
    torch.manual_seed(0)
    return EdgeDetector(config or _config(), source, Fabric(accelerator="cpu"))


def _batch(seed: int = 0) -> dict[str, Tensor]:
    """Squares on a ground of another colour; the drawing is their outline."""
    generator = torch.Generator().manual_seed(seed)
    source, target = torch.full((2, 3, 32, 32), -0.5), torch.ones(2, 1, 32, 32)
    for k in range(2):
        top, left = torch.randint(3, 12, (2,), generator=generator).tolist()
        source[k, :, top : top + 14, left : left + 14] = 0.6
        target[k, :, top : top + 14, left : left + 14] = -1
        target[k, :, top + 1 : top + 13, left + 1 : left + 13] = 1
    return {"source": source, "target": target}


def test_network_gives_every_side_and_their_fusion() -> None:
    network = EdgeNetwork((8, 16, 16), (0, 1, 1))
    assert network.size_multiple_of == 4
    assert network(torch.zeros(2, 3, 16, 24)).shape == (2, 4, 16, 24)


def test_fusion_starts_as_the_mean_of_the_sides() -> None:
    network = EdgeNetwork((8, 16, 16), (0, 1, 1)).eval()
    with torch.no_grad():
        logits = network(torch.rand(1, 3, 16, 16))
    torch.testing.assert_close(logits[:, -1], logits[:, :-1].mean(dim=1))


def test_network_of_unequal_lists_is_refused() -> None:
    with pytest.raises(ValueError, match=r"one number a level each"):
        EdgeNetwork((8, 16), (0,))


def test_folded_network_computes_the_same() -> None:
    torch.manual_seed(0)
    network = EdgeNetwork((8, 16, 16), (1, 1, 1))
    for _ in range(3):
        network(torch.randn(4, 3, 16, 16))  # statistics that are not those of the beginning
    network.eval()
    folded = fold_batch_norms(network)
    image = torch.randn(1, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(folded(image), network(image), rtol=1e-4, atol=1e-5)  # float32, a dozen layers
    assert sum(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules()) < sum(
        isinstance(m, torch.nn.BatchNorm2d) for m in network.modules()
    )


def test_boundary_loss_weighs_rare_lines_like_the_empty_rest() -> None:
    boundary = torch.zeros(1, 1, 10, 10)
    boundary[..., 5, :] = 1
    agree = torch.where(boundary > 0, 5.0, -5.0)
    no_lines, all_lines = torch.full_like(agree, -5.0), torch.full_like(agree, 5.0)
    loss = {name: float(boundary_loss(x, boundary, agreement=0.3, negative_weight=1.0))
            for name, x in (("right", agree), ("none", no_lines), ("all", all_lines))}  # fmt: skip
    assert loss["right"] < 0.01
    assert loss["none"] == pytest.approx(loss["all"], rel=0.01)


def test_what_few_people_drew_counts_neither_way() -> None:
    boundary = torch.zeros(1, 1, 8, 8)
    boundary[..., 2, :], boundary[..., 5, :] = 1.0, 0.2
    logits = torch.where(boundary >= 0.3, 4.0, -4.0)
    contrary = logits.clone()
    contrary[..., 5, :] = 4.0
    options = {"agreement": 0.3, "negative_weight": 1.1}
    assert boundary_loss(logits, boundary, **options) == boundary_loss(contrary, boundary, **options)
    contrary[..., 4, :] = 4.0
    assert boundary_loss(contrary, boundary, **options) > boundary_loss(logits, boundary, **options)


def test_loss_of_a_picture_without_lines_is_a_number() -> None:
    loss = boundary_loss(torch.zeros(1, 2, 4, 4), torch.zeros(1, 1, 4, 4), agreement=0.3, negative_weight=1.1)
    assert torch.isfinite(loss)


def test_dice_loss_prefers_thin_lines() -> None:
    boundary = torch.zeros(1, 1, 20, 20)
    boundary[..., 10, :] = 1
    thin, thick = boundary.clone(), boundary.clone()
    thick[..., 8:13, :] = 1
    losses = [float(dice_loss(20 * lines - 10, boundary, agreement=0.3)) for lines in (thin, thick)]
    assert losses[0] < 0.05
    assert losses[1] > 0.5


def test_family_overfits_one_batch() -> None:
    family, batch = _family(), _batch()
    first = family.step(batch)["boundary"]
    for _ in range(100):
        last = family.step(batch)["boundary"]
    assert last < first / 3


def test_dice_is_told_apart() -> None:
    assert set(_family(_config(lambda_dice=1.0)).step(_batch())) == {"boundary", "dice"}


def test_average_follows_statistics_too() -> None:
    family = _family()
    for _ in range(3):
        family.step(_batch())
    networks = family.networks
    own, average = (dict(networks[name].named_buffers()) for name in ("detector", "average"))
    moved = [name for name in own if name.endswith("running_mean") and own[name].abs().max() > 0]
    assert moved
    for name in moved:
        assert average[name].abs().max() > 0


@pytest.mark.parametrize("source", [SourceSpec("gray"), SourceSpec("photo", 5), SourceSpec("line")])
def test_other_inputs_are_refused(source: SourceSpec) -> None:
    with pytest.raises(ValueError, match="edges"):
        _family(source=source)


def test_size_that_does_not_halve_is_refused() -> None:
    config = _config().model_copy(update={"augment": _config().augment.model_copy(update={"image_size": 30})})
    with pytest.raises(ValueError, match="multiple of 4"):
        _family(config)


def test_exported_detector_says_that_it_cannot_be_trained_on() -> None:
    with pytest.raises(ValueError, match="checkpoint"):
        _family().start_from({})


def test_served_graph_draws_other_sizes_and_obeys_its_parameters(tmp_path: Path) -> None:
    family, batch = _family(), _batch()
    for _ in range(60):
        family.step(batch)
    exportable = family.exportables()[""]
    assert exportable.size_multiple_of == 4
    photo = (batch["source"][:1].permute(0, 2, 3, 1) * 127.5 + 127.5).to(torch.uint8).repeat(2, 1, 1, 1)
    numbers = [torch.full((2, 1), value) for value in (0.5, 2.0)]
    module = rounded_to_half(exportable.module)
    write_graph(type(exportable)(**{**vars(exportable), "module": module}), [photo, *numbers], tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])

    def drawn(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], detail: float, width: float) -> int:
        feeds = {"image": pixels, "detail": np.array([[detail]], np.float32), "line_width": np.array([[width]], np.float32)}
        drawing = session.run(None, feeds)[0]
        assert drawing.dtype == np.uint8
        assert drawing.shape == (*pixels.shape[:3], 1)
        return int((drawing < 128).sum())

    one = photo[:1].numpy()
    assert 20 < drawn(one, 0.5, 1.0) < drawn(one, 0.5, 4.0)
    assert drawn(one, 0.0, 1.0) <= drawn(one, 1.0, 1.0)
    drawn(np.tile(one, (1, 2, 3, 1)), 0.5, 2.0)
