"""Models of several inputs, and of arrays that no canvas can show."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, WebSocket, WebSocketRoute

from tests.browser.conftest import OpenStudio, Server, Watch, free_port
from tests.browser.studio import Pixels, Studio, decode, png
from tests.browser.test_npy import npy
from tests.browser.test_page import PHONE
from tests.browser.test_photo import wait_full
from tests.server.models import Graph, bands, geology_map, landscape, moisture, photo_input, relief, write_model

HILLS = np.asarray(relief(320).convert("RGB"))
ROCKS = np.asarray(geology_map())
SLOTS = "#inputs .input-slot"


@pytest.fixture
def terrain(open_studio: OpenStudio) -> Studio:
    """The page with labels on the sheet, a relief in its slot and no moisture."""
    return open_studio("demo-inputs")


@pytest.fixture
def channels(open_studio: OpenStudio) -> Studio:
    """The page with an array of five channels."""
    return open_studio("demo-channels")


def state(studio: Studio, name: str) -> str | None:
    return studio.page.get_attribute(f"[data-input={name}]", "data-state")


def choose(studio: Studio, selector: str, name: str, data: bytes) -> None:
    """Opens a file with the chooser that a button brings."""
    with studio.page.expect_file_chooser() as chooser:
        studio.page.click(selector)
    chooser.value.set_files({"name": name, "mimeType": "application/octet-stream", "buffer": data})


def choose_input(studio: Studio, name: str, file: str, data: bytes) -> None:
    choose(studio, f"[data-input={name}] .input-open", file, data)
    studio.wait(f"document.querySelector('[data-input={name}] small').textContent === '{file}'")


def drop_on(studio: Studio, selector: str, files: dict[str, bytes], event: str = "drop") -> None:
    """Drops or pastes files onto an element."""
    studio.page.evaluate(
        """([selector, event, files]) => {
          const transfer = new DataTransfer();
          for (const [name, bytes] of files) transfer.items.add(new File([Uint8Array.from(bytes)], name, {type: "image/png"}));
          const options = {bubbles: true, cancelable: true, dataTransfer: transfer, clipboardData: transfer};
          const made = event === "paste" ? new ClipboardEvent(event, options) : new DragEvent(event, options);
          document.querySelector(selector).dispatchEvent(made);
        }""",
        [selector, event, [[name, list(data)] for name, data in files.items()]],
    )


def answer(studio: Studio, files: dict[str, bytes], **query: str) -> Pixels:
    """What the API makes of these inputs."""
    address, _, model = studio.page.url.partition("?model=")
    response = httpx.post(f"{address}translate/{model.partition('&')[0]}", params=query, files=dict(files.items()))
    return decode(response.raise_for_status().content)


def label_map(studio: Studio) -> bytes:
    return studio.save("drawing")


def announced(studio: Studio, text: str) -> None:
    studio.wait_announced(text)


# --- slots


def test_each_further_input_has_a_slot_that_names_it_and_says_what_it_takes(terrain: Studio) -> None:
    page = terrain.page
    assert page.inner_text("#drawing-heading") == "Geology"
    assert [state(terrain, name) for name in ("relief", "moisture")] == ["filled", "optional"]
    assert page.locator(SLOTS).count() == 2
    assert "256 × 256" in page.inner_text("[data-input=relief]")
    assert "Optional: NumPy file with 2 values" in page.inner_text("[data-input=moisture]")
    assert page.locator("[data-input=relief] canvas").count() == 1
    assert page.locator("#drawing-stage canvas").count() == 1
    assert np.array_equal(
        terrain.result(), answer(terrain, {"geology": label_map(terrain), "relief": png(np.asarray(relief()))})
    )


def test_labels_are_painted_and_sent_with_the_other_inputs(terrain: Studio) -> None:
    terrain.press("1")
    terrain.stroke((30, 200), (220, 220))
    drawn = label_map(terrain)
    assert not np.array_equal(decode(drawn), ROCKS)
    expected = answer(terrain, {"geology": drawn, "relief": png(np.asarray(relief()))})
    assert np.array_equal(terrain.result(), expected)


def test_missing_input_is_asked_for_and_nothing_is_sent_without_it(open_studio: OpenStudio) -> None:
    sent: list[int] = []

    def watch_frames(socket: WebSocket) -> None:
        socket.on("framesent", lambda _: sent.append(1))

    studio = open_studio("demo-inputs")
    page = studio.page
    page.on("websocket", watch_frames)
    page.reload()
    page.wait_for_selector("html[data-ready]")
    studio.settle()
    assert page.is_hidden("#needs")
    page.click("[data-input=relief] .input-remove")
    assert page.is_visible("#needs")
    assert page.inner_text("#needs-text") == "Still needed for a picture: Relief."
    assert state(studio, "relief") == "required"
    page.wait_for_timeout(300)  # for what was on its way
    frames = len(sent)
    studio.stroke((40, 40), (200, 40))
    studio.settle()
    page.wait_for_timeout(300)
    assert len(sent) == frames
    choose(studio, "#needs-open", "hills.png", png(HILLS))
    page.wait_for_selector("#needs", state="hidden")
    studio.settle()
    assert len(sent) > frames


def test_saving_without_a_needed_input_says_which(terrain: Studio) -> None:
    terrain.page.click("[data-input=relief] .input-remove")
    terrain.page.click("#copy")
    terrain.page.wait_for_selector(".toast[data-kind=problem]")
    assert terrain.toast() == "Still needed for a picture: Relief."


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_file_dropped_or_pasted_on_a_slot_replaces_what_is_in_it(terrain: Studio, event: str) -> None:
    before = terrain.result()
    drop_on(terrain, "[data-input=relief] .input-open", {"hills.png": png(HILLS)}, event)
    announced(terrain, "hills.png opened for Relief")
    assert "320 × 320" in terrain.page.inner_text("[data-input=relief]")
    after = terrain.result()
    assert not np.array_equal(after, before)
    expected = answer(terrain, {"geology": label_map(terrain), "relief": png(HILLS)})
    # The page makes it smaller with the browser's filter, the server with its own.
    assert np.abs(after.astype(int) - expected).mean() < 1


def test_file_dropped_on_the_sheet_goes_to_the_main_input(terrain: Studio) -> None:
    terrain.drop("map.png", png(np.full((256, 256, 3), (0xB0, 0x74, 0x6A), np.uint8)))
    announced(terrain, "map.png opened")
    assert np.array_equal(np.unique(decode(label_map(terrain)).reshape(-1, 3), axis=0), [[0xB0, 0x74, 0x6A]])
    assert state(terrain, "relief") == "filled"


def test_several_files_are_shared_out_by_name_and_then_in_order(terrain: Studio) -> None:
    terrain.page.click("[data-input=relief] .input-remove")
    drop_on(terrain, "#drawing", {"Lakes_RELIEF.png": png(HILLS), "map.png": png(ROCKS[::-1])})
    terrain.wait("document.querySelector('[data-input=relief] small').textContent === 'Lakes_RELIEF.png'")
    terrain.settle()
    assert np.array_equal(decode(label_map(terrain)), ROCKS[::-1])


def test_array_is_sent_exactly_and_one_of_another_shape_is_refused(terrain: Studio) -> None:
    choose_input(terrain, "moisture", "wet.npy", npy(moisture()))
    assert "256 × 256 × 2" in terrain.page.inner_text("[data-input=moisture]")
    inputs = {"geology": label_map(terrain), "relief": png(np.asarray(relief()))}
    wet = terrain.result()
    assert np.array_equal(wet, answer(terrain, {**inputs, "moisture": npy(moisture())}))
    for name, data, told in (("bands.npy", npy(bands(8, 8)), "5 values"), ("photo.png", png(HILLS), ".npy")):
        drop_on(terrain, "[data-input=moisture]", {name: data})
        terrain.page.wait_for_selector(f".toast[data-kind=problem]:has-text('{name}')")
        assert told in terrain.toast()
    assert np.array_equal(terrain.result(), wet)
    large = npy(moisture(1024).astype(np.float32) / 255)
    choose_input(terrain, "moisture", "large.npy", large)
    assert np.abs(terrain.result().astype(int) - wet).mean() < 1.5


def test_keyboard_opens_and_removes(terrain: Studio) -> None:
    page = terrain.page
    # Waits from the start: a key pressed at once after asking for the chooser can be ahead of the browser's hook for it.
    with page.expect_file_chooser() as chooser:
        page.locator("[data-input=relief] .input-open").focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        terrain.wait("document.querySelector('[data-input=relief]').dataset.state === 'required'")
        assert page.evaluate("document.activeElement.className") == "input-open"
        assert page.evaluate("document.activeElement.closest('.input-slot').dataset.input") == "relief"
        page.keyboard.press("Enter")
    chooser.value.set_files({"name": "hills.png", "mimeType": "image/png", "buffer": png(HILLS)})
    terrain.wait("document.querySelector('[data-input=relief]').dataset.state === 'filled'")


def test_opening_and_removing_are_steps_and_clearing_the_sheet_keeps_the_slots(terrain: Studio) -> None:
    choose_input(terrain, "relief", "hills.png", png(HILLS))
    terrain.page.click("[data-input=relief] .input-remove")
    terrain.press("Control+z")
    assert "hills.png" in terrain.page.inner_text("[data-input=relief]")
    terrain.press("Control+z")
    assert "hills.png" not in terrain.page.inner_text("[data-input=relief]")
    assert state(terrain, "relief") == "filled"
    terrain.clear()
    assert state(terrain, "relief") == "filled"
    terrain.page.click("[data-sample='1']")
    terrain.wait("document.querySelector('[data-input=moisture]').dataset.state === 'filled'")


def test_project_keeps_every_input(terrain: Studio) -> None:
    choose_input(terrain, "relief", "hills.png", png(HILLS))
    choose_input(terrain, "moisture", "wet.npy", npy(moisture()))
    picture = terrain.result()
    project = terrain.save("project")
    terrain.page.click("[data-sample='0']")
    terrain.wait("document.querySelector('[data-input=moisture]').dataset.state === 'optional'")
    terrain.open("terrain.inkwash", project, "application/json")
    terrain.wait("document.querySelector('[data-input=moisture] small').textContent === 'wet.npy'")
    assert "hills.png" in terrain.page.inner_text("[data-input=relief]")
    assert np.array_equal(terrain.result(), picture)


def test_slots_speak_japanese(open_studio: OpenStudio) -> None:
    studio = open_studio("demo-inputs", locale="ja-JP")
    assert studio.page.inner_text("#drawing-heading") == "地質"
    studio.page.click("#language")
    studio.page.wait_for_selector("html[lang=en]")
    assert studio.page.inner_text("#drawing-heading") == "Geology"
    assert "Relief" in studio.page.inner_text("[data-input=relief]")


def serious(page: Page) -> list[object]:
    found = Axe().run(page).response["violations"]
    return [
        (rule["id"], [node["html"][:120] for node in rule["nodes"]])
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("options", [{}, {"color_scheme": "dark"}, PHONE])
def test_axe_finds_nothing_serious_in_slots(open_studio: OpenStudio, options: dict[str, object]) -> None:
    studio = open_studio("demo-inputs", **options)
    assert serious(studio.page) == []
    studio.page.click("[data-input=relief] .input-remove")
    assert serious(studio.page) == []


def test_slots_fit_a_phone(open_studio: OpenStudio) -> None:
    studio = open_studio("demo-inputs", **PHONE)
    assert studio.page.evaluate("document.documentElement.scrollWidth") <= 390
    sizes = studio.page.eval_on_selector_all(
        "#inputs button", "all => all.map(one => [one.className, one.offsetWidth, one.offsetHeight])"
    )
    assert len(sizes) == 3
    assert [size for size in sizes if min(size[1:]) < 40] == []


def test_frame_that_the_server_would_not_take_is_not_sent(terrain: Studio) -> None:
    sent: list[object] = []

    def narrow(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()
        socket.on_message(lambda message: sent.append(message))
        server.on_message(lambda message: socket.send(str(message).replace("4194304", "100")))

    terrain.page.route_web_socket("**/live/**", narrow)
    terrain.page.reload()
    announced(terrain, "too large to be sent")
    terrain.settle()
    assert sent == []


# --- arrays on the sheet


def test_array_takes_the_sheet_of_a_model_that_reads_one(channels: Studio) -> None:
    page = channels.page
    wait_full(channels)
    assert np.array_equal(decode(channels.save("result")), bands()[:, :, [4, 2, 0]])
    assert page.is_hidden("#camera-button")
    assert page.locator("[data-tool]").count() == 1
    page.click("#clear")
    assert "height × width × 5" in page.inner_text("#empty-text")
    assert page.inner_text("#needs-text") == "Still needed for a picture: Bands."
    scene = bands(500, 300)
    choose(channels, "#needs-open", "scene.npy", npy(scene))
    announced(channels, "scene.npy opened")
    wait_full(channels)
    assert "500 × 300" in page.inner_text("#full-state")
    assert np.array_equal(decode(channels.save("result")), answer(channels, {"bands": npy(scene)}, size="original"))
    shown = channels.canvas("#drawing-stage canvas")
    assert shown.std(axis=(0, 1)).min() > 10


def test_array_sheet_refuses_pictures_and_other_arrays(channels: Studio) -> None:
    for name, data, told in (("photo.png", png(HILLS), ".npy"), ("two.npy", npy(moisture()), "2 values")):
        channels.drop(name, data)
        channels.page.wait_for_selector(f".toast[data-kind=problem]:has-text('{name}')")
        assert told in channels.toast()


def test_array_survives_in_a_project(channels: Studio) -> None:
    channels.drop("scene.npy", npy(bands(256, 128)))
    announced(channels, "scene.npy opened")
    project = channels.save("project")
    channels.page.click("#clear")
    channels.open("scene.inkwash", project, "application/json")
    channels.page.wait_for_selector("#needs", state="hidden")
    wait_full(channels)
    assert np.array_equal(decode(channels.save("result")), bands(256, 128)[:, :, [4, 2, 0]])


def test_several_arrays_are_a_batch(channels: Studio) -> None:
    drop_on(channels, "#drawing", {"a.npy": npy(bands(64, 48)), "b.npy": npy(moisture())})
    channels.wait("document.querySelectorAll('.batch-row[data-state=failed], .batch-row[data-state=done]').length === 2")
    assert channels.page.locator(".batch-row[data-state=done] canvas").count() == 2
    assert "2 values" in channels.page.inner_text(".batch-row[data-state=failed]")


@pytest.mark.parametrize(
    "array",
    [np.asarray(landscape(400, 300)).astype(np.float32) / 255, np.asarray(landscape(400, 300).convert("L")) * np.uint16(257)],
)
def test_photo_may_be_an_array_of_gray_or_colours(photo: Studio, array: Pixels) -> None:
    photo.drop("scene.npy", npy(array))
    announced(photo, "scene.npy opened")
    wait_full(photo)
    assert np.array_equal(decode(photo.save("result")), answer(photo, {"photo": npy(array)}, size="original"))


# --- a photo with a further input


@pytest.fixture(scope="module")
def pair_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A model that darkens a photo by a relief, in tiles, so that a place out of line would show."""
    text = """<ir_version: 9, opset_import: ["": 17]>
    darken (uint8[N,64,64,3] photo, uint8[N,64,64,1] relief) => (uint8[N,64,64,3] image) {
      colors = Cast <to = 1> (photo)
      heights = Cast <to = 1> (relief)
      light = Div (heights, white)
      dark = Mul (colors, light)
      image = Cast <to = 2> (dark)
    }"""
    output = {"size": {"height": 64, "width": 64}, "tiling": {"overlap": 16}}
    inputs = (photo_input(size=64), photo_input("relief", 64, "gray"))
    graph = Graph(text, inputs, output, constants={"white": np.full(1, 255, np.float32)})
    yield from served(tmp_path_factory.mktemp("pair"), graph)


