"""Graphs of the real exporter, run by the real onnxruntime, against torch."""

from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from transformers import pipeline

from m2fnet_hf import M2FNetForEmotionClassification, MultimodalEmotionPipeline
from m2fnet_hf.registration import TASK, is_exported
from m2fnet_hf.weight_files_m2fnet import WeightsError

pytest.importorskip("onnxscript", reason="onnxscript is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from m2fnet_hf.export import onnx as export
from m2fnet_hf.export.onnx import TOLERANCE, export_onnx
from m2fnet_hf.export.quantize import quantize_encoders, time_ratio
from m2fnet_hf.export.runner import OnnxEmotionModel
from m2fnet_hf.export.verify import largest_difference, ragged_inputs


def build(**config: Any) -> M2FNetForEmotionClassification:
    """A tiny model with one layer of each kind."""
    torch.manual_seed(0)
    sizes = {"num_hidden_layers": 1, "num_fusion_layers": 1}
    return M2FNetForEmotionClassification(tiny.config(**{**sizes, **config})).eval()


def exported(folder: Path, **config: Any) -> tuple[M2FNetForEmotionClassification, OnnxEmotionModel]:
    model = build(**config)
    with torch.no_grad():
        model(**ragged_inputs(model, (2,)))  # a model may have been used before
    assert export_onnx(model, tiny.processor(), folder) <= TOLERANCE
    return model, OnnxEmotionModel(folder)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[M2FNetForEmotionClassification, OnnxEmotionModel, Path]:
    """A model of all modalities, and what was exported of it."""
    folder = tmp_path_factory.mktemp("export") / "onnx"
    return *exported(folder, num_blocks=2, speaker_embeddings=True), folder


ROWS = ("input_ids", "attention_mask", "pooling_mask", "input_values", "audio_attention_mask")
VISUAL: dict[str, Any] = {"num_action_units": tiny.ACTION_UNITS, "num_appearance_features": 3, "hidden_size": 8}

SPEAKERS: dict[str, Any] = {
    "visual_config": {"num_action_units": tiny.ACTION_UNITS, "hidden_size": None, "face_pooling": "area"},
    "speaker_normalization": ["audio", "visual"],
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [
        {"text": "bert", "audio": None, "visual": False, "fusion": "gated", "causal": True},
        {"text": "roberta", "audio": "layer", "visual": False, "attention_window": 1},
        {"text": None, "audio": None, "face_pooling": "concat", "fusion": "concat"},
        {
            "text": None,
            "audio": None,
            "visual_config": {**VISUAL, "visual_features": "both", "face_pooling": "area"},
            "text_feature_size": 6,
            "causal": True,
            "attention_window": 2,
        },
        {"text": None, "audio": None, "visual_config": {**VISUAL, "visual_features": "appearance"}},
        {"text": None, "audio": None, "visual": False, "audio_feature_size": 5},
        {"text": None, "audio": None, "audio_feature_size": 5, **SPEAKERS},
        {"text": None, "audio": None, "audio_feature_size": 5, "causal": True, "attention_window": 2, **SPEAKERS},
    ],
)
def test_whatever_a_config_allows_gives_torchs_logits(tmp_path: Path, config: dict[str, Any]) -> None:
    model, runner = exported(tmp_path / "onnx", **config)
    # Dialogues of other sizes than those of the export itself.
    for seed, lengths in enumerate([(1, 1), (9,), (2, 5, 1, 7)]):
        inputs = ragged_inputs(model, lengths, seed=seed + 1)
        with torch.no_grad():
            expected = model(**inputs)
        output = runner(**inputs)
        torch.testing.assert_close(output.logits, expected.logits, atol=TOLERANCE, rtol=0)
        assert torch.equal(output.modality_mask, expected.modality_mask)
    if config.get("visual_config") == SPEAKERS["visual_config"]:  # Action Units without weights need no areas
        del inputs["face_areas"]
        with torch.no_grad():
            expected = model(**inputs)
        torch.testing.assert_close(runner(**inputs).logits, expected.logits, atol=TOLERANCE, rtol=0)


def test_the_folder_is_complete_and_the_axes_are_dynamic(pair: tuple) -> None:
    _, runner, folder = pair
    assert {path.name for path in folder.glob("*.onnx")} == {
        "text_encoder.onnx",
        "audio_encoder.onnx",
        "visual_encoder.onnx",
        "fusion.onnx",
    }
    assert runner.encoders["text"].session.shapes["pooling_mask"] == ["rows", "tokens", "utterances"]
    assert runner.encoders["audio"].session.shapes == {"input_values": ["utterances", "samples"]}
    assert runner.encoders["visual"].session.shapes["faces"] == ["utterances", "frames", "faces", tiny.ACTION_UNITS]
    assert runner.fusion.shapes["audio_features_mask"] == ["dialogues", "utterances"]
    assert not [path for path in folder.parent.iterdir() if path.name.startswith(".onnx")]


@pytest.mark.parametrize("absent", ["text", "audio", "visual"])
def test_a_modality_may_be_absent(pair: tuple, absent: str) -> None:
    model, runner, _ = pair
    names = {"text": ("input_ids", "text_"), "audio": ("input_values", "audio_"), "visual": ("action_units", "visual_")}
    inputs = ragged_inputs(model, (2, 4))
    inputs = {name: value for name, value in inputs.items() if not name.startswith(names[absent])}
    rows = {name: value.flatten(0, 1) if name in ROWS else value for name, value in inputs.items()}
    assert torch.equal(runner(**rows).logits, runner(**inputs).logits)
    with torch.no_grad():
        torch.testing.assert_close(runner(**inputs).logits, model(**inputs).logits, atol=TOLERANCE, rtol=0)


def test_what_is_too_long_for_an_encoder_is_read_in_pieces(pair: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    model, runner, _ = pair
    monkeypatch.setattr("m2fnet_hf.encoders_m2fnet.LONGEST_SOUND", 700)
    monkeypatch.setattr(runner.encoders["audio"], "longest", 700)
    inputs = tiny.inputs([2, 1], tokens=150, samples=2500)
    inputs["attention_mask"][0, 0] = inputs["audio_attention_mask"][0, 0] = True
    del inputs["labels"]
    with torch.no_grad():
        torch.testing.assert_close(runner(**inputs).logits, model(**inputs).logits, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("modality", ["text", "audio", "visual"])
def test_features_are_torchs_by_the_same_methods(pair: tuple, modality: str) -> None:
    model, _, folder = pair
    assert is_exported(folder)
    assert not is_exported(folder.parent)
    runner = OnnxEmotionModel.from_pretrained(folder)
    names = {
        "text": ("input_ids", "attention_mask", "pooling_mask"),
        "audio": ("input_values", "audio_attention_mask"),
        "visual": ("action_units", "action_units_mask", "face_areas"),
    }
    inputs = {name: value for name, value in ragged_inputs(model, (2, 4)).items() if name in names[modality]}
    with torch.no_grad():
        expected = getattr(model.model, f"get_{modality}_features")(**inputs)
    found = getattr(runner, f"get_{modality}_features")(**inputs)
    assert type(found) is type(expected)
    torch.testing.assert_close(found.pooler_output, expected.pooler_output, atol=TOLERANCE, rtol=0)
    if modality != "visual":
        with pytest.raises(ValueError, match="gives neither hidden states nor attentions"):
            getattr(runner, f"get_{modality}_features")(**inputs, output_hidden_states=True)


@pytest.mark.parametrize("context", ["none", "dialogue"])
def test_a_pipeline_runs_on_it(pair: tuple, context: str) -> None:
    model, runner, _ = pair
    processor = tiny.processor(context=context)
    ours, theirs = (pipeline(TASK, model=one, processor=processor, device="cpu") for one in (runner, model))
    assert "OnnxEmotionModel" in repr(ours)
    for answer, expected in zip(ours(tiny.dialogue(3)), theirs(tiny.dialogue(3)), strict=True):
        assert answer["scores"] == pytest.approx(expected["scores"], abs=1e-5)
        assert answer["modalities"] == expected["modalities"]


def test_the_library_finds_it_in_its_folder(pair: tuple, tmp_path: Path) -> None:
    model, _, folder = pair
    for pipe in (pipeline(TASK, model=str(folder)), MultimodalEmotionPipeline.from_pretrained(folder)):
        assert isinstance(pipe, MultimodalEmotionPipeline)
        assert isinstance(pipe.model, OnnxEmotionModel)
        assert pipe.device.type == "cpu"
    torchs = pipeline(TASK, model=model, processor=tiny.processor(), device="cpu")
    for answer, expected in zip(pipe(tiny.dialogue(2)), torchs(tiny.dialogue(2)), strict=True):
        assert answer["scores"] == pytest.approx(expected["scores"], abs=1e-5)
    empty = tmp_path / "empty"
    model.config.save_pretrained(empty)
    tiny.processor().save_pretrained(empty)
    with pytest.raises(WeightsError, match=r"must hold its weights as model\.safetensors, found none"):
        pipeline(TASK, model=str(empty))


def test_the_librarys_own_call_runs_on_it(pair: tuple) -> None:
    model, runner, _ = pair
    sound = torch.randn(2, 3000, generator=torch.Generator().manual_seed(0)).numpy()
    rows = tiny.processor()(text=["go", "go home now"], audio=list(sound), sampling_rate=16_000)
    with torch.no_grad():
        torch.testing.assert_close(runner(**rows).logits, model(**rows).logits, atol=TOLERANCE, rtol=0)


def test_it_hears_recordings_as_torch_does(pair: tuple, recording: Path) -> None:
    model, runner, _ = pair
    utterances = [{"text": "yes", "start": 0.0, "end": 3.0}, {"text": "no", "start": 3.0, "end": 9.0}]
    dialogue = {"utterances": utterances, "recording": str(recording)}
    answers = [
        pipeline(TASK, model=one, processor=tiny.processor(), device="cpu")(dialogue, faces="none", cache=False)
        for one in (runner, model)
    ]
    for answer, expected in zip(*answers, strict=True):
        assert answer["modalities"] == expected["modalities"] == ["text", "audio"]
        assert answer["scores"] == pytest.approx(expected["scores"], abs=1e-5)


def test_int8_is_smaller_and_nearly_the_same(pair: tuple, tmp_path: Path) -> None:
    model, runner, folder = pair
    sizes = quantize_encoders(folder, tmp_path / "int8")
    assert set(sizes) == {"text_encoder.onnx", "audio_encoder.onnx"}
    assert all(after < before for before, after in sizes.values())
    eight = OnnxEmotionModel(tmp_path / "int8")
    assert TOLERANCE < largest_difference(model, eight) < 0.5
    ratio = time_ratio(runner, eight, [ragged_inputs(model, (2,))], repetitions=2)
    assert 0 < ratio["least"] <= ratio["median"] <= ratio["most"]


def test_a_graph_that_differs_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    with pytest.raises(ValueError, match=r"must give torch's logits within -1.0, found a difference of .*e-0"):
        export_onnx(
            build(text=None, audio=None, visual=False, text_feature_size=4), tiny.processor(), tmp_path / "onnx"
        )
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="must be a new or empty folder"):
        export_onnx(build(audio=None, visual=False), tiny.processor(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_graph_that_is_not_there_is_named(pair: tuple, tmp_path: Path) -> None:
    pair[0].config.save_pretrained(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"must hold fusion.onnx, found none .* run `m2fnet export onnx`"):
        OnnxEmotionModel(tmp_path)


def test_bad_input_is_named(pair: tuple) -> None:
    model, runner, _ = pair
    inputs = ragged_inputs(model, (2,))
    nan = torch.full_like(inputs["text_features"], float("nan"))
    everywhere = torch.ones(1, 2, dtype=torch.bool)
    for wrong, message in (
        ({"text_features": nan, "text_features_mask": everywhere}, "`text_features` must be finite"),
        ({"text_features": nan[..., :1]}, r"`text_features` must have the shape \[1, 2, 32\].*found \[1, 2, 1\]"),
        ({"output_attentions": True}, "gives no attentions"),
    ):
        with pytest.raises(ValueError, match=message):
            runner(**{**inputs, **wrong})
