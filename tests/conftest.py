"""Everything runs offline, on one thread's worth of determinism; without torch, too, where a test does not need it."""

import gc
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import numpy as np
import pytest

if find_spec("torch") is not None:
    import torch
    import transformers

ROOT = Path(__file__).parent.parent
BROWSER_FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --autoplay-policy=no-user-gesture-required "
    "--use-fake-device-for-media-stream --use-fake-ui-for-media-stream "
    "--force-prefers-reduced-motion"
)


class Conversation(NamedTuple):
    """A recording of two people and its transcript."""

    video: Path
    transcript: Path
    turns: list[tuple[str, str]]
    times: list[tuple[float, float]]


def pytest_report_header() -> str:
    """Which package is tested: `make test-wheel` wants the installed one."""
    import m2fnet_hf

    folder = Path(m2fnet_hf.__file__).parent
    wanted = os.environ.get("M2FNET_FROM")
    if wanted is not None and not folder.is_relative_to(Path(wanted).resolve()):
        raise pytest.UsageError(f"The package of {wanted} is to be tested, found the one in {folder}.")
    return f"m2fnet_hf: {folder}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that no process is left alone with one."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


@pytest.fixture(scope="module", autouse=True)
def _freeze() -> None:
    """Garbage, for which Trainer looks twice a run, is looked for in what a module makes and not in all libraries."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "torch" in globals():
        torch.manual_seed(0)
        transformers.utils.logging.disable_progress_bar()
    monkeypatch.setenv("M2FNET_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., Any]:
    """Opens a transcript of this name and content."""
    from m2fnet_hf.data.transcripts import open_transcript

    def opened(name: str, content: Any, **options: Any) -> Any:
        path = tmp_path / name
        content = content if isinstance(content, (str, bytes)) else json.dumps(content)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return open_transcript(path, **options)

    return opened


@pytest.fixture(scope="session")
def meld_root() -> Path:
    """MELD's annotations, which are not part of the project."""
    root = os.environ.get("MELD_ROOT")
    if root is None:
        pytest.skip("MELD_ROOT does not name the folder of MELD's csv files")
    return Path(root)


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A three-modality model with its processor, in one folder."""
    import tiny

    from m2fnet_hf import M2FNetForEmotionClassification

    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    M2FNetForEmotionClassification(tiny.config()).save_pretrained(folder)
    tiny.processor(context="past", speaker_prefix="name").save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def conversation(tmp_path_factory: pytest.TempPathFactory) -> Conversation:
    """Eight seconds of two speakers with faces and voices."""
    pytest.importorskip("skimage", reason="scikit-image, whose photograph it shows, is not installed")
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng, whose voices it has, is not installed")
    from make_clip import make_clip, write_srt

    folder = tmp_path_factory.mktemp("conversation")
    turns = [("Ann", "You came! I am so happy."), ("Ben", "I nearly missed the train."), ("Ann", "Sit down, please.")]
    times = make_clip(folder / "talk.mp4", turns)
    write_srt(folder / "talk.srt", turns, times)
    return Conversation(folder / "talk.mp4", folder / "talk.srt", turns, times)


@pytest.fixture(scope="session")
def feat_weights_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights for py-feat."""
    pytest.importorskip("xgboost", reason="py-feat is not installed")
    import feat_weights

    folder = tmp_path_factory.mktemp("feat")
    try:
        feat_weights.write(folder)
    except (ImportError, OSError, RuntimeError) as error:
        pytest.skip(f"py-feat does not load: {error}")
    return folder


@pytest.fixture(scope="module")
def pyfeat(feat_weights_folder: Path) -> Iterator[Path]:
    """py-feat with random weights, for the tests of a module."""
    import feat_weights

    with feat_weights.use(feat_weights_folder):
        yield feat_weights_folder


@pytest.fixture(scope="session")
def seeing_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model of text, sound and py-feat's 20 Action Units, with its processor."""
    import tiny

    from m2fnet_hf import AUFeatureExtractor, M2FNetForEmotionClassification, M2FNetProcessor

    folder = tmp_path_factory.mktemp("seeing")
    torch.manual_seed(0)
    config = tiny.config(visual_config={"hidden_size": 8})
    M2FNetForEmotionClassification(config).save_pretrained(folder)
    processor = M2FNetProcessor(tiny.tokenizer(), au_feature_extractor=AUFeatureExtractor(), context="both")
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds of picture and sound."""
    import av

    rate = 16_000
    h264 = "libx264" in av.codecs_available
    path = tmp_path_factory.mktemp("recording") / ("clip.mp4" if h264 else "clip.webm")
    with av.open(str(path), "w") as container:
        picture = container.add_stream("libx264" if h264 else "libvpx-vp9", rate=10)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("aac" if h264 else "libopus", rate=rate)
        for shade in range(100):
            image = np.full((48, 64, 3), shade, np.uint8)
            container.mux(picture.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        tone = (3000 * np.sin(np.arange(10 * rate) / 20)).astype(np.int16)
        for start in range(0, len(tone), 960):
            frame = av.AudioFrame.from_ndarray(tone[None, start : start + 960], format="s16", layout="mono")
            frame.sample_rate, frame.pts = rate, start
            container.mux(sound.encode(frame))
        container.mux(picture.encode(None))
        container.mux(sound.encode(None))
    return path


@pytest.fixture(scope="session")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The WAV file that the browser's microphone hears, over and over; a test writes it."""
    return tmp_path_factory.mktemp("microphone") / "heard.wav"


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory, microphone: Path) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    programs = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    absent = [name for name, place in programs.items() if place is None]
    if absent:
        pytest.skip(f"{' and '.join(absent)} not found")
    options = webdriver.ChromeOptions()
    options.binary_location = programs["chromium"]
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    places = (
        f"--user-data-dir={tmp_path_factory.mktemp('profile')}",
        f"--use-file-for-fake-audio-capture={microphone}",
    )
    for flag in (*BROWSER_FLAGS.split(), *places):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(programs["chromedriver"]))
    driver.set_window_size(1400, 900)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def browser(chromium: Any) -> Iterator[Any]:
    yield chromium
    chromium.get("about:blank")  # a page whose server is gone asks for it without a pause