def served(folder: Path, graph: Graph) -> Iterator[Server]:
    """A server of one model of a photo and a relief, named as its folder without the number."""
    name = folder.name.rstrip("0123456789")
    write_model(folder / name, graph, pictures=({"photo": landscape(64, 64), "relief": relief(64)},))
    running = Server(folder, free_port())
    running.start()
    yield running
    running.kill()


def open_both(studio: Studio) -> None:
    """Drops a wide photo and its relief, both of 160 x 120 pixels."""
    drop_on(studio, "#drawing", {"photo.png": png(PHOTO), "relief.png": png(SLOPE)})
    studio.wait("document.querySelector('[data-input=relief] small').textContent === 'relief.png'")


@pytest.fixture
def pair(open_studio: OpenStudio, pair_server: Server) -> Studio:
    """The page with a wide photo and its relief, both of 160 x 120 pixels."""
    studio = open_studio("pair", url=pair_server.url)
    open_both(studio)
    studio.wait("document.querySelector('#full-state').textContent === 'Full size, 160 × 120'")
    return studio


PHOTO = np.asarray(landscape(160, 120))
SLOPE = np.asarray(relief(160).resize((160, 120)).convert("RGB"))


def test_full_size_takes_every_input_at_its_own_size(pair: Studio) -> None:
    expected = answer(pair, {"photo": png(PHOTO), "relief": png(SLOPE)}, size="original")
    assert np.array_equal(decode(pair.save("result")), expected)


