"""Extraction gives what the model itself computes, once, whoever shares the work and whatever stops it."""

import gc
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from accelerate import PartialState
from conftest import Conversation
from datasets import Dataset
from killing import killed
from sample_recordings import record

from m2fnet_hf import (
    AppearanceFeatureExtractor,
    Dialogue,
    M2FNetForEmotionClassification,
    M2FNetProcessor,
    Utterance,
)
from m2fnet_hf.data.table import to_dialogues, to_table
from m2fnet_hf.faces.types import Faces
from m2fnet_hf.features import extract as extraction
from m2fnet_hf.features import store as features
from m2fnet_hf.features.extract import extract
from m2fnet_hf.features.index import INDEX
from m2fnet_hf.features.store import FeatureWriter, open_features
from m2fnet_hf.media.clip import Frame
from m2fnet_hf.training.collator import DialogueCollator

UNITS = tuple(f"unit {number}" for number in range(tiny.ACTION_UNITS))
FACES = {"visual_config": {"num_action_units": tiny.ACTION_UNITS, "action_units": UNITS, "hidden_size": 8}}


class OneFace:
    """A backend that takes the Action Units of the one face from the picture's own brightness."""

    action_units = UNITS
    settings = {"version": 1}

    def detect(self, frames: Sequence[Frame]) -> list[Faces]:
        means = [frame.image[: frame.image.shape[0] // 2].mean() / 255 for frame in frames]
        box = np.array([[10.0, 10, 40, 40]])
        return [Faces(box, np.ones(1), np.linspace(mean, 1, len(UNITS))[None]) for mean in means]


def model(**config: Any) -> M2FNetForEmotionClassification:
    torch.manual_seed(0)
    return M2FNetForEmotionClassification(tiny.config(**{**FACES, **config})).eval()


def dialogues(count: int, first: int = 0) -> list[Dialogue]:
    """Of one to four utterances; the last of each lacks its sound and its faces."""
    made = []
    for number in range(first, first + count):
        *most, last = tiny.dialogue(1 + number % 4, seed=number)
        last = last.replace(audio=None, sampling_rate=None, action_units=None, label="joy")
        made.append(Dialogue([one.replace(id=2 * u) for u, one in enumerate([*most, last])], id=number))
    return made


def content(folder: Path) -> dict[str, Any]:
    """All that is stored, whatever shard it lies in."""
    store, found = open_features(folder), {}
    for split in store.splits:
        records = {key: {**record, "shard": None} for key, record in store.records(split).items()}
        arrays = {
            (dialogue.id, utterance.id, field): getattr(utterance, field).tobytes()
            for dialogue in store.dialogues(split)
            for utterance in dialogue
            for field in features.FIELDS
            if getattr(utterance, field) is not None
        }
        found[split] = (records, arrays)
    return {"settings": store.settings, **found}


def logits(model: Any, processor: M2FNetProcessor, batch: Sequence[Dialogue]) -> torch.Tensor:
    inputs = DialogueCollator(processor, model.config.modalities)(list(batch))
    with torch.inference_mode():
        return model(**inputs).logits


@pytest.mark.parametrize("context", ["none", "both"])
def test_features_are_what_the_model_computes(tmp_path: Path, context: str) -> None:
    network, processor = model(audio="layer"), tiny.processor(context=context, speaker_prefix="name")
    raw = {"train": dialogues(5), "dev": dialogues(3, first=5)}
    summary = extract(network, processor, raw, tmp_path)
    assert summary.problems == []
    counts = {name: count for name, count in summary.splits["train"].items() if name != "bytes"}
    assert counts == {"dialogues": 5, "utterances": 11, "text": 11, "audio": 6, "visual": 6}
    store = open_features(tmp_path)
    for split, given in raw.items():
        attached = store.attach(given, split)
        everything = [network, processor]
        for alone, stored in zip(given, attached, strict=True):
            torch.testing.assert_close(logits(*everything, [stored]), logits(*everything, [alone]), rtol=0, atol=1e-6)
            inputs = processor([alone])
            tokens = [inputs[name] for name in ("input_ids", "attention_mask", "pooling_mask")]
            expected = network.model.get_text_features(*tokens).pooler_output[0].detach().numpy()
            np.testing.assert_allclose([one.text_features for one in stored], expected, atol=1e-6)
            assert stored[len(stored) - 1].missing == {"audio": "no sound was given", "visual": "no faces were given"}
        torch.testing.assert_close(logits(*everything, attached), logits(*everything, given), rtol=0, atol=1e-5)
        torch.testing.assert_close(
            logits(*everything, store.dialogues(split)), logits(*everything, given), rtol=0, atol=1e-5
        )
    assert M2FNetProcessor.from_pretrained(tmp_path).context == context


def test_a_model_without_a_modality_stores_none_of_it(tmp_path: Path) -> None:
    extract(model(audio=None, visual_config=None), tiny.processor(), {"train": dialogues(3)}, tmp_path)
    store = open_features(tmp_path)
    assert store.settings.keys() == {"version", "dtype", "text"}
    (_, two, _) = store.dialogues("train")
    assert (two[0].text_features is None, two[0].audio_features is None) == (False, True)
    assert store.attach(dialogues(3), "train")[1][0].audio is not None, "nothing stands for it"


def test_half_precision_is_taken_on(tmp_path: Path) -> None:
    full, half = (
        extract(model(), tiny.processor(), {"train": dialogues(4)}, tmp_path / dtype, dtype=dtype).splits["train"]
        for dtype in ("float32", "float16")
    )
    assert half["bytes"] < full["bytes"]
    assert half["text"] == full["text"]


STREAMS: dict[str, Callable[[list[Dialogue]], Iterable[Any]]] = {
    "generator": iter,
    "rows": lambda given: ({"id": one.id, "utterances": [vars(u) for u in one]} for one in given),
    "table": lambda given: to_table(given),
    "streamed table": lambda given: to_table(given).to_iterable_dataset(),
    "generator of a table": lambda given: iter(to_table(given)),
}


@pytest.mark.parametrize("kind", STREAMS)
def test_a_stream_gives_what_a_list_does(tmp_path: Path, kind: str) -> None:
    given = to_dialogues(to_table(dialogues(5)))  # in a table's precision
    network, processor = model(), tiny.processor()
    run = partial(extract, network, processor, faces="none")
    listed = run({"train": given}, tmp_path / "list").splits["train"]
    again = [run({"train": STREAMS[kind](given)}, tmp_path / "stream") for _ in range(2)]
    for summary in again:
        assert {**summary.splits["train"], "bytes": 0} == {**listed, "bytes": 0}
    assert content(tmp_path / "stream") == content(tmp_path / "list")


def test_a_stream_is_read_as_it_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "UTTERANCES_PER_SHARD", 1)
    one, two, *_ = given = dialogues(4)
    run = partial(extract, model(visual_config=None), tiny.processor())
    for bad, message in ((one, "found 0 twice in train"), (Dialogue(one.utterances), "found none for number 3 of")):
        with pytest.raises(ValueError, match=message):
            run({"train": iter([one, two, bad])}, tmp_path)
        assert list(open_features(tmp_path).records("train")) == ["0", "1"], "what came before is kept"
    kept = set(tmp_path.rglob("*.safetensors"))
    assert run({"train": iter(given)}, tmp_path).splits["train"]["dialogues"] == 4
    assert len(kept) == 2
    assert kept < set(tmp_path.rglob("*.safetensors"))


def test_nothing_is_kept_of_a_dialogue_that_is_done(tmp_path: Path) -> None:
    first, last = 128, 384  # when the libraries have filled their caches
    blocks = []

    def stream() -> Iterator[Dialogue]:
        for number in range(last + 1):
            if number in (first, last):
                gc.collect()
                blocks.append(sys.getallocatedblocks())
            yield Dialogue([{"text": "yes no"}, {"text": "why"}], id=number)

    extract(model(audio=None, visual_config=None), tiny.processor(), {"train": stream()}, tmp_path)
    before, after = blocks
    assert after - before < 4 * (last - first), "an utterance alone takes more"


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for number in range(3):
        record(folder / f"good{number}.mkv", seconds=1.0, frame_times=[k / 10 for k in range(number, 10 + number)])
    record(folder / "mute.mkv", seconds=0.0)
    (folder / "broken.mp4").write_bytes(b"no film")
    return folder


def filmed(folder: Path) -> list[Dialogue]:
    names = ["good0.mkv", "broken.mp4", "absent.mp4", "mute.mkv"]
    rows = [{"text": "yes", "video": folder / name, "id": name} for name in names]
    whole = [{"text": "no", "start": 0.2, "end": 0.6}, {"text": "no", "start": 0.6, "end": 0.9}]
    return [
        Dialogue(rows, id="clips"),
        Dialogue(whole, id="whole", recording=folder / "good1.mkv"),
        Dialogue(whole, id="lost", recording=folder / "gone.mkv"),
    ]


def test_broken_recordings_are_masked_and_named(tmp_path: Path, clips: Path) -> None:
    network, processor = model(), tiny.processor()
    summary = extract(network, processor, {"test": filmed(clips)}, tmp_path, faces=OneFace(), frame_rate=10)
    named = " ".join(summary.problems)
    assert "test, dialogue clips: absent.mp4 could not be opened (No such file or directory)" in summary.problems
    assert "test, dialogue lost: gone.mkv could not be opened (No such file or directory)" in summary.problems
    assert "broken.mp4" in named
    assert len(summary.problems) == 3, named
    assert {name: summary.splits["test"][name] for name in ("utterances", "text", "audio", "visual")} == {
        "utterances": 8,
        "text": 8,
        "audio": 3,
        "visual": 4,
    }
    found = {one.id: one for one in open_features(tmp_path).dialogues("test")}
    good, broken, absent, mute = found["clips"]
    assert good.action_units.shape == (10, 1, len(UNITS))
    assert {"audio", "visual"} == broken.missing.keys() == absent.missing.keys()
    assert absent.missing["visual"] == "absent.mp4 could not be opened (No such file or directory)"
    assert mute.missing == {"audio": "mute.mkv has no sound"}
    assert mute.face_ids[0, 0] == 1, "who is in one clip is not who is in another"
    assert [len(one.action_units) for one in found["whole"]] == [4, 3]

    again = extract(network, processor, {"test": filmed(clips)}, tmp_path, faces=OneFace(), frame_rate=10)
    assert again == summary, "what was found is found again, though nothing is read"


def test_recordings_are_heard_as_the_model_hears_them(tmp_path: Path, clips: Path) -> None:
    from m2fnet_hf.media.clip import Clip

    network, processor = model(), tiny.processor()
    extract(network, processor, {"test": filmed(clips)[:1]}, tmp_path, faces="none")
    (sound,) = Clip(clips / "good0.mkv").read(spans=[(0.0, 1.0)])
    given = Utterance(text="yes", audio=sound.samples, sampling_rate=16_000)
    inputs = processor([given])
    output = network.model.get_audio_features(inputs["input_values"], inputs["audio_attention_mask"])
    expected = output.pooler_output[0, 0]
    (stored,) = open_features(tmp_path).dialogues("test")
    np.testing.assert_allclose(stored[0].audio_features, expected.detach().numpy(), atol=1e-6)
    assert stored[0].missing == {"visual": "faces were not looked for"}


def test_a_text_model_opens_no_recording(tmp_path: Path, clips: Path) -> None:
    network = model(audio=None, visual_config=None)
    assert extract(network, tiny.processor(), {"test": filmed(clips)}, tmp_path).problems == []


def test_faces_that_the_model_cannot_read_are_refused(tmp_path: Path, clips: Path) -> None:
    pytest.importorskip("cv2", reason="opencv is not installed")
    with pytest.raises(ValueError, match=r"the faces come without unit 0.*choose another face backend"):
        extract(model(), tiny.processor(), {"test": filmed(clips)}, tmp_path, faces="opencv")


CHANGES = {
    r"text\.context was none and is past": {"processor": {"context": "past"}},
    r"text\.encoder and tokenizer was": {"weights": "text"},
    r"audio\.encoder was": {"weights": "audio"},
    r"visual\.frame_rate was 2\.0 and is 4\.0": {"extract": {"frame_rate": 4.0}},
    r"visual\.backend\.version was 1 and is 2": {"backend": {"version": 2}},
    r"dtype was float32 and is float16": {"extract": {"dtype": "float16"}},
}


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory, clips: Path) -> Path:
    folder = tmp_path_factory.mktemp("begun")
    extract(model(), tiny.processor(), {"test": filmed(clips)[:1]}, folder, faces=OneFace())
    return folder


