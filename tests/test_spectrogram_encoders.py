"""Sound encoders that read mel spectrograms: Whisper, AST and Wav2Vec2-BERT."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from transformers import ASTModel, AutoModel, PreTrainedConfig, Wav2Vec2BertModel, WhisperConfig, WhisperModel

from m2fnet_hf import (
    Dialogue,
    M2FNetConfig,
    M2FNetForEmotionClassification,
    M2FNetProcessor,
    MultimodalEmotionPipeline,
    Utterance,
)
from m2fnet_hf.encoders_m2fnet import load_encoder
from m2fnet_hf.features.extract import extract
from m2fnet_hf.features.store import open_features
from m2fnet_hf.hub.card_fields import describe_model
from m2fnet_hf.pooling_m2fnet import block_statistics
from m2fnet_hf.recordings.build_reader import build_reader
from m2fnet_hf.spectrogram_m2fnet import default_extractor, log_mel
from m2fnet_hf.training.contrastive.embedder import UtteranceEmbedder, save_encoder
from m2fnet_hf.training.contrastive.settings import ExtractorSettings
from m2fnet_hf.training.settings import RunConfig
from m2fnet_hf.training.trainer import build_model, build_processor, encoder_depths

EXACT = 1e-5
RATE = 16_000
MEL = ("input_features", "audio_attention_mask")
kinds = pytest.mark.parametrize("kind", tiny.MEL_ENCODERS)


def build(kind: str = "whisper", **values: Any) -> M2FNetForEmotionClassification:
    torch.manual_seed(0)
    sound = values.pop("audio_config", tiny.mel_config(kind))
    values = {"audio_pooling": "mean_std", **values}
    model = M2FNetForEmotionClassification(tiny.config(audio_config=sound, visual=False, **values)).eval()
    # AST's positions start at zero, which would hide a wrong one.
    for name, weight in model.model.audio_encoder.named_parameters():
        if "position_embeddings" in name or "token" in name:
            torch.nn.init.normal_(weight, std=0.5)
    return model


def sounds(*lengths: float, seed: int = 0) -> list[np.ndarray]:
    """Noise of these lengths in seconds, whose loudness changes."""
    random = np.random.default_rng(seed)
    noises = [random.standard_normal(round(seconds * RATE)).astype(np.float32) for seconds in lengths]
    return [noise * np.linspace(0.02, 0.2, len(noise), dtype=np.float32) for noise in noises]


def dialogue(*found: np.ndarray) -> Dialogue:
    return Dialogue([Utterance(text="yes", audio=sound, sampling_rate=RATE) for sound in found])


def features(model: M2FNetForEmotionClassification, kind: str, *found: np.ndarray) -> torch.Tensor:
    """Of the sounds of one dialogue, as the processor gives them to the model [U, D]."""
    inputs = tiny.mel_processor(kind)(dialogue(*found), modalities=["audio"])
    with torch.no_grad():
        return model.model.get_audio_features(**{name: inputs[name] for name in MEL}).pooler_output[0]


def reference(model: M2FNetForEmotionClassification, kind: str, sound: np.ndarray) -> torch.Tensor:
    """The features of one sound that needs no pieces, by the modules of the library's own encoder."""
    encoder: Any = model.model.audio_encoder
    frames = torch.from_numpy(log_mel(default_extractor(tiny.mel_config(kind)), sound)).unsqueeze(0)
    with torch.no_grad():
        if kind == "whisper":
            states = torch.nn.functional.gelu(encoder.conv1(frames.transpose(1, 2)))
            states = torch.nn.functional.gelu(encoder.conv2(states)).transpose(1, 2)
            states = states + encoder.embed_positions.weight[: states.shape[1]]
            for layer in encoder.layers:
                states = layer(states, None)
            states = encoder.layer_norm(states)[:, : -(-len(sound) // 320)]
        elif kind == "wav2vec2-bert":
            states = Wav2Vec2BertModel.forward(encoder, frames).last_hidden_state
        else:
            library = ASTModel(tiny.mel_config(kind)).eval()
            missing = -(frames.shape[1] - 8) % 6
            frames = torch.cat([frames, frames[:, -1:].expand(-1, missing, -1)], dim=1)
            columns, weights = (frames.shape[1] - 8) // 6 + 1, encoder.state_dict()
            position = weights["embeddings.position_embeddings"]
            grid = position[:, 2:].unflatten(1, (3, -1))[:, :, :columns].flatten(1, 2)
            library.load_state_dict(weights)
            library.embeddings.position_embeddings = torch.nn.Parameter(torch.cat([position[:, :2], grid], dim=1))
            states = library(frames).last_hidden_state[:, 2:]
    return torch.cat([states.mean(1), states.std(1, correction=0)], dim=-1)[0]


@kinds
def test_features_are_those_of_the_librarys_modules(kind: str) -> None:
    model = build(kind)
    assert model.config.feature_sizes["audio"] == 32
    found = sounds(0.41, 1.0, 1.73)
    each = features(model, kind, *found)
    for sound, vector in zip(found, each, strict=True):
        torch.testing.assert_close(vector, reference(model, kind, sound), atol=EXACT, rtol=0)


def test_a_whole_window_of_whisper_is_what_the_library_makes_of_it() -> None:
    model = build()
    inputs = tiny.mel_processor()(dialogue(*sounds(2.0)), modalities=["audio"])
    frames = inputs["input_features"][0]
    assert frames.shape == (1, 300, 20)
    library = WhisperModel(tiny.mel_config()).get_encoder().eval()
    library.load_state_dict(model.model.audio_encoder.state_dict())
    with torch.no_grad():
        states = library(frames.transpose(1, 2)).last_hidden_state
        own = model.model.audio_encoder(frames.transpose(1, 2)).last_hidden_state
    torch.testing.assert_close(own, states, atol=EXACT, rtol=0)


@kinds
def test_padding_and_neighbours_change_nothing(kind: str) -> None:
    model = build(kind)
    found = sounds(0.7, 0.01, 5.3, 0.72, 0.7, 1.9)
    together = features(model, kind, *found)
    for sound, vector in zip(found, together, strict=True):
        torch.testing.assert_close(features(model, kind, sound)[0], vector, atol=EXACT, rtol=0)


@kinds
def test_logits_do_not_change_with_padding(kind: str) -> None:
    model, processor = build(kind), tiny.mel_processor(kind)
    dialogues = [dialogue(*sounds(0.5, 1.1, 0.3)), dialogue(*sounds(2.4, seed=1))]
    with torch.no_grad():
        batch = model(**processor(dialogues)).logits
        for row, one in zip(batch, dialogues, strict=True):
            alone = model(**processor(one)).logits[0]
            torch.testing.assert_close(row[: len(one)], alone, atol=EXACT, rtol=0)
        inputs = processor(dialogues)
        inputs["input_features"] = torch.nn.functional.pad(inputs["input_features"], (0, 0, 0, 9), value=float("nan"))
        inputs["audio_attention_mask"] = torch.nn.functional.pad(inputs["audio_attention_mask"], (0, 9))
        torch.testing.assert_close(model(**inputs).logits[0], batch[0], atol=EXACT, rtol=0)


@kinds
def test_utterances_may_be_rows(kind: str) -> None:
    model, processor = build(kind), tiny.mel_processor(kind)
    found = sounds(0.5, 1.1)
    rows = processor(text=["yes", "yes"], audio=found, sampling_rate=RATE)
    assert rows["input_features"].dim() == 3
    with torch.no_grad():
        expected = model(**processor(dialogue(*found))).logits
        torch.testing.assert_close(model(**rows).logits, expected, atol=EXACT, rtol=0)


def test_an_utterance_without_sound_has_none() -> None:
    model, processor = build(), tiny.mel_processor()
    silent = Dialogue([Utterance(text="yes"), *dialogue(*sounds(0.5))])
    inputs = processor(silent)
    assert inputs["audio_attention_mask"].any(-1).tolist() == [[False, True]]
    assert model(**inputs).modality_mask[0, :, 1].tolist() == [0, 1]
    assert "input_features" not in processor(Dialogue([Utterance(text="yes")]))


def test_long_sound_is_read_in_pieces_that_are_pooled_together() -> None:
    """Whisper's pieces are of like length, each with its own second of silence and its own loudest value."""
    model = build()
    (sound,) = sounds(5.0)
    pieces = np.array_split(sound, 3)
    inputs = tiny.mel_processor()(dialogue(*pieces), modalities=["audio"])
    lengths = inputs["audio_attention_mask"][0].sum(-1).tolist()
    frames = [row[:length] for row, length in zip(inputs["input_features"][0], lengths, strict=True)]
    whole = tiny.mel_processor()(dialogue(sound), modalities=["audio"])["input_features"][0, 0]
    assert torch.equal(whole, torch.cat(frames))
    encoder: Any = model.model.audio_encoder
    with torch.no_grad():
        states = [encoder(row.T.unsqueeze(0)).last_hidden_state[:, :-50] for row in frames]
    joined = torch.cat(states, dim=1)
    expected = torch.cat([joined.mean(1), joined.std(1, correction=0)], dim=-1)
    torch.testing.assert_close(features(model, "whisper", sound), expected, atol=EXACT, rtol=0)


# The library's extractors of the other two take ten seconds for so much sound.
@pytest.mark.parametrize(
    ("kind", "seconds"),
    [
        *((kind, 0.01) for kind in tiny.MEL_ENCODERS),
        ("whisper", 1200.0),
        *(pytest.param(kind, 1200.0, marks=pytest.mark.slow) for kind in tiny.MEL_ENCODERS[1:]),
    ],
)
def test_sound_of_any_length_has_features(kind: str, seconds: float) -> None:
    vector = features(build(kind), kind, *sounds(seconds))
    assert vector.shape == (1, 32)
    assert vector.isfinite().all()
    assert vector.abs().sum() > 0


@kinds
def test_an_unfrozen_encoder_learns(kind: str) -> None:
    model = build(kind, freeze_audio_encoder=False, num_blocks=2).train()
    inputs = tiny.mel_processor(kind)(dialogue(*sounds(0.01, 0.2, 4.5)))
    model(**inputs, labels=torch.tensor([[1, 2, 3]])).loss.backward()
    gradients = {
        name: weight.grad
        for name, weight in model.model.audio_encoder.named_parameters()
        if weight.requires_grad and name != "masked_spec_embed"
    }
    assert not [name for name, gradient in gradients.items() if gradient is None or not gradient.isfinite().all()]
    assert not [name for name, gradient in gradients.items() if not gradient.any() and "k_proj.bias" not in name]


@kinds
def test_gradients_do_not_change_with_padding(kind: str) -> None:
    found = sounds(0.3, 0.31, 0.9)
    sizes = []
    for batches in ([found], [[sound] for sound in found]):
        model = build(kind, freeze_audio_encoder=False, audio_config=_without_dropout(kind))
        for batch in batches:
            inputs = tiny.mel_processor(kind)(dialogue(*batch), modalities=["audio"])
            model.model.get_audio_features(
                **{name: inputs[name] for name in MEL}
            ).pooler_output.square().sum().backward()
        weights = model.model.audio_encoder.parameters()
        sizes.append(torch.cat([one.grad.flatten() for one in weights if one.grad is not None]))
    torch.testing.assert_close(sizes[0], sizes[1], atol=1e-4, rtol=1e-4)


def _without_dropout(kind: str) -> PreTrainedConfig:
    config = tiny.mel_config(kind)
    config.apply_spec_augment = False
    return config


def test_pooling_by_hand() -> None:
    states = torch.tensor([[1.0, 3.0, 9.0, 100.0], [5.0, 100.0, 100.0, 100.0]]).unsqueeze(-1).requires_grad_()
    mask = torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0]]).bool()
    assert block_statistics(states, mask, 1, "mean").flatten().tolist() == pytest.approx([13 / 3, 5])
    pooled = block_statistics(states, mask, 1, "mean_std")
    assert pooled[:, 1].tolist() == pytest.approx([np.std([1, 3, 9]), 0], abs=1e-6)
    pooled.sum().backward()
    assert states.grad is not None
    assert states.grad.isfinite().all()
    blocks = block_statistics(states, mask, 2, "mean_std")[0].tolist()
    assert blocks == pytest.approx([2, 6, np.std([1, 3]), np.std([3, 9])], abs=1e-5)


