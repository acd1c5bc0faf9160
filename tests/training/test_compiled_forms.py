"""Layers have another form where they are compiled: it gives what their plain form gives, and the same gradients."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from training.compilation import why_not
from training.networks import activation, norm, reflection, squares
from training.networks.activation import rectified
from training.networks.norm import InstanceNorm
from training.networks.reflection import ReflectionPad, fold_mirrored, mirror
from training.networks.resnet import ResNetGenerator
from training.networks.squares import WideConvolution, from_squares, to_squares

Layer = Callable[[Tensor], Tensor]


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Has layers take their compiled form, or their plain one, without a compiler."""

    def choose(is_compiled: bool) -> None:
        for module in (activation, norm, reflection, squares):
            monkeypatch.setattr(module, "is_compiled", lambda: is_compiled)

    return choose


def _with_gradients(layer: Layer, image: Tensor) -> list[Tensor]:
    """The result, and the gradients of the input and of all weights."""
    image = image.clone().requires_grad_()
    result = layer(image)
    weights = list(layer.parameters()) if isinstance(layer, nn.Module) else []
    torch.manual_seed(1)
    random = torch.randn(result.shape, dtype=result.dtype)
    return [result, *torch.autograd.grad((result * random).sum(), [image, *weights])]


def _norm() -> nn.Module:
    layer = InstanceNorm(3).double()
    nn.init.normal_(layer.weight)
    nn.init.normal_(layer.bias)
    return layer


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    "build",
    [
        _norm,
        lambda: rectified,
        lambda: lambda image: rectified(image, 0.2),
        lambda: ReflectionPad(3),
        lambda: ReflectionPad(1),
        lambda: WideConvolution(3, 2, 7, bias=True).double(),
        lambda: WideConvolution(3, 5, 3, bias=False).double(),
        lambda: ResNetGenerator(base_channels=4, max_channels=6, residual_blocks=1, input_skip=True).double(),
    ],
    ids=["norm", "relu", "leaky-relu", "mirrored-3", "mirrored-1", "wide-7", "wide-3", "resnet"],
)
def test_both_forms_are_one_function(
    build: Callable[[], Layer], layout: torch.memory_format, compiled: Callable[[bool], None]
) -> None:
    torch.manual_seed(0)
    layer = build()
    image = (2 + torch.randn(2, 3, 16, 20, dtype=torch.float64)).to(memory_format=layout)
    forms = []
    for is_compiled in (False, True):
        compiled(is_compiled)
        forms.append(_with_gradients(layer, image))
    for plain, other in zip(*forms, strict=True):
        torch.testing.assert_close(other, plain, rtol=1e-4, atol=1e-4)  # norms compute in float32


def test_wide_convolution_takes_odd_sizes_too(compiled: Callable[[bool], None]) -> None:
    compiled(True)
    layer, image = WideConvolution(3, 2, 7, bias=True), torch.randn(1, 3, 17, 20)
    torch.testing.assert_close(layer(image), nn.functional.conv2d(image, layer.weight, layer.bias))


def test_squares_hold_the_pixels_that_lie_together() -> None:
    image = torch.arange(24.0).reshape(1, 1, 4, 6)
    squares_of_4 = to_squares(image)
    assert squares_of_4.shape == (1, 4, 2, 3)
    assert squares_of_4[0, :, 1, 2].tolist() == [16, 17, 22, 23]
    assert torch.equal(from_squares(squares_of_4), image)


@pytest.mark.parametrize(
    ("operator", "arguments"),
    [
        (mirror, (torch.randn(2, 3, 6, 8), 2)),
        (fold_mirrored, (torch.randn(2, 3, 10, 12), 2)),
        (to_squares, (torch.randn(2, 3, 6, 8),)),
        (from_squares, (torch.randn(2, 12, 3, 4),)),
    ],
    ids=["mirror", "fold_mirrored", "to_squares", "from_squares"],
)
def test_operators_keep_what_they_tell_the_compiler(operator: object, arguments: tuple[object, ...]) -> None:
    """Shapes, layouts and gradients, for contiguous and for channels-last input."""
    checks = ("test_schema", "test_faketensor", "test_autograd_registration")
    image, *others = arguments
    assert isinstance(image, Tensor)
    for layout in (torch.contiguous_format, torch.channels_last):
        laid = image.clone(memory_format=layout).requires_grad_(operator is not fold_mirrored)
        torch.library.opcheck(operator, (laid, *others), test_utils=checks)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")  # by torch itself
def test_compiler_makes_the_same_of_a_residual_generator() -> None:
    if reason := why_not(torch.device("cpu")):
        pytest.skip(reason)
    torch.manual_seed(0)
    network = ResNetGenerator(base_channels=4, max_channels=6, residual_blocks=1, input_skip=True)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    image = torch.randn(2, 3, 16, 16)
    plain = _with_gradients(network, image)
    network.compile(dynamic=False)
    for mine, other in zip(plain, _with_gradients(network, image), strict=True):
        torch.testing.assert_close(other, mine, rtol=1e-3, atol=1e-4)