@pytest.mark.parametrize(("message", "change"), CHANGES.items())
def test_a_changed_run_is_refused(begun: Path, clips: Path, message: str, change: dict[str, Any]) -> None:
    network, backend = model(), OneFace()
    if "weights" in change:
        next(getattr(network.model, f"{change['weights']}_encoder").parameters()).data += 1e-3
    backend.settings = change.get("backend", backend.settings)
    processor = tiny.processor(**change.get("processor", {}))
    before = content(begun)
    with pytest.raises(ValueError, match=f"found that {message}.*; use the same again, or another folder"):
        extract(network, processor, {"test": filmed(clips)}, begun, faces=backend, **change.get("extract", {}))
    assert content(begun) == before


def test_changed_words_are_refused(begun: Path, clips: Path) -> None:
    first, *others = filmed(clips)[0]
    changed = Dialogue([first.replace(text="no"), *others], id="clips")
    with pytest.raises(ValueError, match="Dialogue clips of test must have the utterances, speakers and words"):
        extract(model(), tiny.processor(), {"test": [changed]}, begun, faces=OneFace())


def test_what_was_lost_and_what_came_twice_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "UTTERANCES_PER_SHARD", 1)
    run = partial(extract, model(), tiny.processor(), {"train": dialogues(3)}, tmp_path)
    run()
    kept = sorted((tmp_path / "train").glob("*.safetensors"))
    (tmp_path / "train" / "copy.safetensors").write_bytes(kept[0].read_bytes())
    (problem,) = run().problems
    assert problem.endswith("it was extracted twice, of which one is used")
    monkeypatch.setattr(FeatureWriter, "add", lambda *_: None)
    kept[1].unlink()
    with pytest.raises(ValueError, match=r"must hold 3 dialogues of train, found none of \d; extract again"):
        run()


