"""Tiny random towers, tokenizers and dialogues: the real library's classes, small enough for a test."""

import json
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    ASTConfig,
    BartConfig,
    BartTokenizer,
    BertConfig,
    HubertConfig,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
    RobertaConfig,
    Wav2Vec2BertConfig,
    Wav2Vec2Config,
    WavLMConfig,
    WhisperConfig,
)

from m2fnet_hf import Dialogue, M2FNetConfig, M2FNetProcessor, Utterance
from m2fnet_hf.feature_extraction_m2fnet import AUFeatureExtractor
from m2fnet_hf.spectrogram_m2fnet import default_extractor

WORDS = (
    "yes no why what great awful happy sad angry calm you me we it is was the a never always come go home now then "
    "Ann: Ben: Speaker 1: 2: ."
)
ACTION_UNITS = 5
MEL_ENCODERS = ("whisper", "audio-spectrogram-transformer", "wav2vec2-bert")


def tokenizer() -> PreTrainedTokenizerBase:
    """A byte-level BPE in BART's wrapping."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator([WORDS, WORDS.replace(" ", "  ")], trainer)
    state = json.loads(bpe.to_str())["model"]
    return BartTokenizer(vocab=state["vocab"], merges=[tuple(merge) for merge in state["merges"]])


def text_config(kind: str = "bart", vocab_size: int = 400, positions: int = 64) -> PreTrainedConfig:
    """A text encoder of 16 dimensions."""
    if kind == "bart":
        return BartConfig(
            vocab_size=vocab_size,
            d_model=16,
            encoder_layers=2,
            decoder_layers=1,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=24,
            decoder_ffn_dim=24,
            max_position_embeddings=positions,
        )
    sizes: dict[str, Any] = {
        "vocab_size": vocab_size,
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 24,
    }
    if kind == "roberta":
        return RobertaConfig(**sizes, max_position_embeddings=positions + 2, pad_token_id=1)
    return BertConfig(**sizes, max_position_embeddings=positions)


def audio_config(norm: str = "group", kind: str = "wav2vec2") -> PreTrainedConfig:
    """A sound encoder of 16 dimensions that reads a frame in 105 samples."""
    config_class = {"wav2vec2": Wav2Vec2Config, "hubert": HubertConfig, "wavlm": WavLMConfig}[kind]
    return config_class(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        conv_dim=(16, 16, 16),
        conv_stride=(5, 4, 4),
        conv_kernel=(10, 8, 4),
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
        feat_extract_norm=norm,
        do_stable_layer_norm=norm == "layer",
        apply_spec_augment=False,
        layerdrop=0.0,
    )


def mel_config(kind: str = "whisper", seconds: int = 3) -> PreTrainedConfig:
    """A sound encoder of 16 dimensions that reads spectrograms; what it reads at once is limited to `seconds`."""
    if kind == "whisper":
        return WhisperConfig(
            vocab_size=20,
            d_model=16,
            num_mel_bins=20,
            encoder_layers=2,
            decoder_layers=1,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=24,
            decoder_ffn_dim=24,
            max_source_positions=50 * seconds,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
            decoder_start_token_id=3,
        )
    sizes: dict[str, Any] = {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 24,
    }
    if kind == "wav2vec2-bert":
        return Wav2Vec2BertConfig(**sizes, feature_projection_input_dim=40, conv_depthwise_kernel_size=5)
    return ASTConfig(
        **sizes, patch_size=8, frequency_stride=6, time_stride=6, max_length=100 * seconds, num_mel_bins=20
    )


def mel_processor(kind: str = "whisper", seconds: int = 3, **settings: Any) -> M2FNetProcessor:
    """A processor for a tiny model with such an encoder."""
    return processor(feature_extractor=default_extractor(mel_config(kind, seconds)), **settings)


def config(text: str | None = "bart", audio: str | None = "group", visual: bool = True, **values: Any) -> M2FNetConfig:
    """A model of 16 dimensions, with two layers of each kind."""
    defaults: dict[str, Any] = {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_fusion_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 24,
        "text_config": None if text is None else text_config(text),
        "audio_config": None if audio is None else audio_config(audio),
        "visual_config": {"num_action_units": ACTION_UNITS, "hidden_size": 8} if visual else None,
    }
    return M2FNetConfig(**{**defaults, **values})


def processor(**settings: Any) -> M2FNetProcessor:
    """A processor for the tiny model."""
    return M2FNetProcessor(tokenizer(), au_feature_extractor=AUFeatureExtractor(ACTION_UNITS), **settings)


def inputs(utterances: list[int], seed: int = 0, tokens: int = 9, samples: int = 900) -> dict[str, torch.Tensor]:
    """A batch of dialogues of these lengths, ragged in every dimension, with text, sound and faces."""
    random = torch.Generator().manual_seed(seed)
    shape = (len(utterances), max(utterances))
    frames, faces = 3, 2

    def lengths(low: int, high: int) -> torch.Tensor:
        return torch.randint(low, high + 1, (*shape, 1), generator=random)

    mask = torch.arange(shape[1]) < torch.tensor(utterances).unsqueeze(1)
    return {
        "input_ids": torch.randint(5, 400, (*shape, tokens), generator=random),
        "attention_mask": torch.arange(tokens) < lengths(2, tokens),
        "input_values": torch.randn(*shape, samples, generator=random),
        "audio_attention_mask": torch.arange(samples) < lengths(300, samples),
        "action_units": torch.rand(*shape, frames, faces, ACTION_UNITS, generator=random),
        "action_units_mask": torch.rand(*shape, frames, faces, generator=random) > 0.4,
        "face_areas": torch.rand(*shape, frames, faces, generator=random),
        "utterance_mask": mask,
        "labels": torch.randint(0, 7, shape, generator=random).masked_fill(~mask, -100),
    }


def dialogue(utterances: int = 3, seed: int = 0) -> Dialogue:
    """A dialogue with all three modalities."""
    random = np.random.default_rng(seed)
    words = WORDS.split()[:28]
    return Dialogue(
        [
            Utterance(
                text=" ".join(random.choice(words, random.integers(2, 7))),
                speaker=("Ann", "Ben")[u % 2],
                start=float(u),
                end=u + 0.9,
                audio=random.standard_normal(random.integers(2_000, 9_000)),
                sampling_rate=16_000,
                action_units=random.random((3, 2, ACTION_UNITS)),
            )
            for u in range(utterances)
        ]
    )