@pytest.mark.parametrize("kind", ["whisper", "audio-spectrogram-transformer"])
def test_it_may_be_read_before_its_final_norm(kind: str) -> None:
    plain, bare = build(kind), build(kind, audio_final_norm=False)
    name = {"whisper": "layer_norm", "audio-spectrogram-transformer": "layernorm"}[kind]
    assert not [weight for weight in bare.state_dict() if f"audio_encoder.{name}." in weight]
    bare.load_state_dict(plain.state_dict(), strict=False)
    found = sounds(0.6)
    encoder: Any = bare.model.audio_encoder
    setattr(encoder, name, getattr(plain.model.audio_encoder, name))
    with_norm = features(bare, kind, *found)
    torch.testing.assert_close(with_norm, features(plain, kind, *found), atol=EXACT, rtol=0)
    setattr(encoder, name, torch.nn.Identity())
    assert (features(bare, kind, *found) - with_norm).abs().max() > 0.1


def test_an_encoder_without_a_final_norm_is_refused() -> None:
    with pytest.raises(ValueError, match="ends in a layer norm"):
        build("wav2vec2-bert", audio_final_norm=False)
    stable = M2FNetConfig(audio_config=tiny.audio_config("layer"), audio_final_norm=False, num_hidden_layers=1)
    assert isinstance(M2FNetForEmotionClassification(stable).model.audio_encoder.encoder.layer_norm, torch.nn.Identity)


