"""Photos that become lines on the sheet: offered, chosen, drawn on."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Request, Route

from tests.browser.conftest import Call, OpenStudio, Server, Watch, free_port
from tests.browser.studio import Pixels, Studio, box, decode, difference, png
from tests.browser.test_page import PHONE
from tests.server.models import cat_drawing, landscape, write_demo_lines

BAR = "#trace-bar:not([hidden])"


def disc(width: int = 256, height: int = 256, radius: int = 80) -> Pixels:
    """A photo of a ball: a shaded disc before a shaded ground, so that its outline is the one line to find."""
    across, down = np.meshgrid(np.arange(width) - width / 2, np.arange(height) - height / 2)
    ground = np.stack([90 + 0.1 * across, 110 + 0.1 * down, 150 + 0.05 * across], axis=2)
    ball = np.stack([225 + 0.5 * down, 200 + 0.5 * across, 110 - 0.5 * down], axis=2)
    return np.where((np.hypot(across, down) < radius)[:, :, None], ball, ground).clip(0, 255).astype(np.uint8)


def jpeg(pixels: Pixels) -> bytes:
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "JPEG", quality=95)
    return target.getvalue()


def trace(studio: Studio, photo: Pixels | None = None) -> None:
    """Drops a photo and waits for its lines."""
    studio.drop("ball.jpg", jpeg(disc() if photo is None else photo), "image/jpeg")
    ready(studio)


def ready(studio: Studio) -> None:
    studio.page.wait_for_selector(f"{BAR}[data-state=ready]")
    studio.wait("document.querySelector('#trace-wait').hidden")
    studio.settle()


def outline(drawing: Pixels) -> float:
    """How dark the drawing is on average along the ball's edge, from every side and within two model pixels of it."""
    scale = drawing.shape[0] // 256
    reach = 2 * scale
    found = []
    for turn in np.arange(24) * math.pi / 12:
        y, x = (round((128 + 80 * part) * scale) for part in (math.sin(turn), math.cos(turn)))
        found.append(drawing[y - reach : y + reach, x - reach : x + reach].min())
    return 255 - float(np.mean(found))


# ------------------------------------------------------------------ the offer


def test_a_dropped_photo_becomes_lines_at_the_pens_width(lines: Studio) -> None:
    before = lines.result()
    trace(lines)
    lines.page.click("#trace-done")
    drawing = lines.drawing()
    assert lines.page.is_hidden("#trace-bar")
    assert outline(drawing) > 250
    assert box(drawing, 100, 100, 156, 156).min() > 240
    # The demo tracer draws as wide as the next odd number; of 2 that is 1, and 2 where the edge lies between pixels.
    ink = (255 - box(drawing, 190, 120, 226, 136).mean(axis=2)) / 255
    assert 0.9 < ink.sum(axis=1).mean() / (drawing.shape[0] / 256) < 2.6
    assert difference(lines.result().astype(np.int16), before.astype(np.int16)) > 1


def test_lines_and_result_are_shown_before_they_are_taken(lines: Studio) -> None:
    before = lines.result()
    trace(lines)
    assert outline(lines.drawing()) > 250
    assert not np.array_equal(lines.result(), before)
    assert lines.page.is_visible(".trace-photo")


def test_what_the_model_gets_is_what_the_api_traces(lines: Studio) -> None:
    photo = np.asarray(landscape(256, 256))
    lines.drop("hills.png", png(photo))
    ready(lines)
    lines.page.click("#trace-done")
    seed = int(lines.page.input_value("#seed"))
    address = f"{lines.page.url.partition('?')[0]}translate/demo-lines?from=photo&seed={seed}"
    response = lines.page.request.post(address, data=png(photo), headers={"Content-Type": "image/png"})
    # A step of ink more or less comes from rounding while the enlarged lines are reduced again.
    assert np.abs(lines.result().astype(int) - decode(response.body()).astype(int)).max() <= 4


def test_line_art_opens_as_it_did(lines: Studio) -> None:
    for name, drawing in (("cat.png", cat_drawing()), ("thick.png", cat_drawing(512, 14))):
        lines.open(name, png(np.asarray(drawing.convert("RGB"))))
        lines.wait_announced(name)
        assert lines.page.is_hidden("#trace-bar")
        assert lines.drawing().min() == 0


def test_other_models_open_photos_as_they_did(labels: Studio, photo: Studio) -> None:
    for studio in (labels, photo):
        assert studio.page.is_hidden("#trace-button")
        studio.drop("ball.jpg", jpeg(disc()), "image/jpeg")
        studio.wait("document.querySelector('#undo').disabled === false")
        assert studio.page.is_hidden("#trace-bar")


