"""Pushed from here, loaded where transformers is alone: the same answers."""

from pathlib import Path
from typing import Any

import plain
import pytest
import tiny
from hub_server import Hub

from m2fnet_hf.hub.code import code_files

pytest_plugins = ["environments"]
pytestmark = pytest.mark.slow

TELL = f"""
import json
import numpy as np
from transformers import AutoModel, AutoModelForTokenClassification, AutoProcessor, pipeline

random = np.random.default_rng(0)
DIALOGUE = [
    {{
        "speaker": speaker, "text": text, "start": float(u), "end": u + 1.0,
        "audio": random.standard_normal(4_000), "sampling_rate": 16_000,
        "action_units": random.random((3, 2, {tiny.ACTION_UNITS})),
    }}
    for u, (speaker, text) in enumerate([("Ann", "what is it"), ("Ben", "it was great"), ("Ann", "no never")])
]

def failure(call, *arguments, **settings):
    try:
        call(*arguments, **settings)
    except Exception as error:
        return f"{{type(error).__name__}}: {{error}}"

def answers(repo, **settings):
    return pipeline("multimodal-emotion", model=repo, device="cpu", **settings)(DIALOGUE)
"""
PUSH = """
import m2fnet_hf
from m2fnet_hf import M2FNetForEmotionClassification, M2FNetProcessor
model = M2FNetForEmotionClassification.from_pretrained({folder!r})
processor = M2FNetProcessor.from_pretrained({folder!r})
processor.push_to_hub("org/processor-first")
model.push_to_hub("org/processor-first")
model.push_to_hub("org/model-first", commit_message="A model", tags="tiny")
processor.push_to_hub("org/model-first")
pipeline("multimodal-emotion", model=model, processor=processor).push_to_hub("org/private", private=True)
model.save_pretrained({target!r}, push_to_hub=True, repo_id="org/saved")
model.model.push_to_hub("org/headless", revision="trial")
print(json.dumps({{
    "answers": answers({folder!r}),
    "from the hub": answers("org/model-first"),
    "trusting": answers("org/processor-first", trust_remote_code=True),
    "classes": [
        type(AutoModel.from_pretrained("org/model-first")).__module__,
        type(AutoProcessor.from_pretrained("org/model-first")).__module__,
        type(AutoModel.from_pretrained("org/headless", revision="trial")).__name__,
    ],
}}))
"""
LOAD = """
import importlib.util
import tempfile
import torch
everything = answers("org/processor-first", trust_remote_code=True)
model = AutoModelForTokenClassification.from_pretrained("org/model-first", trust_remote_code=True)
processor = AutoProcessor.from_pretrained("org/model-first", trust_remote_code=True)
with torch.no_grad():
    logits = model(**processor(DIALOGUE)).logits[0]
pipe = pipeline("multimodal-emotion", model="org/model-first", trust_remote_code=True)
with tempfile.TemporaryDirectory() as folder:
    pipe.save_pretrained(folder)
    saved = answers(folder, trust_remote_code=True)
model.push_to_hub("org/again")
processor.push_to_hub("org/again")
print(json.dumps({
    "absent": [name for name in ABSENT if importlib.util.find_spec(name) is None],
    "answers": everything,
    "model first": pipe(DIALOGUE),
    "probabilities": logits.softmax(-1).tolist(),
    "base": type(AutoModel.from_pretrained("org/model-first", trust_remote_code=True)).__name__,
    "no task": pipeline(model="org/model-first", trust_remote_code=True).task,
    "saved": saved,
    "again": answers("org/again", trust_remote_code=True),
    "private": answers("org/private", trust_remote_code=True, revision="main", model_kwargs={"cache_dir": CACHE}),
    "media": failure(pipe, "talk.mp4", transcript="talk.srt"),
    "transcript": failure(pipe, "talk.srt"),
    "distrusted": failure(answers, "org/model-first", trust_remote_code=False),
}))
"""


@pytest.fixture(scope="module")
def pushed(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory, with_package: Any) -> dict[str, Any]:
    target = tmp_path_factory.mktemp("saved")
    return with_package(TELL + PUSH.format(folder=str(tiny_checkpoint), target=str(target)))


