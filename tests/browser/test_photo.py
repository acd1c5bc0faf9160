"""Photos: opened, cropped, turned, looked at closely, at their own size."""

from __future__ import annotations

import io
from pathlib import Path

import httpx
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Page, Route

from tests.browser.conftest import OpenStudio, Watch
from tests.browser.studio import Pixels, Studio, decode, png
from tests.browser.test_page import PHONE
from tests.server.models import landscape

WIDE = np.asarray(landscape(640, 480))
FULL = "#full-state[data-state=ready]"


def jpeg(pixels: Pixels, orientation: int = 1) -> bytes:
    """A photo as a phone writes it."""
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=92, exif=exif)
    return buffer.getvalue()


def open_photo(studio: Studio, data: bytes, name: str = "photo.png", kind: str = "image/png") -> None:
    """Opens a photo and waits until its picture is there at full size."""
    studio.open(name, data, kind)
    studio.wait_announced(name)
    wait_full(studio)


def wait_full(studio: Studio) -> None:
    studio.page.wait_for_selector(FULL)


def full_translation(studio: Studio, data: bytes, kind: str = "image/png") -> Pixels:
    """What the API makes of a file at its own size."""
    model = studio.page.url.partition("model=")[2].partition("&")[0]
    address = f"{studio.page.url.partition('?')[0]}translate/{model}?size=original"
    return decode(httpx.post(address, content=data, headers={"Content-Type": kind}).raise_for_status().content)


def close_to(a: Pixels, b: Pixels, steps: float = 3.0) -> bool:
    return a.shape == b.shape and float(np.abs(a.astype(int) - b).mean()) < steps


def frame_side(page: Page, side: str) -> float:
    box = page.locator("#crop-frame").bounding_box()
    assert box is not None
    return float(box[side])  # type: ignore[literal-required]


@pytest.mark.parametrize("model", ["demo-gray", "demo-photo"])
def test_opened_photo_comes_back_at_its_own_size(open_studio: OpenStudio, model: str) -> None:
    studio = open_studio(model)
    open_photo(studio, png(WIDE))
    assert "640 × 480" in studio.page.inner_text("#full-state")
    expected = full_translation(studio, png(WIDE))
    assert np.array_equal(decode(studio.save("result")), expected)
    assert close_to(decode(studio.save("jpeg")), expected)
    both = decode(studio.save("both"))
    assert both.shape[:2] == (512, 2 * 683 + 16)


def test_phone_photo_is_upright(photo: Studio) -> None:
    upright = np.asarray(landscape(300, 400))
    lying = jpeg(np.rot90(upright), orientation=6)
    photo.drop("IMG_1.jpg", lying, "image/jpeg")
    photo.wait_announced("IMG_1.jpg")
    wait_full(photo)
    assert close_to(photo.drawing(), upright)
    assert close_to(decode(photo.save("result")), full_translation(photo, lying, "image/jpeg"), 0.1)


def test_gray_model_shows_the_photo_in_gray_and_gets_its_luma(gray: Studio) -> None:
    gray.paste("photo.png", png(WIDE))
    gray.wait_announced("photo.png")
    shown = gray.canvas("#drawing-stage .layer-gray").astype(int)
    assert np.abs(shown - shown[:, :, :1]).max() <= 2
    # The photo lies in rows 128 to 896 of the 1024 that the sheet has.
    luma = np.asarray(Image.fromarray(WIDE).convert("L").resize((1024, 768)))
    assert np.abs(shown[128:896, :, 0] - luma).mean() < 3
    wait_full(gray)
    assert np.array_equal(decode(gray.save("result")), full_translation(gray, png(WIDE)))


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("IMG_2.HEIC", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", ["IMG_2.HEIC", "JPEG"]),
        ("torn.jpg", jpeg(WIDE)[:40], ["torn.jpg", "damaged"]),
        ("notes.txt", b"no picture", ["notes.txt", "PNG"]),
    ],
)
def test_unreadable_file_is_named_with_a_remedy(photo: Studio, name: str, data: bytes, told: list[str]) -> None:
    before = photo.drawing()
    photo.drop(name, data)
    photo.page.wait_for_selector(".toast[data-kind=problem]")
    assert all(part in photo.toast() for part in told)
    assert np.array_equal(photo.drawing(), before)


