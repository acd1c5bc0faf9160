"""The result: comparing, seeds, saving, copying, projects."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
from playwright.sync_api import Route

from tests.browser.conftest import OpenStudio, Watch
from tests.browser.studio import Studio, decode, png


def test_seed_is_reproducible_shuffled_and_locked(lines: Studio) -> None:
    first = lines.result()
    lines.page.click("#shuffle")
    assert not np.array_equal(lines.result(), first)
    lines.page.fill("#seed", "0")
    lines.press("Enter")
    assert np.array_equal(lines.result(), first)
    lines.page.click("#seed-lock")
    assert not lines.is_enabled("#shuffle")
    lines.page.locator("#drawing").focus()
    lines.press("s")
    assert lines.page.input_value("#seed") == "0"


def test_impossible_seed_is_refused(lines: Studio) -> None:
    lines.page.fill("#seed", "99999999999")
    lines.press("Enter")
    assert lines.page.input_value("#seed") == "0"


def test_downloads_hold_result_drawing_and_both(labels: Studio) -> None:
    labels.press("r", "3")
    labels.stroke((60, 60), (160, 160))
    result = labels.result()
    assert np.array_equal(decode(labels.save("result")), result)
    both = decode(labels.save("both"))
    height, width = both.shape[:2]
    assert (height, width) == (512, 2 * 512 + 16)
    assert np.array_equal(both[::2, :512:2], labels.drawing())


def test_download_names_tell_model_and_seed(lines: Studio) -> None:
    with lines.page.expect_download() as download:
        lines.page.click("#save-button")
        lines.page.click("[data-save=result]")
    assert download.value.suggested_filename == "demo-lines-0.png"


def test_picture_is_copied_to_the_clipboard(open_studio: OpenStudio) -> None:
    studio = open_studio("demo-labels", permissions=["clipboard-read", "clipboard-write"])
    studio.page.click("#copy")
    studio.page.wait_for_selector(".toast")
    types = studio.page.evaluate("async () => (await navigator.clipboard.read())[0].types")
    assert types == ["image/png"]


def test_copy_without_clipboard_falls_back(open_studio: OpenStudio) -> None:
    studio = open_studio("demo-labels")
    studio.page.evaluate("() => Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    studio.page.click("#copy")
    studio.page.wait_for_selector(".toast, #copy-dialog[open]")
    assert studio.page.evaluate("document.querySelector('#copy-picture').naturalWidth") == 256


def test_wipe_overlay_and_hold_show_the_drawing(lines: Studio) -> None:
    lines.page.click("[data-compare=wipe]")
    assert lines.page.is_visible("#ghost")
    lines.page.locator("#wipe").focus()
    lines.press("Home")
    assert "100%" in lines.page.evaluate("document.querySelector('#ghost').style.clipPath")
    lines.page.click("[data-compare=overlay]")
    assert lines.page.get_attribute("#ghost", "data-mode") == "overlay"
    lines.page.click("[data-compare=picture]")
    assert lines.page.is_hidden("#ghost")
    lines.page.locator("#drawing").focus()
    lines.page.keyboard.down("c")
    assert lines.page.get_attribute("#ghost", "data-mode") == "hold"
    lines.page.keyboard.up("c")
    assert lines.page.is_hidden("#ghost")


def test_project_brings_lines_hints_and_seed_back(lines: Studio) -> None:
    lines.stroke((40, 60), (200, 60))
    lines.press("h", "5")
    lines.stroke((100, 128), (156, 128))
    lines.page.fill("#seed", "41")
    lines.press("Enter")
    shown, project = lines.result(), lines.save("project")
    lines.clear()
    lines.page.fill("#seed", "7")
    lines.press("Enter")
    lines.open("mine.inkwash", project, "application/json")
    lines.wait("document.querySelector('#seed').value === '41'")
    assert np.array_equal(lines.result(), shown)


def test_project_of_another_model_switches_to_it(labels: Studio) -> None:
    labels.press("r", "3")
    labels.stroke((60, 60), (160, 160))
    drawn, project = labels.drawing(), labels.save("project")
    assert json.loads(project)["model"] == "demo-labels"
    choose_model(labels, "demo-lines")
    labels.open("house.inkwash", project, "application/json")
    labels.page.wait_for_selector("[data-tool=fill]")
    labels.settle()
    assert np.array_equal(labels.drawing(), drawn)


def test_project_of_another_model_is_one_undo_step(lines: Studio) -> None:
    lines.stroke((40, 60), (200, 60))
    drawn, seed = lines.drawing(), lines.page.input_value("#seed")
    lines.open("house.inkwash", json.dumps(HOUSE | {"seed": 41}).encode(), "application/json")
    lines.page.wait_for_selector("[data-tool=fill]")
    assert lines.page.input_value("#seed") == "41"
    lines.press("Control+z")
    assert "demo-lines" in lines.page.url
    assert np.array_equal(lines.drawing(), drawn)
    assert lines.page.input_value("#seed") == seed


HOUSE: dict[str, Any] = {
    "format": "inkwash",
    "version": 1,
    "model": "demo-labels",
    "seed": 7,
    "params": {},
    "layers": {"labels": {"kind": "labels", "width": 256, "height": 256, "runs": [256 * 128, 1, 256 * 128, 2]}},
}
"""A whole project of the `labels` model."""


def labels_layer(**changes: object) -> dict[str, object]:
    """The layers of `HOUSE`, one thing about them spoilt."""
    return {"layers": {"labels": HOUSE["layers"]["labels"] | changes}}


def lines_layer(picture: object) -> dict[str, object]:
    """A `line` project's model and layers."""
    return {"model": "demo-lines", "layers": {"lines": {"kind": "line", "picture": picture}}}