@pytest.fixture(scope="module")
def loaded(pushed: Any, tmp_path_factory: pytest.TempPathFactory, with_transformers: Any) -> dict[str, Any]:
    cache = str(tmp_path_factory.mktemp("cache"))
    return with_transformers(f"CACHE, ABSENT = {cache!r}, {plain.ABSENT!r}\n" + TELL + LOAD)


def test_a_repository_holds_all_that_it_needs(pushed: dict, hub: Hub) -> None:
    code = {path.name for path in code_files()}
    assert {"modeling_m2fnet.py", "processing_m2fnet.py", "pipeline_m2fnet.py", "losses.py"} <= code
    weights = {"README.md", "config.json", "model.safetensors"}
    words = {"processor_config.json", "tokenizer.json", "tokenizer_config.json"}
    for repo in ("org/processor-first", "org/model-first", "org/private"):
        assert set(hub.repositories[repo].files()) == {".gitattributes", *code, *weights, *words}
    assert set(hub.repositories["org/saved"].files()) == {".gitattributes", *code, *weights}
    assert "README.md" not in hub.repositories["org/headless"].files("main")
    assert "README.md" in hub.repositories["org/headless"].files("trial")
    assert hub.repositories["org/private"].private
    assert hub.repositories["org/model-first"].messages[1:] == ["A model", "Upload M2FNetProcessor"]
    assert "- tiny\n" in hub.text("org/model-first", "README.md")


def test_the_package_needs_no_trust(pushed: dict) -> None:
    assert pushed["from the hub"] == pushed["answers"]
    assert pushed["trusting"] == pushed["answers"]
    assert pushed["classes"] == ["m2fnet_hf.modeling_m2fnet", "m2fnet_hf.processing_m2fnet", "M2FNetModel"]


def test_transformers_alone_gives_the_same_answers(pushed: dict, loaded: dict) -> None:
    assert loaded["absent"] == list(plain.ABSENT)
    assert loaded["answers"] == loaded["model first"] == pushed["answers"]
    assert loaded["private"] == pushed["answers"]
    for answer, probabilities in zip(pushed["answers"], loaded["probabilities"], strict=True):
        assert answer["modalities"] == ["text", "audio", "visual"]
        assert max(probabilities) == pytest.approx(answer["score"], abs=1e-6)
    assert loaded["base"] == "M2FNetModel"
    assert loaded["no task"] == "multimodal-emotion"


def test_what_came_from_the_hub_can_go_back(pushed: dict, loaded: dict, hub: Hub) -> None:
    assert loaded["saved"] == loaded["again"] == pushed["answers"]
    assert set(hub.repositories["org/again"].files()) == set(hub.repositories["org/model-first"].files())


def test_what_transformers_alone_cannot_do_names_the_package(loaded: dict) -> None:
    for how in ("media", "transcript"):
        assert loaded[how].endswith(" needs m2fnet_hf: pip install m2fnet-hf")
    assert "trust_remote_code=True" in loaded["distrusted"]


def test_missing_private_and_offline_are_the_librarys_own(loaded: dict, with_transformers: Any) -> None:
    code = """
print(json.dumps([
    failure(answers, "org/private", trust_remote_code=True),
    failure(answers, "org/nowhere", trust_remote_code=True),
    failure(answers, "org/model-first", revision="nowhere", trust_remote_code=True),
]))
"""
    private, missing, revision = with_transformers(TELL + code, HF_TOKEN="")
    assert private.startswith("OSError: ")
    assert missing.startswith("OSError: org/nowhere is not a local folder")
    assert "nowhere is not a valid git identifier" in revision

    code = """
loaded = answers("org/model-first", trust_remote_code=True)
print(json.dumps([loaded, failure(AutoModel.from_pretrained, "org/nowhere")]))
"""
    offline, missing = with_transformers(TELL + code, HF_HUB_OFFLINE="1", HF_ENDPOINT="http://127.0.0.1:9")
    assert offline == loaded["answers"]
    assert missing.startswith("OSError: ")
