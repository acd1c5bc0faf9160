"""Driving the page as a person would: pointer, keys, files. It never reaches into the page's state."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import numpy.typing as npt
from PIL import Image
from playwright.sync_api import CDPSession, Page

PATIENCE_SECONDS = 30

SIZE = 256
"""Height and width of the demo models, pixels."""

Pixels = npt.NDArray[np.uint8]
Spot = tuple[float, float]
"""A place on the drawing in model pixels."""

_READ_CANVAS = "(selector) => document.querySelector(selector).toDataURL()"


def decode(data: bytes) -> Pixels:
    """RGB pixels of a picture."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def png(pixels: Pixels) -> bytes:
    """A picture as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@dataclass
class Studio:
    """The open page."""

    page: Page

    def settle(self) -> None:
        """Waits until the picture on show is the one of the newest drawing."""
        self.page.wait_for_selector("#result[aria-busy='false']")

    def wait(self, condition: str) -> None:
        """Waits for a JavaScript condition. Playwright's own way evaluates strings, which the page's policy forbids."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.page.evaluate(condition):
            assert time.monotonic() < deadline, f"never became true: {condition}"
            self.page.wait_for_timeout(30)

    def wait_announced(self, text: str) -> None:
        """Waits until this was announced, though something else may have been since; what was announced is forgotten then."""
        self.wait(f"window.announced.some((one) => one.includes({json.dumps(text)}))")
        self.page.evaluate("window.announced.length = 0")

    def wait_until(self, is_true: Callable[[], bool]) -> None:
        """Waits for what the test itself sees, as requests that it noted."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not is_true():
            assert time.monotonic() < deadline, "it never came"
            self.page.wait_for_timeout(30)

    # --- looking

    def result(self) -> Pixels:
        """Pixels of the picture on show, once it is the last one."""
        self.settle()
        return self.canvas("#picture")

    def canvas(self, selector: str) -> Pixels:
        url: str = self.page.evaluate(_READ_CANVAS, selector)
        return decode(base64.b64decode(url.partition(",")[2]))

    def drawing(self) -> Pixels:
        """The drawing as `Save` gives it."""
        return decode(self.save("drawing"))

    def save(self, what: str) -> bytes:
        """Bytes of a file from the save menu."""
        return self.save_to(what).read_bytes()

    def save_to(self, what: str) -> Path:
        with self.page.expect_download() as download:
            self.page.click("#save-button")
            self.page.click(f"[data-save={what}]")
        return Path(download.value.path())

    def is_enabled(self, selector: str) -> bool:
        return self.page.is_enabled(selector)

    def toast(self) -> str:
        return self.page.locator(".toast").inner_text()

    def wait_for_strip(self) -> None:
        """Waits until every variation of the strip shows the newest drawing."""
        self.page.wait_for_selector("#strip-row[aria-busy='false']")
        self.wait("document.querySelectorAll('.variation[data-state=fresh]').length === 8")

    def mixes(self) -> list[str]:
        """What the strip's variations are made of, as text."""
        cells: list[str] = self.page.eval_on_selector_all(".variation", "cells => cells.map((cell) => cell.dataset.mix)")
        return cells

    def variation(self, place: int) -> Pixels:
        """Picture of a variation of the strip."""
        return self.canvas(f"[data-place='{place}'] canvas")

    # --- acting

    def open_strip(self) -> None:
        self.page.click("#vary")
        self.wait_for_strip()

    def at(self, spot: Spot) -> tuple[float, float]:
        """CSS pixels of a place on the drawing."""
        box = self.page.locator("#drawing-stage").bounding_box()
        assert box is not None
        return box["x"] + spot[0] / SIZE * box["width"], box["y"] + spot[1] / SIZE * box["height"]

    def stroke(self, *spots: Spot, steps: int = 6) -> None:
        """Draws through places with the mouse and leaves the button up."""
        mouse = self.page.mouse
        mouse.move(*self.at(spots[0]))
        mouse.down()
        for spot in spots[1:]:
            mouse.move(*self.at(spot), steps=steps)
        mouse.up()

    def click(self, spot: Spot) -> None:
        self.page.mouse.click(*self.at(spot))

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def clear(self) -> None:
        self.page.click("#clear")
        self.settle()

    def size(self, pixels: int) -> None:
        """Sets the brush size as nearly as the slider's keys allow, by its own steps."""
        value = self.page.locator("#size-value")
        while int(float(value.inner_text().split()[0])) < pixels:
            self.press("]")
        while int(float(value.inner_text().split()[0])) > pixels:
            self.press("[")

    def touch(self) -> Touch:
        return Touch(self, self.page.context.new_cdp_session(self.page))

    def drop(self, name: str, data: bytes, kind: str = "image/png", target: str = "#drawing") -> None:
        """Drops a file onto a part of the page."""
        self.page.evaluate(_SEND_FILE, ["drop", name, kind, base64.b64encode(data).decode(), target])

    def paste(self, name: str, data: bytes, kind: str = "image/png", target: str = "#drawing") -> None:
        """Pastes a file where a part of the page has the focus."""
        self.page.evaluate(_SEND_FILE, ["paste", name, kind, base64.b64encode(data).decode(), target])

    def open(self, name: str, data: bytes, kind: str = "image/png") -> None:
        """Opens a file with the button."""
        with self.page.expect_file_chooser() as chooser:
            self.page.click("#open")
        chooser.value.set_files({"name": name, "mimeType": kind, "buffer": data})

    def translate(self, picture: bytes, seed: int) -> Pixels:
        """What the API answers for a main input."""
        model = self.page.url.partition("model=")[2].partition("&")[0]
        address = f"{self.page.url.partition('?')[0]}translate/{model}"
        response = httpx.post(address, content=picture, params={"seed": seed}, headers={"Content-Type": "image/png"})
        response.raise_for_status()
        return decode(response.content)


_SEND_FILE = """([event, name, type, base64, target]) => {
  const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, {type}));
  const options = {bubbles: true, cancelable: true, dataTransfer: transfer, clipboardData: transfer};
  const made = event === "paste" ? new ClipboardEvent(event, options) : new DragEvent(event, options);
  document.querySelector(target).dispatchEvent(made);
}"""


@dataclass
class Touch:
    """Fingers on the screen, through the browser's own input pipeline."""

    studio: Studio
    session: CDPSession

    def stroke(self, *spots: Spot) -> None:
        """Draws through places with one finger."""
        self.down(spots[0])
        for spot in spots[1:]:
            self.move(spot)
        self.up()

    def down(self, *spots: Spot) -> None:
        self._send("touchStart", spots)

    def move(self, *spots: Spot) -> None:
        self._send("touchMove", spots)

    def up(self) -> None:
        self._send("touchEnd", ())

    def cancel(self) -> None:
        self._send("touchCancel", ())

    def _send(self, kind: str, spots: Sequence[Spot]) -> None:
        points = [dict(zip(("x", "y"), self.studio.at(spot), strict=True), id=k) for k, spot in enumerate(spots)]
        self.session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def box(pixels: Pixels, left: int, top: int, right: int, bottom: int) -> npt.NDArray[np.int16]:
    """A part of a picture given in model pixels, ready for differences."""
    scale = pixels.shape[0] / SIZE
    rows = slice(round(top * scale), round(bottom * scale))
    columns = slice(round(left * scale), round(right * scale))
    return pixels[rows, columns].astype(np.int16)


def difference(a: npt.NDArray[np.int16], b: npt.NDArray[np.int16]) -> float:
    """Mean absolute difference in steps of uint8."""
    return float(np.abs(a - b).mean())