def test_square_crop_is_one_step_and_the_whole_photo_stays_at_hand(photo: Studio) -> None:
    open_photo(photo, png(WIDE))
    photo.page.click("[data-tool=crop]")
    photo.page.click("[data-aspect=square]")
    assert photo.page.inner_text("#crop-size") == "480 × 480"
    photo.page.click("[data-crop=done]")
    wait_full(photo)
    middle = WIDE[:, 80:560]
    assert close_to(photo.drawing(), middle, 0.1)
    assert close_to(decode(photo.save("result")), full_translation(photo, png(middle)), 1.0)
    photo.press("x")
    photo.page.click("[data-crop=whole]")
    assert photo.page.inner_text("#crop-size") == "640 × 480"
    photo.press("Escape")
    assert close_to(photo.drawing(), middle, 0.1)
    photo.press("Control+z")
    assert np.array_equal(photo.drawing(), WIDE)
    photo.press("Control+Shift+z")
    assert close_to(photo.drawing(), middle, 0.1)


@pytest.mark.parametrize(
    ("button", "expected"),
    [("left", np.rot90(WIDE)), ("right", np.rot90(WIDE, -1)), ("mirror", WIDE[:, ::-1])],
)
def test_turning_and_mirroring(photo: Studio, button: str, expected: Pixels) -> None:
    open_photo(photo, png(WIDE))
    photo.press("x")
    photo.page.click(f"[data-crop={button}]")
    photo.page.click("[data-crop=done]")
    assert close_to(photo.drawing(), expected, 0.1)


def test_straightening_turns_without_empty_corners(photo: Studio) -> None:
    white = np.full((300, 400, 3), 200, np.uint8)
    white[140:160] = 20
    open_photo(photo, png(white))
    photo.press("x")
    photo.page.locator("#crop-angle").focus()
    for _ in range(20):
        photo.press("ArrowRight")
    assert photo.page.inner_text("#crop-angle-value") == "10°"
    photo.page.click("[data-crop=done]")
    turned = photo.drawing()
    assert turned.shape[0] < 300
    corners = turned[[3, 3, -4, -4], [3, -4, 3, -4]]
    assert np.abs(corners.astype(int) - 200).max() <= 2
    dark = [int(np.argmin(turned[:, column, 0])) for column in (20, turned.shape[1] - 20)]
    slope = (dark[1] - dark[0]) / (turned.shape[1] - 40)
    assert slope == pytest.approx(np.tan(np.radians(10)), abs=0.03)


def test_picture_follows_while_cropping(photo: Studio) -> None:
    open_photo(photo, png(WIDE))
    photo.press("x")
    before = photo.canvas("#picture")
    photo.page.click("[data-crop=right]")
    photo.settle()
    assert photo.page.is_visible("#crop")
    assert not np.array_equal(photo.canvas("#picture"), before)


def test_handles_are_pulled_by_mouse_and_keys(photo: Studio) -> None:
    open_photo(photo, png(WIDE))
    photo.press("x")
    page = photo.page
    before = frame_side(page, "width")
    box = page.locator("[data-handle=se]").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 22, box["y"] + 22)
    page.mouse.down()
    page.mouse.move(box["x"] + 22 - before / 2, box["y"] + 22, steps=4)
    page.mouse.up()
    assert frame_side(page, "width") == pytest.approx(before / 2, abs=1.5)
    assert page.inner_text("#crop-size").endswith("× 480")
    page.locator("[data-handle=n]").focus()
    photo.press("ArrowDown", "Shift+ArrowDown")
    assert page.inner_text("#crop-size").endswith("× 469")
    page.locator("[data-handle=move]").focus()
    photo.press("ArrowRight", "Enter")
    assert page.is_hidden("#crop")
    height, width = photo.drawing().shape[:2]
    assert height == 469
    assert width == pytest.approx(320, abs=3)


