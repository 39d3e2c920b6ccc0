"""Every field of a model's and a processor's files with values that it cannot have: each is legal, or one sentence."""

import json
import math
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from safetensors.numpy import save_file

from m2fnet_hf import AppearanceFeatureExtractor, M2FNetConfig, M2FNetForEmotionClassification, M2FNetProcessor
from m2fnet_hf.cli import main
from m2fnet_hf.pipeline_m2fnet import MultimodalEmotionPipeline

VALUES: list[Any] = [
    "x",
    "",
    -1,
    0,
    1.5,
    10**30,
    1e300,
    math.nan,
    -math.inf,
    None,
    True,
    [],
    ["x"],
    [math.nan],
    {"a": 1},
]
# What a message of Python or of a library looks like.
FOREIGN = (
    "Error",
    "Traceback",
    "object has",
    "not supported",
    "argument",
    "expected",
    "unexpected",
    "literal",
    "NoneType",
)

CONFIG = tiny.config(languages=["en"], speaker_normalization=["audio"], class_weights=[1, 2, 3, 4, 5, 6, 7]).to_dict()
FIELDS = [
    *((name,) for name in CONFIG if name not in ("model_type", "text_config", "audio_config")),
    *(("visual_config", name) for name in CONFIG["visual_config"] if name != "model_type"),
    *(("text_config", name) for name in ("model_type", "d_model", "encoder_layers", "encoder_attention_heads")),
    *(("text_config", name) for name in ("vocab_size", "dropout", "dtype", "id2label", "max_position_embeddings")),
    *(("audio_config", name) for name in ("hidden_size", "layer_norm_eps", "conv_dim", "feat_extract_norm")),
    *((name,) for name in ("text_config", "audio_config", "num_labels", "face_pooling", "torch_dtype")),
]
# What stands on another field is said of that.
NAMED = {"audio_config": "audio", "torch_dtype": "dtype"}


def check_sentence(error: Exception, named: str, folder: str) -> None:
    said = str(error)
    assert isinstance(error, (ValueError, OSError)), repr(error)
    assert "\n" not in said, said
    assert said.endswith("."), said
    assert folder in said, said
    assert len(said) < 400, said
    assert named in said, said
    assert not any(word in said for word in FOREIGN), said


@pytest.mark.parametrize("path", FIELDS, ids=".".join)
def test_a_field_of_the_config(path: tuple[str, ...]) -> None:
    for value in VALUES:
        content = json.loads(json.dumps(CONFIG))
        holder = content if len(path) == 1 else content[path[0]]
        holder[path[-1]] = value
        try:
            config = M2FNetConfig.from_dict(content, name_or_path="models/x")
        except Exception as error:
            check_sentence(error, NAMED.get(path[-1], path[0]), "models/x")
        else:
            assert len(config.label_names) == len(set(config.label_names)) > 0
            json.dumps(config.to_dict(), allow_nan=False, default=str)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"model_type": "bart", "d_model": 15, "encoder_attention_heads": 4}, "divisible"),
        ({"model_type": "bert", "hidden_size": 16, "num_attention_heads": 3}, "multiple"),
        ({"model_type": "bert", "hidden_size": 16, "num_attention_heads": 2, "hidden_act": "x"}, "none can be built"),
    ],
)
def test_an_encoder_that_cannot_be_built(values: dict[str, Any], said: str) -> None:
    config = M2FNetConfig(text_config=values, num_hidden_layers=1, num_fusion_layers=0)
    with pytest.raises(ValueError, match=rf"`text_config` must describe an encoder of model type \w+: .*{said}"):
        M2FNetForEmotionClassification(config)


def test_encoders_whose_heads_are_of_another_kind() -> None:
    for values in ({"model_type": "t5", "d_model": 512, "num_heads": 6}, {"model_type": "fnet"}):
        assert M2FNetConfig(text_config=values).modalities == ("text",)


