"""The pix2pix family: it learns, its parts do what the paper says, and what is exported is what was trained."""

import pytest
import torch
from lightning_fabric import Fabric

from tests.training.conftest import TINY, BuildConfig, tiny_pairs
from training.batches import held_out_batch
from training.encoding import decode_picture, encode_hints, encode_picture
from training.families.pix2pix import Pix2Pix, _Take, with_spread
from training.families.protocol import Batch
from training.networks.patchgan import random_window
from training.source import SourceSpec

LINE = SourceSpec("line")
LABELS = SourceSpec("labels", 1, 3)


def _batch(source: SourceSpec, *, has_hints: bool = False) -> Batch:
    pairs = tiny_pairs(4, source.kind)
    return held_out_batch(*pairs, source, torch.device("cpu"), has_hints=has_hints)


def _take(condition: torch.Tensor, target: torch.Tensor, fake: torch.Tensor) -> _Take:
    """What a step has of a batch, its pictures judged as wholes."""
    return _Take(condition, target, condition, torch.zeros(0), fake, random_window((TINY, TINY), 0))


@pytest.mark.parametrize("source", [LINE, LABELS], ids=lambda source: source.kind)
@pytest.mark.parametrize("adversarial", ["vanilla", "lsgan"])
def test_family_overfits_one_batch(source: SourceSpec, adversarial: str, tiny_config: BuildConfig, fabric: Fabric) -> None:
    torch.manual_seed(0)
    family = Pix2Pix(tiny_config(loss={"adversarial": adversarial}), source, fabric)
    batch = _batch(source)
    first = family.step(batch)["l1"]
    for _ in range(80):
        last = family.step(batch)["l1"]
    assert last < first / 4


def test_same_seed_gives_the_same_weights(tiny_config: BuildConfig, fabric: Fabric) -> None:
    assert torch.equal(_trained(tiny_config, fabric, 3), _trained(tiny_config, fabric, 3))
    assert not torch.equal(_trained(tiny_config, fabric, 3), _trained(tiny_config, fabric, 4))


def test_step_returns_the_four_unweighted_losses(tiny_config: BuildConfig, fabric: Fabric) -> None:
    losses = Pix2Pix(tiny_config(), LINE, fabric).step(_batch(LINE))
    assert set(losses) == {"discriminator_real", "discriminator_fake", "adversarial", "l1"}
    assert 0 < losses["l1"] < 2


def test_discriminator_loss_is_halved(tiny_config: BuildConfig, fabric: Fabric) -> None:
    """The gradient that reaches the discriminator is that of half the sum of its two losses."""
    torch.manual_seed(0)
    family = Pix2Pix(tiny_config(), LINE, fabric)
    batch = _batch(LINE)
    fake = torch.zeros_like(batch["target"])
    discriminator = family.networks["discriminator"]
    real_logits = discriminator(torch.cat([batch["source"], batch["target"]], 1))
    fake_logits = discriminator(torch.cat([batch["source"], fake], 1))
    full = torch.nn.functional.softplus(-real_logits).mean() + torch.nn.functional.softplus(fake_logits).mean()
    expected = torch.autograd.grad(full, next(discriminator.parameters()))[0] / 2
    family._descent.update(["discriminator"], [_take(batch["source"], batch["target"], fake)], family._judging_objective)
    gradient = next(discriminator.parameters()).grad
    assert gradient is not None
    assert torch.allclose(gradient, expected, rtol=1e-4, atol=1e-7)  # float32


def test_generator_step_leaves_the_discriminator_alone(tiny_config: BuildConfig, fabric: Fabric) -> None:
    family = Pix2Pix(tiny_config(), LINE, fabric)
    batch = _batch(LINE)
    before = [parameter.clone() for parameter in family.networks["discriminator"].parameters()]
    noise = torch.ones(4, int(family.networks["average"].noise_size))  # type: ignore[arg-type]
    fake = family.networks["generator"](batch["source"], noise)
    family._descent.update(["generator"], [_take(batch["source"], batch["target"], fake)], family._painting_objective)
    assert all(map(torch.equal, before, family.networks["discriminator"].parameters()))