@kinds
@pytest.mark.parametrize("final_norm", [True, False])
def test_it_comes_back_from_a_folder(tmp_path: Path, kind: str, final_norm: bool) -> None:
    model = build(kind, audio_final_norm=final_norm or kind == "wav2vec2-bert")
    model.save_pretrained(tmp_path)
    tiny.mel_processor(kind).save_pretrained(tmp_path)
    again, info = M2FNetForEmotionClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    processor = M2FNetProcessor.from_pretrained(tmp_path)
    assert type(processor.feature_extractor) is type(tiny.mel_processor(kind).feature_extractor)
    assert processor.feature_extractor.to_dict() == tiny.mel_processor(kind).feature_extractor.to_dict()
    inputs = processor(dialogue(*sounds(0.5, 3.4)))
    assert set(inputs) <= {*processor.model_input_names, "utterance_mask", "speaker_ids"}
    with torch.no_grad():
        torch.testing.assert_close(again(**inputs).logits, model(**inputs).logits, atol=EXACT, rtol=0)


@kinds
def test_it_is_built_from_a_pretrained_encoder_cut_behind_a_layer(tmp_path: Path, kind: str) -> None:
    torch.manual_seed(1)
    pretrained = AutoModel.from_config(tiny.mel_config(kind))
    pretrained.half().save_pretrained(tmp_path)
    default_extractor(tiny.mel_config(kind)).save_pretrained(tmp_path)
    final_norm = kind == "wav2vec2-bert"
    settings = {**tiny.config(None, None, False, text_feature_size=4).to_diff_dict(), "audio_final_norm": final_norm}
    settings = {name: settings[name] for name in ("hidden_size", "num_attention_heads", "audio_final_norm")}
    cut = {"num_hidden_layers": 1}
    model = M2FNetForEmotionClassification.from_encoders(audio=str(tmp_path), audio_config=cut, **settings).eval()
    encoder: Any = model.model.audio_encoder
    assert len(encoder.layers if kind != "wav2vec2-bert" else encoder.encoder.layers) == 1
    assert not any(weight.requires_grad for weight in encoder.parameters())
    source: Any = pretrained.get_encoder() if kind == "whisper" else pretrained
    for name, weight in encoder.state_dict().items():
        assert torch.equal(weight, source.state_dict()[name].float())

    run = RunConfig(encoders={"audio": str(tmp_path)}, model={"audio_config": cut, **settings})
    processor = build_processor(run)
    assert processor.feature_extractor.to_dict() == tiny.mel_processor(kind).feature_extractor.to_dict()
    inputs = processor(dialogue(*sounds(0.4)), modalities=["audio"])
    with torch.no_grad():
        trained = build_model(run, processor).eval().model.get_audio_features(**{name: inputs[name] for name in MEL})
        mine = model.model.get_audio_features(**{name: inputs[name] for name in MEL})
    torch.testing.assert_close(trained.pooler_output, mine.pooler_output, atol=EXACT, rtol=0)
    random = RunConfig(encoders={}, model={"audio_config": tiny.mel_config(kind).to_dict()})
    assert build_processor(random).feature_extractor.to_dict() == processor.feature_extractor.to_dict()


