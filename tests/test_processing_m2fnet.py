import time
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from transformers import Wav2Vec2FeatureExtractor

from m2fnet_hf import AUFeatureExtractor, Dialogue, M2FNetForEmotionClassification, M2FNetProcessor, Utterance
from m2fnet_hf.processing_m2fnet import TENSORS, M2FNetProcessorKwargs

TALK = [
    {"speaker": "Ann", "text": "yes yes"},
    {"speaker": "Ben", "text": "what now"},
    {"speaker": "Ann", "text": "go home"},
    {"text": "never"},
]


@pytest.fixture(scope="module")
def processor() -> M2FNetProcessor:
    return tiny.processor()


def spoken(processor: M2FNetProcessor, utterance: int, **settings: object) -> tuple[str, str]:
    """The tokens of an utterance with its context, and those that are its own."""
    batch = processor(TALK, **settings)
    ids, real, own = (batch[name][0, utterance] for name in ("input_ids", "attention_mask", "pooling_mask"))
    assert not (own & ~real).any()
    return processor.tokenizer.decode(ids[real]), processor.tokenizer.decode(ids[own]).strip()


@pytest.mark.parametrize(
    ("settings", "utterance", "expected"),
    [
        ({}, 1, "<s>what now</s>"),
        ({"speaker_prefix": "name"}, 1, "<s>Ben: what now</s>"),
        ({"speaker_prefix": "name"}, 3, "<s>never</s>"),
        ({"speaker_prefix": "index"}, 2, "<s>Speaker 1: go home</s>"),
        ({"context": "past"}, 0, "<s>yes yes</s>"),
        ({"context": "past"}, 2, "<s>yes yeswhat now</s></s>go home</s>"),
        ({"context": "past", "past_utterances": 1}, 2, "<s>what now</s></s>go home</s>"),
        ({"context": "past", "past_utterances": 0}, 2, "<s>go home</s>"),
        ({"context": "both"}, 1, "<s>yes yes</s></s>what now</s></s>go homenever</s>"),
        (
            {"context": "both", "future_utterances": 1, "speaker_prefix": "name"},
            1,
            "<s>Ann: yes yes</s></s>Ben: what now</s></s>Ann: go home</s>",
        ),
        (
            {"context": "dialogue", "past_utterances": 0, "speaker_prefix": "name"},
            2,
            "<s>Ann: yes yes</s></s>Ben: what now</s></s>Ann: go home</s></s>never</s>",
        ),
    ],
)
def test_context_as_in_emoberta(processor: M2FNetProcessor, settings: dict, utterance: int, expected: str) -> None:
    text, own = spoken(processor, utterance, **settings)
    assert text.replace(" ", "") == expected.replace(" ", "")
    assert own == TALK[utterance]["text"]


def test_context_that_does_not_fit_is_left_out_the_farthest_first(processor: M2FNetProcessor) -> None:
    whole = len(processor(TALK[1:2])["input_ids"][0, 0])
    sizes = [whole + extra for extra in range(12)]
    seen = [spoken(processor, 1, context="both", max_length=size)[0] for size in sizes]
    assert seen[0] == "<s>what now</s>"
    assert len({*seen}) > 2
    for text, size in zip(seen, sizes, strict=True):
        assert "what now" in text
        assert ("yes" in text) or ("never" not in text), "the nearer utterance comes first"
        assert len(processor.tokenizer(text, add_special_tokens=False)["input_ids"]) <= size


def test_a_dialogue_that_does_not_fit_is_read_in_rows_that_overlap(processor: M2FNetProcessor) -> None:
    said = [f"{'yes ' * (number % 3)}no {number}." for number in range(40)]
    batch = processor([{"text": text} for text in said], context="dialogue", max_length=60)
    rows = [ids[real] for ids, real in zip(batch["input_ids"][0], batch["attention_mask"][0], strict=True)]
    texts = [processor.tokenizer.decode(row, skip_special_tokens=True) for row in rows]
    assert [len(row) <= 60 for row in rows] == [True] * 40
    assert 2 < len({*texts}) < 15
    for number, (ids, own, text) in enumerate(zip(batch["input_ids"][0], batch["pooling_mask"][0], texts, strict=True)):
        assert processor.tokenizer.decode(ids[own]).strip() == said[number]
        before = [other for other in range(number) if f"no {other}." in text]
        assert before == list(range(number - len(before), number)), "what was said last stands before"
        assert before or number == 0