LABELS: dict[str, dict[str, Any]] = {
    "gap": {"id2label": {"0": "a", "2": "b"}},
    "from one": {"id2label": {"1": "a", "2": "b"}},
    "negative": {"id2label": {"-1": "a", "0": "b"}},
    "the same number twice": {"id2label": {"0": "a", "00": "b"}},
    "fraction": {"id2label": {"0.0": "a", "1.0": "b"}},
    "word": {"id2label": {"zero": "a"}},
    "equal": {"id2label": {"0": "a", "1": "a"}},
    "equal but for case": {"id2label": {"0": "Joy", "1": "joy"}},
    "equal but for blanks": {"id2label": {"0": "joy", "1": "joy "}},
    "empty name": {"id2label": {"0": "a", "1": " "}},
    "number as name": {"id2label": {"0": "a", "1": 3}},
    "none as name": {"id2label": {"0": "a", "1": None}},
    "list": {"id2label": ["a", "b"]},
    "control character": {"id2label": {"0": "a", "1": "b\x1b[31m"}},
    "other way round": {"id2label": {"0": "a", "1": "b"}, "label2id": {"a": 1, "b": 0}},
    "one lacks": {"id2label": {"0": "a", "1": "b"}, "label2id": {"a": 0}},
    "one more": {"id2label": {"0": "a"}, "label2id": {"a": 0, "b": 1}},
    "count": {"id2label": {"0": "a", "1": "b"}, "num_labels": 3},
    "weights": {"id2label": {"0": "a", "1": "b"}, "class_weights": [1.0, 2.0, 3.0]},
    "language": {"languages": ["english"]},
    "language tag": {"languages": ["en-US"]},
    "language of another case": {"languages": ["EN"]},
    "languages as a string": {"languages": "en"},
    "units": {
        "visual_config": {"model_type": "m2fnet_visual", "num_action_units": 2, "action_units": ["AU01", "AU01"]}
    },
    "another model": {"model_type": "bert"},
    "no model type": {"model_type": None},
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_that_collide_and_the_like(kind: str) -> None:
    content = {name: value for name, value in CONFIG.items() if name not in ("id2label", "label2id", "class_weights")}
    with pytest.raises(ValueError, match="models/x") as caught:
        M2FNetConfig.from_dict({**content, **LABELS[kind]}, name_or_path="models/x")
    check_sentence(caught.value, "", "models/x")


def test_labels_given_while_loading_replace_those_of_the_file(tmp_path: Path) -> None:
    tiny.config().save_pretrained(tmp_path)
    config = M2FNetConfig.from_pretrained(tmp_path, id2label={0: "calm", 1: "upset"})
    assert config.label2id == {"calm": 0, "upset": 1}
    assert M2FNetConfig.from_pretrained(tmp_path, num_labels=3).num_labels == 3


NO_OBJECTS = {
    "empty": b"",
    "half": b'{"a": 1',
    "list": b"[]",
    "null": b"null",
    "number": b"3",
    "string": b'"x"',
    "deep": b'{"a":' * 50_000,
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "Latin-1": '{"a": "é"}'.encode("latin-1"),
    "page": b"<html></html>",
    "LFS": b"version https://git-lfs.github.com/spec/v1\n",
}
FILES = ("config.json", "processor_config.json", "tokenizer_config.json", "tokenizer.json")


NO_SETTINGS = {"use_return_dict": False, "base_model_tp_plan": 3, "to_dict": 3, "_attn_implementation": "x"}


def test_what_is_no_setting_is_left_out(folder: Path) -> None:
    """Neither a method nor the library's own choice; and a tuple is for who calls the model by itself."""
    before = MultimodalEmotionPipeline(**parts(folder))("You came!")
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**content, **NO_SETTINGS, "return_dict": False}))
    assert MultimodalEmotionPipeline(**parts(folder))("You came!", return_modalities=False) == before


def parts(folder: Path) -> dict[str, Any]:
    model: Any = M2FNetForEmotionClassification.from_pretrained(folder)
    return {"model": model, "processor": M2FNetProcessor.from_pretrained(folder), "device": "cpu"}


@pytest.fixture
def folder(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_checkpoint, tmp_path / "model")


@pytest.mark.parametrize("file", FILES)
def test_a_file_that_is_no_json_object(folder: Path, file: str) -> None:
    load: Any = M2FNetConfig if file == "config.json" else M2FNetProcessor
    for content in NO_OBJECTS.values():
        (folder / file).write_bytes(content)
        with pytest.raises((ValueError, OSError)) as caught:
            load.from_pretrained(folder)
        check_sentence(caught.value, file, str(folder))


@pytest.mark.parametrize(("make", "found"), [(Path.mkdir, "a folder"), (os.mkfifo, "a pipe")])
@pytest.mark.parametrize("file", FILES)
def test_what_lies_in_a_files_place(folder: Path, file: str, make: Any, found: str, capsys: Any) -> None:
    (folder / file).unlink()
    make(folder / file)
    (folder / "talk.txt").write_text("Ann: You came!\n")
    assert main(["predict", str(folder / "talk.txt"), "--model", str(folder)]) == 1
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert file in said


@pytest.mark.parametrize("file", FILES)
def test_a_file_that_is_not_there(folder: Path, file: str, capsys: pytest.CaptureFixture) -> None:
    (folder / file).unlink()
    if file != "config.json":
        with pytest.raises(FileNotFoundError, match=file):
            M2FNetProcessor.from_pretrained(folder)
    (folder / "talk.txt").write_text("Ann: You came!\n")
    assert main(["predict", str(folder / "talk.txt"), "--model", str(folder)]) == 1
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert file in said


def settings(folder: Path) -> Iterator[tuple[str, ...]]:
    content = json.loads((folder / "processor_config.json").read_text())
    for name, value in content.items():
        yield (name,)
        if isinstance(value, dict):
            yield from ((name, inner) for inner in value)
    yield "au_feature_extractor", "openface_units", "AU01"
    yield "au_feature_extractor", "openface_units", "AU01", "slope"
    yield "au_feature_extractor", "max_face"
    yield ("context",)


