"""The preview of a build in a browser: pairs are struck with keys, the mouse and a finger, and taken out of the set."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser.conftest import DESKTOP, Watch
from tests.training.builder.builds import make_pairs_only, write_set
from training.builder.strikes import read_struck
from training.builder.view import ViewServer, open_view
from training.datasets import PairedDataset

PAIRS = 60
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
DARK = {"color_scheme": "dark"}
PATIENCE_SECONDS = 20


@dataclass
class Preview:
    """The open page of a build."""

    page: Page
    build: Path
    server: ViewServer

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def wait(self, holds: Callable[[], bool]) -> None:
        """Waits until something is so; strikes reach the disk a moment after the page shows them."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            assert time.monotonic() < deadline, "never became true"
            self.page.wait_for_timeout(20)

    def wait_struck(self, *ids: str) -> None:
        self.wait(lambda: read_struck(self.build) == set(ids))

    @property
    def names(self) -> list[str]:
        """Ids in the order of the page."""
        splits = ("train", "val")
        return [name for split in splits for name in (self.build / "dataset" / split / "names.txt").read_text("utf-8").split()]

    @property
    def focused(self) -> str:
        """Id of the pair that has the focus."""
        label: str = self.page.evaluate("document.activeElement.getAttribute('aria-label') ?? ''")
        return label.split(",")[0]

    @property
    def columns(self) -> int:
        tops: list[float] = self.page.eval_on_selector_all(".pair", "all => all.map((one) => one.getBoundingClientRect().top)")
        return tops.count(tops[0])

    def text(self, selector: str) -> str:
        return self.page.inner_text(selector)

    def tile(self, pair_id: str) -> str:
        return f".pair[aria-label^='{pair_id}']"


OpenPreview = Callable[..., Preview]


