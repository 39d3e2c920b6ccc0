import json
from pathlib import Path

import pytest
import tiny
import torch
from conftest import ROOT
from transformers import AutoConfig, BartConfig

from m2fnet_hf import M2FNetConfig, M2FNetVisualConfig
from m2fnet_hf.names_m2fnet import PYFEAT_ACTION_UNITS


def test_defaults_are_the_reports() -> None:
    config = M2FNetConfig()
    assert (config.hidden_size, config.num_hidden_layers, config.num_fusion_layers) == (512, 6, 10)
    assert (config.num_attention_heads, config.fusion, config.num_blocks) == (8, "attention", 1)
    assert config.freeze_text_encoder
    assert config.freeze_audio_encoder
    assert config.id2label == dict(enumerate(("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")))
    assert M2FNetVisualConfig().action_units == list(PYFEAT_ACTION_UNITS)


def test_an_absent_encoder_stays_absent(tmp_path: Path) -> None:
    config = tiny.config(audio=None, face_pooling="area", class_weights=[1, 3, 15, 6, 3, 15, 4])
    config.save_pretrained(tmp_path)
    for loaded in (M2FNetConfig.from_pretrained(tmp_path), AutoConfig.from_pretrained(tmp_path)):
        assert {**loaded.to_dict(), "_name_or_path": ""} == config.to_dict()
        assert loaded.audio_config is None
        assert isinstance(loaded.text_config, BartConfig)
        assert isinstance(loaded.visual_config, M2FNetVisualConfig)
        assert loaded.face_pooling == "area"
        assert loaded.modalities == ("text", "visual")


def test_feature_sizes_count_the_blocks() -> None:
    config = tiny.config(num_blocks=3, audio=None, audio_feature_size=40)
    assert config.feature_sizes == {"text": 48, "audio": 40, "visual": 24}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hiden_size": 3}, "no argument `hiden_size`; did you mean `hidden_size`"),
        ({"hidden_size": 15}, "multiple of `num_attention_heads`"),
        ({"hidden_size": "16"}, "`hidden_size` must be a whole number"),
        ({"fusion": "sum"}, "`fusion` must be one of attention, gated, concat, found 'sum'"),
        ({"hidden_dropout": 1.5}, "`hidden_dropout` must lie in"),
        ({"class_weights": [1, 2]}, "one weight for each of the 7 labels, found 2"),
        ({"face_pooling": "area"}, "needs a `visual_config`"),
        ({"text_config": {"model_type": "nonsense"}}, "found 'nonsense'"),
        ({"visual_config": {"num_action_units": 3, "action_units": ["AU01"]}}, "must name 3 units"),
        ({"num_blocks": 0}, "`num_blocks`"),
        ({"temperature": 2.0}, "no argument `temperature`; did you mean `softmax_temperature`"),
        ({"max_length": 5}, "no argument `max_length`"),
        ({"face_poling": "area"}, "did you mean `face_pooling`"),
        ({"visual_config": {"max_face": 2}}, "no argument `max_face`; did you mean `max_faces`"),
        ({"attention_dropout": "little"}, "`attention_dropout` must be a number, found 'little'"),
        ({"causal": "no"}, "`causal` must be true or false, found 'no'"),
        ({"class_weights": ["a"] * 7}, "`class_weights` must be a list, each of it a number or None"),
        ({"text_config": 3}, "`text_config` must be a config or None, found 3"),
        ({"softmax_temperature": 0}, "`softmax_temperature` must be a number from 0.01 to 100.0, found 0"),
        ({"softmax_temperature": 1e-40}, "`softmax_temperature` must be a number from 0.01 to 100.0, found 1e-40"),
        ({"id2label": {0: "calm", 1: "calm"}}, "`id2label` must hold different names, found calm more than once"),
        ({"num_fusion_layers": -1}, "`num_fusion_layers` must be a whole number from 0 to 1000"),
    ],
)
def test_what_cannot_work_is_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        M2FNetConfig(**arguments)