def test_finger_moves_the_frame_and_pulls_a_corner(open_studio: OpenStudio) -> None:
    studio = open_studio("demo-photo", **PHONE)
    open_photo(studio, png(WIDE))
    page = studio.page
    page.click("[data-tool=crop]")
    page.click("[data-aspect=square]")
    session = page.context.new_cdp_session(page)

    def drag(selector: str, dx: float, dy: float) -> None:
        box = page.locator(selector).bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        for kind, share in (("touchStart", 0.0), ("touchMove", 0.5), ("touchMove", 1.0)):
            point = {"x": x + dx * share, "y": y + dy * share}
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    left, side = frame_side(page, "x"), frame_side(page, "width")
    drag("[data-handle=move]", 15, 0)
    assert frame_side(page, "x") == pytest.approx(left + 15, abs=1)
    drag("[data-handle=nw]", 40, 40)
    assert frame_side(page, "width") == pytest.approx(side - 40, abs=1)
    assert frame_side(page, "height") == pytest.approx(side - 40, abs=1)
    assert page.evaluate("scrollY") == 0


def test_crop_without_a_photo_asks_for_one(photo: Studio) -> None:
    photo.page.click("#clear")
    photo.page.click("[data-tool=crop]")
    photo.page.wait_for_selector(".toast")
    assert "first" in photo.toast()
    assert photo.page.is_hidden("#crop")
    assert photo.page.get_attribute("[data-tool=look]", "aria-pressed") == "true"
    assert "camera" in photo.page.inner_text("#empty")


def test_project_keeps_photo_and_crop(photo: Studio) -> None:
    open_photo(photo, png(WIDE))
    photo.press("x")
    photo.page.click("[data-aspect=square]")
    photo.page.click("[data-crop=done]")
    cropped, project = photo.drawing(), photo.save("project")
    photo.page.click("#clear")
    photo.open("work.inkwash", project, "application/json")
    photo.wait_announced("work.inkwash")
    assert np.array_equal(photo.drawing(), cropped)
    photo.press("x")
    photo.page.click("[data-crop=whole]")
    assert photo.page.inner_text("#crop-size") == "640 × 480"


def test_words_and_tools_follow_the_kind_of_model(photo: Studio) -> None:
    page = photo.page
    assert page.inner_text("#drawing-heading") == "Your photo"
    assert page.is_visible("#camera-button")
    page.click("#model-button")
    page.click("[data-model=demo-lines]")
    page.wait_for_selector("[data-tool=pen]")
    assert page.inner_text("#drawing-heading") == "Your drawing"
    assert page.is_hidden("#camera-button")
    assert page.is_hidden("#full-bar")
    assert page.get_attribute("#clear", "aria-label") == "Clear the drawing"
    photo.press("Control+z")
    page.wait_for_selector("[data-tool=crop]")
    assert page.inner_text("#drawing-heading") == "Your photo"


def test_examples_are_a_gallery_and_one_opens(photo: Studio) -> None:
    before = photo.drawing()
    assert photo.page.inner_text("#examples-heading") == "Free samples"
    assert photo.page.locator(".gallery figcaption").all_inner_texts() == ["Sample 1", "Sample 2"]
    photo.page.click("[data-sample='1']")
    photo.wait_announced("Sample 2")
    wait_full(photo)
    assert not np.array_equal(photo.drawing(), before)