def test_picture_of_the_same_shape_is_cropped_along(pair: Studio) -> None:
    pair.press("x")
    pair.page.click("[data-aspect=square]")
    pair.page.click("[data-crop=done]")
    pair.wait("document.querySelector('#full-state').textContent === 'Full size, 120 × 120'")
    middle = slice(20, 140)
    expected = answer(pair, {"photo": png(PHOTO[:, middle]), "relief": png(SLOPE[:, middle])}, size="original")
    assert np.abs(decode(pair.save("result")).astype(int) - expected).mean() < 1
    pair.press("Control+z")
    pair.wait("document.querySelector('#full-state').textContent === 'Full size, 160 × 120'")
    assert np.array_equal(
        decode(pair.save("result")), answer(pair, {"photo": png(PHOTO), "relief": png(SLOPE)}, size="original")
    )


def test_batch_without_a_needed_input_says_which(pair: Studio, watch: Watch) -> None:
    pair.page.click("[data-input=relief] .input-remove")
    pair.page.click("#several")
    pair.page.set_input_files("#file", [{"name": "a.png", "mimeType": "image/png", "buffer": png(PHOTO)}])
    pair.page.wait_for_selector(".batch-row[data-state=failed]")
    assert "Relief" in pair.page.inner_text(".batch-row small")
    pair.press("Escape")
    assert not pair.is_enabled("#look")
    assert watch.complaints == []


