"""Several photos at once: list, errors, waiting, cancelling, one archive at the end."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Route

from tests.browser.conftest import Watch
from tests.browser.studio import Studio, decode, png
from tests.browser.test_photo import full_translation
from tests.server.models import landscape

DAY, NIGHT = (png(np.asarray(landscape(320, 240, night))) for night in (False, True))


def choose(studio: Studio, *files: tuple[str, bytes]) -> None:
    """Chooses files with the page's own chooser."""
    chosen = [{"name": name, "mimeType": "image/png", "buffer": data} for name, data in files]
    studio.page.set_input_files("#file", chosen)  # type: ignore[arg-type]


def wait_states(studio: Studio, *states: str) -> None:
    """Waits for the states of the list, in its order."""
    studio.wait(
        f"JSON.stringify([...document.querySelectorAll('.batch-row')].map((r) => r.dataset.state)) === '{_json(states)}'"
    )


def _json(states: Sequence[str]) -> str:
    return "[" + ",".join(f'"{state}"' for state in states) + "]"


def test_broken_file_stops_no_other_and_the_archive_has_the_rest(photo: Studio) -> None:
    page = photo.page
    page.click("#several")
    with page.expect_file_chooser() as chooser:
        page.click("#batch-drop")
    assert chooser.value.is_multiple()
    page.check("#batch-type input[value='image/png']")
    choose(photo, ("a.png", DAY), ("b.png", b"no picture"), ("a.jpg", NIGHT))
    wait_states(photo, "done", "failed", "done")
    assert "b.png" in page.inner_text(".batch-row[data-state=failed] small")
    assert page.inner_text("#batch-status") == "2 of 3 done, 1 failed"
    assert page.locator(".batch-row[data-state=done] canvas").count() == 4
    with page.expect_download() as download:
        page.click("#batch-zip")
    with zipfile.ZipFile(Path(download.value.path())) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["a.png", "a-2.png"]
        for name, data in (("a.png", DAY), ("a-2.png", NIGHT)):
            assert np.array_equal(decode(archive.read(name)), full_translation(photo, data))


def test_several_dropped_photos_are_a_batch_in_their_order_and_viewable(photo: Studio) -> None:
    before = photo.drawing()
    photo.page.evaluate(
        """async (bytes) => {
          const transfer = new DataTransfer();
          for (const name of ["one.png", "two.png"]) transfer.items.add(new File([Uint8Array.from(bytes)], name));
          document.body.dispatchEvent(new DragEvent("drop", {bubbles: true, cancelable: true, dataTransfer: transfer}));
        }""",
        list(DAY),
    )
    wait_states(photo, "done", "done")
    page = photo.page
    page.click(".batch-row:last-child [data-batch=look]")
    page.wait_for_selector("#viewer[open]")
    assert page.inner_text("#viewer-title") == "two.png"
    assert page.inner_text("#viewer-size") == "320 × 240"
    with page.expect_download() as download:
        page.click("[data-viewer='image/jpeg']")
    assert download.value.suggested_filename == "two.jpg"
    photo.press("Escape", "Escape")
    assert page.is_hidden("#batch")
    assert page.inner_text("#batch-count") == "2/2"
    assert np.array_equal(photo.drawing(), before)


def test_busy_server_is_given_the_time_that_it_asks_for(photo: Studio, watch: Watch) -> None:
    watch.expect("status of 503")
    times: list[float] = []

    def refuse_first(route: Route) -> None:
        times.append(time.monotonic())
        if len(times) > 1:
            return route.continue_()
        body = '{"status": 503, "code": "shutting_down", "title": "busy", "detail": "busy"}'
        headers = {"Retry-After": "2", "Content-Type": "application/problem+json"}
        return route.fulfill(status=503, headers=headers, body=body)

    photo.page.wait_for_selector("#full-state[data-state=ready]")
    photo.page.route("**/translate/**", refuse_first)
    choose(photo, ("a.png", DAY), ("b.png", NIGHT))
    photo.wait("document.querySelector('#batch-status').textContent.includes('busy')")
    wait_states(photo, "done", "done")
    # The second file was on its way already when the first was refused; the next request waits.
    assert times[-1] - times[0] >= 2


def test_cancelled_batch_can_be_taken_up_again(photo: Studio) -> None:
    held: list[Route] = []
    photo.page.wait_for_selector("#full-state[data-state=ready]")
    photo.page.route("**/translate/**", lambda route: held.append(route))
    choose(photo, ("a.png", DAY), ("b.png", NIGHT), ("c.png", DAY))
    photo.wait("document.querySelectorAll('.batch-row[data-state=working]').length === 2")
    photo.page.click("#batch-cancel")
    wait_states(photo, "cancelled", "cancelled", "cancelled")
    assert not photo.is_enabled("#batch-zip")
    photo.page.unroute("**/translate/**")
    photo.page.click("#batch-retry")
    wait_states(photo, "done", "done", "done")
    photo.page.click("#batch-clear")
    assert photo.page.locator(".batch-row").count() == 0


def test_large_answers_come_in_the_chosen_format(gray: Studio) -> None:
    choose(gray, ("a.png", DAY), ("b.png", DAY))
    wait_states(gray, "done", "done")
    with gray.page.expect_download() as download:
        gray.page.click(".batch-row:last-child [data-batch=save]")
    assert download.value.suggested_filename == "b.jpg"
    picture = Image.open(io.BytesIO(Path(download.value.path()).read_bytes()))
    assert (picture.format, picture.size) == ("JPEG", (320, 240))
