"""Dialogues of MELD's shape without MELD's data, and models of full size with random weights.

Shapes: B dialogues, U utterances, T tokens, S samples, F frames, P faces, A Action Units.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from m2fnet_hf import M2FNetConfig, M2FNetForEmotionClassification

PRESET = Path(__file__).parents[1] / "m2fnet_hf" / "configs" / "internship.yaml"
# MELD's train split: values at these quantiles, between which lengths are drawn in even steps.
QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)
UTTERANCES = (1, 2, 5, 9, 14, 18, 23, 33)
TOKENS = (3, 3, 5, 9, 15, 21, 32, 60)
SECONDS = (0.4, 0.9, 1.4, 2.4, 4.0, 6.0, 11.0, 17.0)
SAMPLING_RATE = 16_000
FIRST_WORD = 5  # tokens below are special


def lengths(quantiles: tuple[float, ...], count: int, seed: int = 0) -> list[float]:
    """So many values that have these quantiles, in random order."""
    middles = (np.arange(count) + 0.5) / count
    return np.random.default_rng(seed).permutation(np.interp(middles, QUANTILES, quantiles)).tolist()


def utterance_counts(dialogues: int) -> list[int]:
    """Utterances of each dialogue."""
    return [round(length) for length in lengths(UTTERANCES, dialogues)]


def token_rows(utterances: int, vocab_size: int) -> list[torch.Tensor]:
    """Tokens [T] of each utterance."""
    random = torch.Generator().manual_seed(0)
    sizes = (round(length) for length in lengths(TOKENS, utterances, seed=1))
    return [torch.randint(FIRST_WORD, vocab_size, (size,), generator=random) for size in sizes]


def sound_rows(utterances: int, longest: float = max(SECONDS)) -> list[torch.Tensor]:
    """Sound [S] of each utterance, none above `longest` seconds."""
    random = torch.Generator().manual_seed(0)
    sizes = (round(min(length, longest) * SAMPLING_RATE) for length in lengths(SECONDS, utterances, seed=2))
    return [torch.randn(size, generator=random) for size in sizes]


def config(quick: bool, **values: Any) -> M2FNetConfig:
    """The report's model, or one of its shape that a smoke run builds in a second."""
    model = yaml.safe_load(PRESET.read_text(encoding="utf-8"))["model"]
    # The decoder is thrown away, and takes longer to build than all else.
    model["text_config"] |= {"decoder_layers": 1, "decoder_ffn_dim": 8}
    if quick:
        model["text_config"] |= {"encoder_layers": 1, "d_model": 32, "encoder_ffn_dim": 64, "vocab_size": 100}
        model["text_config"] |= {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
        model["audio_config"] |= {"num_hidden_layers": 1, "hidden_size": 32, "intermediate_size": 64}
        model["audio_config"] |= {"num_attention_heads": 2, "conv_dim": [16] * 7}
        model |= {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_fusion_layers": 1}
    return M2FNetConfig(**{**model, **values})


def features(counts: list[int], sizes: dict[str, int]) -> dict[str, torch.Tensor]:
    """Cached features and utterance mask of dialogues of these lengths."""
    shape = (len(counts), max(counts))
    random = torch.Generator().manual_seed(0)
    drawn = {f"{name}_features": torch.randn(*shape, size, generator=random) for name, size in sizes.items()}
    return {**drawn, "utterance_mask": torch.arange(shape[1]) < torch.tensor(counts).unsqueeze(1)}


def inputs(counts: list[int], model: M2FNetConfig, longest: float = max(SECONDS)) -> dict[str, torch.Tensor]:
    """Text, sound and Action Units of dialogues of these lengths, padded [B, U, ...]."""
    utterances = sum(counts)
    faces = torch.rand(utterances, 4, 2, model.visual_config.num_action_units)
    given = {
        "utterance_mask": padded([torch.ones(1, dtype=torch.bool)] * utterances, counts)[0].squeeze(-1),
        "action_units": padded(list(faces.flatten(1)), counts)[0].unflatten(-1, faces.shape[1:]),
    }
    for name, rows in (
        ("input_ids attention_mask", token_rows(utterances, model.text_config.vocab_size)),
        ("input_values audio_attention_mask", sound_rows(utterances, longest)),
    ):
        given |= zip(name.split(), padded(rows, counts), strict=True)
    return given


def one_dialogue(inputs: dict[str, torch.Tensor], number: int, count: int) -> dict[str, torch.Tensor]:
    """A dialogue of a batch without the padding of its utterances."""
    return {name: values[number : number + 1, :count] for name, values in inputs.items()}


def one_by_one(inputs: dict[str, torch.Tensor]) -> list[dict[str, torch.Tensor]]:
    """The utterances of a batch as dialogues of their own, without any padding."""
    places = inputs["utterance_mask"].nonzero().tolist()
    return [{name: values[b, u][None, None] for name, values in inputs.items()} for b, u in places]


def padded(rows: list[torch.Tensor], counts: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of all utterances as [B, U, L], and which places are real."""
    longest, most = max(map(len, rows)), max(counts)
    values = rows[0].new_zeros(len(counts), most, longest)
    real = torch.zeros(values.shape, dtype=torch.bool)
    places = ((b, u) for b, count in enumerate(counts) for u in range(count))
    for (b, u), row in zip(places, rows, strict=True):
        values[b, u, : len(row)] = row
        real[b, u, : len(row)] = True
    return values, real


def tokenizer(vocab_size: int) -> PreTrainedTokenizerFast:
    """One that reads words which are the numbers of tokens."""
    words = {str(number): number for number in range(FIRST_WORD, vocab_size)}
    special = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    vocabulary = {token: number for number, token in enumerate(special.values())} | words
    reader = Tokenizer(models.WordLevel(vocabulary, unk_token=special["unk_token"]))
    reader.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=reader, **special)


def core(quick: bool, **values: Any) -> M2FNetForEmotionClassification:
    """The report's model without encoders, which reads their features."""
    sizes = config(quick).feature_sizes
    without = {"text_config": None, "audio_config": None}
    sized = {f"{modality}_feature_size": sizes[modality] for modality in ("text", "audio")}
    torch.manual_seed(0)
    return M2FNetForEmotionClassification(config(quick, **{**without, **sized, **values})).eval()