def test_a_field_of_the_processor(folder: Path) -> None:
    path = folder / "processor_config.json"
    original = path.read_text()
    words = tiny.dialogue(2)
    for names in settings(folder):
        for value in ("x", -1, 10**30, math.nan, None, True, ["x"], {"a": 1}):
            content = json.loads(original)
            holder = content
            for name in names[:-1]:
                holder = holder[name]
            holder[names[-1]] = value
            path.write_text(json.dumps(content))
            try:
                processor = M2FNetProcessor.from_pretrained(folder)
                processor(words)
            except Exception as error:
                check_sentence(error, "", "")
    path.write_text(original)


@pytest.mark.parametrize(
    ("file", "path"), [("tokenizer_config.json", ()), ("processor_config.json", ("feature_extractor",))]
)
def test_code_is_not_asked_for(folder: Path, file: str, path: tuple[str, ...]) -> None:
    """The library asks on the terminal whether to run it."""
    content = json.loads((folder / file).read_text())
    holder = content
    for name in path:
        holder = holder[name]
    holder["auto_map"] = {"AutoTokenizer": ["code.Tokenizer", None], "AutoFeatureExtractor": "code.Extractor"}
    (folder / file).write_text(json.dumps(content))
    with pytest.raises(ValueError, match=rf"{file}: `auto_map` must not name code .* `trust_remote_code=True`"):
        M2FNetProcessor.from_pretrained(folder)


def test_a_tokenizer_without_its_words_is_refused(folder: Path) -> None:
    """The library makes one that knows no word, and says nothing."""
    (folder / "tokenizer.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"its tokenizer's words \(tokenizer\.json or .*found none in"):
        M2FNetProcessor.from_pretrained(folder)


TOKENIZERS: dict[str, dict[str, Any]] = {
    "tokenizer.json": {"model": {"type": "BPE", "vocab": {}, "merges": [["a", "b"]]}},
    "tokenizer_config.json": {"model_max_length": "long"},
}


@pytest.mark.parametrize("file", TOKENIZERS)
def test_a_tokenizer_that_cannot_be_is_refused(folder: Path, file: str) -> None:
    content = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps({**content, **TOKENIZERS[file]}))
    with pytest.raises(ValueError, match=file) as caught:
        M2FNetProcessor.from_pretrained(folder)
    check_sentence(caught.value, file, str(folder))


def test_a_token_beyond_the_models_is_refused(folder: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text())
    content["model"]["vocab"] = {word: number + 1000 for word, number in content["model"]["vocab"].items()}
    (folder / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"tokens that its model reads, 400 .* found 1\d\d\d \(its tokenizer\)"):
        MultimodalEmotionPipeline(**parts(folder))


def test_another_models_processor_is_refused() -> None:
    model: Any = M2FNetForEmotionClassification(tiny.config())
    others = {
        "tokens .* 300": (tiny.config(text_config=tiny.text_config(vocab_size=300)), tiny.processor()),
        "only special|none but special": (tiny.config(), M2FNetProcessor(au_feature_extractor={"num_action_units": 5})),
        "samples, found spectrograms": (tiny.config(), tiny.mel_processor()),
        "spectrograms, found samples": (tiny.config(audio_config=tiny.mel_config()), tiny.processor()),
        "20 mel bins|mel bins": (
            tiny.config(audio_config=tiny.mel_config()),
            tiny.processor(feature_extractor=_whisper_of_eighty()),
        ),
        "Action Units that its model reads, 5, found 20": (
            tiny.config(),
            M2FNetProcessor(tiny.tokenizer()),
        ),
    }
    for sentence, (config, processor) in others.items():
        model.config = config
        with pytest.raises(ValueError, match=sentence):
            MultimodalEmotionPipeline(model=model, processor=processor, device="cpu")


def _whisper_of_eighty() -> Any:
    from transformers import WhisperFeatureExtractor

    return WhisperFeatureExtractor(feature_size=80)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("mean", np.zeros((2, 5), np.float32)),
        ("components", np.zeros((3, 7), np.float32)),
        ("components", np.full((2, 9), np.nan, np.float32)),
        ("scale", np.ones(3, np.float32)),
        ("mean", None),
    ],
)
def test_components_of_another_shape_are_refused(tmp_path: Path, name: str, array: np.ndarray | None) -> None:
    extractor = AppearanceFeatureExtractor(num_components=2).fit(np.random.default_rng(0).random((20, 9)))
    extractor.save_pretrained(tmp_path)
    AppearanceFeatureExtractor.from_pretrained(tmp_path)
    weights = {**extractor._weights, name: array}
    save_file(
        {key: value for key, value in weights.items() if value is not None}, tmp_path / "appearance_pca.safetensors"
    )
    with pytest.raises(ValueError, match=rf"appearance_pca\.safetensors must hold `({name}|components)`"):
        AppearanceFeatureExtractor.from_pretrained(tmp_path)
    (tmp_path / "appearance_pca.safetensors").write_bytes(b"")
    with pytest.raises(ValueError, match=r"appearance_pca\.safetensors must .* found an empty file"):
        AppearanceFeatureExtractor.from_pretrained(tmp_path)
