"""The CycleGAN family: it learns, its parts do what the paper says, and both directions are exported."""

from collections.abc import Iterable, Mapping
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor

from tests.training.conftest import TINY, BuildConfig
from training.batches import UnpairedBatches
from training.config import TrainConfig
from training.families.cyclegan import CycleGAN
from training.families.protocol import Batch
from training.loop import train
from training.run import Run
from training.source import SourceSpec

PHOTO = SourceSpec("photo", 3)
LOSSES = {
    "adversarial_ab",
    "adversarial_ba",
    "cycle_a",
    "cycle_b",
    "identity_a",
    "identity_b",
    "discriminator_a",
    "discriminator_b",
}


@pytest.fixture
def config(tiny_config: BuildConfig) -> BuildConfig:
    """A small CycleGAN; sections given as keywords are merged in."""

    def build(**sections: Any) -> TrainConfig:
        values: dict[str, Any] = {
            "family": "cyclegan",
            "generator": None,
            "resnet": {
                "base_channels": 8,
                "max_channels": 32,
                "downsamplings": 2,
                "residual_blocks": 2,
                "upsampling": "resize",
            },
        }
        for name, section in sections.items():
            values[name] = {**values.get(name, {}), **section} if isinstance(section, dict) else section
        return tiny_config(**values)

    return build


def _batch(count: int = 2) -> Batch:
    """Warm discs on dark ground, and cold squares on light ground."""
    axis = torch.arange(TINY)
    disc = ((axis[:, None] - 14).square() + (axis[None] - 16).square() < 90).float()
    square = ((axis[:, None] - 17).abs().maximum((axis[None] - 15).abs()) < 9).float()
    a = _painted(disc, (0.9, 0.3, -0.6), -0.8)
    b = _painted(square, (-0.7, 0.1, 0.9), 0.6)
    shifts = [torch.roll(torch.stack([a, b]), 3 * k, dims=-1) for k in range(count)]
    return {"a": torch.stack([pair[0] for pair in shifts]), "b": torch.stack([pair[1] for pair in shifts])}


def _painted(mask: Tensor, color: tuple[float, float, float], ground: float) -> Tensor:
    return mask * torch.tensor(color).reshape(3, 1, 1) + (1 - mask) * ground


def _weights(family: CycleGAN) -> Mapping[str, Tensor]:
    return {name: value.clone() for name, value in family.networks.state_dict().items()}


@pytest.mark.parametrize("input_skip", [False, True])
def test_family_overfits_one_batch(input_skip: bool, config: BuildConfig, fabric: Fabric) -> None:
    torch.manual_seed(0)
    family, batch = CycleGAN(config(resnet={"input_skip": input_skip}), PHOTO, fabric), _batch()
    first = family.step(batch)
    for _ in range(90):
        last = family.step(batch)
    for name in ("cycle_a", "cycle_b", "identity_a", "identity_b"):
        assert last[name] < first[name] / (2 if input_skip else 4), name  # with the skip it starts near the picture itself


def test_translation_takes_on_the_other_domains_colors(config: BuildConfig, fabric: Fabric) -> None:
    """What the discriminators are for: cycle and identity alone would leave every picture as it is."""
    torch.manual_seed(0)
    options = {"discriminator_augment": [], "lambda_identity": 0.0, "lambda_cycle": 1.0}
    family, batch = CycleGAN(config(cyclegan=options, resnet={"input_skip": True}), PHOTO, fabric), _batch()
    for _ in range(90):
        family.step(batch)
    made = family.preview(batch)
    fake_b, real_a, real_b = made["fake_b"].float() / 127.5 - 1, batch["a"], batch["b"]
    mean = {name: value.mean() for name, value in {"fake": fake_b, "a": real_a, "b": real_b}.items()}
    assert abs(mean["fake"] - mean["b"]) < 0.5 * abs(mean["a"] - mean["b"])


def test_same_seed_gives_the_same_weights(config: BuildConfig, fabric: Fabric) -> None:
    def trained(seed: int) -> Mapping[str, Tensor]:
        torch.manual_seed(seed)
        family = CycleGAN(config(), PHOTO, fabric)
        family.step(_batch())
        return _weights(family)

    first, again, other = trained(3), trained(3), trained(4)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["generator_ab.last.1.weight"], other["generator_ab.last.1.weight"])


