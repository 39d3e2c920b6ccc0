"""Everything runs offline, on one thread's worth of determinism."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest
import torch
import torchvision_operators  # noqa: F401  before transformers, which looks whether torchvision works
import transformers

ROOT = Path(__file__).parent.parent


class Conversation(NamedTuple):
    """A recording of two people and its transcript."""

    video: Path
    transcript: Path
    turns: list[tuple[str, str]]
    times: list[tuple[float, float]]


@pytest.fixture(autouse=True)
def _seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    transformers.utils.logging.disable_progress_bar()
    monkeypatch.setenv("M2FNET_CACHE", str(tmp_path / "cache"))


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