def test_average_follows_the_generator_and_is_what_is_exported(tiny_config: BuildConfig, fabric: Fabric) -> None:
    torch.manual_seed(0)
    family = Pix2Pix(tiny_config(), LINE, fabric)
    for _ in range(3):
        family.step(_batch(LINE))
    average, generator = family.networks["average"], family.networks["generator"]
    pairs = list(zip(average.parameters(), generator.parameters(), strict=True))
    assert any(not torch.equal(a, g) for a, g in pairs)
    exported = family.exportable().module.state_dict()
    assert torch.equal(exported["generator.last.convolution.1.weight"], average.state_dict()["last.convolution.1.weight"])


def test_exportable_maps_bytes_to_bytes_and_hints_change_them(tiny_config: BuildConfig, fabric: Fabric) -> None:
    torch.manual_seed(0)
    family = Pix2Pix(tiny_config(hints={"enabled": True}), LINE, fabric)
    exportable = family.exportable()
    assert exportable.image_names == ("image", "hints")
    assert exportable.latent is not None
    image = torch.from_numpy(tiny_pairs(2)[0])
    hints = torch.zeros(2, 32, 32, 4, dtype=torch.uint8)
    latent = torch.ones(2, *exportable.latent.shape)
    plain = exportable.module(image, hints, latent)
    hints[:, 8:16, 8:16] = torch.tensor([255, 0, 0, 255], dtype=torch.uint8)
    assert plain.shape == (2, 32, 32, 3)
    assert plain.dtype == torch.uint8
    assert not torch.equal(plain, exportable.module(image, hints, latent))


def test_colour_under_transparent_hints_is_ignored(tiny_config: BuildConfig, fabric: Fabric) -> None:
    exportable = Pix2Pix(tiny_config(hints={"enabled": True}), LINE, fabric).exportable()
    assert exportable.latent is not None
    image = torch.from_numpy(tiny_pairs(1)[0])
    latent = torch.ones(1, *exportable.latent.shape)
    black, white = (torch.full((1, 32, 32, 4), value, dtype=torch.uint8) for value in (0, 255))
    white[..., 3] = 0
    assert torch.equal(exportable.module(image, black, latent), exportable.module(image, white, latent))


def test_crops_that_do_not_fit_the_network_are_refused(tiny_config: BuildConfig, fabric: Fabric) -> None:
    with pytest.raises(ValueError, match=r"'augment\.crop_size' is 24; with 4 levels it must be a multiple of 16"):
        Pix2Pix(tiny_config(augment={"crop_size": 24}), LINE, fabric)
    with pytest.raises(ValueError, match=r"needs generator\.noise = 'channel'"):
        Pix2Pix(tiny_config(augment={"crop_size": 16}, generator={"noise": "element"}), LINE, fabric)


def _trained(tiny_config: BuildConfig, fabric: Fabric, seed: int) -> torch.Tensor:
    torch.manual_seed(seed)
    family = Pix2Pix(tiny_config(), LINE, fabric)
    family.step(_batch(LINE))
    return torch.cat([parameter.flatten() for parameter in family.networks["generator"].parameters()])


def test_family_learns_with_a_judged_window(tiny_config: BuildConfig, fabric: Fabric) -> None:
    torch.manual_seed(0)
    family = Pix2Pix(tiny_config(discriminator={"window": 16}), LINE, fabric)
    seen: list[int] = []
    family.networks["discriminator"].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[-1]))
    batch = _batch(LINE)
    first = family.step(batch)["l1"]
    for _ in range(80):
        last = family.step(batch)["l1"]
    assert set(seen) == {16}
    assert last < first / 4


def test_weights_of_an_exported_module_start_generator_and_average(tiny_config: BuildConfig, fabric: Fabric) -> None:
    torch.manual_seed(0)
    first, second = (Pix2Pix(tiny_config(), LINE, fabric) for _ in range(2))
    weights = first.exportable().module.state_dict()
    second.start_from({name: weight for name, weight in weights.items() if not name.endswith("images_seen")})
    for name in ("generator", "average"):
        pairs = zip(second.networks[name].parameters(), first.networks["average"].parameters(), strict=True)
        assert all(torch.equal(own, given) for own, given in pairs)