@pytest.mark.parametrize("way", ["open", "paste", "button", "key"])
def test_every_way_in_leads_to_the_offer(lines: Studio, way: str) -> None:
    if way in ("open", "paste"):
        getattr(lines, way)("ball.jpg", jpeg(disc()), "image/jpeg")
    else:
        with lines.page.expect_file_chooser() as chooser:
            if way == "button":
                lines.page.click("#trace-button")
            else:
                # A key pressed at once after asking for the chooser can be ahead of the browser's hook for it.
                lines.wait("document.querySelector('#trace-button').hidden === false")
                lines.press("t")
        chooser.value.set_files({"name": "ball.jpg", "mimeType": "image/jpeg", "buffer": jpeg(disc())})
    ready(lines)
    assert outline(lines.drawing()) > 250


def test_the_button_traces_what_does_not_look_like_a_photo(lines: Studio) -> None:
    with lines.page.expect_file_chooser() as chooser:
        lines.page.click("#trace-button")
    thick = np.asarray(cat_drawing(256, 12).convert("RGB"))
    chooser.value.set_files({"name": "cat.png", "mimeType": "image/png", "buffer": png(thick)})
    ready(lines)
    drawing = lines.drawing()
    assert 0 < (drawing < 128).mean() < (thick < 128).mean()  # both sides of a thick stroke and nothing between them


# ------------------------------------------------------------------ choosing


def test_the_picture_can_be_used_as_it_is(lines: Studio) -> None:
    trace(lines)
    lines.page.click("[data-use=picture]")
    assert lines.page.is_hidden(".trace-photo")
    shown = lines.drawing()
    assert box(shown, 110, 110, 146, 146).max() < box(shown, 4, 4, 40, 40).min()  # darker than its paper
    lines.page.click("#trace-done")
    assert np.array_equal(lines.drawing(), shown)
    lines.press("Control+z")
    assert lines.drawing().min() == 255


def test_detail_makes_more_lines_and_goes_back_to_its_default(lines: Studio) -> None:
    photo = disc().astype(np.int16)
    photo[100:156, 126:130] += 8  # a faint stripe
    trace(lines, photo.clip(0, 255).astype(np.uint8))
    stripe = (110, 118, 146, 138)
    assert box(lines.drawing(), *stripe).min() > 200
    lines.page.fill("#trace-detail", "0.95")
    lines.wait("document.querySelector('#result').ariaBusy === 'false'")
    lines.page.wait_for_timeout(500)
    ready(lines)
    assert box(lines.drawing(), *stripe).min() < 60
    assert lines.page.input_value("#trace-detail") == "0.95"
    lines.page.click("#trace-params .icon-button")
    assert lines.page.input_value("#trace-detail") == "0.5"


def test_only_the_tracers_parameters_but_its_width_are_offered(lines: Studio) -> None:
    trace(lines)
    assert lines.page.locator("#trace-params input").evaluate_all("(all) => all.map(({id}) => id)") == ["trace-detail"]


def test_cancelling_leaves_the_drawing_as_it_was(lines: Studio) -> None:
    lines.stroke((40, 60), (200, 60))
    drawn, picture = lines.drawing(), lines.result()
    trace(lines)
    lines.page.click("#trace-cancel")
    assert np.array_equal(lines.drawing(), drawn)
    assert np.array_equal(lines.result(), picture)
    assert lines.page.is_visible("#drawing-bar")
    assert lines.page.locator(".trace-photo").count() == 0


def test_keys_choose_keep_and_leave(lines: Studio) -> None:
    trace(lines)
    assert lines.page.evaluate("document.activeElement.id") == "trace-detail"
    lines.press("ArrowLeft")
    assert float(lines.page.input_value("#trace-detail")) < 0.5
    lines.press("Enter")
    lines.wait("document.querySelector('#trace-bar').hidden")
    assert lines.page.evaluate("document.activeElement.id") == "drawing"
    kept = lines.drawing()
    assert outline(kept) > 250
    trace(lines, disc(radius=100))
    lines.press("Escape")
    assert np.array_equal(lines.drawing(), kept)