@pytest.mark.parametrize("options", [{}, PHONE])
def test_empty_sheet_offers_samples(open_studio: OpenStudio, options: dict[str, object]) -> None:
    studio = open_studio("demo-photo", **options)
    before = studio.drawing()
    studio.page.click("#clear")
    assert "No photo at hand?" in studio.page.inner_text("#empty-samples")
    offered = studio.page.locator("#empty-row button")
    assert offered.count() == 2
    box = studio.page.locator("#empty-samples").bounding_box()
    sheet = studio.page.locator("#drawing").bounding_box()
    assert box is not None
    assert sheet is not None
    assert sheet["y"] <= box["y"]
    assert box["y"] + box["height"] <= sheet["y"] + sheet["height"]
    if options:
        offered.first.tap()
    else:
        offered.first.focus()
        studio.press("Enter")
    studio.page.wait_for_selector("#empty", state="hidden")
    studio.wait_announced("Sample 1")
    wait_full(studio)
    assert np.array_equal(studio.drawing(), before)


def test_models_of_drawings_have_no_gallery(open_studio: OpenStudio) -> None:
    studio = open_studio("demo-labels")
    assert studio.page.inner_text("#examples-heading") == "Examples"
    studio.clear()
    assert studio.page.is_hidden("#empty-samples")


def test_busy_server_is_asked_again_for_the_full_size(photo: Studio, watch: Watch) -> None:
    watch.expect("status of 429")
    asked: list[str] = []
    wait_full(photo)

    def refuse_once(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) > 1:
            return route.continue_()
        body = '{"status": 429, "code": "queue_full", "title": "busy", "detail": "busy"}'
        headers = {"Retry-After": "1", "Content-Type": "application/problem+json"}
        return route.fulfill(status=429, headers=headers, body=body)

    photo.page.route("**/translate/**", refuse_once)
    open_photo(photo, png(WIDE))
    assert len(asked) == 2


def test_photo_too_large_for_the_server_is_sent_smaller(photo: Studio, watch: Watch) -> None:
    watch.expect("status of 413")
    sizes: list[int] = []
    wait_full(photo)

    def refuse_large(route: Route) -> None:
        body = route.request.post_data_buffer or b""
        picture = Image.open(io.BytesIO(body[body.index(b"\r\n\r\n") + 4 :]))
        sizes.append(picture.width * picture.height)
        if sizes[-1] <= 200_000:
            return route.continue_()
        told = '{"status": 413, "code": "image_too_large", "title": "large", "detail": "large"}'
        return route.fulfill(status=413, headers={"Content-Type": "application/problem+json"}, body=told)

    photo.page.route("**/translate/**", refuse_large)
    open_photo(photo, png(WIDE))
    assert sizes[0] == 640 * 480
    assert sizes[-1] <= 640 * 480 / 3 + 1
    assert "smaller" in photo.page.inner_text("#full-state")


# --- the large view


def viewer_scale(page: Page) -> int:
    return int(page.inner_text("#viewer-scale").split()[0].replace(",", ""))


def look(studio: Studio, data: bytes = png(WIDE)) -> Page:
    """Opens a photo and looks at it closely."""
    open_photo(studio, data)
    studio.page.click("#look")
    studio.page.wait_for_selector("#viewer[open]")
    return studio.page


def test_large_view_compares_at_full_size(photo: Studio) -> None:
    large = np.asarray(landscape(1900, 1400))
    page = look(photo, jpeg(large))
    assert page.inner_text("#viewer-size") == "1900 × 1400"
    assert close_to(photo.canvas("#viewer-before"), large, 4)
    assert close_to(photo.canvas("#viewer-after"), full_translation(photo, jpeg(large), "image/jpeg"), 3)
    with page.expect_download() as download:
        page.click("[data-viewer='image/png']")
    assert decode(Path(download.value.path()).read_bytes()).shape == (1400, 1900, 3)
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.id") == "look"


