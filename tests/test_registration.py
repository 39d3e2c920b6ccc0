"""The Auto classes know M2FNet, whatever is imported first; importing the package costs next to nothing."""

import subprocess
import sys
from pathlib import Path

import pytest
import tiny
from transformers import AutoFeatureExtractor, AutoModel, AutoModelForTokenClassification, AutoProcessor

import m2fnet_hf

FIRST = [
    "import m2fnet_hf",
    "from transformers import AutoConfig",
    "from transformers import Trainer",
    "from transformers import pipeline",
    "from m2fnet_hf import AUFeatureExtractor",
    "import m2fnet_hf.processing_m2fnet",
    "import m2fnet_hf.pipeline_m2fnet",
]
THEN = """
import m2fnet_hf
from transformers import AutoConfig, AutoModel, AutoModelForTokenClassification
from transformers.pipelines import PIPELINE_REGISTRY
config = AutoConfig.for_model("m2fnet", text_feature_size=8, hidden_size=16, num_hidden_layers=1)
assert type(AutoModel.from_config(config)) is m2fnet_hf.M2FNetModel
assert type(AutoModelForTokenClassification.from_config(config)) is m2fnet_hf.M2FNetForEmotionClassification
assert "multimodal-emotion" in PIPELINE_REGISTRY.get_supported_tasks()
"""


# All start from a process that has what neither of the two changes, because that takes most of the time.
FORKS = """
import os, traceback
import huggingface_hub, numpy, tokenizers, torch
for first in {first!r}:
    child = os.fork()
    if not child:
        try:
            exec(first + {then!r}, {{}})
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        print(first)
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_any_order_of_imports() -> None:
    result = run(FORKS.format(first=FIRST, then=THEN))
    assert (result.returncode, result.stdout) == (0, ""), result.stderr


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = ("torch", "transformers", "av", "sklearn", "matplotlib", "feat", "accelerate", "datasets")
    result = run(f"import sys, m2fnet_hf; print([name for name in {heavy} if name in sys.modules])")
    assert result.stdout.strip() == "[]", result.stderr


def test_all_public_names_exist() -> None:
    for name in m2fnet_hf.__all__:
        assert getattr(m2fnet_hf, name) is not None
    assert set(m2fnet_hf.__all__) <= set(dir(m2fnet_hf))
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        m2fnet_hf.Nonsense  # noqa: B018


def test_auto_classes_load_a_folder(tiny_checkpoint: Path, tmp_path: Path) -> None:
    assert type(AutoModel.from_pretrained(tiny_checkpoint)) is m2fnet_hf.M2FNetModel
    head = AutoModelForTokenClassification.from_pretrained(tiny_checkpoint)
    assert type(head) is m2fnet_hf.M2FNetForEmotionClassification
    assert type(AutoProcessor.from_pretrained(tiny_checkpoint)) is m2fnet_hf.M2FNetProcessor
    tiny.config().visual_config.save_pretrained(tmp_path)
    m2fnet_hf.AUFeatureExtractor(tiny.ACTION_UNITS).save_pretrained(tmp_path)
    assert AutoFeatureExtractor.from_pretrained(tmp_path).num_action_units == tiny.ACTION_UNITS