def test_a_photo_of_another_shape_is_fitted_and_gets_no_frame(lines: Studio) -> None:
    trace(lines, disc(400, 200, radius=90))
    drawing = lines.drawing()
    assert box(drawing, 0, 0, 256, 63).min() == 255
    assert box(drawing, 0, 193, 256, 256).min() == 255
    assert (255 - box(drawing, 120, 67, 136, 74)).max() > 250  # the ball's top: 128 - 90 * 256 / 400
    frame = lines.page.locator(".trace-photo").bounding_box()
    sheet = lines.page.locator("#drawing-stage").bounding_box()
    assert frame is not None
    assert sheet is not None
    assert frame["height"] == pytest.approx(sheet["height"] / 2, abs=1)
    assert frame["y"] - sheet["y"] == pytest.approx(sheet["height"] / 4, abs=1)


# ------------------------------------------------------------------ drawing on


def test_lines_are_drawn_on_erased_and_undone_step_by_step(lines: Studio) -> None:
    lines.stroke((20, 20), (60, 20))
    first = lines.drawing()
    trace(lines)
    lines.page.click("#trace-done")
    traced = lines.drawing()
    lines.stroke((100, 128), (156, 128))
    assert box(lines.drawing(), 110, 127.5, 146, 128.5).max() < 60
    lines.press("e")
    lines.stroke((128, 40), (128, 56))
    erased = lines.drawing()
    assert box(erased, 124, 44, 132, 52).min() == 255
    assert box(traced, 124, 44, 132, 52).min() == 0
    lines.press("Control+z", "Control+z")
    assert np.array_equal(lines.drawing(), traced)
    lines.press("Control+z")
    assert np.array_equal(lines.drawing(), first)
    lines.press("Control+Shift+z")
    assert np.array_equal(lines.drawing(), traced)


def test_starting_to_draw_takes_the_lines(lines: Studio) -> None:
    trace(lines)
    shown = lines.drawing()
    lines.stroke((100, 128), (156, 128))
    assert lines.page.is_hidden("#trace-bar")
    assert outline(lines.drawing()) > 250
    assert box(lines.drawing(), 110, 127.5, 146, 128.5).max() < 60
    lines.press("Control+z")
    assert np.array_equal(lines.drawing(), shown)
    lines.press("Control+z")
    assert lines.drawing().min() == 255


@pytest.mark.parametrize("other", ["undo", "sample", "clear", "model", "line art"])
def test_something_else_drops_what_was_only_shown(lines: Studio, other: str) -> None:
    lines.stroke((40, 60), (200, 60))
    drawn = lines.drawing()
    trace(lines)
    if other == "undo":
        lines.press("Control+z")
        assert np.array_equal(lines.drawing(), drawn)
    elif other == "sample":
        lines.press("n")
    elif other == "clear":
        lines.press("Delete")
    elif other == "line art":
        lines.paste("cat.png", png(np.asarray(cat_drawing().convert("RGB"))))
    else:
        lines.page.click("#model-button")
        lines.page.click("[data-model=demo-labels]")
    lines.wait("document.querySelector('#trace-bar').hidden")
    lines.settle()
    if other != "undo":
        lines.page.wait_for_selector("#undo:not([disabled])")
        lines.press("Control+z")
        lines.settle()
    assert np.array_equal(lines.drawing(), drawn)


def test_a_newer_photo_takes_the_place_of_the_first(lines: Studio) -> None:
    trace(lines)
    lines.drop("large.jpg", jpeg(disc(radius=100)), "image/jpeg")
    lines.wait_announced("large.jpg")
    ready(lines)
    assert lines.page.locator(".trace-photo").count() == 1
    lines.page.click("#trace-done")
    assert outline(lines.drawing()) < 5
    lines.press("Control+z")
    assert lines.drawing().min() == 255


# ------------------------------------------------------------------ what can go wrong


def test_a_photo_without_lines_is_told(lines: Studio) -> None:
    with lines.page.expect_file_chooser() as chooser:
        lines.page.click("#trace-button")
    flat = png(np.full((64, 64, 3), 120, np.uint8))
    chooser.value.set_files({"name": "flat.png", "mimeType": "image/png", "buffer": flat})
    lines.page.wait_for_selector(f"{BAR}[data-state=faint]")
    assert "No lines" in lines.page.inner_text("#trace-state")


@pytest.fixture
def tolerant(open_studio: OpenStudio, watch: Watch) -> Studio:
    """A page whose browser complains of a failed request, as it should."""
    watch.expect("Failed to load resource")
    studio = open_studio("demo-lines")
    studio.clear()
    return studio