def test_weights_of_a_generator_with_other_inputs_and_another_last_layer_are_taken_but_for_those(
    tiny_config: BuildConfig, fabric: Fabric
) -> None:
    torch.manual_seed(0)
    weights = Pix2Pix(tiny_config(), LINE, fabric).exportable().module.state_dict()
    weights = {name: weight for name, weight in weights.items() if not name.endswith("images_seen")}
    wider = Pix2Pix(tiny_config(hints={"enabled": True}, generator={"finish_channels": 4}), LINE, fabric)
    fresh = {name: weight.clone() for name, weight in wider.networks["average"].state_dict().items()}
    wider.start_from(weights)
    for name, weight in wider.networks["average"].state_dict().items():
        if name.startswith("last."):
            assert torch.equal(weight, fresh[name])
        elif name == "encoder.0.convolution.weight":
            assert torch.equal(weight[:, :1], weights[f"generator.{name}"])
            assert not weight[:, 1:].any(), "hints are not seen at first"
        elif name != "images_seen":
            assert torch.equal(weight, weights[f"generator.{name}"])
    narrower = Pix2Pix(tiny_config(), LINE, fabric)
    narrower.start_from({f"generator.{name}": weight for name, weight in fresh.items() if name != "images_seen"})
    assert torch.equal(
        narrower.networks["generator"].encoder[0].convolution.weight, fresh["encoder.0.convolution.weight"][:, :1]
    )


def test_weights_of_another_generator_are_refused(tiny_config: BuildConfig, fabric: Fabric) -> None:
    family = Pix2Pix(tiny_config(), LINE, fabric)
    with pytest.raises(ValueError, match="not those of this generator"):
        family.start_from({"generator.last.skip.weight": torch.zeros(3, 3)})
    for channels in (1, 2):
        with pytest.raises(ValueError, match="not those of this generator"):
            family.start_from({"generator.encoder.0.convolution.weight": torch.zeros(9, channels, 4, 4)})


def test_discriminator_sees_condition_and_picture_moved_as_one(tiny_config: BuildConfig, fabric: Fabric) -> None:
    """A mark at one place of both halves of a pair is at one place of both halves of what is judged, for real and fake."""
    family = Pix2Pix(tiny_config(discriminator={"augment": ["translation", "cutout"]}), LINE, fabric)
    seen: list[torch.Tensor] = []
    family.networks["discriminator"].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    mark = -torch.ones(4, 1, TINY, TINY)
    mark[:, :, 12:20, 9:14] = 1
    for seed in range(4):
        torch.manual_seed(seed)
        picture = mark.expand(-1, 3, -1, -1)
        family._judging_objective(_take(mark, picture, picture))
    assert [len(judged) for judged in seen] == [8] * 4, "real and fake side by side"
    for judged in seen:
        assert (judged == judged[:, :1]).all()
        assert (judged[:, :1] != torch.cat([mark, mark])).flatten(1).any(dim=1).all()


def test_gradients_reach_the_generator_through_the_augmentation(tiny_config: BuildConfig, fabric: Fabric) -> None:
    torch.manual_seed(0)
    options = {"discriminator": {"augment": ["color", "translation", "cutout"]}, "loss": {"lambda_l1": 0.0}}
    family = Pix2Pix(tiny_config(**options), LINE, fabric)
    family.step(_batch(LINE))
    gradient = next(family.networks["generator"].parameters()).grad
    assert gradient is not None
    assert gradient.abs().sum() > 0


def test_without_augmentation_nothing_is_drawn_or_changed(tiny_config: BuildConfig, fabric: Fabric) -> None:
    family = Pix2Pix(tiny_config(), LINE, fabric)
    batch = _batch(LINE)
    state = torch.get_rng_state()
    judged = family._judge(batch["source"], batch["target"])
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(judged, family.networks["discriminator"](torch.cat([batch["source"], batch["target"]], 1)))


