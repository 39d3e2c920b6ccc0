"""Speech recognition by the library's own models, tiny and random: what they hear is nonsense, but timed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from conftest import Conversation
from transformers import (
    AutomaticSpeechRecognitionPipeline,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperTokenizer,
    pipeline,
)

from m2fnet_hf.media.clip import Clip
from m2fnet_hf.recordings.cache import Cache
from m2fnet_hf.recordings.transcribe import (
    LONGEST_UTTERANCE,
    PAUSE,
    _join,
    _timed,
    _without_silence,
    load_recogniser,
    transcribe,
)
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
    cache, shown = Cache(tmp_path), []

    def progress(steps: list, description: str, total: int) -> list:
        shown.append((description, total))
        return steps

    heard = transcribe(conversation.video, str(asr), cache, progress)
    assert shown == [("Transcribing talk.mp4", 1)]
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


def whisper() -> Any:
    """A tiny Whisper with all 1501 time stamps."""
    state = json.loads(tiny.tokenizer().backend_tokenizer.to_str())["model"]
    tokenizer = WhisperTokenizer(vocab=state["vocab"], merges=[tuple(merge) for merge in state["merges"]])
    names = ("endoftext", "startoftranscript", "en", "translate", "transcribe", "startofprev", "notimestamps")
    stamps = [f"{0.02 * step:.2f}" for step in range(1501)]
    tokenizer.add_special_tokens({"additional_special_tokens": [f"<|{name}|>" for name in (*names, *stamps)]})
    ids = {name: tokenizer.convert_tokens_to_ids(f"<|{name}|>") for name in names}
    config = WhisperConfig(
        vocab_size=len(tokenizer),
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=24,
        decoder_ffn_dim=24,
        max_target_positions=64,
        decoder_start_token_id=ids["startoftranscript"],
        bos_token_id=ids["endoftext"],
        eos_token_id=ids["endoftext"],
        pad_token_id=ids["endoftext"],
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )
    model = WhisperForConditionalGeneration(config)
    vars(model.generation_config).update(
        no_timestamps_token_id=ids["notimestamps"],
        prev_sot_token_id=ids["startofprev"],
        lang_to_id={"<|en|>": ids["en"]},
        task_to_id={"transcribe": ids["transcribe"], "translate": ids["translate"]},
        is_multilingual=True,
        max_initial_timestamp_index=50,
        max_length=40,
    )
    return pipeline(
        "automatic-speech-recognition", model=model, tokenizer=tokenizer, feature_extractor=WhisperFeatureExtractor()
    )


def test_segments_of_a_whisper_that_times_no_words_become_utterances(conversation: Conversation) -> None:
    listener = whisper()
    heard = transcribe(conversation.video, listener)
    sound = Clip(conversation.video).sound()
    said = listener({"raw": sound, "sampling_rate": 16_000}, return_timestamps=True)["chunks"]
    assert [u.text for u in heard] == [text for chunk in said if (text := chunk["text"].strip())]
    assert all(0 <= u.start <= u.end <= len(sound) / 16_000 for u in heard)


def test_what_a_model_does_not_time_follows_the_last() -> None:
    chunks = [
        {"text": " You came!", "timestamp": (None, 1.5)},
        {"text": " ", "timestamp": (1.5, 2.0)},
        {"text": " Sit.", "timestamp": (None, None)},
        {"text": " Bye.", "timestamp": (9.0, 11.0)},
    ]
    assert list(_timed(chunks, 8.0)) == [(" You came!", 0.0, 1.5), (" Sit.", 2.0, 8.0), (" Bye.", 8.0, 8.0)]


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
    assert list(_join(words, " ")) == [("I am", 0.0, 0.5), ("here now", 0.5 + PAUSE + 0.1, 2.3)]
    endless = [("la", float(second), second + 0.9) for second in range(40)]
    assert all(end - start <= LONGEST_UTTERANCE for _, start, end in _join(endless, " "))
    assert sum(text.count("la") for text, *_ in _join(endless, " ")) == 40


@pytest.mark.parametrize(
    ("said", "utterances"),
    [
        (" Who is it? Dr. J. Brown. Hm... well, 3.5 euros!", ["Who is it?", "Dr. J. Brown.", "Hm... well, 3.5 euros!"]),
        (' "Go away!" So do I. Oh', ['"Go away!"', "So do I.", "Oh"]),
    ],
)
def test_words_are_joined_until_a_sentence_ends(said: str, utterances: list[str]) -> None:
    words = [(f" {word}", place / 4, (place + 1) / 4) for place, word in enumerate(said.split())]
    assert [text for text, *_ in _join(words, "")] == utterances


def test_a_word_ends_where_its_sound_ends() -> None:
    sound = np.full(32_000, 1e-4, np.float32)
    sound[4_800:9_600] = np.sin(np.arange(4_800) / 5)
    assert _without_silence(("so", 0.2, 1.9), sound, 16_000) == ("so", pytest.approx(0.3), pytest.approx(0.6))
    assert _without_silence(("hush", 1.0, 1.01), sound, 16_000) == ("hush", 1.0, 1.01), "too short to tell"


@pytest.mark.parametrize("name", ["", "nobody/nothing", "tiny", "talk.srt"])
def test_another_model_is_one_sentence(tiny_checkpoint: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "talk.srt").touch()
    name = str({"tiny": tiny_checkpoint, "talk.srt": tmp_path / "talk.srt"}.get(name, name))
    with pytest.raises(
        ValueError, match=r"^A speech recognition model must be .*, found \S*; check the name and the network\.$"
    ):
        load_recogniser(name)


def test_silence_is_an_error(asr: Path, tmp_path: Path) -> None:
    path = tmp_path / "talk.mp4"
    path.write_bytes(b"no recording")
    with pytest.raises(ValueError, match=r"needs sound, found none: .*talk\.mp4"):
        transcribe(path, asr)