# --- a photo with hints and a further input


@pytest.fixture(scope="module")
def hinted_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A model that shows dabs where they lie on a photo, and takes a relief without looking at it."""
    text = """<ir_version: 9, opset_import: ["": 17]>
    dab (uint8[N,64,64,3] photo, uint8[N,64,64,1] relief, uint8[N,64,64,4] hints) => (uint8[N,64,64,3] image) {
      colors, cover = Split <axis = 3> (hints, three_one)
      is_dab = Cast <to = 9> (cover)
      heights = Cast <to = 9> (relief)
      never = Xor (heights, heights)
      is_shown = Or (is_dab, never)
      image = Where (is_shown, colors, photo)
    }"""
    hints = {**photo_input("hints", 64), "kind": "hints", "channels": 4, "background": [0, 0, 0, 0], "optional": True}
    inputs = (photo_input(size=64), photo_input("relief", 64, "gray"), hints)
    output = {"size": {"height": 64, "width": 64}}
    graph = Graph(text, inputs, output, constants={"three_one": np.array([3, 1], np.int64)})
    yield from served(tmp_path_factory.mktemp("hinted"), graph)


@pytest.fixture
def hinted(open_studio: OpenStudio, hinted_server: Server) -> Studio:
    """The page with a wide photo and a red dab on its left half."""
    studio = open_studio("hinted", url=hinted_server.url)
    open_both(studio)
    studio.press("h")
    studio.page.fill(".hex", "#ff0000")
    studio.press("Enter")
    studio.stroke((80, 128), (84, 128))
    return studio


def dab_column(studio: Studio) -> float:
    """Where the dab lies in the picture on show, as a share of its width."""
    pixels = studio.result().astype(int)
    columns = np.nonzero((pixels[:, :, 0] > 180) & (pixels[:, :, 1] < 110))[1]
    return float(columns.mean()) / pixels.shape[1]


def test_hints_go_along_with_a_crop_that_another_input_ends(hinted: Studio) -> None:
    before = dab_column(hinted)
    hinted.press("x")
    hinted.page.click("[data-aspect=square]")
    choose_input(hinted, "relief", "other.png", png(SLOPE[::-1]))
    hinted.page.wait_for_selector("#crop", state="hidden")
    # The middle 120 of 160 columns fill the sheet.
    assert dab_column(hinted) == pytest.approx((before - 20 / 160) * 160 / 120, abs=0.02)


@pytest.mark.parametrize("tool", ["unhint", "pick"])
def test_tool_chosen_in_a_crop_ends_it_and_stays(hinted: Studio, tool: str) -> None:
    assert hinted.page.get_attribute("[data-tool=hint]", "aria-pressed") == "true"
    hinted.press("x")
    hinted.page.wait_for_selector("#crop:not([hidden])")
    hinted.page.click(f"[data-tool={tool}]")
    hinted.page.wait_for_selector("#crop", state="hidden")
    assert hinted.page.get_attribute(f"[data-tool={tool}]", "aria-pressed") == "true"


def test_colour_picked_after_a_crop_leads_back_to_the_tool_before_it(hinted: Studio) -> None:
    hinted.press("x")
    hinted.page.wait_for_selector("#crop:not([hidden])")
    hinted.press("i")
    hinted.page.wait_for_selector("#crop", state="hidden")
    hinted.settle()
    hinted.click((128, 128))
    assert hinted.page.get_attribute("[data-tool=hint]", "aria-pressed") == "true"
    assert hinted.page.is_hidden("#crop")
