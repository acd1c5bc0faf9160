"""The style of a picture: "Take the colours of …"."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Route

from tests.browser.conftest import OpenStudio
from tests.browser.studio import Pixels, Studio, decode, png
from tests.browser.test_live import Wire
from tests.browser.test_variations import apart, is_same, terms

RED, GREEN, BLUE = (220, 40, 30), (20, 200, 60), (40, 60, 220)


def stripes(*colors: tuple[int, int, int], width: int = 256, height: int = 256) -> Pixels:
    """Equally wide stripes beside each other."""
    index = np.arange(width) * len(colors) // width
    return np.broadcast_to(np.array(colors, np.uint8)[index], (height, width, 3)).copy()


def warmth(pixels: Pixels) -> tuple[float, float]:
    """How much more red than blue there is in the left and in the right half."""
    difference = pixels[:, :, 0].astype(float) - pixels[:, :, 2]
    half = pixels.shape[1] // 2
    return float(difference[:, :half].mean()), float(difference[:, half:].mean())


def take_style(studio: Studio, picture: Pixels, name: str = "stripes.png") -> None:
    """Drops a picture where styles are opened."""
    studio.drop(name, png(picture), target="#style-slot")
    studio.page.wait_for_selector("#style-slot[data-state=filled]")


@pytest.fixture
def many(open_studio: OpenStudio) -> Studio:
    """The page with a model that takes styles."""
    return open_studio("demo-many")


def test_picture_takes_the_colours_of_another_as_one_step(many: Studio) -> None:
    before, seed = many.result(), many.page.input_value("#seed")
    take_style(many, stripes(RED, BLUE))
    left, right = warmth(many.result())
    assert left > 40
    assert right < -40
    assert many.page.inner_text("#style-name") == "stripes.png"
    assert many.page.input_value("#seed") == "style"
    many.press("Control+z")
    assert many.page.get_attribute("#style-slot", "data-state") == "optional"
    assert many.page.input_value("#seed") == seed
    assert is_same(many.result(), before)
    many.press("Control+y")
    assert warmth(many.result())[0] > 40


def test_style_is_removed_by_its_cross(many: Studio) -> None:
    take_style(many, stripes(RED, BLUE))
    styled = many.result()
    many.page.click("#style-remove")
    assert many.page.get_attribute("#style-slot", "data-state") == "optional"
    assert many.page.input_value("#seed").isdecimal()
    assert apart(many.result(), styled) > 2


def test_sample_file_and_paste_give_styles_too(many: Studio) -> None:
    many.page.click("#style-open")
    many.page.click("[data-style-sample='1']")
    many.page.wait_for_selector("#style-name:has-text('Sample 2')")
    assert many.page.is_hidden("#style-menu")
    many.page.click("#style-open")
    with many.page.expect_file_chooser() as chooser:
        many.page.click("#style-choose")
    chooser.value.set_files({"name": "mine.png", "mimeType": "image/png", "buffer": png(stripes(BLUE, RED))})
    many.page.wait_for_selector("#style-name:has-text('mine.png')")
    assert warmth(many.result())[1] > 40
    many.paste("pasted.png", png(stripes(RED, BLUE)), target="#style-open")
    many.page.wait_for_selector("#style-name:has-text('pasted.png')")
    assert warmth(many.result())[0] > 40


def test_what_is_no_picture_is_refused_and_changes_nothing(many: Studio) -> None:
    many.drop("notes.txt", b"no picture", "text/plain", target="#style-slot")
    many.page.wait_for_selector(".toast:has-text('notes.txt')")
    assert many.page.get_attribute("#style-slot", "data-state") == "optional"
    assert not many.is_enabled("#undo")


def test_frames_carry_a_small_copy_of_the_middle(open_studio: OpenStudio) -> None:
    wire = Wire()
    studio = open_studio("demo-many")
    studio.page.on("websocket", wire.attach)
    studio.page.reload()
    studio.page.wait_for_selector("html[data-ready]")
    noise = np.random.default_rng(1).integers(0, 8, (600, 1800, 3), np.uint8)
    take_style(studio, stripes(GREEN, RED, GREEN, width=1800, height=600) + noise)
    studio.settle()
    frame = wire.sent()[-1]
    parts = {part["name"]: part["bytes"] for part in frame["inputs"]}
    assert frame["mix"] == "style"
    assert 0 < parts["style"] < 60_000
    pixels = studio.result().astype(int)
    # Green is only beside the square in the middle.
    assert (pixels[:, :, 0] - pixels[:, :, 1]).mean() > 40


def test_own_photo_is_sent_without_what_else_is_in_its_file(many: Studio) -> None:
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[0x010E] = "taken at home"
    Image.fromarray(stripes(RED, BLUE)).save(buffer, "JPEG", exif=exif)
    assert b"taken at home" in buffer.getvalue()
    many.drop("home.jpg", buffer.getvalue(), "image/jpeg", target="#style-slot")
    many.page.wait_for_selector("#style-slot[data-state=filled]")
    picture = json.loads(many.save("project"))["style"]["picture"]
    sent = base64.b64decode(picture.partition(",")[2])
    assert decode(sent).shape == (256, 256, 3)
    assert b"taken at home" not in sent


def test_transparent_parts_of_a_style_are_the_background_of_its_input(many: Studio) -> None:
    pixel = many.page.evaluate(
        """async () => {
          const {StylePicture} = await import("/static/js/style.js");
          const empty = new OffscreenCanvas(32, 32);
          empty.getContext("2d");
          const blob = await empty.convertToBlob();
          const input = {kind: "photo", channels: 3, size: {width: 32, height: 32}, background: [10, 200, 30]};
          const {canvas} = await StylePicture.open(blob, "", input);
          return [...canvas.getContext("2d").getImageData(5, 5, 1, 1).data];
        }"""
    )
    assert pixel == [10, 200, 30, 255]


def test_sample_that_comes_after_the_model_was_changed_is_no_style(many: Studio) -> None:
    held: list[Route] = []

    def hold_first(route: Route) -> None:
        # The menu's thumbnails have the same address.
        if route.request.resource_type == "fetch" and not held:
            held.append(route)
        else:
            route.continue_()

    many.page.route("**/models/demo-many/samples/1", hold_first)
    many.page.click("#style-open")
    many.page.click("[data-style-sample='1']")
    many.wait_until(lambda: len(held) > 0)
    many.press("Escape")
    many.page.click("#model-button")
    many.page.click("[data-model=demo-lines]")
    many.wait("location.search.includes('demo-lines')")
    many.settle()
    many.press("Control+z")
    many.wait("location.search.includes('demo-many')")
    with many.page.expect_response(lambda response: response.request == held[0].request):
        held[0].continue_()
    many.page.wait_for_timeout(300)  # for the decoding of what must not be taken
    assert many.page.get_attribute("#style-slot", "data-state") == "optional"


def test_seeds_and_the_strip_vary_the_style(many: Studio) -> None:
    many.open_strip()
    many.page.hover("[data-place='0']")
    many.page.click("[data-place='0'] .variation-keep")
    kept = many.mixes()[0]
    take_style(many, stripes(RED, BLUE))
    many.wait_for_strip()
    mixes = many.mixes()
    assert mixes[0] == kept
    assert all(terms(mix)["style"] == pytest.approx(0.95, abs=0.01) for mix in mixes[1:])
    assert all(warmth(many.variation(place))[0] > 10 for place in range(1, 8))
    assert not np.array_equal(many.variation(1), many.variation(2))
    many.page.click("#shuffle")
    assert terms(many.page.input_value("#seed"))["style"] == pytest.approx(0.95, abs=0.01)
    many.page.click("#style-remove")
    many.wait_for_strip()
    assert many.mixes()[0] == kept
    assert all(mix.isdecimal() for mix in many.mixes())
    assert many.page.input_value("#seed").isdecimal()


def test_pad_leads_from_a_style_to_a_seed(many: Studio) -> None:
    many.open_strip()
    seed = many.mixes()[1]
    many.page.hover("[data-place='1']")
    many.page.click("[data-place='1'] .variation-keep")
    take_style(many, stripes(RED, BLUE))
    many.wait_for_strip()
    many.page.click("#pad-button")
    many.page.locator("#pad-field").focus()
    many.press(*["ArrowUp"] * 10)
    mix = terms(many.page.input_value("#seed"))
    # The first variation is of the style, the second is the seed that was kept; the point is between them.
    assert mix["style"] == pytest.approx(0.67, abs=0.02)
    assert mix[seed] == pytest.approx(0.71, abs=0.02)
    many.settle()


def test_full_size_and_project_carry_the_style(many: Studio) -> None:
    take_style(many, stripes(RED, BLUE))
    shown, project = many.result(), many.save("project")
    assert warmth(shown)[0] > 40
    assert apart(decode(many.save("result")), shown) < 4
    style: dict[str, Any] = json.loads(project)["style"]
    assert style["name"] == "stripes.png"
    many.page.click("#style-remove")
    many.settle()
    many.open("mine.inkwash", project, "application/json")
    many.page.wait_for_selector("#style-slot[data-state=filled]")
    assert many.page.input_value("#seed") == "style"
    assert is_same(many.result(), shown)
    # Saved and opened again and again it stays the same file.
    assert json.loads(many.save("project"))["style"] == style


def test_project_with_a_broken_style_is_refused(many: Studio) -> None:
    take_style(many, stripes(RED, BLUE))
    project = json.loads(many.save("project"))
    large = base64.b64encode(png(np.random.default_rng(1).integers(0, 256, (512, 512, 3), np.uint8))).decode()
    pictures = ("data:image/png;base64,AAAA", f"data:image/png;base64,{large}")
    for broken in (*({"style": {"picture": picture}} for picture in pictures), {"style": None}):
        many.open("broken.inkwash", json.dumps(project | broken).encode(), "application/json")
        many.page.wait_for_selector(".toast:has-text('style picture')")
        many.page.locator(".toast").evaluate_all("all => all.forEach((one) => one.remove())")
    assert many.page.get_attribute("#style-slot", "data-state") == "filled"


def test_models_that_encode_nothing_offer_no_style(many: Studio) -> None:
    take_style(many, stripes(RED, BLUE))
    many.page.click("#model-button")
    many.page.click("[data-model=demo-lines]")
    many.wait("location.search.includes('demo-lines')")
    many.settle()
    assert many.page.is_hidden("#style-slot")
    many.press("Control+z")
    many.wait("location.search.includes('demo-many')")
    assert many.page.get_attribute("#style-slot", "data-state") == "filled"
    assert warmth(many.result())[0] > 40
