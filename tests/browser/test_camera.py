"""The camera: Chromium's test card, which turns, stands in for one."""

from __future__ import annotations

import numpy as np

from tests.browser.conftest import OpenStudio
from tests.browser.studio import Studio, decode
from tests.browser.test_page import PHONE

FULL = "#full-state[data-state=ready]"
INSECURE = "() => Object.defineProperty(window, 'isSecureContext', {value: false})"


def start_camera(studio: Studio) -> None:
    studio.page.click("#camera-button")
    studio.page.wait_for_selector("#camera")
    assert studio.page.get_attribute("#camera-button", "aria-pressed") == "true"


def wait_for_another_picture(studio: Studio) -> None:
    """Waits until the picture differs from the one on show now."""
    studio.page.evaluate("() => (window.before = document.querySelector('#picture').toDataURL())")
    studio.wait("document.querySelector('#picture').toDataURL() !== window.before")


def test_frames_are_translated_as_they_come(photo: Studio) -> None:
    start_camera(photo)
    for _ in range(3):
        wait_for_another_picture(photo)
    assert not photo.is_enabled("#undo")
    # A screen reader is told that the camera is on, not of every picture.
    assert photo.page.inner_text("#announcer").startswith("Camera on")


def test_taken_frame_is_a_photo_like_any_other(photo: Studio) -> None:
    before = photo.drawing()
    start_camera(photo)
    wait_for_another_picture(photo)
    photo.page.click("#camera-take")
    assert photo.page.is_hidden("#camera")
    photo.page.wait_for_selector(FULL)
    taken = photo.drawing()
    assert taken.shape[0] >= 480
    assert decode(photo.save("result")).shape == taken.shape
    frozen = photo.canvas("#drawing-stage .layer-photo")
    photo.page.wait_for_timeout(200)
    assert np.array_equal(photo.canvas("#drawing-stage .layer-photo"), frozen)
    photo.press("Control+z")
    assert np.array_equal(photo.drawing(), before)


def test_stopped_camera_leaves_the_photo_and_releases_the_device(gray: Studio) -> None:
    before = gray.canvas("#drawing-stage .layer-gray")
    gray.page.evaluate(
        """() => {
          const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
          navigator.mediaDevices.getUserMedia = async (wanted) => (window.stream = await open(wanted));
        }"""
    )
    start_camera(gray)
    wait_for_another_picture(gray)
    gray.press("Escape")
    assert gray.page.is_hidden("#camera")
    assert gray.page.evaluate("window.stream.getTracks().every((track) => track.readyState === 'ended')")
    assert np.array_equal(gray.canvas("#drawing-stage .layer-gray"), before)
    assert not gray.is_enabled("#undo")


def test_cameras_are_switched(photo: Studio) -> None:
    photo.page.evaluate(
        """() => {
          const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
          window.devices = [];
          navigator.mediaDevices.getUserMedia = async (wanted) => {
            const stream = await open(wanted);
            window.devices.push(stream.getVideoTracks()[0].getSettings().deviceId);
            return stream;
          };
        }"""
    )
    start_camera(photo)
    photo.page.click("#camera-switch")
    photo.wait("window.devices.length === 2")
    devices = photo.page.evaluate("window.devices")
    assert devices[0] != devices[1]
    wait_for_another_picture(photo)


def test_refused_camera_says_what_to_do(photo: Studio) -> None:
    photo.page.evaluate(
        """() => (navigator.mediaDevices.getUserMedia = async () => {
          throw new DOMException("", "NotAllowedError");
        })"""
    )
    photo.page.click("#camera-button")
    photo.page.wait_for_selector(".toast[data-kind=problem]")
    assert "Allow it" in photo.toast()
    assert photo.page.is_hidden("#camera")


def test_plain_http_offers_the_phones_own_camera(open_studio: OpenStudio) -> None:
    studio = open_studio("demo-photo", **PHONE)
    studio.page.evaluate(INSECURE)
    studio.page.click("#camera-button")
    assert "https" in studio.page.inner_text("#camera-dialog")
    assert studio.page.get_attribute("#camera-file", "capture") == "environment"
    with studio.page.expect_file_chooser() as chooser:
        studio.page.click("#camera-file-button")
    assert chooser.value.element.get_attribute("id") == "camera-file"


def test_opened_example_takes_the_sheet_from_the_camera(photo: Studio) -> None:
    start_camera(photo)
    photo.page.click("[data-sample='1']")
    photo.page.wait_for_selector("#camera", state="hidden")
    photo.page.wait_for_selector(FULL)
    assert photo.drawing().shape[:2] == (256, 256)