@pytest.mark.parametrize("context", ["both", "dialogue"])
def test_an_utterance_is_never_cut(processor: M2FNetProcessor, context: str) -> None:
    long = "never " * 50
    batch = processor([{"text": long}, {"text": "yes"}], context=context, max_length=10)
    assert processor.tokenizer.decode(batch["input_ids"][0, 0][batch["pooling_mask"][0, 0]]).strip() == long.strip()


def test_every_form_gives_the_same_tensors(processor: M2FNetProcessor) -> None:
    utterances = list(tiny.dialogue(3))
    as_dicts = [
        {name: getattr(u, name) for name in ("text", "speaker", "audio", "sampling_rate", "action_units")}
        for u in utterances
    ]
    forms = [
        Dialogue(utterances),
        utterances,
        as_dicts,
        {"utterances": as_dicts},
        [Dialogue(utterances)],
        [as_dicts],
        [{"utterances": utterances}],
    ]
    first, *others = [processor(form) for form in forms]
    read = ("input_ids", "input_values", "action_units", "action_units_mask", "utterance_mask", "speaker_ids")
    assert set(read) < set(first) < set(TENSORS)
    assert not any(name.startswith(("face", "appearance")) or "features" in name for name in first)
    for other in others:
        assert set(other) == set(first)
        assert all(torch.equal(other[name], first[name]) for name in first)


def test_ragged_dialogues_are_padded_and_masked(processor: M2FNetProcessor) -> None:
    long, short = tiny.dialogue(4, seed=1), tiny.dialogue(2, seed=2)
    batch, alone = processor([long, short]), processor(short)
    assert batch["utterance_mask"].tolist() == [[True] * 4, [True, True, False, False]]
    assert batch["speaker_ids"].tolist() == [[0, 1, 0, 1], [0, 1, -1, -1]]
    for values, mask in (
        ("input_ids", "attention_mask"),
        ("input_values", "audio_attention_mask"),
        ("action_units", "action_units_mask"),
    ):
        assert not batch[mask][1, 2:].any()
        for u in range(2):
            assert torch.equal(batch[values][1, u][batch[mask][1, u]], alone[values][0, u][alone[mask][0, u]])


def test_absent_is_masked_and_wholly_absent_is_left_out(processor: M2FNetProcessor) -> None:
    sound = np.random.default_rng(0).standard_normal(5_000)
    batch = processor([{"audio": sound, "sampling_rate": 16_000}, {"text": "yes"}], context="both")
    assert batch["attention_mask"].any(-1).tolist() == [[False, True]]
    assert batch["audio_attention_mask"].any(-1).tolist() == [[True, False]]
    assert "action_units" not in batch
    assert "input_ids" not in processor([{"audio": sound, "sampling_rate": 16_000}])
    assert "input_values" not in processor(
        [{"text": "a", "audio": sound, "sampling_rate": 16_000}], modalities=["text"]
    )


def test_sound_is_resampled_and_normalised(processor: M2FNetProcessor) -> None:
    def tone(rate: int) -> np.ndarray:
        return np.sin(2 * np.pi * 440 * np.arange(rate) / rate)

    for rate in (8_000, 22_050, 44_100, 48_000):
        heard = processor([{"audio": tone(rate), "sampling_rate": rate}])["input_values"][0, 0].numpy()
        assert abs(len(heard) - 16_000) <= 32
        spectrum = np.abs(np.fft.rfft(heard))
        assert abs(spectrum.argmax() * 16_000 / len(heard) - 440) < 2
        assert abs(heard.mean()) < 1e-3
        assert abs(heard.std() - 1) < 1e-3
    same = processor([{"audio": tone(16_000)}], sampling_rate=16_000)["input_values"]
    assert same.shape[-1] == 16_000