def test_what_is_assigned_is_checked_too() -> None:
    config = M2FNetConfig(visual_config={"max_faces": 2})
    with pytest.raises(ValueError, match="`hidden_size` must be a whole number, found 'wide'"):
        config.hidden_size = "wide"
    config.visual_config = {"max_faces": 3}
    assert isinstance(config.visual_config, M2FNetVisualConfig)
    assert config.visual_config.max_faces == 3


def test_the_librarys_own_keywords_are_taken() -> None:
    config = M2FNetConfig(attn_implementation="eager", dtype="float16", output_hidden_states=True, num_labels=3)
    assert config._attn_implementation == "eager"
    assert config.dtype == torch.float16
    assert config.output_hidden_states
    assert config.num_labels == 3


def test_unknown_entries_of_a_saved_config_are_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tiny.config().save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    saved["of_a_later_version"] = 1
    saved["visual_config"]["also_later"] = 2
    saved["quantization_config"] = {"quant_method": "later"}
    (tmp_path / "config.json").write_text(json.dumps(saved))
    with caplog.at_level("WARNING"):
        config = M2FNetConfig.from_pretrained(tmp_path)
    assert "M2FNetConfig has no use for of_a_later_version" in caplog.text
    assert "M2FNetVisualConfig has no use for also_later" in caplog.text
    assert not hasattr(config, "of_a_later_version")
    assert not hasattr(config.visual_config, "also_later")
    assert config.quantization_config == {"quant_method": "later"}


def test_the_embedded_models_config_loads_as_it_was_saved() -> None:
    folder = ROOT / "m2fnet_hf" / "checkpoints" / "meld-mini"
    saved = json.loads((folder / "config.json").read_text())
    config = json.loads(M2FNetConfig.from_pretrained(folder).to_json_string())
    ours = [name for name in saved if name not in ("text_config", "transformers_version")]
    assert {name: config[name] for name in ours} == {name: saved[name] for name in ours}


@pytest.mark.parametrize("preset", ["internship", "paper-meld", "paper-iemocap", "meld-mini", "m2fnet-mini"])
def test_presets_load(preset: str) -> None:
    from m2fnet_hf.training.settings import RunConfig

    run = RunConfig.load(ROOT / "m2fnet_hf" / "configs" / f"{preset}.yaml")
    config = M2FNetConfig(**run.model)
    assert config.modalities == (("text",) if preset == "meld-mini" else ("text", "audio", "visual"))
    assert config.num_labels == (6 if preset == "paper-iemocap" else 7)
    expected = {"internship": (6, 10), "paper-meld": (1, 5), "paper-iemocap": (5, 5), "m2fnet-mini": (1, 1)}
    if preset in expected:
        assert (config.num_hidden_layers, config.num_fusion_layers) == expected[preset]
    assert run.training_arguments("runs").seed >= 0


def test_the_m2fnet_mini_presets_model_can_be_built_without_its_encoders() -> None:
    from m2fnet_hf import M2FNetForEmotionClassification
    from m2fnet_hf.training.settings import RunConfig
    from m2fnet_hf.training.trainer import build_processor

    run = RunConfig.load(ROOT / "m2fnet_hf" / "configs" / "m2fnet-mini.yaml")
    model = M2FNetForEmotionClassification(M2FNetConfig(**run.model))
    assert model.config.feature_sizes == {"text": 384, "audio": 768, "visual": 40}
    own = sum(weight.numel() for name, weight in model.named_parameters() if "_encoder." not in name)
    assert 0.8e6 < own < 1.0e6
    encoder = sum(weight.numel() for name, weight in model.named_parameters() if "audio_encoder." in name)
    assert 4.5e6 < encoder < 4.9e6
    run.encoders.clear()
    run.processor["tokenizer"] = tiny.tokenizer()
    processor = build_processor(run)
    assert not processor.au_feature_extractor.person_normalization
    assert type(processor.feature_extractor).__name__ == "WhisperFeatureExtractor"