def test_large_view_zooms_and_moves_by_wheel_mouse_and_keys(photo: Studio) -> None:
    page = look(photo, jpeg(np.asarray(landscape(1900, 1400))))
    fitted = viewer_scale(page)
    page.mouse.move(300, 300)
    page.mouse.wheel(0, -400)
    photo.wait(f"parseInt(document.querySelector('#viewer-scale').textContent) > {fitted}")
    place = "document.querySelector('#viewer-after').getBoundingClientRect().x"
    before = page.evaluate(place)
    page.mouse.down()
    page.mouse.move(260, 300, steps=3)
    page.mouse.up()
    assert page.evaluate(place) == pytest.approx(before - 40, abs=1)
    page.keyboard.press("ArrowRight")
    assert page.evaluate(place) == pytest.approx(before - 100, abs=1)
    page.keyboard.press("0")
    assert viewer_scale(page) == fitted
    page.mouse.dblclick(600, 300)
    assert viewer_scale(page) == 100
    page.mouse.dblclick(600, 300)
    assert viewer_scale(page) == fitted
    page.click("[data-viewer=full]")
    assert viewer_scale(page) == 100
    page.click("[data-viewer=fit]")
    assert viewer_scale(page) == fitted


def test_divider_moves_by_mouse_and_keys(photo: Studio) -> None:
    page = look(photo)
    divider = page.locator("#viewer-divider")
    box = page.locator(".viewer-knob").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(320, box["y"] + 20, steps=4)
    page.mouse.up()
    assert divider.get_attribute("aria-valuenow") == "25"
    assert "75%" in page.evaluate("document.querySelector('#viewer-clip').style.clipPath")
    divider.focus()
    photo.press("ArrowRight")
    assert divider.get_attribute("aria-valuenow") == "27"
    photo.press("End")
    assert divider.get_attribute("aria-valuenow") == "100"


def test_two_fingers_zoom_the_large_view(open_studio: OpenStudio) -> None:
    studio = open_studio("demo-photo", **PHONE)
    page = look(studio)
    fitted = viewer_scale(page)
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *spots: tuple[float, float]) -> None:
        points = [{"x": x, "y": y, "id": k} for k, (x, y) in enumerate(spots)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", (100, 300))
    touch("touchStart", (100, 300), (160, 300))
    touch("touchMove", (70, 300), (250, 300))
    touch("touchEnd")
    assert viewer_scale(page) == pytest.approx(3 * fitted, rel=0.05)


# --- accessibility


@pytest.mark.parametrize(
    ("options", "opened"),
    [
        ({}, None),
        ({"color_scheme": "dark"}, "[data-tool=crop]"),
        (PHONE, "[data-tool=crop]"),
        (PHONE, "#clear"),
        ({}, "#camera-button"),
        ({}, "#look"),
        ({"color_scheme": "dark"}, "#several"),
    ],
)
def test_axe_finds_nothing_serious(open_studio: OpenStudio, options: dict[str, object], opened: str | None) -> None:
    studio = open_studio("demo-gray", **options)
    wait_full(studio)
    if opened:
        studio.page.click(opened)
    if opened == "#several":
        studio.page.set_input_files("#file", [{"name": n, "mimeType": "image/png", "buffer": d} for n, d in FILES])
        studio.wait("document.querySelectorAll('.batch-row[data-state=failed], .batch-row[data-state=done]').length === 2")
    found = Axe().run(studio.page).response["violations"]
    serious = [
        (rule["id"], [node["html"][:120] for node in rule["nodes"]])
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ]
    assert serious == []


FILES = (("a.png", png(WIDE)), ("b.png", b"no picture"))


def test_photo_tools_fit_a_phone(open_studio: OpenStudio) -> None:
    studio = open_studio("demo-photo", **PHONE)
    assert studio.page.evaluate("document.documentElement.scrollWidth") <= 390
    studio.page.click("[data-tool=crop]")
    box = studio.page.locator("[data-crop=done]").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= 844
    sizes = studio.page.eval_on_selector_all(
        "#crop-bar button:not(.small), .crop-handle",
        "all => all.map(one => [one.dataset.crop, one.offsetWidth, one.offsetHeight])",
    )
    assert [size for size in sizes if min(size[1:]) < 40] == []