def test_trouble_is_told_and_can_be_tried_again(tolerant: Studio) -> None:
    def refuse(route: Route) -> None:
        route.fulfill(
            status=429, content_type="application/problem+json", body='{"code": "queue_full", "title": "x", "detail": "y"}'
        )

    tolerant.page.context.route("**/translate/demo-sketch*", refuse)
    try:
        tolerant.drop("ball.jpg", jpeg(disc()), "image/jpeg")
        tolerant.page.wait_for_selector(f"{BAR}[data-state=failed]")
        assert "busy" in tolerant.toast()
        assert "could not be traced" in tolerant.page.inner_text("#trace-state")
        assert not tolerant.is_enabled("#trace-done")
        tolerant.page.click("[data-use=picture]")
        assert tolerant.is_enabled("#trace-done")
        tolerant.page.click("[data-use=lines]")
    finally:
        tolerant.page.context.unroute("**/translate/demo-sketch*", refuse)
    tolerant.page.click("#trace-retry")
    ready(tolerant)
    assert outline(tolerant.drawing()) > 250


def test_one_request_at_a_time_and_the_newest_last(lines: Studio) -> None:
    trace(lines)
    asked: list[str] = []
    lines.page.on("request", lambda request: _note(request, asked))
    for value in ("0.1", "0.2", "0.3", "0.9"):
        lines.page.fill("#trace-detail", value)
    lines.page.wait_for_timeout(1500)
    ready(lines)
    assert len(asked) <= 4
    assert "detail=0.9" in asked[-1]
    assert "line_width=2" in asked[-1]


def _note(request: Request, asked: list[str]) -> None:
    if "/translate/demo-sketch" in request.url:
        asked.append(request.url)


@pytest.fixture
def bare_server(tmp_path: Path) -> Iterator[Server]:
    """A server without a model that traces."""
    write_demo_lines(tmp_path)
    running = Server(tmp_path, free_port(), {"INKWASH_BUNDLED_MODELS": "false"})
    running.start()
    yield running
    running.kill()


def test_without_a_tracer_nothing_is_offered(open_studio: OpenStudio, bare_server: Server) -> None:
    studio = open_studio("demo-lines", url=bare_server.url, viewport={"width": 1000, "height": 800})
    assert studio.page.is_hidden("#trace-button")
    studio.drop("ball.jpg", jpeg(disc()), "image/jpeg")
    studio.wait("document.querySelector('#undo').disabled === false")
    assert studio.page.is_hidden("#trace-bar")
    assert studio.drawing().min() < 255


# ------------------------------------------------------------------ small sheets, other readers


def test_on_a_phone_the_choice_and_the_sheet_are_seen_together(open_studio: OpenStudio) -> None:
    studio = open_studio("demo-lines", **PHONE)
    page = studio.page
    assert page.is_visible("#trace-button")
    trace(studio)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for selector in ("#drawing-stage", "#trace-uses", "#trace-done", "#trace-detail"):
        found = page.locator(selector).bounding_box()
        assert found is not None
        assert found["x"] >= 0
        assert found["x"] + found["width"] <= 390
        assert found["y"] + found["height"] <= 844
    page.tap("#trace-done")
    assert outline(studio.drawing()) > 250


def test_the_offer_can_be_read_by_everyone(lines: Studio) -> None:
    lines.drop("ball.jpg", jpeg(disc()), "image/jpeg")
    lines.wait_announced("ball.jpg")
    ready(lines)
    found = Axe().run(lines.page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]})
    assert not found.response["violations"], found.generate_report()


def test_the_offer_speaks_japanese_too(lines: Studio) -> None:
    trace(lines)
    lines.page.click("#language")
    lines.page.wait_for_selector("html[lang=ja]")
    assert lines.page.inner_text("[data-use=lines]") == "線にする"
    assert lines.page.inner_text("#trace-params label") == "細かさ"
    lines.page.click("#language")
    lines.page.wait_for_selector("html[lang=en]")


# ------------------------------------------------------------------ from a tracer on


def test_a_tracers_lines_can_be_drawn_on_with_another_model(open_studio: OpenStudio) -> None:
    studio = open_studio("demo-sketch")
    page = studio.page
    studio.drop("ball.jpg", jpeg(disc()), "image/jpeg")
    studio.wait("document.querySelector('#undo').disabled === false")
    studio.settle()
    page.click("[data-draw-on=demo-lines]")
    studio.wait("location.search.includes('model=demo-lines')")
    studio.settle()
    assert page.evaluate("document.activeElement.id") == "drawing"
    assert outline(studio.drawing()) > 250
    studio.press("Control+z")
    studio.wait("location.search.includes('model=demo-sketch')")
    assert page.is_visible("#draw-on")


