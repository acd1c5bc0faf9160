"""Makes the pictures in this folder again: `make docs`.

Screenshots of the page as a person sees it, and a sheet of samples for every bundled model. It starts its own server.
"""

from __future__ import annotations

import io
import json
import math
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tests.bench.process import ServerProcess

FOLDER = Path(__file__).parent
MODELS = FOLDER.parent / "models"
SETTLE_MS = 1500
CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
TILE, GAP = 192, 6
SHEET_SEEDS = 3
SHEET_COLUMNS = 8
STYLES_OF = (("golden-to-violet", 0), ("violet-to-golden", 0), ("sketch", 1), ("sketch", 2))
"""Samples of photos in colour, by model and place."""


@dataclass(frozen=True)
class Shot:
    """One screenshot: file name, query of the page, window and colours. `model` is chosen by its id."""

    name: str
    width: int
    height: int
    query: str = "?lang=en"
    scheme: str = "light"
    model: str | None = None
    is_phone: bool = False
    shows_variations: bool = False


SHOTS = (
    Shot("page", 1280, 800),
    Shot("page-facades", 1280, 800, model="facades"),
    Shot("page-dark", 1280, 800, scheme="dark"),
    Shot("page-japanese", 1280, 800, query="?lang=ja", model="facades"),
    Shot("page-phone", 390, 844, is_phone=True),
    Shot("page-photo", 1280, 800, model="colorize"),
    Shot("page-variations", 1280, 1110, model="colorize-many", shows_variations=True),
)


def main() -> None:
    """Makes every picture.

    Raises:
        SystemExit: The page would be shown with empty boxes for its Japanese.
    """
    if not _has_japanese_font():
        raise SystemExit("No font here has Japanese (fc-list :lang=ja is empty); install one, such as Debian's fonts-noto-cjk.")
    with ServerProcess(MODELS) as server:
        address = f"http://{server.host}:{server.port}"
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=_chromium(), args=CHROMIUM_FLAGS)
            for shot in SHOTS:
                _shoot(browser, address, shot)
            browser.close()
        for model in json.loads(httpx.get(f"{address}/models").text)["models"]:
            _sample_sheet(address, model["id"]).save(FOLDER / f"samples-{model['id']}.jpg", quality=90)
        _variety_sheet(address, "colorize-many").save(FOLDER / "variety-colorize-many.jpg", quality=90)


def _has_japanese_font() -> bool:
    """True as well where nothing tells, as on systems without fontconfig."""
    command = shutil.which("fc-list")
    return command is None or bool(subprocess.run([command, ":lang=ja"], capture_output=True, check=True).stdout)