def test_short_sound_is_long_enough_for_one_frame(processor: M2FNetProcessor) -> None:
    batch = processor([{"audio": np.ones(3) * [0.1, 0.2, 0.1], "sampling_rate": 16_000}])
    assert batch["audio_attention_mask"].sum() == 400


@pytest.mark.parametrize(
    ("source", "settings", "error", "message"),
    [
        ([], {}, ValueError, "one utterance at least"),
        ([[]], {}, ValueError, "one utterance at least"),
        ("Hi", {}, TypeError, "found a string"),
        ([3], {}, TypeError, "found int"),
        ([{"audio": np.zeros(5)}], {}, ValueError, "needs its sampling rate, found none"),
        ([{"audio": np.zeros((2, 5))}], {"sampling_rate": 16_000}, ValueError, r"mono .* found \[2, 5\]"),
        (
            [{"audio": np.zeros(5), "sampling_rate": -1}],
            {},
            ValueError,
            "whole number of Hz from 1000 to 1000000, found -1",
        ),
        ([{"text": "a"}], {"past_utterances": -1}, ValueError, "`past_utterances` must be a whole number from 0"),
        ([{"text": "a"}], {"contxt": "past"}, TypeError, "no setting contxt"),
        ([{"text": "a"}], {"context": "future"}, ValueError, "one of none, past, both"),
        ([{"text": "a"}], {"speaker_prefix": "id"}, ValueError, "one of name, index, none"),
    ],
)
def test_bad_input_is_named(
    processor: M2FNetProcessor, source: object, settings: dict, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        processor(source, **settings)


def test_nothing_is_lost_in_one_folder(tmp_path: Path) -> None:
    saved = tiny.processor(context="both", past_utterances=2, speaker_prefix="index", max_length=40)
    saved.au_feature_extractor.max_faces = 3
    saved.save_pretrained(tmp_path)
    loaded = M2FNetProcessor.from_pretrained(tmp_path)
    assert type(loaded.au_feature_extractor) is type(saved.au_feature_extractor)
    assert loaded.to_dict() == saved.to_dict()
    assert loaded.au_feature_extractor.max_faces == 3
    before, after = saved(tiny.dialogue(3)), loaded(tiny.dialogue(3))
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_callers_arrays_stay_as_they_were(processor: M2FNetProcessor) -> None:
    dialogue = tiny.dialogue(2)
    before = [(u.audio.copy(), u.action_units.copy()) for u in dialogue]
    processor(dialogue)
    for utterance, (audio, units) in zip(dialogue, before, strict=True):
        assert np.array_equal(utterance.audio, audio)
        assert np.array_equal(utterance.action_units, units)


@pytest.mark.parametrize("context", ["both", "dialogue"])
def test_utterances_without_text_do_not_stop_their_neighbours(processor: M2FNetProcessor, context: str) -> None:
    silent = Utterance(audio=np.zeros(500), sampling_rate=16_000)
    batch = processor([Utterance(text="yes"), silent, Utterance(text="no")], context=context)
    decode = processor.tokenizer.decode
    assert decode(batch["input_ids"][0, 2][batch["attention_mask"][0, 2]]) == "<s>yes</s></s>no</s>"


SOUNDS = [np.random.default_rng(seed).standard_normal(2_000 + 500 * seed) for seed in range(2)]


def test_the_librarys_own_call_gives_one_dialogue(processor: M2FNetProcessor) -> None:
    texts = ["what now", "go home now"]
    rows = processor(text=texts, audio=SOUNDS, sampling_rate=16_000)
    assert set(rows) == set(processor.model_input_names)
    pairs = zip(texts, SOUNDS, strict=True)
    whole = processor([{"text": text, "audio": sound, "sampling_rate": 16_000} for text, sound in pairs])
    for name, tensor in rows.items():
        expected = whole[name] if name in ("utterance_mask", "speaker_ids") else whole[name][0]
        assert torch.equal(tensor, expected.to(tensor.dtype)), name
    model = M2FNetForEmotionClassification(tiny.config()).eval()
    with torch.no_grad():
        logits = model(**rows).logits
        assert logits.shape[:2] == (1, 2)
        assert torch.equal(logits, model(**whole).logits)


def test_each_part_of_the_librarys_call_is_what_the_library_gives(processor: M2FNetProcessor) -> None:
    words = " go home  "
    tokens, ours = processor.tokenizer(words, return_tensors="pt"), processor(text=words)
    assert torch.equal(ours["input_ids"], tokens["input_ids"])
    assert torch.equal(ours["attention_mask"], tokens["attention_mask"])
    for masked in (False, True):
        extractor = Wav2Vec2FeatureExtractor(return_attention_mask=masked)
        heard = extractor(SOUNDS[:1], sampling_rate=16_000, return_tensors="pt")
        given = M2FNetProcessor(processor.tokenizer, extractor)(audio=SOUNDS[:1], sampling_rate=16_000)
        for name, tensor in heard.items():
            torch.testing.assert_close(given[name], tensor)


def test_the_librarys_call_pads_as_it_is_asked(processor: M2FNetProcessor) -> None:
    def width(**settings: object) -> int:
        return processor(text=["what now", "go"], **settings)["input_ids"].shape[1]

    longest = width()
    assert longest == width(padding=True) == width(padding="longest", max_length=30) < 30
    assert width(padding="max_length", max_length=30) == 30
    assert width(text_kwargs={"padding": "max_length", "max_length": 40}) == 40
    assert width(padding="max_length") == processor.max_length
    tokenizer = tiny.tokenizer()
    tokenizer.init_kwargs |= {"padding": "max_length", "max_length": 50}
    assert M2FNetProcessor(tokenizer)(text="go")["input_ids"].shape == (1, 50)
    with pytest.raises(ValueError, match="padding was passed two times"):
        processor(text="go", padding="max_length", text_kwargs={"padding": "do_not_pad"})


def test_the_librarys_call_takes_one_sound_or_several(processor: M2FNetProcessor) -> None:
    sound = SOUNDS[0]
    first = processor(audio=sound, sampling_rate=16_000)["input_values"]
    for form in ([sound], sound.tolist(), torch.from_numpy(sound), sound[None]):
        assert torch.equal(processor(audio=form, sampling_rate=16_000)["input_values"], first)
    mixed = processor(text=["go", None], audio=[None, sound], sampling_rate=16_000)
    assert mixed["attention_mask"].any(-1).tolist() == [True, False]
    assert mixed["audio_attention_mask"].any(-1).tolist() == [False, True]


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({}, ValueError, "found nothing"),
        ({"dialogues": [{"text": "a"}], "text": "a"}, ValueError, "found both"),
        ({"text": ["a", "b"], "audio": [np.zeros(500)]}, ValueError, "found 2 and 1"),
        ({"text": "a", "truncation": True}, TypeError, "no setting truncation"),
        ({"dialogues": [{"text": "a"}], "padding": "max_length"}, TypeError, "no setting padding"),
    ],
)
def test_a_bad_call_is_named(processor: M2FNetProcessor, given: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        processor(**given)


def test_parts_of_the_faces_are_loaded_from_their_settings(tmp_path: Path) -> None:
    assert M2FNetProcessor.get_attributes() == ["tokenizer", "feature_extractor"]
    assert M2FNetProcessor(au_feature_extractor={"num_action_units": 7}).au_feature_extractor.num_action_units == 7
    tiny.processor().save_pretrained(tmp_path)
    other = M2FNetProcessor.from_pretrained(tmp_path, au_feature_extractor=AUFeatureExtractor(7))
    assert other.au_feature_extractor.num_action_units == 7
    assert M2FNetProcessor.valid_processor_kwargs is M2FNetProcessorKwargs


def test_a_long_dialogue_takes_no_time(processor: M2FNetProcessor) -> None:
    talk = [{"text": "go", "speaker": f"S{number % 9}", "start": number, "end": number + 1} for number in range(10_000)]
    start = time.process_time()
    batch = processor(talk, context="past", past_utterances=1)
    assert time.process_time() - start < 20
    assert batch["speaker_ids"][0, -1] == 9_999 % 9
