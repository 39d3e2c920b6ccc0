"""A stream says utterance by utterance what the model says of the whole dialogue."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import pipeline

from m2fnet_hf import Dialogue, M2FNetForEmotionClassification, MultimodalEmotionPipeline, Utterance
from m2fnet_hf.online.stream import RESTING_UTTERANCES, EmotionStream
from m2fnet_hf.registration import TASK

EXACT = 1e-5


SPEAKERS: dict[str, Any] = {
    "visual_config": {"num_action_units": tiny.ACTION_UNITS, "hidden_size": None, "face_pooling": "area"},
    "speaker_normalization": ["audio", "visual"],
}


def build(processor: dict[str, Any] | None = None, **architecture: Any) -> MultimodalEmotionPipeline:
    torch.manual_seed(0)
    model = M2FNetForEmotionClassification(tiny.config(causal=True, **architecture)).eval()
    settings = {"context": "past", "speaker_prefix": "index", "max_length": 40, **(processor or {})}
    return pipeline(TASK, model=model, processor=tiny.processor(**settings), device="cpu")


def scores(answer: dict[str, Any]) -> list[float]:
    return [answer["scores"][label] for label in sorted(answer["scores"])]


def agree(one: dict[str, Any], other: dict[str, Any]) -> bool:
    same = all(one[name] == other[name] for name in one if name not in ("score", "scores"))
    return same and scores(one) == pytest.approx(scores(other), abs=EXACT)


def patchy(utterances: int) -> Dialogue:
    """A dialogue of four speakers, the later ones new, that lacks something here and there."""
    said = []
    for u, utterance in enumerate(tiny.dialogue(utterances, seed=3)):
        lacking = {1: {"text": None}, 2: {"audio": None}, 3: {"action_units": None}, 4: {"speaker": None}}
        said.append(
            utterance.replace(speaker=("Ann", "Ben", "Cem", "Dot")[min(u // 3, 3)]).replace(**lacking.get(u % 7, {}))
        )
    return Dialogue(said)


@pytest.mark.parametrize(
    "architecture",
    [
        {},
        {"attention_window": 2},
        {"attention_window": 3, "speaker_embeddings": True, "fusion_includes_text": False},
        {"fusion": "gated", "attention_window": 1},
        {"fusion": "concat", "text": None},
        {"attention_window": 2, **SPEAKERS},
    ],
)
@pytest.mark.parametrize("processor", [{}, {"past_utterances": 2}, {"context": "none", "speaker_prefix": "name"}])
def test_it_says_what_the_whole_dialogue_gives(architecture: dict, processor: dict) -> None:
    pipe = build(processor, **architecture)
    dialogue = patchy(12)
    stream = EmotionStream(pipe)
    for number, (utterance, expected) in enumerate(zip(dialogue, pipe(dialogue), strict=True), start=1):
        assert agree(stream.add(utterance), expected)
        assert len(stream) == number


def test_a_model_with_its_processor_does_too() -> None:
    pipe = build()
    one, other = EmotionStream(pipe), EmotionStream(pipe.model, pipe.processor)
    assert one.add({"text": "yes"}) == other.add({"text": "yes"})


def test_what_it_keeps_is_bounded(tmp_path: Path) -> None:
    stream = EmotionStream(build(attention_window=4, audio=None, visual=False))
    sizes = []
    for number in range(60):
        stream.add({"text": "yes we go home now", "speaker": ("Ann", "Ben")[number % 2]})
        stream.save(tmp_path / "stream")
        sizes.append((tmp_path / "stream").stat().st_size)
    assert max(sizes[20:]) - min(sizes[20:]) <= 16


def test_it_goes_on_in_another_process(tmp_path: Path) -> None:
    build(attention_window=2).save_pretrained(tmp_path / "model")
    pipe = pipeline(TASK, model=str(tmp_path / "model"), device="cpu")
    stream = EmotionStream(pipe)
    said = [{"text": words, "speaker": name} for words, name in (("you come", "Ann"), ("never", "Ben"), ("why", "Ann"))]
    for utterance in said[:2]:
        stream.add(utterance)
    stream.save(tmp_path / "stream")
    code = (
        "from transformers import pipeline; import m2fnet_hf; from m2fnet_hf.online.stream import EmotionStream;"
        f"pipe = pipeline({TASK!r}, model={str(tmp_path / 'model')!r}, device='cpu');"
        f"print(EmotionStream.load({str(tmp_path / 'stream')!r}, pipe).add({said[2]!r}))"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert other.strip() == str(stream.add(said[2]))


def test_what_speakers_said_is_saved(tmp_path: Path) -> None:
    pipe = build(**SPEAKERS)
    dialogue = patchy(9)
    stream, expected = EmotionStream(pipe), pipe(dialogue)
    for utterance, answer in zip(dialogue, expected, strict=True):
        stream.save(tmp_path / "stream")
        stream = EmotionStream.load(tmp_path / "stream", pipe)
        assert agree(stream.add(utterance), answer)


def test_a_stream_has_no_scores_by_modality() -> None:
    pipe = build()
    told = MultimodalEmotionPipeline(model=pipe.model, processor=pipe.processor, return_modalities=True)
    assert EmotionStream(told).add({"text": "yes"}) == EmotionStream(pipe).add({"text": "yes"})


def with_face(units: float) -> Utterance:
    return Utterance(action_units=np.full((1, 1, tiny.ACTION_UNITS), units), face_ids=np.zeros((1, 1), dtype=int))


def test_the_resting_face_is_that_of_the_past(tmp_path: Path) -> None:
    pipe = build(text=None, audio=None)
    stream = EmotionStream(pipe)
    faces = np.random.default_rng(0).random(RESTING_UTTERANCES + 4)
    for units in faces[:-1]:
        stream.add(with_face(units))
    stream.save(tmp_path / "stream")
    again = EmotionStream.load(tmp_path / "stream", pipe)
    rest = np.median(faces[-RESTING_UTTERANCES - 1 :])
    known = EmotionStream(pipe)
    known._cache = EmotionStream.load(tmp_path / "stream", pipe)._cache
    answer = stream.add(with_face(faces[-1]))
    assert again.add(with_face(faces[-1])) == answer
    unowned = with_face(faces[-1] - rest).replace(face_ids=None)
    assert agree(known.add(unowned), answer)


def test_what_cannot_stream_is_named(tmp_path: Path) -> None:
    model = M2FNetForEmotionClassification(tiny.config())
    with pytest.raises(ValueError, match="needs a causal model, found one that sees the future; train one with"):
        EmotionStream(model, tiny.processor())
    stream = EmotionStream(build())
    with pytest.raises(TypeError, match="must be an Utterance or a dictionary, found str"):
        stream.add("yes")
    stream.save(tmp_path / "stream")
    torch.manual_seed(1)
    other = M2FNetForEmotionClassification(tiny.config(causal=True))
    with pytest.raises(ValueError, match="must be the stream of this model and processor, found another's"):
        EmotionStream.load(tmp_path / "stream", other, tiny.processor())
    (tmp_path / "note").write_text("no stream")
    with pytest.raises(ValueError, match=r"must be a file that `EmotionStream\.save` wrote"):
        EmotionStream.load(tmp_path / "note", build())
    with pytest.raises(FileNotFoundError):
        EmotionStream.load(tmp_path / "nowhere", build())


@pytest.mark.parametrize(
    ("state", "lost"),
    [
        ("soon", None),
        ("[]", None),
        ("{}", None),
        ('{"seen": 1000000000, "speakers": [], "words": [], "faces": 0}', None),
        ('{"seen": 2, "speakers": [3], "words": [], "faces": 0}', None),
        ('{"seen": 2, "speakers": [], "words": 3, "faces": 0}', None),
        (None, "keys.0"),
        (None, "values.1"),
    ],
)
def test_a_file_that_was_changed_is_refused(tmp_path: Path, state: str | None, lost: str | None) -> None:
    stream = EmotionStream(build())
    for words in ("yes", "no"):
        stream.add({"text": words})
    stream.save(tmp_path / "stream")
    with safe_open(tmp_path / "stream", "pt") as file:
        metadata = {**file.metadata(), **({} if state is None else {"stream": state})}
    tensors = {name: tensor for name, tensor in load_file(tmp_path / "stream").items() if name != lost}
    save_file(tensors, tmp_path / "changed", metadata)
    with pytest.raises(
        ValueError, match=r"changed must be a file that `EmotionStream\.save` wrote, found another; save"
    ):
        EmotionStream.load(tmp_path / "changed", stream.pipe)