def test_only_a_tracer_offers_to_draw_on(lines: Studio, photo: Studio) -> None:
    assert lines.page.is_hidden("#draw-on")
    assert photo.page.is_hidden("#draw-on")


def test_without_a_photo_there_is_nothing_to_draw_on(open_studio: OpenStudio) -> None:
    studio = open_studio("demo-sketch")
    assert studio.is_enabled("[data-draw-on=demo-lines]")
    studio.page.click("#clear")
    assert not studio.is_enabled("[data-draw-on=demo-lines]")


def test_a_tracer_works_on_the_page_like_any_photo_model(open_studio: OpenStudio) -> None:
    studio = open_studio("demo-sketch")
    page = studio.page
    studio.drop("wide.jpg", jpeg(disc(700, 300, radius=100)), "image/jpeg")
    studio.wait("document.querySelector('#full-state').dataset.state === 'ready'")
    saved = decode(studio.save("result"))
    assert saved.shape == (300, 700, 3)
    assert saved[50, 350].max() < 60  # the ball's top
    page.fill("#param-line_width", "7")
    studio.wait("document.querySelector('#full-state').dataset.state !== 'ready'")
    studio.wait("document.querySelector('#full-state').dataset.state === 'ready'")
    wide = decode(studio.save("result"))
    assert (wide < 128).mean() > 1.5 * (saved < 128).mean()
    page.click("[data-compare=wipe]")
    assert page.is_visible("#wipe")
    assert decode(studio.save("both")).shape[0] == 512


# ------------------------------------------------------------------ photo or drawing?

_JUDGE = "return (await use('likeness')).looksLikePhoto(Uint8ClampedArray.from(a[0]), a[1], a[2]);"


def judge(call: Call, picture: Image.Image) -> bool:
    small = picture.convert("RGBA").resize((128, 128))
    found: bool = call(_JUDGE, list(small.tobytes()), 128, 128)
    return found


def lit(drawing: Image.Image, darkest: float, tint: tuple[float, float, float]) -> Image.Image:
    """A photo of a drawing on paper, in light that falls off to one side."""
    shade = np.asarray(drawing.convert("L"), np.float32) / 255 * 190 + 40
    light = np.linspace(1, darkest, shade.shape[1])[None, :, None]
    grain = np.random.default_rng(4).normal(0, 3, (*shade.shape, 1))
    return Image.fromarray((shade[:, :, None] * light * np.array(tint) + grain).clip(0, 255).astype(np.uint8))


def test_photos_are_told_from_drawings(call: Call) -> None:
    cat = cat_drawing(512, 6)
    inverted = Image.eval(cat, lambda value: 255 - value)
    clear = Image.new("RGBA", cat.size, (0, 0, 0, 0))
    clear.putalpha(inverted)
    blue = Image.composite(Image.new("RGB", cat.size, (250, 250, 245)), Image.new("RGB", cat.size, (40, 60, 190)), cat)
    drawings = {
        "ink": cat,
        "thick": cat_drawing(512, 30),
        "inverted": inverted,
        "chalk": Image.eval(inverted, lambda value: 40 + value // 2),
        "clear": clear,
        "blue pen": blue,
        "photographed": lit(cat, 0.6, (1, 0.97, 0.9)),
        "pencil": lit(Image.eval(cat, lambda value: 120 + value * 135 // 255), 0.75, (1, 1, 1)),
        "empty": Image.new("L", cat.size, 255),
    }
    photos = {
        "hills": landscape(512, 512),
        "night": landscape(512, 512, night=True),
        "gray": landscape(512, 512).convert("L"),
        "ball": Image.fromarray(disc(512, 512, 200)),
    }
    assert [name for name, picture in drawings.items() if judge(call, picture)] == []
    assert [name for name, picture in photos.items() if not judge(call, picture)] == []


def test_the_page_scales_like_the_server(call: Call) -> None:
    from server.imaging import fit_into
    from server.manifest import FlexibleSize, Size

    sizes = [
        Size(height=64, width=96),
        FlexibleSize(multiple_of=16, min=64, max=250),
        FlexibleSize(multiple_of=1, min=1, max=9),
    ]
    for width, height in ((10, 20), (64, 64), (256, 171), (1000, 30), (300, 300)):
        for size in sizes:
            found = call("return (await use('geometry')).fitScale(...a);", width, height, size.model_dump())
            assert found == pytest.approx(fit_into(width, height, size).scale)
