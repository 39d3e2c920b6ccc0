"""A small recording, and a browser to watch it in."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --autoplay-policy=no-user-gesture-required"
)
RATE = 16_000


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds of picture and sound."""
    import av

    h264 = "libx264" in av.codecs_available
    path = tmp_path_factory.mktemp("recording") / ("clip.mp4" if h264 else "clip.webm")
    with av.open(str(path), "w") as container:
        picture = container.add_stream("libx264" if h264 else "libvpx-vp9", rate=10)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("aac" if h264 else "libopus", rate=RATE)
        for shade in range(100):
            image = np.full((48, 64, 3), shade, np.uint8)
            container.mux(picture.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        tone = (3000 * np.sin(np.arange(10 * RATE) / 20)).astype(np.int16)
        for start in range(0, len(tone), 960):
            frame = av.AudioFrame.from_ndarray(tone[None, start : start + 960], format="s16", layout="mono")
            frame.sample_rate, frame.pts = RATE, start
            container.mux(sound.encode(frame))
        container.mux(picture.encode(None))
        container.mux(sound.encode(None))
    return path


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    programs = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    absent = [name for name, place in programs.items() if place is None]
    if absent:
        pytest.skip(f"{' and '.join(absent)} not found")
    options = webdriver.ChromeOptions()
    options.binary_location = programs["chromium"]
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (*FLAGS.split(), f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(programs["chromedriver"]))
    driver.set_window_size(1400, 900)
    yield driver
    driver.quit()
