from pathlib import Path

import pytest
import tiny
from conftest import ROOT
from transformers import AutoConfig, BartConfig

from m2fnet_hf import M2FNetConfig, M2FNetVisualConfig
from m2fnet_hf.configuration_m2fnet import PYFEAT_ACTION_UNITS


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
    ],
)
def test_what_cannot_work_is_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        M2FNetConfig(**arguments)


@pytest.mark.parametrize("preset", ["internship", "paper-meld", "paper-iemocap", "meld-mini"])
def test_presets_load(preset: str) -> None:
    from m2fnet_hf.training.settings import RunConfig

    run = RunConfig.load(ROOT / "m2fnet_hf" / "configs" / f"{preset}.yaml")
    config = M2FNetConfig(**run.model)
    assert config.modalities == (("text",) if preset == "meld-mini" else ("text", "audio", "visual"))
    assert config.num_labels == (6 if preset == "paper-iemocap" else 7)
    expected = {"internship": (6, 10), "paper-meld": (1, 5), "paper-iemocap": (5, 5)}
    if preset in expected:
        assert (config.num_hidden_layers, config.num_fusion_layers) == expected[preset]
