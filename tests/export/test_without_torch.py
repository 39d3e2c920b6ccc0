"""Exported models without torch and transformers: the same predictions, by onnxruntime and tokenizers alone."""

import csv
import json
import shutil
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from transformers import pipeline

from m2fnet_hf import AUFeatureExtractor, Dialogue, M2FNetForEmotionClassification, M2FNetProcessor, Utterance
from m2fnet_hf.cli import main
from m2fnet_hf.hub.load import load_pipeline
from m2fnet_hf.names_m2fnet import PYFEAT_ACTION_UNITS
from m2fnet_hf.registration import TASK
from m2fnet_hf.spectrogram_m2fnet import default_extractor, log_mel
from m2fnet_hf.weights_m2fnet import WeightsError

pytest.importorskip("onnxscript", reason="onnxscript is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

import onnx

from m2fnet_hf.export.encoders import pooled
from m2fnet_hf.export.onnx import _write_filters, export_onnx
from m2fnet_hf.export.pipeline import load_exported
from m2fnet_hf.export.runner import OnnxEmotionModel
from m2fnet_hf.export.sound import sound_reader
from m2fnet_hf.pooling_m2fnet import block_statistics

WORDS = ["go home now", "why is it awful", "you came", "never"]
# Refuses both as if they were not installed.
BLOCKED = """if True:
    import sys
    class Absent:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] in ("torch", "transformers"):
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    sys.meta_path.insert(0, Absent())
    from m2fnet_hf.cli import main
    sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A tiny model that is built as the default one, and what was exported of it."""
    folder = tmp_path_factory.mktemp("without_torch")
    torch.manual_seed(0)
    config = tiny.config(
        text="bert",
        audio_config=tiny.mel_config(),
        audio_pooling="mean_std",
        audio_final_norm=False,
        visual_config={"hidden_size": None, "face_pooling": "area"},
        speaker_normalization=["audio", "visual"],
        num_hidden_layers=1,
        num_fusion_layers=1,
        softmax_temperature=0.7,
        languages=["en"],
    )
    model = M2FNetForEmotionClassification(config).eval()
    processor = M2FNetProcessor(
        tiny.tokenizer(),
        default_extractor(tiny.mel_config()),
        AUFeatureExtractor(),
        context="dialogue",
        max_length=24,
        speaker_prefix="name",
    )
    model.save_pretrained(folder / "model")
    processor.save_pretrained(folder / "model")
    export_onnx(model, processor, folder / "exported")
    return folder / "model", folder / "exported"


@pytest.fixture
def talk(tmp_path: Path) -> dict[str, Path]:
    """A recording of sound, its transcript, and OpenFace's csv of one face that moves."""
    random = np.random.default_rng(0)
    sound = (3000 * random.standard_normal(16_000 * 8)).astype(np.int16)
    with wave.open(str(tmp_path / "talk.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(sound.tobytes())
    cues = [
        f"{number + 1}\n00:00:0{2 * number},000 --> 00:00:0{2 * number + 1},500\n{'AB'[number % 2]}: {words}\n"
        for number, words in enumerate(WORDS)
    ]
    (tmp_path / "talk.srt").write_text("\n".join(cues))
    units = [f"{unit}_r" for unit in PYFEAT_ACTION_UNITS if unit not in ("AU11", "AU24", "AU28", "AU43")] + ["AU45_r"]
    points = {f"{axis}_{point}": 50 + point for axis in "xy" for point in range(68)}
    with (tmp_path / "talk.csv").open("w", newline="") as file:
        known = {"face_id": 0, "confidence": 0.9, "success": 1, **points}
        writer = csv.DictWriter(file, ["frame", "timestamp", *known, *units])
        writer.writeheader()
        for frame in range(80):
            values = dict(zip(units, 5 * random.random(len(units)), strict=True))
            writer.writerow({"frame": frame + 1, "timestamp": frame / 10, **known, **values})
    return {name: tmp_path / f"talk.{name}" for name in ("wav", "srt", "csv")}


def dialogue() -> Dialogue:
    random = np.random.default_rng(1)
    return Dialogue(
        [
            Utterance(text="go home now", speaker="Ann", audio=random.standard_normal(20_000), sampling_rate=16_000),
            Utterance(audio=random.standard_normal(90_000), sampling_rate=22_050),
            Utterance(text="you came", speaker="Ann", action_units=random.random((3, 2, 20))),
            Utterance(text="why what great awful happy sad angry calm " * 12, speaker="Ben"),
            Utterance(text="never", action_units=np.full((1, 1, 20), np.nan), missing={"audio": "it was noisy"}),
        ]
    )


def assert_same(found: Any, expected: Any) -> None:
    """Of two lists of predictions."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        assert one["scores"] == pytest.approx(other["scores"], abs=1e-4)
        for name in one.keys() - {"label", "score", "scores", "modality_scores"}:
            assert one[name] == other[name]
        for kind, scores in other.get("modality_scores", {}).items():
            assert one["modality_scores"][kind].keys() == scores.keys()
            for modality, values in scores.items():
                assert one["modality_scores"][kind][modality] == pytest.approx(values, abs=1e-4)


@pytest.mark.parametrize(
    "options",
    [{}, {"return_modalities": True}, {"modalities": ["audio"], "top_k": 2}, {"return_faces": True}],
    ids=["plain", "modalities", "one modality", "faces"],
)
def test_a_dialogue_is_predicted_as_torch_does(pair: tuple[Path, Path], options: dict[str, Any]) -> None:
    model, exported = pair
    assert_same(load_exported(exported)(dialogue(), **options), pipeline(TASK, model=str(model))(dialogue(), **options))


def test_a_recording_with_faces_from_a_file_is_predicted_as_torch_does(
    pair: tuple[Path, Path], talk: dict[str, Path]
) -> None:
    asked: Any = {"transcript": str(talk["srt"]), "faces": str(talk["csv"]), "cache": False, "return_modalities": True}
    found, expected = (load_pipeline(str(one))(str(talk["wav"]), **asked) for one in reversed(pair))
    assert expected[0]["modalities"] == ["text", "audio", "visual"]
    assert_same(found, expected)


def test_several_dialogues_come_as_the_pipeline_gives_them(pair: tuple[Path, Path]) -> None:
    pipe = load_exported(pair[1], batch_size=8)
    one, two = pipe("go home now"), pipe(["you came", "never"])
    assert [len(one), len(two)] == [1, 2]
    assert pipe([[{"text": "go home now"}], [{"text": "you came"}, {"text": "never"}]]) == [one, two]
    several = pipe((words for words in (["go home now"], ["you came", "never"])), num_workers=2)
    assert next(several) == one
    for wrong, message in (([], "one utterance at least"), ("a", "lists, found wrong")):
        with pytest.raises((TypeError, ValueError), match=message):
            pipe(wrong, **({"wrong": 1} if wrong else {}))
    with pytest.raises(ValueError, match="gives no attentions"):
        pipe("a", return_attentions=True)


@pytest.mark.parametrize("source", ["srt", "wav"])
def test_the_command_runs_where_neither_torch_nor_transformers_is(
    pair: tuple[Path, Path], talk: dict[str, Path], tmp_path: Path, source: str
) -> None:
    model, exported = pair
    options = [] if source == "srt" else ["--transcript", str(talk["srt"]), "--faces", str(talk["csv"])]
    arguments = ["predict", str(talk[source]), *options, "--output", str(tmp_path / "out")]
    ran = subprocess.run(
        [sys.executable, "-c", BLOCKED, *arguments, "--model", str(exported)], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads((tmp_path / "out" / "talk.json").read_text())["utterances"]
    reading: Any = {} if source == "srt" else {"transcript": str(talk["srt"]), "faces": str(talk["csv"])}
    expected = load_pipeline(str(model))(str(talk[source]), **reading, return_modalities=True, cache=False)
    for one, other in zip(found, expected, strict=True):
        assert one["label"] == other["label"]
        assert one["scores"] == pytest.approx(other["scores"], abs=1e-4)
        assert one["modalities"] == other["modalities"]


def test_without_onnxruntime_the_extra_is_named(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    said = "An exported model needs onnxruntime: pip install 'm2fnet-hf[export]'"
    for load in (load_exported, load_pipeline, lambda folder: pipeline(TASK, model=folder)):
        with pytest.raises(ImportError) as error:
            load(str(pair[1]))
        assert str(error.value) == said
    (tmp_path / "talk.txt").write_text("ANN: You came!\n")
    assert main(["predict", str(tmp_path / "talk.txt"), "--model", str(pair[1]), "--output", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"m2fnet: {said}\n"


def test_a_part_that_is_not_there_is_named(pair: tuple[Path, Path], tmp_path: Path) -> None:
    for name in ("fusion.onnx", "config.json", "processor_config.json"):
        (tmp_path / name).write_bytes((pair[1] / name).read_bytes())
    with pytest.raises(FileNotFoundError, match=r"must hold tokenizer\.json, found none"):
        load_exported(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(ValueError, match=r"config\.json must hold a JSON object"):
        load_exported(tmp_path)
    (tmp_path / "config.json").write_bytes((pair[1] / "config.json").read_bytes())


@pytest.mark.parametrize(
    ("file", "change", "sentence"),
    [
        ("processor_config.json", {"max_length": "x"}, "`max_length` must be a whole number from 1 to 1000000"),
        ("processor_config.json", {"past_utterances": -1}, "`past_utterances` must be a whole number from 0"),
        ("processor_config.json", {"feature_extractor": {"sampling_rate": 0}}, "sampling_rate` must be a whole number"),
        ("tokenizer.json", {"model": None}, "tokenizer.json must be the settings of a model"),
        ("config.json", {"audio_config": {}}, "config.json must be the settings of a model"),
        ("text_encoder.onnx", {"longest": "9" * 5000}, "text_encoder.onnx of an exported model must be the graph"),
        ("text_encoder.onnx", {"longest": "soon"}, "text_encoder.onnx of an exported model must be the graph"),
    ],
)
def test_a_setting_that_none_can_be_is_named(
    pair: tuple[Path, Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    file: str,
    change: dict[str, Any],
    sentence: str,
) -> None:
    exported = shutil.copytree(pair[1], tmp_path / "exported")
    if file.endswith("onnx"):
        graph = onnx.load(exported / file)
        onnx.helper.set_model_props(graph, change)
        onnx.save(graph, exported / file)
    else:
        content = json.loads((exported / file).read_text())
        (exported / file).write_text(json.dumps({**content, **change}))
    (tmp_path / "talk.txt").write_text("ANN: You came!\n")
    assert main(["predict", str(tmp_path / "talk.txt"), "--model", str(exported)]) == 1
    said = capfd.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


def test_the_librarys_pipeline_says_it_in_a_sentence(pair: tuple[Path, Path], tmp_path: Path) -> None:
    exported = shutil.copytree(pair[1], tmp_path / "exported")
    (exported / "text_encoder.onnx").unlink()
    with pytest.raises(WeightsError, match=r"^An exported model must hold text_encoder\.onnx, found none in .*\.$"):
        pipeline(TASK, model=str(exported))


@pytest.mark.parametrize("kind", ["empty", "truncated", "text", "another graph"])
@pytest.mark.parametrize("name", ["fusion.onnx", "text_encoder.onnx"])
def test_a_damaged_graph_is_named(
    pair: tuple[Path, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, kind: str
) -> None:
    whole, exported = (pair[1] / name).read_bytes(), tmp_path / "exported"
    shutil.copytree(pair[1], exported)
    damaged = {"empty": b"", "truncated": whole[:-1000], "text": b"<html>not found</html>"}
    (exported / name).write_bytes(damaged.get(kind) or b"")
    if kind == "another graph":
        shutil.copyfile(exported / "visual_encoder.onnx", exported / name)
    (tmp_path / "talk.txt").write_text("ANN: You came!\n")
    with pytest.raises(ValueError, match=rf"^{name} of an exported model must be .* again") as error:
        load_exported(exported)(str(tmp_path / "talk.txt"))
    with pytest.raises(ValueError, match=rf"^{name} of an exported model must be"):
        OnnxEmotionModel(exported)
    assert main(["predict", str(tmp_path / "talk.txt"), "--model", str(exported), "--output", str(tmp_path)]) == 1
    assert capfd.readouterr().err == f"m2fnet: {error.value}\n"


@pytest.mark.parametrize("kind", tiny.MEL_ENCODERS)
@pytest.mark.parametrize("samples", [0, 1, 399, 8_000, 70_001])
def test_spectrograms_are_the_librarys(tmp_path: Path, kind: str, samples: int) -> None:
    processor = tiny.mel_processor(kind)
    _write_filters(processor, tmp_path)
    extractor: Any = processor.feature_extractor
    read = sound_reader(extractor.to_dict(), tmp_path)
    sound = (0.1 * np.random.default_rng(0).standard_normal(samples)).astype(np.float32)
    np.testing.assert_allclose(read(sound), log_mel(extractor, sound), atol=2e-4)


@pytest.mark.parametrize("num_blocks", [1, 3])
@pytest.mark.parametrize("length", [1, 2, 7])
def test_what_is_read_in_pieces_is_pooled_as_in_torch(num_blocks: int, length: int) -> None:
    states = torch.randn(1, length, 4)
    expected = block_statistics(states, torch.ones(1, length, dtype=torch.bool), num_blocks, "mean_std")[0]
    np.testing.assert_allclose(pooled(states[0].numpy(), num_blocks, with_deviation=True), expected, atol=1e-5)