def test_resumed_run_equals_an_unbroken_one(config: BuildConfig, fabric: Fabric, tmp_path: Path) -> None:
    """Pools included: they are full after two of the eight steps, and the run is broken after five."""
    settings = config(cyclegan={"pool_capacity": 3, "discriminator_augment": ["color", "translation", "cutout"]})
    images = np.random.default_rng(0).integers(0, 256, (2, 5, TINY, TINY, 3), dtype=np.uint8)

    def run(root: Path, answers: Iterable[bool]) -> Run:
        torch.manual_seed(settings.seed)
        family, stops = CycleGAN(settings, PHOTO, fabric), iter(answers)
        batches = UnpairedBatches(*images, settings, device=torch.device("cpu"))
        train(family, batches, settings, made := Run.create(root, settings), any_rank=lambda _: next(stops))
        return made

    whole = run(tmp_path / "whole", repeat(False)).load_checkpoint()
    run(tmp_path / "broken", [False] * 10 + [True])  # asked twice a step
    resumed = run(tmp_path / "broken", repeat(False)).load_checkpoint()
    assert whole["images"] == resumed["images"] == 16
    assert whole["networks"].keys() == resumed["networks"].keys()
    assert all(torch.equal(value, resumed["networks"][name]) for name, value in whole["networks"].items())
    assert whole["networks"]["pool_a.kept"].shape == (3, 3, TINY, TINY)


def test_step_returns_unweighted_losses_of_both_ways(config: BuildConfig, fabric: Fabric) -> None:
    losses = CycleGAN(config(), PHOTO, fabric).step(_batch())
    assert set(losses) == LOSSES
    assert all(0 < value < 3 for value in losses.values())


def test_without_identity_loss_nothing_is_spent_on_it(config: BuildConfig, fabric: Fabric) -> None:
    family = CycleGAN(config(cyclegan={"lambda_identity": 0.0}), PHOTO, fabric)
    sizes: list[int] = []
    for way in ("ba", "ab"):
        family.networks[f"generator_{way}"].register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    losses = family.step(_batch())
    assert set(losses) == {name for name in LOSSES if not name.startswith("identity")}
    assert sizes == [2, 4, 2]  # there; there and back again for the other direction side by side; back again


def test_discriminator_b_judges_what_generator_ab_makes(config: BuildConfig, fabric: Fabric) -> None:
    torch.manual_seed(0)
    family, batch = CycleGAN(config(cyclegan={"discriminator_augment": []}), PHOTO, fabric), _batch()
    seen: list[Tensor] = []
    family.networks["discriminator_b"].register_forward_pre_hook(lambda _, given: seen.append(given[0].detach().clone()))
    fake_b = family.networks["generator_ab"](batch["a"]).detach()
    family.step(batch)
    fooling, judged = seen
    real, fake = judged.chunk(2)
    torch.testing.assert_close(fooling, fake_b)
    assert torch.equal(real, batch["b"])
    torch.testing.assert_close(fake, fake_b)  # the pool is not full yet


def test_generators_learn_nothing_from_what_discriminators_update_on(config: BuildConfig, fabric: Fabric) -> None:
    family, batch = CycleGAN(config(), PHOTO, fabric), _batch()
    before = _weights(family)
    judging = partial(family._judging_objective, "a")
    family._descent.update(["discriminator_a"], [(batch["a"], batch["b"])], judging)
    changed = {name.partition(".")[0] for name, value in _weights(family).items() if not _equal(before.get(name), value)}
    assert changed == {"discriminator_a", "pool_a"}


def test_generator_step_leaves_the_discriminators_alone(config: BuildConfig, fabric: Fabric) -> None:
    family, batch = CycleGAN(config(), PHOTO, fabric), _batch()
    before = _weights(family)
    cycle = family._cycle(batch["a"], batch["b"])
    family._descent.update(["generator_ab", "generator_ba"], [cycle], family._translating_objective)
    changed = {name.partition(".")[0] for name, value in _weights(family).items() if not _equal(before[name], value)}
    assert changed == {"generator_ab", "generator_ba"}


def test_pools_fill_with_fakes_of_their_domain(config: BuildConfig, fabric: Fabric) -> None:
    family = CycleGAN(config(cyclegan={"pool_capacity": 3}), PHOTO, fabric)
    for _ in range(4):
        family.step(_batch())
    assert [len(family.networks[f"pool_{domain}"].kept) for domain in "ab"] == [3, 3]  # type: ignore[arg-type]