@contextmanager
def serving(build: Path) -> Iterator[ViewServer]:
    """A preview that answers from a thread of its own."""
    with open_view(build, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def open_preview(browser: Browser, tmp_path: Path, watch: Watch) -> Iterator[OpenPreview]:
    """Serves a build and opens its page."""
    with ExitStack() as closing:

        def start(pairs: int = PAIRS, **options: object) -> Preview:
            build = make_pairs_only(tmp_path / "discs", pairs)
            server = closing.enter_context(serving(build))
            context: BrowserContext = browser.new_context(**DESKTOP | options)  # type: ignore[arg-type]
            closing.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(PATIENCE_SECONDS * 1000)
            watch.attach(page)
            return Preview(reopened(page, server), build, server)

        yield start


def reopened(page: Page, server: ViewServer) -> Page:
    page.goto(server.url)
    page.wait_for_selector("html[data-ready]")
    return page


@pytest.fixture
def preview(open_preview: OpenPreview) -> Preview:
    """The page on a desktop, with a build of its own."""
    return open_preview()


# --- keys


def test_strikes_of_the_keyboard_are_on_the_disk(preview: Preview) -> None:
    first, second, third = preview.names[:3]
    preview.press("x", "ArrowRight", "Delete", "ArrowRight", "x")
    preview.wait_struck(first, second, third)
    preview.press("ArrowLeft", "x")
    preview.wait_struck(first, third)
    assert preview.text("#counts") == f"{PAIRS} pairs, 2 struck"
    assert preview.page.get_attribute(preview.tile(first), "aria-selected") == "true"
    assert preview.page.get_attribute(preview.tile(second), "aria-selected") == "false"


def test_strikes_are_there_after_a_reload(preview: Preview) -> None:
    preview.press("ArrowRight", "x")
    preview.wait_struck(preview.names[1])
    reopened(preview.page, preview.server)
    assert preview.page.get_attribute(preview.tile(preview.names[1]), "aria-selected") == "true"
    assert preview.text("#counts") == f"{PAIRS} pairs, 1 struck"


def test_undo_takes_back_one_step_after_the_other_and_goes_there(preview: Preview) -> None:
    first, second = preview.names[:2]
    preview.press("x", "ArrowRight", "x", "ArrowRight", "ArrowRight")
    preview.press("u")
    preview.wait_struck(first)
    assert preview.focused == second
    preview.press("Control+z")
    preview.wait_struck()
    assert preview.focused == first
    assert preview.page.is_disabled("#undo")
    preview.press("u")
    assert preview.text("#counts") == f"{PAIRS} pairs, 0 struck"


def test_undo_brings_back_a_strike_that_was_taken_back(preview: Preview) -> None:
    preview.press("x", "x")
    preview.wait_struck()
    preview.press("u")
    preview.wait_struck(preview.names[0])


def test_arrows_move_through_rows_and_columns(preview: Preview) -> None:
    names, columns = preview.names, preview.columns
    assert columns > 2
    preview.press("ArrowDown")
    assert preview.focused == names[columns]
    preview.press("ArrowRight", "ArrowUp")
    assert preview.focused == names[1]
    preview.press("ArrowUp")
    assert preview.focused == names[1]
    preview.press("End")
    assert preview.focused == names[-1]
    preview.press("ArrowRight", "ArrowDown")
    assert preview.focused == names[-1]
    preview.press("Home", "ArrowLeft")
    assert preview.focused == names[0]
    preview.press("PageDown")
    assert names.index(preview.focused) % columns == 0
    assert names.index(preview.focused) > columns


def test_pair_that_is_moved_to_is_whole_on_the_screen(preview: Preview) -> None:
    for keys in (("End",), ("Home",), ("PageDown",), ("ArrowUp",), ("ArrowDown",) * 4):
        preview.press(*keys)
        top, bottom, bar, window = preview.page.evaluate(
            "(() => { const box = document.activeElement.getBoundingClientRect();"
            "return [box.top, box.bottom, document.getElementById('top').getBoundingClientRect().bottom, innerHeight]; })()"
        )
        assert bar <= top < bottom <= window, keys


def test_filters_show_struck_pairs_or_one_split(preview: Preview) -> None:
    held_out = PairedDataset.open(preview.build / "dataset", "val").names
    preview.press("ArrowRight", "x", "2")
    assert preview.page.eval_on_selector_all(".pair", "all => all.length") == 1
    assert preview.focused == preview.names[1]
    preview.press("4")
    assert preview.page.get_attribute(".pair", "aria-setsize") == str(len(held_out))
    preview.press("End")
    assert preview.focused == held_out[-1]
    preview.press("1")
    assert preview.focused == held_out[-1]
    assert preview.text("#filters").split() == ["All", "60", "Struck", "1", "Train", "45", "Val", "15"]


def test_filter_of_nothing_says_so(preview: Preview) -> None:
    preview.page.click("[data-filter=struck]")
    assert preview.text("#empty") == "Nothing is struck."
    preview.press("x", "Enter", "ArrowDown")
    assert not preview.page.is_visible("#large")
    preview.page.click("[data-filter=all]")
    assert not preview.page.is_visible("#empty")


def test_help_tells_the_keys(preview: Preview) -> None:
    preview.press("?")
    assert preview.page.is_visible("#keys")
    preview.press("x", "Escape")
    assert not preview.page.is_visible("#keys")
    assert preview.text("#counts") == f"{PAIRS} pairs, 0 struck"


def test_size_of_the_pictures_follows_the_keys(preview: Preview) -> None:
    before = preview.columns
    preview.press("ArrowRight", "+", "+", "+")
    assert preview.columns < before
    assert preview.focused == preview.names[1]
    preview.press("-", "-", "-", "-", "-")
    assert preview.columns > before


# --- one pair, large


def test_large_view_shows_the_pair_and_its_lines_over_the_picture(preview: Preview) -> None:
    preview.press("ArrowRight", "Enter")
    preview.page.wait_for_selector("#large[open]")
    assert preview.text("#large-place") == f"2 of {PAIRS} train · {preview.names[1]}"
    for image in ("source", "target", "overlay"):
        preview.wait(lambda image=image: preview.page.evaluate(f"document.getElementById('large-{image}').naturalWidth") == 32)
    assert float(preview.page.evaluate("document.getElementById('large-overlay').style.opacity")) > 0
    preview.press("o")
    assert float(preview.page.evaluate("document.getElementById('large-overlay').style.opacity")) == 0
    assert "CC" in preview.text("#credit")
    assert "Ada" in preview.text("#credit")


def test_large_view_is_worked_with_keys_alone(preview: Preview) -> None:
    names = preview.names
    preview.press(" ", "ArrowRight", "ArrowRight", "x")
    preview.wait_struck(names[2])
    assert preview.page.is_visible("#large-state")
    preview.press("ArrowLeft")
    assert not preview.page.is_visible("#large-state")
    preview.press("x", "ArrowRight", "u")
    preview.wait_struck(names[2])
    assert names[1] in preview.text("#large-place")
    preview.press("Enter")
    assert not preview.page.is_visible("#large")
    preview.wait(lambda: preview.focused == names[1])
    preview.press("Enter", "ArrowRight", "ArrowRight", "Escape")
    preview.wait(lambda: preview.focused == names[3])


def test_slider_moved_by_mouse_leaves_the_arrows_to_the_pairs(preview: Preview) -> None:
    preview.press("Enter")
    preview.page.click("#overlay", position={"x": 4, "y": 10})
    assert int(preview.page.input_value("#overlay")) < 20
    preview.press("ArrowRight")
    assert preview.text("#large-place").startswith("2 of")


# --- mouse and finger


def test_mouse_strikes_in_the_grid_and_in_the_large_view(preview: Preview) -> None:
    first, second = preview.names[:2]
    preview.page.hover(preview.tile(second))
    preview.page.click(f"{preview.tile(second)} .strike")
    preview.wait_struck(second)
    assert not preview.page.is_visible("#large")
    preview.page.click(preview.tile(first))
    preview.page.click("[data-large=strike]")
    preview.wait_struck(first, second)
    preview.page.click("[data-large=next]")
    preview.page.click("[data-large=strike]")
    preview.wait_struck(first)
    preview.page.click("[data-large=close]")
    preview.page.click("#undo")
    preview.wait_struck(first, second)


def test_finger_strikes_and_swipes_on_a_phone(open_preview: OpenPreview) -> None:
    preview = open_preview(**PHONE)
    page, (first, second) = preview.page, preview.names[:2]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.tap(f"{preview.tile(first)} .strike")
    preview.wait_struck(first)
    page.tap(preview.tile(first))
    page.wait_for_selector("#large[open]")
    touch = page.context.new_cdp_session(page)
    for kind, x in (("touchStart", 300), ("touchMove", 200), ("touchMove", 100), ("touchMove", 99), ("touchEnd", None)):
        points = [] if x is None else [{"x": x, "y": 300}]
        if x is None or x == 99:
            # At rest: after a fling the browser takes the next tap for the one that stops it, and clicks nothing.
            page.wait_for_timeout(150)
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    preview.wait(lambda: preview.text("#large-place").startswith("2 of"))
    page.tap("[data-large=strike]")
    preview.wait_struck(first, second)
    sizes = page.eval_on_selector_all("#large button", "all => all.map((one) => [one.offsetWidth, one.offsetHeight])")
    assert [size for size in sizes if min(size) < 40] == []
    assert page.evaluate("document.getElementById('large').scrollWidth") <= 390


# --- taking struck pairs out


def test_apply_takes_struck_pairs_out_of_the_set(preview: Preview) -> None:
    names = preview.names
    preview.press("ArrowRight", "x", "ArrowRight", "x", "ArrowLeft")
    preview.page.click("#apply")
    assert "2 struck pairs will be taken out of the data set; 43 train and 15 val stay." in preview.text("#confirm")
    preview.page.click("#confirm-yes")
    preview.wait(lambda: preview.text("#counts") == f"{PAIRS - 2} pairs, 0 struck")
    assert preview.names == [names[0], *names[3:]]
    assert "2 pairs taken out; 58 pairs left" in preview.text(".toast")
    assert preview.focused == names[3]
    assert preview.page.is_disabled("#apply")
    assert read_struck(preview.build) == set(names[1:3])
    preview.press("x")
    preview.wait_struck(*names[1:4])


def test_apply_can_be_thought_better_of(preview: Preview) -> None:
    names = preview.names
    preview.press("x")
    preview.page.click("#apply")
    preview.press("Escape")
    assert preview.names == names
    assert preview.page.is_disabled("#apply") is False


def test_set_that_was_built_anew_meanwhile_is_told(preview: Preview, watch: Watch) -> None:
    watch.expect("status of 409")
    names = preview.names
    preview.press("x")
    preview.wait_struck(names[0])
    write_set(preview.build, [(name, k) for k, name in enumerate(reversed(names))])
    preview.page.click("#apply")
    preview.page.click("#confirm-yes")
    preview.wait(lambda: preview.page.locator(".toast").count() == 1)
    assert "Nothing was changed: The data set has changed since this page was opened; reload" in preview.text(".toast")
    assert len(preview.names) == PAIRS


def test_strike_that_cannot_be_saved_is_told_and_taken_back(preview: Preview, watch: Watch) -> None:
    watch.expect("status of 500")
    (preview.build / "struck.txt").mkdir()
    preview.press("x")
    preview.wait(lambda: preview.page.locator(".toast").count() == 1)
    assert preview.text(".toast").startswith("Not saved:")
    assert "cannot be written" in preview.text(".toast")
    assert preview.text("#counts") == f"{PAIRS} pairs, 0 struck"
    assert preview.page.is_disabled("#undo")


def test_preview_that_was_stopped_is_told(preview: Preview, watch: Watch) -> None:
    watch.expect("ERR_FAILED")
    preview.page.route("**/strikes", lambda route: route.abort())
    preview.press("x")
    preview.wait(lambda: preview.page.locator(".toast").count() == 1)
    assert "Start `inkwash-train dataset view` again" in preview.text(".toast")


# --- other pages


ATTACK = """async ([url, id]) => {
    const send = (mode, type) => fetch(`${url}strikes`, {method: "POST", mode, headers: {"Content-Type": type},
        body: JSON.stringify({id, struck: true})}).then((answer) => answer.status, () => "refused");
    const read = await fetch(`${url}pairs`).then(() => "read", () => "refused");
    const image = new Image();
    const shown = new Promise((resolve) => {
        image.onload = () => resolve("shown");
        image.onerror = () => resolve("refused");
    });
    image.src = `${url}favicon.svg`;
    return [await send("no-cors", "text/plain"), await send("cors", "application/json"), read, await shown];
}"""


def test_page_of_another_origin_can_neither_read_nor_strike(preview: Preview) -> None:
    """Such as one of another port, which a browser counts to the same site."""
    first, second = preview.names[:2]
    page = preview.page.context.new_page()
    # The policy of the document itself must not be what stops it: other pages have none.
    page.context.new_cdp_session(page).send("Page.setBypassCSP", {"enabled": True})
    page.goto(f"{preview.server.url}nowhere")
    with serving(preview.build) as other:
        assert page.evaluate(ATTACK, [other.url, first]) == ["refused", "refused", "refused", "refused"]
    assert read_struck(preview.build) == frozenset()
    assert page.evaluate(ATTACK, [preview.server.url, second]) == [415, 200, "read", "shown"]
    assert read_struck(preview.build) == {second}


# --- many pairs, accessibility


def test_only_tiles_near_the_screen_exist(open_preview: OpenPreview) -> None:
    preview = open_preview(pairs=400)
    assert preview.page.eval_on_selector_all(".pair", "all => all.length") < 80
    preview.press("End", "x")
    assert preview.page.eval_on_selector_all(".pair", "all => all.length") < 80
    preview.wait_struck(preview.names[-1])
    preview.page.evaluate("window.scrollTo(0, document.body.scrollHeight / 2)")
    preview.wait(lambda: preview.page.locator(preview.tile(preview.names[200])).count() == 1)
    places = preview.page.eval_on_selector_all(".pair", "all => all.map((one) => Number(one.ariaPosInSet))")
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("options", "opened"),
    [
        ({}, None),
        ({"color_scheme": "dark"}, None),
        ({}, "Enter"),
        ({"color_scheme": "dark"}, "Enter"),
        ({}, "?"),
        (PHONE, "Enter"),
    ],
)
def test_axe_finds_nothing_serious(open_preview: OpenPreview, options: dict[str, object], opened: str | None) -> None:
    preview = open_preview(pairs=8, **options)
    preview.press("x", "ArrowRight", *filter(None, [opened]))
    found = Axe().run(preview.page).response["violations"]
    serious = [
        (rule["id"], [node["html"][:120] for node in rule["nodes"]])
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_moves_and_strikes_are_announced(preview: Preview) -> None:
    preview.press("x")
    assert preview.page.text_content("#announcer") == "Struck."
    preview.press("Enter", "ArrowRight")
    assert preview.page.text_content("#large [role=status]") == f"2 of {PAIRS}"
    preview.press("ArrowLeft")
    assert preview.page.text_content("#large [role=status]") == f"1 of {PAIRS}, struck"
