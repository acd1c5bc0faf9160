"""What the benchmark computes without a server: counting arithmetic, ranking, judging."""

from __future__ import annotations

import io
from collections import Counter

import onnx
import pytest
from rich.console import Console

from tests.bench.http_client import Answer
from tests.bench.load import Tally, _crowd_row
from tests.bench.macs import count_macs
from tests.bench.row import at_most, percentile, print_table, ratio_at_least, ratio_at_most


def graph(text: str) -> onnx.ModelProto:
    return onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["": 17]>\n{text}')


def test_macs_of_strided_convolution() -> None:
    model = graph(
        """g (float[N,3,32,32] x, float[8,3,4,4] w) => (float[N,8,16,16] y)
        { y = Conv <strides = [2, 2], pads = [1, 1, 1, 1]> (x, w) }"""
    )
    assert count_macs(model) == 16 * 16 * 8 * 3 * 4 * 4


def test_macs_of_grouped_convolution_divide_by_groups() -> None:
    model = graph(
        """g (float[N,8,16,16] x, float[8,1,3,3] w) => (float[N,8,16,16] y)
        { y = Conv <group = 8, pads = [1, 1, 1, 1]> (x, w) }"""
    )
    assert count_macs(model) == 16 * 16 * 8 * 3 * 3


def test_macs_of_transposed_convolution_count_each_input_value() -> None:
    model = graph(
        """g (float[N,8,16,16] x, float[8,4,4,4] w) => (float[N,4,32,32] y)
        { y = ConvTranspose <strides = [2, 2], pads = [1, 1, 1, 1]> (x, w) }"""
    )
    assert count_macs(model) == 16 * 16 * 8 * 4 * 4 * 4


def test_macs_of_products() -> None:
    model = graph(
        """g (float[N,10] x, float[10,20] w, float[5,20] v) => (float[N,5] y)
        { h = MatMul (x, w)
          y = Gemm <transB = 1> (h, v) }"""
    )
    assert count_macs(model) == 10 * 20 + 20 * 5


def test_macs_see_through_weights_stored_as_float16() -> None:
    model = graph(
        """g (float[N,3,8,8] x, float16[4,3,1,1] half) => (float[N,4,8,8] y)
        { w = Cast <to = 1> (half)
          y = Conv (x, w) }"""
    )
    assert count_macs(model) == 8 * 8 * 4 * 3


def test_macs_grow_with_the_batch() -> None:
    model = graph("g (float[N,3,8,8] x, float[4,3,1,1] w) => (float[N,4,8,8] y) { y = Conv (x, w) }")
    assert count_macs(model, batch_size=4) == 4 * count_macs(model)


def test_macs_of_a_graph_of_any_size_are_those_of_the_side_asked_for() -> None:
    model = graph("g (float[N,3,H,W] x, float[4,3,1,1] w) => (float[N,4,H,W] y) { y = Conv (x, w) }")
    assert count_macs(model, side=8) == 8 * 8 * 4 * 3
    assert count_macs(model) == 256 * 256 * 4 * 3


def test_macs_refuse_an_unknown_shape() -> None:
    model = graph(
        """g (float[N,3,8,8] x, float[4,3,1,1] w, int64[4] size) => (float[N,4,H,W] y)
        { reshaped = Reshape (x, size)
          y = Conv (reshaped, w) }"""
    )
    with pytest.raises(ValueError, match=r"reshaped.* cannot be inferred"):
        count_macs(model)


def test_percentile_by_nearest_rank() -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert [percentile(values, share) for share in (0.0, 0.5, 0.99, 1.0)] == [1, 51, 100, 100]


def test_percentile_of_nothing_says_so() -> None:
    with pytest.raises(ValueError, match="not one measurement"):
        percentile([], 0.99)


@pytest.mark.parametrize(("ours", "is_kept"), [(12.4, True), (12.5, True), (12.6, False)])
def test_cost_is_kept_up_to_its_limit(ours: float, is_kept: bool) -> None:
    assert ratio_at_most("cost", ours, 10.0, 1.25, "ms").is_kept is is_kept


@pytest.mark.parametrize(("ours", "is_kept"), [(30.1, True), (30.0, True), (29.9, False)])
def test_speed_is_kept_from_its_limit(ours: float, is_kept: bool) -> None:
    assert ratio_at_least("speed", ours, 10.0, 3.0, "images/s").is_kept is is_kept


def test_crowd_is_kept_only_when_excess_is_refused_and_nobody_hangs() -> None:
    kept = Tally(statuses=Counter({200: 90, 429: 10}))
    assert _crowd_row("m", kept).is_kept
    for spoiled in ({200: 100}, {200: 90, 429: 9, 500: 1}):
        assert not _crowd_row("m", Tally(statuses=Counter(spoiled))).is_kept
    assert not _crowd_row("m", Tally(statuses=Counter({200: 90, 429: 10}), unanswered=1)).is_kept
    assert not _crowd_row("m", Tally(statuses=Counter({200: 90, 429: 10}), without_retry_after=1)).is_kept


def test_table_shows_both_sides_and_what_is_not_kept() -> None:
    output = io.StringIO()
    print_table([at_most("file", 9.0, 8.0, "MB")], Console(file=output, width=120))
    assert "9.00 MB" in output.getvalue()
    assert "8 MB" in output.getvalue()
    assert "NO" in output.getvalue()


def test_stages_are_read_out_of_the_answers_header() -> None:
    assert Answer(200, 0.1, {"server-timing": "decode;dur=1.5, infer;dur=20"}, b"").stages == {"decode": 1.5, "infer": 20.0}
    assert Answer(200, 0.1, {}, b"").stages == {}