def test_appearance_is_fitted_to_training_faces_first(
    tmp_path: Path, conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("cv2", reason="opencv is not installed")
    visual = {"visual_features": "appearance", "num_appearance_features": 3, "hidden_size": 8}
    network = model(text=None, audio=None, visual_config=visual)
    rows = [{"start": start, "end": end} for start, end in conversation.times]
    said = [{"text": "yes", **row} for row in rows]
    splits = {"train": [Dialogue(said, id=0, recording=conversation.video)]}

    def unfitted() -> M2FNetProcessor:
        extractor = AppearanceFeatureExtractor(num_components=3)
        return M2FNetProcessor(tiny.tokenizer(), appearance_feature_extractor=extractor)

    with pytest.raises(ValueError, match="must be fitted to the split `train`"):
        extract(network, unfitted(), {"dev": splits["train"]}, tmp_path / "dev", faces="opencv")
    processor = unfitted()
    extract(network, processor, splits, tmp_path / "all", faces="opencv")
    (stored,) = open_features(tmp_path / "all").dialogues("train")
    faces = np.concatenate([one.appearance.reshape(-1, 3) for one in stored])
    faces = faces[~np.isnan(faces).any(-1)]
    assert len(faces) >= 4
    np.testing.assert_allclose(faces.mean(0), 0, atol=1e-4)
    saved = M2FNetProcessor.from_pretrained(tmp_path / "all").appearance_feature_extractor
    assert saved.fingerprint == processor.appearance_feature_extractor.fingerprint

    monkeypatch.setattr(extraction, "_faces_to_fit", None)  # a run that goes on takes what was fitted
    resumed = unfitted()
    extract(network, resumed, {**splits, "dev": splits["train"]}, tmp_path / "all", faces="opencv")
    assert resumed.appearance_feature_extractor.fingerprint == saved.fingerprint
    (dev,) = open_features(tmp_path / "all").dialogues("dev")
    np.testing.assert_array_equal(dev[0].appearance, stored[0].appearance)


def test_appearance_is_fitted_to_the_front_of_a_stream_that_can_be_read_again(
    tmp_path: Path, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("skimage", reason="scikit-image is not installed")
    monkeypatch.setattr(extraction, "FACES_TO_FIT", 6)
    visual = {"visual_features": "appearance", "num_appearance_features": 3}
    network = model(text=None, audio=None, visual_config=visual)
    good = [[{"video": str(clips / f"good{number}.mkv")}] for number in (0, 1, 2)]
    rows = [{"id": number, "recording": None, "utterances": clip} for number, clip in enumerate(good)]

    def run(train: Iterable[Any], folder: Path) -> str:
        extractor = AppearanceFeatureExtractor(num_components=3)
        processor = M2FNetProcessor(tiny.tokenizer(), appearance_feature_extractor=extractor)
        extract(network, processor, {"train": train}, folder, faces=OneFace(), frame_rate=10)
        return processor.appearance_feature_extractor.fingerprint

    with pytest.raises(ValueError, match="found a generator, which can be read only once; give a list or"):
        run(iter(rows), tmp_path / "once")
    assert not (tmp_path / "once" / "train").exists()
    streams = [Dataset.from_list(some).to_iterable_dataset() for some in (rows, rows[:1], rows[1:])]
    whole, front, rest = (run(stream, tmp_path / str(number)) for number, stream in enumerate(streams))
    assert whole == front != rest
    assert [one.id for one in open_features(tmp_path / "0").dialogues("train")] == [0, 1, 2]


DATA = {"train": (14, 0), "dev": (5, 14)}


def run(folder: Path, clips: Path | None, pause: float = 0.0) -> None:
    """The run of the tests below; slowed down, so that it can be hit in the middle."""
    torch.set_num_threads(1)
    splits = {split: dialogues(*numbers) for split, numbers in DATA.items()}
    if clips is not None:
        splits["test"] = filmed(clips)

    def slowly(items: Sequence[Any], **_: Any) -> Any:
        for item in items:
            time.sleep(pause)
            yield item

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "UTTERANCES_PER_SHARD", 2)
        summary = extract(model(), tiny.processor(), splits, folder, faces=OneFace(), progress=slowly)
    (folder / f"processes-{summary.processes}-{os.environ.get('RANK', 0)}").touch()


def rank(number: int, port: int, folder: Path, clips: Path) -> None:
    """One of two processes, as torchrun starts them."""
    world = {"RANK": number, "LOCAL_RANK": number, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in world.items()}, MASTER_ADDR="127.0.0.1")
    PartialState._reset_state()
    run(folder, clips, pause=0.05)


