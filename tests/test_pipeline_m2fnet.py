import inspect
import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import tiny
import torch
from torch.utils.data import Dataset
from transformers import AutoModelForTokenClassification, AutoProcessor, pipeline

from m2fnet_hf import Dialogue, M2FNetForEmotionClassification, MultimodalEmotionPipeline
from m2fnet_hf.registration import TASK

SRT = "1\n00:00:01,000 --> 00:00:02,500\nANN: You came!\n\n2\n00:00:03,000 --> 00:00:04,000\nBEN: Never again.\n"


@pytest.fixture(scope="module")
def pipe(tiny_checkpoint: Path) -> MultimodalEmotionPipeline:
    return pipeline(TASK, model=str(tiny_checkpoint), device="cpu")


def test_every_utterance_is_answered(pipe: MultimodalEmotionPipeline) -> None:
    dialogue = tiny.dialogue(3)
    answers = pipe(dialogue)
    assert len(answers) == 3
    for utterance, answer in zip(dialogue, answers, strict=True):
        assert list(answer) == ["start", "end", "speaker", "text", "label", "score", "scores", "modalities", "missing"]
        assert {
            name: getattr(utterance, name) for name in ("start", "end", "speaker", "text")
        }.items() <= answer.items()
        assert answer["modalities"] == ["text", "audio", "visual"]
        assert set(answer["scores"]) == set(pipe.model.config.label2id)
        assert sum(answer["scores"].values()) == pytest.approx(1)
        assert answer["score"] == max(answer["scores"].values()) == answer["scores"][answer["label"]]
        assert list(answer["scores"].values()) == sorted(answer["scores"].values(), reverse=True)


def scores(answers: list[dict]) -> list[list[float]]:
    return [[answer["scores"][label] for label in sorted(answer["scores"])] for answer in answers]


def test_batching_changes_nothing(pipe: MultimodalEmotionPipeline) -> None:
    dialogues = [tiny.dialogue(length, seed=length) for length in (1, 5, 2, 3)]
    alone = [pipe(dialogue) for dialogue in dialogues]
    together = pipe(dialogues, batch_size=3)
    streamed = list(pipe((dialogue for dialogue in dialogues), batch_size=2))
    assert [len(answers) for answers in together] == [1, 5, 2, 3]
    for one, batched, stream in zip(alone, together, streamed, strict=True):
        for row, other, third in zip(scores(one), scores(batched), scores(stream), strict=True):
            assert other == pytest.approx(row, abs=1e-5)
            assert third == pytest.approx(row, abs=1e-5)


def test_every_form_is_taken(pipe: MultimodalEmotionPipeline, tmp_path: Path) -> None:
    path = tmp_path / "talk.srt"
    path.write_text(SRT)
    dicts = [
        {"speaker": "ANN", "text": "You came!", "start": 1.0, "end": 2.5},
        {"speaker": "BEN", "text": "Never again.", "start": 3.0, "end": 4.0},
    ]
    expected = pipe(dicts)
    for form in (Dialogue(dicts), tuple(dicts), {"utterances": dicts}, path, str(path)):
        assert pipe(form) == expected
    for forms in ([dicts, path], [Dialogue(dicts), {"utterances": dicts}], (str(path), str(path))):
        assert pipe(forms) == [expected, expected]
    assert expected[0]["modalities"] == ["text"]