def test_family_learns_with_augmentation(tiny_config: BuildConfig, fabric: Fabric) -> None:
    torch.manual_seed(0)
    family = Pix2Pix(tiny_config(discriminator={"augment": ["color", "translation", "cutout"]}), LABELS, fabric)
    batch = _batch(LABELS)
    first = family.step(batch)["l1"]
    for _ in range(80):
        last = family.step(batch)["l1"]
    assert last < first / 4


def test_every_input_decides_the_picture(tiny_config: BuildConfig, fabric: Fabric) -> None:
    spec = SourceSpec("labels", 1, 3, "geology", (SourceSpec("gray", name="relief"), SourceSpec("photo", 5, name="bands")))
    torch.manual_seed(0)
    exportable = Pix2Pix(tiny_config(hints={"enabled": True}), spec, fabric).exportable()
    assert exportable.image_names == ("geology", "relief", "bands", "hints")
    assert exportable.latent is not None
    rest = [torch.zeros(2, TINY, TINY, 4, dtype=torch.uint8), torch.ones(2, *exportable.latent.shape)]
    images = [torch.ones(2, TINY, TINY, channels, dtype=torch.uint8) for channels in (1, 1, 5)]
    made = exportable.module(*images, *rest)
    for k in range(3):
        changed = [image.clone() for image in images]
        changed[k][:, 8:20, 8:20] = 2 if k == 0 else 250
        assert not torch.equal(exportable.module(*changed, *rest), made)


def test_family_learns_from_several_inputs_what_one_does_not_tell(tiny_config: BuildConfig, fabric: Fabric) -> None:
    """The colour depends on the second input alone."""
    labels, target = tiny_pairs(4, "labels")
    relief = target.mean(axis=3, keepdims=True).astype("uint8")
    spec = SourceSpec("labels", 1, 3, "geology", (SourceSpec("gray", name="relief"),))
    batch = held_out_batch(labels, target, spec, torch.device("cpu"), has_hints=False, others_u8=[relief])
    torch.manual_seed(0)
    family = Pix2Pix(tiny_config(), spec, fabric)
    first = family.step(batch)["l1"]
    for _ in range(80):
        last = family.step(batch)["l1"]
    assert last < first / 4


def test_generator_alone_sees_the_spread(tiny_config: BuildConfig, fabric: Fabric) -> None:
    """The discriminator judges by what people gave."""
    channels = {}
    for spread in (False, True):
        family = Pix2Pix(tiny_config(hints={"enabled": True, "spread": spread}), LINE, fabric)
        assert set(family.step(_batch(LINE, has_hints=True))) >= {"l1", "hints"}
        channels[spread] = [next(family.networks[name].parameters()).shape[1] for name in ("generator", "discriminator")]
    assert channels[True] == [channels[False][0] + 4, channels[False][1]]


def test_served_graph_sees_the_same_spread_as_training(tiny_config: BuildConfig, fabric: Fabric) -> None:
    torch.manual_seed(0)
    family = Pix2Pix(tiny_config(hints={"enabled": True, "spread": True}), LINE, fabric)
    served = family.exportable()
    image = torch.full((1, TINY, TINY, 1), 255, dtype=torch.uint8)
    hints = torch.zeros(1, TINY, TINY, 4, dtype=torch.uint8)
    hints[:, 4:8, 4:8] = torch.tensor([255, 0, 0, 255], dtype=torch.uint8)
    assert served.latent is not None
    latent = torch.ones(1, *served.latent.shape)
    condition = torch.cat([encode_picture(image), encode_hints(hints)], 1)
    shown = with_spread(condition, LINE)
    assert shown[0, -4:, -1, -1].tolist() == pytest.approx([1.0, -1.0, -1.0, shown[0, -1, -1, -1].item()])
    expected = decode_picture(served.module.generator(shown, latent))  # type: ignore[operator]
    assert torch.equal(served.module(image, hints, latent), expected)


def test_spread_needs_lines(tiny_config: BuildConfig, fabric: Fabric) -> None:
    with pytest.raises(ValueError, match=r"hints.spread lets dabs run to drawn lines, but the data set's inputs are 'labels'"):
        Pix2Pix(tiny_config(hints={"enabled": True, "spread": True}), LABELS, fabric)
