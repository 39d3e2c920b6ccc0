"""Everything runs offline, on one thread's worth of determinism."""

import os
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest
import torch
import transformers

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
    transformers.utils.logging.disable_progress_bar()


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