def torchrun(folder: Path, clips: Path) -> int:
    """The exit status of two processes that it starts."""
    code = f"import sys; sys.path[:0] = {sys.path!r}; import pathlib, features.test_extract as t\n"
    code += f"t.run(pathlib.Path({str(folder)!r}), pathlib.Path({str(clips)!r}))\n"
    folder.mkdir()
    (folder / "run.py").write_text(code)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    return subprocess.run([*command, str(folder / "run.py")], env={**os.environ, "OMP_NUM_THREADS": "1"}).returncode


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, clips: Path) -> dict[str, Any]:
    """What an undisturbed process stores."""
    folder = tmp_path_factory.mktemp("whole")
    run(folder, clips)
    return content(folder)


def test_a_killed_run_goes_on_and_ends_the_same(tmp_path: Path, clips: Path, whole: dict[str, Any]) -> None:
    (tmp_path / "train").mkdir()
    statuses = [killed(run, (tmp_path, clips, 0.02), tmp_path, shards) for shards in (0, 1, 2, 5, 9, 12)]
    assert statuses.count(-signal.SIGKILL) >= 4
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    assert len(kept) >= 9
    run(tmp_path, clips)
    assert all(path.stat().st_mtime_ns == written for path, written in kept.items()), "nothing is done twice"
    assert content(tmp_path) == whole
    (tmp_path / "train" / INDEX).unlink()
    assert content(tmp_path) == whole
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.slow
def test_two_processes_store_what_one_does(tmp_path: Path, clips: Path, whole: dict[str, Any]) -> None:
    assert torchrun(tmp_path / "two", clips) == 0
    marks = sorted(path.name for path in (tmp_path / "two").glob("processes-*"))
    assert marks == ["processes-2-0", "processes-2-1"]
    assert content(tmp_path / "two") == whole


def test_one_process_ends_what_two_began(tmp_path: Path, clips: Path, whole: dict[str, Any]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=rank, args=(number, port, tmp_path, clips)) for number in (0, 1)]
    for process in both:
        process.start()
    while all(process.is_alive() for process in both) and len(list(tmp_path.rglob("*.safetensors"))) < 4:
        time.sleep(0.001)
    for process in both:
        process.kill()
        process.join()
    assert [process.exitcode for process in both] == [-signal.SIGKILL] * 2
    begun = open_features(tmp_path)
    assert begun.settings == whole["settings"]
    assert 0 < len(begun.records("train")) < DATA["train"][0]
    run(tmp_path, clips)
    assert content(tmp_path) == whole


def test_a_world_of_another_size_than_was_launched_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    PartialState(cpu=True)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RuntimeError, match="2 processes were launched to share the work, found a world of 1"):
        extract(model(), tiny.processor(), {"train": dialogues(1)}, tmp_path)