@pytest.mark.parametrize("kind", ["whisper", "audio-spectrogram-transformer"])
def test_a_trained_encoder_is_saved_for_another_run(tmp_path: Path, kind: str) -> None:
    encoder: Any = build(kind, audio_final_norm=False).model.audio_encoder
    save_encoder(encoder, tmp_path)
    again = load_encoder(str(tmp_path), final_norm=False)
    assert type(again) is type(encoder)
    assert again.state_dict().keys() == encoder.state_dict().keys()
    for name, weight in again.state_dict().items():
        assert torch.equal(weight, encoder.state_dict()[name])


def test_an_embedder_reads_spectrograms() -> None:
    model = build()
    settings = {"audio_config": model.config.audio_config, "audio_pooling": "mean_std"}
    encoder: Any = model.model.audio_encoder
    embedder = UtteranceEmbedder(M2FNetConfig(**settings), encoder, ExtractorSettings()).eval()
    found = sounds(0.5, 0.9)
    rows = tiny.mel_processor()(dialogue(*found), modalities=["audio"])
    with torch.no_grad():
        vectors = embedder.features({name: rows[name][0] for name in MEL})
    torch.testing.assert_close(vectors, features(model, "whisper", *found), atol=EXACT, rtol=0)


def test_its_convolutions_are_below_its_layers() -> None:
    depths = encoder_depths(f"audio_encoder.{name}" for name, _ in build().model.audio_encoder.named_parameters())
    assert depths["audio_encoder.conv1.weight"] == depths["audio_encoder.conv2.bias"] == 2
    assert depths["audio_encoder.layers.0.fc1.weight"] == 1
    assert depths["audio_encoder.layers.1.fc1.weight"] == depths["audio_encoder.layer_norm.weight"] == 0


