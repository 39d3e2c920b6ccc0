"""Speech recognition by the library's own models, tiny and random: what they hear is nonsense, but timed."""

import json
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from conftest import Conversation
from transformers import (
    AutomaticSpeechRecognitionPipeline,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    pipeline,
)

from m2fnet_hf.data.cache import Cache
from m2fnet_hf.media.speech import LONGEST_UTTERANCE, PAUSE, _join, transcribe
from m2fnet_hf.registration import TASK


@pytest.fixture(scope="module")
def asr(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("asr")
    letters = ["<pad>", "<s>", "</s>", "<unk>", "|", *"abcdefghij"]
    (folder / "vocab.json").write_text(json.dumps({letter: index for index, letter in enumerate(letters)}))
    Wav2Vec2CTCTokenizer(str(folder / "vocab.json")).save_pretrained(folder)
    Wav2Vec2FeatureExtractor().save_pretrained(folder)
    torch.manual_seed(1)
    config = tiny.audio_config()
    config.vocab_size = len(letters)
    Wav2Vec2ForCTC(config).save_pretrained(folder)
    return folder


def test_a_recording_without_transcript(
    asr: Path, conversation: Conversation, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    cache = Cache(tmp_path)
    heard = transcribe(conversation.video, str(asr), cache)
    end = conversation.times[-1][1] + 1
    assert heard.id == "talk"
    assert all(0 <= utterance.start <= utterance.end <= end for utterance in heard)
    listener: Any = pipeline("automatic-speech-recognition", model=str(asr))
    assert isinstance(listener, AutomaticSpeechRecognitionPipeline)
    assert [u.text for u in transcribe(conversation.video, listener)] == [u.text for u in heard]

    pipe = pipeline(TASK, model=str(tiny_checkpoint), device="cpu")
    answers = pipe(conversation.video, asr=str(asr), faces="none", cache=tmp_path)
    assert [answer["text"] for answer in answers] == [utterance.text for utterance in heard]
    assert {tuple(answer["modalities"]) for answer in answers} == {("text", "audio")}


def test_what_was_heard_is_kept(asr: Path, conversation: Conversation, tmp_path: Path) -> None:
    first = transcribe(conversation.video, asr, Cache(tmp_path))
    for weights in asr.glob("*.safetensors"):
        weights.rename(weights.with_suffix(".away"))
    try:
        again = transcribe(conversation.video, asr, Cache(tmp_path))
    finally:
        for weights in asr.glob("*.away"):
            weights.rename(weights.with_suffix(".safetensors"))
    assert [(u.text, u.start, u.end) for u in again] == [(u.text, u.start, u.end) for u in first]


def test_words_are_joined_until_a_pause() -> None:
    words = [("I", 0.0, 0.2), ("am", 0.3, 0.5), ("here", 0.5 + PAUSE + 0.1, 2.0), ("now", 2.1, 2.3)]
    assert list(_join(words)) == [("I am", 0.0, 0.5), ("here now", 0.5 + PAUSE + 0.1, 2.3)]
    endless = [("la", float(second), second + 0.9) for second in range(40)]
    assert all(end - start <= LONGEST_UTTERANCE for _, start, end in _join(endless))
    assert sum(text.count("la") for text, *_ in _join(endless)) == 40


def test_silence_is_an_error(asr: Path, tmp_path: Path) -> None:
    path = tmp_path / "talk.mp4"
    path.write_bytes(b"no recording")
    with pytest.raises(ValueError, match=r"needs sound, found none: .*talk\.mp4"):
        transcribe(path, asr)