BROKEN: list[tuple[dict[str, object], str]] = [
    ({"format": "other"}, "not an Inkwash project"),
    ({"version": 2}, "version 2"),
    ({"model": None}, "model is null"),
    ({"model": "gone"}, "“gone”"),
    ({"seed": "abc"}, "seed is abc"),
    ({"seed": -1}, "seed is -1"),
    ({"seed": 2**32}, "seed is 4294967296"),
    ({"mix": "7:a"}, "mix is 7:a"),
    ({"mix": 7}, "mix is 7"),
    ({"style": "red"}, "style picture is red"),
    ({"params": [1]}, "[1]"),
    ({"layers": None}, "layers are null"),
    ({"layers": {"sky": {"kind": "labels"}}}, "“sky”"),
    ({"layers": {"labels": None}}, "“labels” is of the kind null"),
    (labels_layer(kind="line"), "of the kind line"),
    (labels_layer(width=128), "128 × 256"),
    (labels_layer(runs=[256 * 256, 12]), "0 to 11"),
    (labels_layer(runs=[256, 1]), "cover 256 × 256 pixels"),
    (labels_layer(runs="all"), "runs of its layer “labels”"),
    (lines_layer("data:image/png;base64,AAAA"), "picture of its layer “lines”"),
    (lines_layer(None), "picture of its layer “lines”"),
    (
        lines_layer("data:image/png;base64," + base64.b64encode(png(np.zeros((8, 16, 3), np.uint8))).decode()),
        "16 × 8",
    ),
]


def test_broken_project_is_refused_with_the_reason_and_changes_nothing(lines: Studio) -> None:
    lines.stroke((40, 60), (200, 60))
    drawn, seed = lines.drawing(), lines.page.input_value("#seed")
    for changes, reason in BROKEN:
        lines.open("broken.inkwash", json.dumps(HOUSE | changes).encode(), "application/json")
        lines.page.wait_for_selector(f".toast:has-text({json.dumps(reason, ensure_ascii=False)})")
        assert "broken.inkwash" in lines.toast()
    assert "demo-lines" in lines.page.url
    assert lines.page.input_value("#seed") == seed
    assert np.array_equal(lines.drawing(), drawn)


def test_last_model_asked_for_is_the_one_on_show(lines: Studio) -> None:
    held: list[Route] = []
    lines.page.route("**/models/demo-labels/samples/0", lambda route: held.append(route))
    lines.page.click("#model-button")
    lines.page.click("[data-model=demo-labels]")
    while not held:
        lines.page.wait_for_timeout(30)
    lines.page.click("#model-button")
    lines.page.click("[data-model=demo-lines]")
    with lines.page.expect_event("requestfinished", lambda request: request.url.endswith("samples/0")):
        held[0].continue_()
    lines.page.wait_for_timeout(300)  # for the decoding of what must not be shown
    assert lines.page.is_visible("[data-tool=pen]")
    assert "demo-lines" in lines.page.url


def test_model_opens_even_if_its_example_is_missing(lines: Studio, watch: Watch) -> None:
    watch.expect("status of 404")
    lines.page.route("**/models/demo-labels/samples/**", lambda route: route.fulfill(status=404, json={"code": "not_found"}))
    choose_model(lines, "demo-labels")
    assert lines.page.is_visible("[data-tool=fill]")
    assert lines.page.is_visible("#empty")


def test_switching_the_model_is_one_step_that_undo_takes_back(lines: Studio) -> None:
    lines.stroke((40, 60), (200, 60))
    drawn = lines.drawing()
    choose_model(lines, "demo-labels")
    assert lines.page.is_visible("[data-tool=fill]")
    lines.press("Control+z")
    assert lines.page.is_visible("[data-tool=pen]")
    assert np.array_equal(lines.drawing(), drawn)
    assert "demo-lines" in lines.page.url


def choose_model(studio: Studio, model: str) -> None:
    """Opens the list of models and takes one."""
    studio.page.click("#model-button")
    studio.page.click(f"[data-model={model}]")
    studio.wait(f"location.search.includes('{model}')")
    studio.settle()