def _chromium() -> str | None:
    """An installed browser, or None for Playwright's own."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((path for name in names if (path := shutil.which(name))), None)


def _shoot(browser: Browser, address: str, shot: Shot) -> None:
    scheme: Any = shot.scheme
    context = browser.new_context(
        viewport={"width": shot.width, "height": shot.height},
        color_scheme=scheme,
        has_touch=shot.is_phone,
        is_mobile=shot.is_phone,
        device_scale_factor=2 if shot.is_phone else 1,
    )
    page = context.new_page()
    page.goto(f"{address}/{shot.query}")
    page.wait_for_timeout(SETTLE_MS)
    if shot.model:
        _choose_model(page, shot.model)
    if shot.shows_variations:
        page.click("#vary")
        page.click("#pad-button")
        page.wait_for_selector("#strip-row[aria-busy='false']")
        page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=FOLDER / f"{shot.name}.png")
    context.close()


def _choose_model(page: Page, model: str) -> None:
    page.click("#model-button")
    page.click(f'#model-list [data-model="{model}"]')
    page.wait_for_timeout(SETTLE_MS)


def _sample_sheet(address: str, model: str) -> Image.Image:
    """Every sample of a model: what was drawn, and what comes of it with a few seeds."""
    manifest = httpx.get(f"{address}/models/{model}").json()
    seeds = range(1, SHEET_SEEDS + 1) if manifest.get("latent") else range(1, 2)
    rows = []
    for k, sample in enumerate(manifest["samples"]):
        pictures = {name: _picture(f"{address}/models/{model}/samples/{k}?part={name}") for name in sample["inputs"]}
        rows.append([_layers(pictures), *(_translated(address, model, pictures, seed) for seed in seeds)])
    return _grid(rows)


def _variety_sheet(address: str, model: str) -> Image.Image:
    """Of each sample: gray, calm, and variations; then the way from one seed to another; then colours of others."""
    manifest = httpx.get(f"{address}/models/{model}").json()
    photos = [_picture(f"{address}/models/{model}/samples/{k}?part=image") for k in range(len(manifest["samples"]))]
    styles = [_picture(f"{address}/models/{other}/samples/{k}?part=image") for other, k in STYLES_OF]
    rows = []
    for photo in photos:
        calm = _answered(address, f"{model}?temperature=0", image=photo)
        varied = [_answered(address, f"{model}?seed={seed}&temperature=1", image=photo) for seed in range(1, SHEET_COLUMNS - 1)]
        rows.append([_layers({"image": photo}), calm, *varied])
    steps = [k / (SHEET_COLUMNS - 2) for k in range(SHEET_COLUMNS - 1)]
    mixes = [f"1:{math.cos(step * math.pi / 2):.4f},2:{math.sin(step * math.pi / 2):.4f}" for step in steps]
    rows.append(
        [
            _layers({"image": photos[0]}),
            *(_answered(address, f"{model}?temperature=1&mix={mix}", image=photos[0]) for mix in mixes),
        ]
    )
    borrowed = [[_layers({"style": style}), _answered(address, model, image=photos[0], style=style)] for style in styles]
    rows.append([tile for pair in borrowed for tile in pair])
    return _plain_grid(rows)


def _plain_grid(rows: list[list[Image.Image]]) -> Image.Image:
    step = TILE + GAP
    sheet = Image.new("RGB", (max(map(len, rows)) * step + GAP, len(rows) * step + GAP), "#e4e0d8")
    for r, row in enumerate(rows):
        for c, tile in enumerate(row):
            sheet.paste(tile, (GAP + c * step, GAP + r * step))
    return sheet


def _picture(url: str) -> bytes:
    return httpx.get(url).raise_for_status().content


def _layers(pictures: dict[str, bytes]) -> Image.Image:
    """Inputs over one another, as the page shows them."""
    canvas = Image.new("RGBA", (TILE, TILE), "white")
    for data in pictures.values():
        canvas.alpha_composite(Image.open(io.BytesIO(data)).convert("RGBA").resize((TILE, TILE), Image.Resampling.LANCZOS))
    return canvas.convert("RGB")


def _translated(address: str, model: str, pictures: dict[str, bytes], seed: int) -> Image.Image:
    return _answered(address, f"{model}?seed={seed}", **pictures)


def _answered(address: str, asked: str, **pictures: bytes) -> Image.Image:
    files = {name: (f"{name}.png", data, "image/png") for name, data in pictures.items()}
    answer = httpx.post(f"{address}/translate/{asked}", files=files, timeout=30).raise_for_status()
    return Image.open(io.BytesIO(answer.content)).convert("RGB").resize((TILE, TILE), Image.Resampling.LANCZOS)


def _grid(rows: list[list[Image.Image]]) -> Image.Image:
    """Rows of tiles, two samples beside each other so that the sheet fits a screen."""
    columns = len(rows[0])
    pairs = [rows[at : at + 2] for at in range(0, len(rows), 2)]
    step = TILE + GAP
    sheet = Image.new("RGB", (2 * columns * step + 3 * GAP, len(pairs) * step + GAP), "#e4e0d8")
    for r, pair in enumerate(pairs):
        for side, row in enumerate(pair):
            for c, tile in enumerate(row):
                sheet.paste(tile, (GAP + side * (columns * step + GAP) + c * step, GAP + r * step))
    return sheet


if __name__ == "__main__":
    main()
