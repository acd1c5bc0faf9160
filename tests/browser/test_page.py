"""The page around the drawing: languages, themes, phones, pens, keyboard, accessibility."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.conftest import OpenStudio
from tests.browser.studio import Studio, box
from tests.server.models import FACADE_CLASSES, hex_rgb

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}


def test_language_switches_in_place_and_keeps_the_drawing(lines: Studio) -> None:
    lines.stroke((40, 60), (200, 60))
    drawn = lines.drawing()
    lines.page.click("#language")
    lines.page.wait_for_selector("html[lang=ja]")
    assert lines.page.inner_text("#drawing-heading") == "描くところ"
    assert lines.page.get_attribute("[data-tool=pen]", "aria-label") == "ペン"
    assert lines.page.inner_text("#language") == "English"
    assert np.array_equal(lines.drawing(), drawn)
    lines.page.click("#language")
    lines.page.wait_for_selector("html[lang=en]")
    assert lines.page.inner_text("#drawing-heading") == "Your drawing"


def test_japanese_browser_gets_japanese(open_studio: OpenStudio) -> None:
    studio = open_studio("demo-labels", locale="ja-JP")
    assert studio.page.inner_text(".class >> nth=1").split() == ["2", "壁"]
    assert studio.page.title().startswith("Inkwash：")


def test_languages_have_the_same_words_and_places(root: Path) -> None:
    english, japanese = (json.loads((root / f"server/locales/{code}.json").read_text()) for code in ("en", "ja"))
    assert english.keys() == japanese.keys()
    for key, text in english.items():
        assert sorted(part.split("}")[0] for part in text.split("{")[1:]) == sorted(
            part.split("}")[0] for part in japanese[key].split("{")[1:]
        ), key


def test_no_message_key_is_shown_raw(open_studio: OpenStudio, root: Path) -> None:
    keys = json.loads((root / "server/locales/en.json").read_text()).keys()
    studio = open_studio("demo-lines")
    studio.press("?")
    shown = studio.page.inner_text("body")
    assert not [key for key in keys if key in shown]


def test_theme_follows_the_system_and_can_be_chosen(open_studio: OpenStudio) -> None:
    studio = open_studio("demo-lines", color_scheme="dark")
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = studio.page.evaluate(paper)
    studio.page.click("#theme")
    light = studio.page.evaluate(paper)
    assert brightness(dark) < 60 < 200 < brightness(light)
    studio.page.reload()
    studio.page.wait_for_selector("html[data-ready]")
    assert studio.page.evaluate(paper) == light


def brightness(css: str) -> float:
    """Mean of the channels of `rgb(r, g, b)`."""
    return sum(int(part) for part in css.strip("rgb()").split(",")) / 3


def test_nothing_drawn_is_stored(lines: Studio) -> None:
    lines.stroke((40, 60), (200, 60))
    lines.settle()
    assert lines.page.evaluate("localStorage.length + sessionStorage.length + document.cookie.length") == 0


def test_phone_shows_both_panes_and_the_tools_without_scrolling(open_studio: OpenStudio) -> None:
    studio = open_studio("demo-labels", **PHONE)
    for selector in ("#drawing", "#result", "#tools", "#colors", "#undo"):
        found = studio.page.locator(selector).bounding_box()
        assert found is not None
        assert found["x"] >= 0
        assert found["y"] + found["height"] <= 844
    assert studio.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_touch_targets_on_a_phone_are_large_enough(open_studio: OpenStudio) -> None:
    studio = open_studio("demo-labels", **PHONE)
    sizes = studio.page.eval_on_selector_all(
        ".tool, .class, #drawing-bar button:not(.small), .top button, #save-button, #shuffle",
        "all => all.filter(one => one.offsetParent).map(one => [one.id, one.offsetWidth, one.offsetHeight])",
    )
    assert len(sizes) > 20
    assert [size for size in sizes if min(size[1:]) < 40] == []


@pytest.mark.parametrize("model", ["demo-lines", "demo-labels"])
def test_finger_draws(open_studio: OpenStudio, model: str) -> None:
    studio = open_studio(model, **PHONE)
    studio.clear()
    before = studio.result()
    studio.touch().stroke((40, 60), (120, 70), (200, 60))
    assert not np.array_equal(studio.result(), before)
    assert studio.page.evaluate("scrollY") == 0


def test_second_finger_takes_the_stroke_back_and_zooms(open_studio: OpenStudio) -> None:
    studio = open_studio("demo-labels", **PHONE)
    before = studio.drawing()
    touch = studio.touch()
    touch.down((100, 128))
    touch.down((100, 128), (150, 128))
    touch.move((60, 128), (200, 128))
    touch.up()
    assert studio.page.is_visible("#zoom")
    assert not studio.is_enabled("#undo")
    studio.page.click("#zoom")
    assert studio.page.is_hidden("#zoom")
    assert np.array_equal(studio.drawing(), before)


def test_cancelled_touch_leaves_nothing(open_studio: OpenStudio) -> None:
    studio = open_studio("demo-labels", **PHONE)
    before = studio.drawing()
    touch = studio.touch()
    touch.down((60, 60))
    touch.move((160, 160))
    touch.cancel()
    assert not studio.is_enabled("#undo")
    assert np.array_equal(studio.drawing(), before)


def send_pointers(studio: Studio, *events: tuple[str, str, tuple[float, float]]) -> None:
    """Makes pointer events (pointer, `down`, `move` or `up`, place): a browser cannot be told to mix pens and fingers."""
    send = """(events) => {
      const sheet = document.querySelector("#drawing");
      sheet.setPointerCapture = () => {};
      for (const [pointerType, name, [clientX, clientY]] of events) {
        const pointerId = pointerType === "pen" ? 77 : 78;
        const options = {pointerId, pointerType, clientX, clientY, bubbles: true, buttons: 1};
        sheet.dispatchEvent(new PointerEvent(`pointer${name}`, options));
      }
      delete sheet.setPointerCapture;
    }"""
    studio.page.evaluate(send, [[pointer, name, studio.at(spot)] for pointer, name, spot in events])


@pytest.mark.parametrize("first", ["pen", "touch"])
def test_resting_hand_does_not_disturb_the_pen(labels: Studio, first: str) -> None:
    blank = labels.drawing()
    labels.press("3")
    size = float(labels.page.inner_text("#size-value").split()[0])
    down = [("pen", "down", (50, 100)), ("touch", "down", (150, 200))]
    send_pointers(
        labels,
        *(down if first == "pen" else reversed(down)),
        ("pen", "move", (100, 100)),
        ("touch", "move", (160, 180)),
        ("pen", "move", (200, 100)),
        ("touch", "up", (160, 180)),
        ("pen", "move", (200, 50)),
        ("pen", "up", (200, 50)),
    )
    drawing = labels.drawing()
    window = (drawing == np.array(hex_rgb(FACADE_CLASSES[2][2]))).all(axis=2)
    assert window[100, 50:200].all()
    assert window[50:100, 200].all()
    assert not window[100 + round(size) :].any()
    assert labels.page.is_hidden("#zoom")
    labels.press("Control+z")
    assert np.array_equal(labels.drawing(), blank)


def test_after_a_pen_fingers_no_longer_draw(open_studio: OpenStudio) -> None:
    studio = open_studio("demo-labels", **PHONE)
    send_pointers(studio, ("pen", "down", (100, 100)), ("pen", "move", (120, 100)), ("pen", "up", (120, 100)))
    drawn = studio.drawing()
    assert studio.is_enabled("#undo")
    studio.touch().stroke((40, 60), (200, 60))
    assert np.array_equal(studio.drawing(), drawn)
    studio.page.click("#pen-mode")
    studio.touch().stroke((40, 60), (200, 60))
    assert not np.array_equal(studio.drawing(), drawn)


def test_space_drag_pans_and_ctrl_wheel_zooms_at_the_pointer(labels: Studio) -> None:
    page = labels.page
    page.mouse.move(*labels.at((64, 64)))
    page.keyboard.down("Control")
    page.mouse.wheel(0, -300)
    page.keyboard.up("Control")
    page.wait_for_selector("#zoom:visible")
    # What was under the pointer still is.
    labels.press("3")
    page.mouse.down()
    page.mouse.up()
    drawing = labels.drawing()
    assert tuple(drawing[64, 64]) != tuple(drawing[200, 200])
    start = labels.at((64, 64))
    page.locator("#drawing").focus()
    page.mouse.move(*start)
    page.keyboard.down("Space")
    page.mouse.down()
    page.mouse.move(start[0] + 60, start[1] + 40, steps=4)
    page.mouse.up()
    page.keyboard.up("Space")
    assert labels.at((64, 64)) == pytest.approx((start[0] + 60, start[1] + 40), abs=2)
    assert np.array_equal(labels.drawing(), drawing)
    labels.press("Control+0")
    assert page.is_hidden("#zoom")


def test_keyboard_alone_draws(lines: Studio) -> None:
    lines.page.locator("#drawing").focus()
    lines.press(*["ArrowLeft"] * 6, "Enter", *["ArrowRight"] * 12, "Enter")
    assert box(lines.drawing(), 90, 127, 170, 129).min() == 0
    assert lines.is_enabled("#undo")


def test_toolbar_has_one_tab_stop_and_arrow_keys(lines: Studio) -> None:
    tools = lines.page.locator("#tools button")
    stops = tools.evaluate_all("all => all.filter(one => one.tabIndex === 0).length")
    assert stops == 1
    tools.first.focus()
    lines.press("ArrowDown")
    assert lines.page.evaluate("document.activeElement.dataset.tool") == "straight"
    lines.press("Enter")
    assert lines.page.get_attribute("[data-tool=straight]", "aria-pressed") == "true"


def test_letters_in_text_fields_are_not_shortcuts(lines: Studio) -> None:
    lines.page.locator(".hex").focus()
    lines.press("e")
    assert lines.page.get_attribute("[data-tool=pen]", "aria-pressed") == "true"


def test_brackets_change_the_size_and_reset_brings_it_back(lines: Studio) -> None:
    value = lines.page.locator("#size-value")
    trained = value.inner_text()
    lines.press("]", "]")
    assert value.inner_text() != trained
    lines.page.click("#size-reset")
    assert value.inner_text() == trained


def test_cursor_shows_the_true_size(labels: Studio) -> None:
    labels.page.mouse.move(*labels.at((100, 100)))
    cursor = labels.page.locator("#cursor").bounding_box()
    stage = labels.page.locator("#drawing-stage").bounding_box()
    assert cursor is not None
    assert stage is not None
    size = float(labels.page.inner_text("#size-value").split()[0])
    assert cursor["width"] == pytest.approx(size * stage["width"] / 256, abs=0.6)


def test_model_card_tells_what_it_learned_from(lines: Studio) -> None:
    lines.page.click("#card-button")
    lines.page.wait_for_selector("#card h3 >> nth=1")
    text = lines.page.inner_text("#card")
    assert "Licence of the weights" in text
    assert "Apache-2.0" in text


def test_result_is_announced_once_drawing_rests(lines: Studio) -> None:
    lines.page.evaluate("window.announced.length = 0")
    lines.stroke((40, 60), (200, 60))
    lines.wait("window.announced.some((text) => /updated in [\\d,]+ milli/.test(text))")


@pytest.mark.parametrize(
    ("model", "options", "opened"),
    [
        ("demo-lines", {}, None),
        ("demo-labels", {"color_scheme": "dark"}, None),
        ("demo-labels", PHONE, None),
        ("demo-lines", {}, "#help-button"),
        ("demo-lines", {"color_scheme": "dark"}, "#badge"),
        ("demo-lines", {}, "#model-button"),
    ],
)
def test_axe_finds_nothing_serious(open_studio: OpenStudio, model: str, options: dict[str, object], opened: str | None) -> None:
    studio = open_studio(model, **options)
    if opened:
        studio.page.click(opened)
    found = Axe().run(studio.page).response["violations"]
    serious = [
        (rule["id"], [node["html"][:120] for node in rule["nodes"]])
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ]
    assert serious == []