def test_top_k(pipe: MultimodalEmotionPipeline) -> None:
    (answer,) = pipe([{"text": "yes"}], top_k=2)
    assert len(answer["scores"]) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        *(({"top_k": value}, "`top_k` must be a whole number of at least 1, found") for value in (0, 1.5, "x", True)),
        *(({"frame_rate": value}, "`frame_rate` must be above 0 frames per second") for value in ("x", None, math.nan)),
        *(({"audio_track": value}, "`audio_track` must be a track's number, from 1 on") for value in ("x", 1.5, True)),
        *(({"modalities": value}, "`modalities` must list one or more") for value in (3, "text", [], [["text"]])),
        ({"cache": 3}, "`cache` must be a folder"),
    ],
)
def test_an_option_that_cannot_be_is_named(pipe: MultimodalEmotionPipeline, options: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        pipe([{"text": "yes"}], **options)


def test_a_sample_of_another_rate_is_sound(pipe: MultimodalEmotionPipeline) -> None:
    """At the model's rate none is left of it."""
    (answer,) = pipe([{"audio": np.ones(1), "sampling_rate": 8_000}])
    assert answer["modalities"] == ["audio"]


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        ([], ValueError, "one utterance at least"),
        ([[]], ValueError, "one utterance at least"),
        ({"text": "a"}, ValueError, "must hold `utterances`"),
        ([{"text": "a", "start": 2, "end": 1}], ValueError, "Utterance 1: .* end after it starts"),
        ([{"txt": "a"}], ValueError, "Utterance 1: .* no field txt"),
        ("nowhere.srt", FileNotFoundError, r"nowhere\.srt"),
        (3, TypeError, "found int"),
    ],
)
def test_bad_input_is_named(
    pipe: MultimodalEmotionPipeline, inputs: object, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        pipe(inputs)


def test_an_unknown_argument_is_refused(pipe: MultimodalEmotionPipeline) -> None:
    with pytest.raises(TypeError, match="found topk"):
        pipe([{"text": "a"}], topk=3)


def test_saved_it_loads_without_remote_code(pipe: MultimodalEmotionPipeline, tmp_path: Path) -> None:
    pipe.save_pretrained(tmp_path)
    assert not list(tmp_path.glob("*.py"))
    again = pipeline(TASK, model=str(tmp_path), device="cpu")
    assert again(tiny.dialogue(3)) == pipe(tiny.dialogue(3))
    AutoProcessor.from_pretrained(tmp_path)
    AutoModelForTokenClassification.from_pretrained(tmp_path)


@pytest.mark.parametrize("context", ["both", "dialogue"])
def test_a_causal_model_refuses_to_read_the_future(context: str) -> None:
    model = M2FNetForEmotionClassification(tiny.config(causal=True))
    with pytest.raises(ValueError, match="must not read future utterances"):
        pipeline(TASK, model=model, processor=tiny.processor(context=context))
    pipeline(TASK, model=model, processor=tiny.processor(context="past"))


def test_without_its_processor_it_says_so(tiny_checkpoint: Path) -> None:
    model = M2FNetForEmotionClassification.from_pretrained(tiny_checkpoint)
    with pytest.raises((ValueError, OSError), match="processor"):
        MultimodalEmotionPipeline(model=model)


@pytest.mark.parametrize("kept", [("text",), ("text", "visual"), ("audio",)])
def test_what_is_withheld_is_as_if_absent(pipe: MultimodalEmotionPipeline, kept: tuple[str, ...]) -> None:
    dialogue = tiny.dialogue(3)
    fields = {"text": {"text": None}, "audio": {"audio": None, "sampling_rate": None}, "visual": {"action_units": None}}
    absent = {name: value for modality in fields.keys() - set(kept) for name, value in fields[modality].items()}
    expected = pipe([utterance.replace(**absent) for utterance in dialogue])
    answers = pipe(dialogue, modalities=kept)
    assert scores(answers) == scores(expected) != scores(pipe(dialogue))
    for answer in answers:
        assert answer["modalities"] == list(kept)
        assert answer["missing"] == {name: "withheld by `modalities`" for name in fields if name not in kept}


def test_each_modality_is_heard_alone_and_withheld(pipe: MultimodalEmotionPipeline) -> None:
    dialogue = [*tiny.dialogue(4)]
    dialogue[1] = dialogue[1].replace(audio=None, sampling_rate=None)
    dialogue[2] = dialogue[2].replace(audio=None, sampling_rate=None, action_units=None)
    answers = pipe([dialogue, tiny.dialogue(2, seed=5)], return_modalities=True, batch_size=2)[0]
    plain = pipe(dialogue)
    every = ("text", "audio", "visual")
    subsets = {"alone": {name: [name] for name in every}}
    subsets["without"] = {name: [other for other in every if other != name] for name in every}
    for kind, kept in subsets.items():
        expected = {name: pipe(dialogue, modalities=rest) for name, rest in kept.items()}
        for u, answer in enumerate(answers):
            assert scores([answer])[0] == pytest.approx(scores(plain)[u], abs=1e-6)
            found = answer["modality_scores"][kind]
            assert list(found) == (answer["modalities"] if kind == "alone" or len(answer["modalities"]) > 1 else [])
            for name, by_label in found.items():
                assert by_label == pytest.approx(expected[name][u]["scores"], abs=1e-6)
                assert list(by_label.values()) == sorted(by_label.values(), reverse=True)
    assert all("modality_scores" not in answer for answer in plain)


def test_embeddings_are_what_the_classifier_reads(pipe: MultimodalEmotionPipeline) -> None:
    dialogues = [tiny.dialogue(3, seed=1), [{"text": "yes"}]]
    given, plain = pipe(dialogues, return_embeddings=True, batch_size=2), pipe(dialogues, batch_size=2)
    assert [[{**one, "embeddings": None} for one in answers] for answers in given] == [
        [{**one, "embeddings": None} for one in answers] for answers in plain
    ]
    assert given[1][0]["embeddings"].keys() == {"text", "fused"}
    for answer in given[0]:
        assert answer["embeddings"].keys() == {*answer["modalities"], "fused"}
        logits = pipe.model.classifier(torch.tensor(answer["embeddings"]["fused"]))
        scores = dict(zip(pipe.model.config.label_names, logits.softmax(-1).tolist(), strict=True))
        assert scores == pytest.approx(answer["scores"], abs=1e-5)


def test_what_was_encoded_is_used_again(pipe: MultimodalEmotionPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = mock.Mock(wraps=pipe.model.model.audio_encoder.forward)
    monkeypatch.setattr(pipe.model.model.audio_encoder, "forward", encoded)
    (answer,) = pipe(tiny.dialogue(1), return_modalities=True, top_k=2, modalities=["text", "audio"])
    assert encoded.call_count == 1
    assert {name: len(found) for name, found in answer["modality_scores"]["alone"].items()} == {"text": 2, "audio": 2}


@pytest.mark.parametrize("wrong", [(), "text", ["text", "smell"]])
def test_modalities_that_the_model_does_not_read_are_refused(pipe: MultimodalEmotionPipeline, wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"one or more of those that the model reads \(text, audio, visual\), found"):
        pipe(tiny.dialogue(1), modalities=wrong)


def test_a_call_changes_what_the_pipeline_was_made_with(tiny_checkpoint: Path) -> None:
    pipe = pipeline(TASK, model=str(tiny_checkpoint), device="cpu", modalities=["text"], top_k=2)
    (answer,) = pipe(tiny.dialogue(1))
    assert (answer["modalities"], len(answer["scores"])) == (["text"], 2)
    (answer,) = pipe(tiny.dialogue(1), modalities=None, top_k=3)
    assert (answer["modalities"], len(answer["scores"])) == (["text", "audio", "visual"], 3)


def test_words_are_a_dialogue(pipe: MultimodalEmotionPipeline) -> None:
    said = ["yes yes", "what now", "go home"]
    assert pipe(said) == pipe([{"text": text} for text in said])
    assert pipe(tuple(said)) == pipe([said[0], {"text": said[1]}, said[2]]) == pipe(said)
    assert pipe(said[0]) == pipe([said[0]]) == pipe.predict(said[:1])
    assert [answer["text"] for answer in pipe([said, said[:1]])[1]] == said[:1]
    for one in ("Mr. Green", "What? No.", "Wait...", "it is 3.5", "yes/no", "a: b", "He said: see http://x.org"):
        assert pipe(one)[0]["text"] == one


def test_what_is_named_like_a_file_is_one(
    pipe: MultimodalEmotionPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("missing.mp4", "a missing talk.WAV", "missing.srt", "/nowhere/missing"):
        with pytest.raises((FileNotFoundError, ValueError), match="missing"):
            pipe(name)
    with pytest.raises(FileNotFoundError, match=r"none at missing\.mp4"):
        pipe("missing.mp4")
    with pytest.raises(OSError, match="must be a file that can be fetched"):
        pipe("http://127.0.0.1:9/talk")
    monkeypatch.chdir(tmp_path)
    Path("yes").write_text("no transcript")
    with pytest.raises(ValueError, match="yes"):
        pipe("yes")


@pytest.mark.parametrize(
    "mixed",
    [
        [{"text": "a"}, {"recording": "a.mp4"}],
        [{"video": "a.mp4"}, {"recording": "a.mp4"}],
        ["a", "talk.srt"],
        ["a", ["b"]],
        [{"text": "a"}, Dialogue([{"text": "a"}])],
    ],
)
def test_utterances_and_dialogues_in_one_list_are_refused(pipe: MultimodalEmotionPipeline, mixed: list) -> None:
    with pytest.raises(ValueError, match="found 1 utterances and 1 of the others"):
        pipe(mixed)


def test_a_whole_file_is_no_video(pipe: MultimodalEmotionPipeline) -> None:
    for source in ({"video": "a.mp4", "transcript": "a.srt"}, {"video": "a.mp4", "utterances": [{"text": "a"}]}):
        for given in (source, [source]):
            with pytest.raises(ValueError, match="is a `recording`, found it as `video`"):
                pipe(given)


class Words(Dataset):
    words = ("yes yes", "what now", "go home", "never")

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, index: int) -> str:
        return self.words[index]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_data_sets_and_generators_give_a_list_for_each(pipe: MultimodalEmotionPipeline, num_workers: int) -> None:
    expected = [pipe(text) for text in Words.words]

    def generated() -> Iterator[str]:
        yield from Words.words

    for source in (Words(), generated(), iter(Words.words), map(str, Words.words)):
        answers = list(pipe(source, batch_size=3, num_workers=num_workers))
        assert [[one["text"] for one in answer] for answer in answers] == [[text] for text in Words.words]
        for answer, other in zip(answers, expected, strict=True):
            assert scores(answer)[0] == pytest.approx(scores(other)[0], abs=1e-5)


def test_it_is_built_in_every_way(tiny_checkpoint: Path) -> None:
    class Mine(MultimodalEmotionPipeline):
        pass

    said = ["yes", "no"]
    expected = pipeline(TASK, model=str(tiny_checkpoint), device="cpu")(said)
    for pipe in (
        pipeline(TASK, model=tiny_checkpoint, device="cpu"),
        pipeline(TASK, model=str(tiny_checkpoint), device="cpu", pipeline_class=Mine),
        pipeline(TASK, model=str(tiny_checkpoint), device="cpu", batch_size=2, num_workers=1),
        Mine.from_pretrained(tiny_checkpoint, device="cpu"),
    ):
        assert pipe(said) == expected
        assert list(inspect.signature(pipe.__call__).parameters) == ["inputs", "kwargs"]  # as the library iterates
        assert pipe.dtype == torch.float32
    assert (type(pipe), pipeline(TASK, model=tiny_checkpoint, batch_size=2)._batch_size) == (Mine, 2)
    assert MultimodalEmotionPipeline.from_pretrained(device="cpu")("Great!")[0]["modalities"] == ["text"]


def test_problems_are_told_or_warned_of(pipe: MultimodalEmotionPipeline, tmp_path: Path) -> None:
    broken = tmp_path / "talk.mp4"
    broken.write_bytes(b"no video")
    sources = [{"recording": broken, "utterances": [{"text": "yes"}]}] * 3
    said: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        answers = pipe(sources, faces="none", cache=False, on_problem=said.append)
        list(pipe((one for one in sources), faces="none", cache=False, on_problem=said.append, num_workers=2))
    assert len(answers) == 3
    assert len(said) == 2, "once for each call, also from other processes"
    assert all("talk.mp4" in sentence for sentence in said)
    with pytest.warns(UserWarning, match="talk.mp4") as caught:
        pipe(sources, faces="none", cache=False)
    assert len(caught) == 1


def test_scores_are_never_made_up_of_damaged_weights(tiny_checkpoint: Path) -> None:
    pipe = pipeline(TASK, model=str(tiny_checkpoint), device="cpu")
    with torch.no_grad():
        pipe.model.classifier.output.weight[0, 0] = float("nan")
    with pytest.raises(
        ValueError, match="must give finite logits, found NaN or infinite ones; its weights are damaged"
    ):
        pipe([{"text": "You came!"}])