def test_long_gradients_are_shortened_and_lost_ones_skipped(config: BuildConfig, fabric: Fabric) -> None:
    family, batch = CycleGAN(config(cyclegan={"gradient_norm_max": 1e-3}), PHOTO, fabric), _batch()
    family.step(batch)
    gradients = [parameter.grad for parameter in family.networks["discriminator_a"].parameters()]
    norm = torch.stack([gradient.norm() for gradient in gradients if gradient is not None]).norm()
    assert norm <= 1.01e-3
    before = _weights(family)
    weight = next(family.networks["generator_ab"].parameters())
    family._descent.update(["generator_ab"], [float("inf")], lambda factor: (weight.sum() * factor, {}))
    assert all(torch.equal(before[name], value) for name, value in _weights(family).items())


def test_averages_follow_and_are_what_is_exported(config: BuildConfig, fabric: Fabric) -> None:
    torch.manual_seed(0)
    family = CycleGAN(config(), PHOTO, fabric)
    for _ in range(3):
        family.step(_batch())
    exportables = family.exportables()
    assert list(exportables) == ["ab", "ba"]
    for way, exportable in exportables.items():
        average = family.networks[f"average_{way}"].state_dict()
        assert not torch.equal(average["last.1.weight"], family.networks[f"generator_{way}"].state_dict()["last.1.weight"])
        assert torch.equal(exportable.module.state_dict()["generator.last.1.weight"], average["last.1.weight"])


def test_exportable_maps_bytes_to_bytes_at_every_size_that_halves(config: BuildConfig, fabric: Fabric) -> None:
    exportable = CycleGAN(config(), PHOTO, fabric).exportables()["ba"]
    assert (exportable.image_names, exportable.latent, exportable.size_multiple_of) == (("image",), None, 4)
    picture = exportable.module(torch.randint(256, (2, 20, 36, 3), dtype=torch.uint8))
    assert (picture.shape, picture.dtype) == ((2, 20, 36, 3), torch.uint8)


def test_preview_shows_both_ways_and_the_way_back(config: BuildConfig, fabric: Fabric) -> None:
    made = CycleGAN(config(), PHOTO, fabric).preview(_batch(3))
    assert list(made) == ["fake_b", "reconstructed_a", "fake_a"]
    assert {tuple(picture.shape) for picture in made.values()} == {(3, TINY, TINY, 3)}


def test_discriminators_judge_a_window_where_one_is_set(config: BuildConfig, fabric: Fabric) -> None:
    family = CycleGAN(config(discriminator={"window": 16}), PHOTO, fabric)
    sizes: list[int] = []
    family.networks["discriminator_a"].register_forward_pre_hook(lambda _, given: sizes.append(given[0].shape[-1]))
    family.step(_batch())
    assert sizes == [16, 16]  # a fake that is to fool; a real one and a fake side by side


@pytest.mark.parametrize("key", ["image_size", "crop_size"])
def test_pictures_that_cannot_be_halved_are_refused(key: str, config: BuildConfig, fabric: Fabric) -> None:
    with pytest.raises(ValueError, match=rf"'augment\.{key}' is 30; with resnet\.downsamplings = 2 it must be a multiple of 4"):
        CycleGAN(config(augment={key: 30}), PHOTO, fabric)


def test_other_pictures_than_photos_are_refused(config: BuildConfig, fabric: Fabric) -> None:
    with pytest.raises(ValueError, match="translates photos, but the data set's pictures are 'line'"):
        CycleGAN(config(), SourceSpec("line"), fabric)


def test_augmentation_of_pairs_is_refused(config: BuildConfig, fabric: Fabric) -> None:
    with pytest.raises(ValueError, match=r"give 'cyclegan\.discriminator_augment'"):
        CycleGAN(config(discriminator={"augment": ["cutout"]}), PHOTO, fabric)


def test_exported_model_of_one_way_is_refused_as_a_start(config: BuildConfig, fabric: Fabric) -> None:
    family = CycleGAN(config(), PHOTO, fabric)
    with pytest.raises(ValueError, match="translates one way only; give the checkpoint of a run"):
        family.start_from(family.exportables()["ab"].module.state_dict())


def _equal(first: Tensor | None, second: Tensor) -> bool:
    return first is not None and first.shape == second.shape and torch.equal(first, second)