def test_a_card_says_how_sound_is_read() -> None:
    (sound,) = [fact for fact in describe_model(build(audio_final_norm=False).config, {}) if fact.startswith("Sound")]
    expected = (
        "whisper encoder, 2 layers, frozen, read before its final layer norm, pooled to mean and standard deviation"
    )
    assert sound == f"Sound: {expected}."


@kinds
def test_layers_and_attentions_on_request(kind: str) -> None:
    model = build(kind)
    found = sounds(0.4, 5.0)
    inputs = tiny.mel_processor(kind)(dialogue(*found), modalities=["audio"])
    sound = {name: inputs[name] for name in MEL}
    with torch.no_grad():
        output = model.model.get_audio_features(**sound, output_hidden_states=True, output_attentions=True)
    assert [tuple(one.shape) for one in output.hidden_states] == [(1, 2, 32)] * 3
    if kind != "audio-spectrogram-transformer":  # whose recorded states are those before the final norm
        torch.testing.assert_close(output.hidden_states[-1], output.pooler_output, atol=EXACT, rtol=0)
    rows = output.attentions[0][0, 0].sum(-1)
    assert set(rows.round(decimals=4).flatten().tolist()) == {0.0, 1.0}


@kinds
def test_the_pipeline_takes_samples_at_another_rate(kind: str) -> None:
    pipe = MultimodalEmotionPipeline(model=build(kind), processor=tiny.mel_processor(kind))
    (sound,) = sounds(0.8)
    smooth = np.convolve(sound, np.ones(64) / 64, "same").astype(np.float32)
    answers = [pipe([{"text": "yes", "audio": smooth[::step], "sampling_rate": RATE // step}])[0] for step in (1, 2)]
    assert all("audio" in answer["modalities"] for answer in answers)
    scores = [list(answer["scores"].values()) for answer in answers]
    assert np.abs(np.subtract(*scores)).max() < 0.1


@kinds
def test_half_precision_weights(tmp_path: Path, kind: str) -> None:
    model = build(kind)
    inputs = tiny.mel_processor(kind)(dialogue(*sounds(0.5, 1.4)))
    with torch.no_grad():
        expected = model(**inputs).logits
        found = model.half()(**inputs).logits
    torch.testing.assert_close(found.float(), expected, atol=0.05, rtol=0)
    model.save_pretrained(tmp_path)
    tiny.mel_processor(kind).save_pretrained(tmp_path)
    pipe = MultimodalEmotionPipeline(
        model=M2FNetForEmotionClassification.from_pretrained(tmp_path),
        processor=M2FNetProcessor.from_pretrained(tmp_path),
    )
    assert pipe([{"text": "yes", "audio": sounds(0.5)[0], "sampling_rate": RATE}])[0]["label"]


@kinds
def test_extracted_features_are_the_models(tmp_path: Path, kind: str) -> None:
    model, processor = build(kind), tiny.mel_processor(kind)
    found = Dialogue(list(dialogue(*sounds(0.5, 3.7))), id="d")
    extract(model, processor, {"train": [found]}, tmp_path)
    (stored,) = open_features(tmp_path).dialogues("train")
    expected = features(model, kind, *(one.audio for one in found))
    np.testing.assert_allclose(np.stack([one.audio_features for one in stored]), expected, atol=EXACT)
    with torch.no_grad():
        raw, cached = (model(**processor(one)).logits for one in (found, stored))
    torch.testing.assert_close(cached, raw, atol=EXACT, rtol=0)
    encode = build_reader(model, processor).encode_audio
    assert encode is not None
    np.testing.assert_allclose(encode([one.audio for one in found]), expected, atol=EXACT)


def test_what_was_pooled_otherwise_is_another_encoder() -> None:
    processor = tiny.mel_processor()
    readers = [build_reader(build(audio_pooling=pooling), processor) for pooling in ("mean", "mean_std", "mean_std")]
    made = [reader.settings["audio"] for reader in readers]
    assert made[0] != made[1] == made[2]


def test_the_wrong_kind_of_input_is_named() -> None:
    samples = tiny.processor()(dialogue(*sounds(0.5)))
    with pytest.raises(ValueError, match=r"\(whisper\) reads `input_features`, found `input_values`"):
        build()(**samples)
    spectrogram = tiny.mel_processor()(dialogue(*sounds(0.5)))
    with pytest.raises(ValueError, match=r"\(wav2vec2\) reads `input_values`, found `input_features`"):
        M2FNetForEmotionClassification(tiny.config(visual=False))(**spectrogram)
    other = tiny.mel_processor("wav2vec2-bert")(dialogue(*sounds(0.5)))
    with pytest.raises(ValueError, match="20 values of a frame, found 40"):
        build()(**other)


def test_a_spectrogram_of_whisper_needs_its_silence() -> None:
    with pytest.raises(ValueError, match="102 frames of an utterance at least"):
        build().model.get_audio_features(input_features=torch.zeros(1, 1, 100, 20))


def test_config_says_what_it_reads() -> None:
    assert M2FNetConfig().audio_input == "input_values"
    assert M2FNetConfig(audio_config=WhisperConfig()).audio_input == "input_features"
    with pytest.raises(ValueError, match="`audio_pooling` must be one of mean, mean_std"):
        M2FNetConfig(audio_pooling="max")


def test_spectrograms_and_normalisation_by_speaker_go_together() -> None:
    model, processor = build(speaker_normalization=["audio"]), tiny.mel_processor()
    found = dialogue(*sounds(0.5, 1.1, 0.01, 4.0))
    spoken = Dialogue([one.replace(speaker="Ann" if number % 2 else None) for number, one in enumerate(found)])
    with torch.no_grad():
        alone = model(**processor(spoken)).logits[0]
        batch = model(**processor([spoken, dialogue(*sounds(*[0.2] * 6))])).logits[0]
    torch.testing.assert_close(batch[: len(alone)], alone, atol=EXACT, rtol=0)
