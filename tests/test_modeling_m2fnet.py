"""The model's promises: exactness, absence, round trips, and the equations it implements."""

from pathlib import Path
from unittest import mock

import pytest
import tiny
import torch
from safetensors.torch import save_file
from torch import nn
from transformers import AutoModel, BartModel, BertModel, Wav2Vec2ForCTC, Wav2Vec2Model
from transformers.modeling_outputs import BaseModelOutputWithPooling

from m2fnet_hf import M2FNetConfig, M2FNetForEmotionClassification, M2FNetModel, M2FNetVisualConfig
from m2fnet_hf import attention_m2fnet as attention
from m2fnet_hf import encoders_m2fnet as encoders
from m2fnet_hf.attention_m2fnet import M2FNetCache, tile
from m2fnet_hf.encoders_m2fnet import M2FNetVisualEncoder, build_encoder, encode_text
from m2fnet_hf.micro_batches_m2fnet import LEAST_FILL, micro_batches
from m2fnet_hf.packing_m2fnet import PackedBatch
from m2fnet_hf.pooling_m2fnet import block_pool

EXACT = 1e-5


def build(config: M2FNetConfig) -> M2FNetForEmotionClassification:
    torch.manual_seed(0)
    return M2FNetForEmotionClassification(config).eval()


def logits(model: nn.Module, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    with torch.no_grad():
        return model(**{name: value for name, value in inputs.items() if name != "labels"}).logits


def longer(values: torch.Tensor, dim: int, extra: int, fill: float) -> torch.Tensor:
    shape = list(values.shape)
    shape[dim] = extra
    return torch.cat([values, torch.full(shape, fill).to(values.dtype)], dim=dim)


def padded(inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same dialogues with more padding in B, U, T, S, F and P, and nonsense in it."""
    nonsense = {"input_ids": 7.0, "input_values": float("nan"), "action_units": float("inf"), "face_areas": 9.0}
    more = {
        "input_ids": (2,),
        "attention_mask": (2,),
        "input_values": (2,),
        "audio_attention_mask": (2,),
        "action_units": (2, 3),
        "action_units_mask": (2, 3),
        "face_areas": (2, 3),
    }
    result = {}
    for name, values in inputs.items():
        fill = nonsense.get(name, 0.0 if name != "labels" else -100)
        for dim, extra in [*((dim, 3) for dim in more.get(name, ())), (1, 2), (0, 1)]:
            values = longer(values, dim, extra, fill)
        result[name] = values
    return result


ARCHITECTURES = [
    {},
    {"text": "bert", "audio": "layer"},
    {"text": "roberta", "fusion": "gated", "face_pooling": "area"},
    {"fusion": "concat", "face_pooling": "concat", "num_blocks": 3},
    {"audio": "layer", "causal": True, "speaker_embeddings": True},
    {"attention_window": 2, "fusion_includes_text": False},
    {"causal": True, "attention_window": 1},
    {"audio_config": tiny.audio_config("group", "hubert")},
    {"audio_config": tiny.audio_config("layer", "hubert")},
    {"audio_config": tiny.audio_config("group", "wavlm")},
    {"audio_config": tiny.audio_config("layer", "wavlm")},
    {"audio": None, "visual": False},
    {"text": None},
]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_padding_and_neighbours_change_no_logit(architecture: dict) -> None:
    model = build(tiny.config(**architecture))
    inputs = tiny.inputs([4, 1, 3])
    inputs["speaker_ids"] = torch.randint(-1, 3, inputs["labels"].shape)
    batched = logits(model, inputs)
    mask = inputs["utterance_mask"]
    more = logits(model, padded(inputs))[:3, :4]
    torch.testing.assert_close(more[mask], batched[mask], atol=EXACT, rtol=0)
    assert not batched[~mask].any()
    for b, length in enumerate(mask.sum(1).tolist()):
        alone = logits(model, {name: values[b : b + 1, :length] for name, values in inputs.items()})
        torch.testing.assert_close(alone[0], batched[b, :length], atol=EXACT, rtol=0)


@pytest.mark.parametrize("kind", ["bart", "bert", "roberta"])
def test_packed_text_is_the_padded_text_with_its_gradients(kind: str) -> None:
    encoder = build_encoder(tiny.text_config(kind)).eval()
    lengths = torch.tensor([7, 2, 9, 2, 1])
    ids = torch.randint(5, 400, (5, 9))
    real = torch.arange(9) < lengths.unsqueeze(1)
    own = real & (torch.arange(9) >= lengths.unsqueeze(1) // 2)
    states = encoder(input_ids=ids, attention_mask=real.long()).last_hidden_state
    reference = block_pool(states, own, 2)
    weights = torch.randn(reference.shape)
    expected = torch.autograd.grad((reference * weights).sum(), list(encoder.parameters()), allow_unused=True)
    packed = encode_text(encoder, ids, real, own, 2)
    torch.testing.assert_close(packed, reference, atol=EXACT, rtol=0)
    found = torch.autograd.grad((packed * weights).sum(), list(encoder.parameters()), allow_unused=True)
    for (name, _), gradient, other in zip(encoder.named_parameters(), found, expected, strict=True):
        assert (gradient is None) == (other is None), name
        if gradient is not None:
            torch.testing.assert_close(gradient, other, atol=EXACT, rtol=1e-4, msg=name)


@pytest.mark.parametrize("kind", ["bart", "bert", "roberta"])
def test_what_utterances_share_is_encoded_once(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = build_encoder(tiny.text_config(kind)).eval()
    which = torch.tensor([0, 0, 1, 2, 2, 2])
    real = (torch.arange(9) < torch.tensor([9, 4, 6]).unsqueeze(1))[which]
    ids = torch.randint(5, 400, (3, 9))[which]
    own = real & (torch.arange(9) % 3 == torch.tensor([0, 1, 2, 0, 1, 2]).unsqueeze(1))
    reference = block_pool(encoder(input_ids=ids, attention_mask=real.long()).last_hidden_state, own, 2)
    weights = torch.randn(reference.shape)
    expected = torch.autograd.grad((reference * weights).sum(), list(encoder.parameters()), allow_unused=True)
    ids = ids.masked_fill(~real, 0) + torch.arange(6).unsqueeze(1) * ~real  # padding differs
    counted = mock.Mock(side_effect=encoders.encode_rows)
    monkeypatch.setattr(encoders, "encode_rows", counted)
    features = encode_text(encoder, ids, real, own, 2)
    assert len(counted.call_args.args[0]) == 3
    torch.testing.assert_close(features, reference, atol=EXACT, rtol=0)
    found = torch.autograd.grad((features * weights).sum(), list(encoder.parameters()), allow_unused=True)
    for gradient, other in zip(found, expected, strict=True):
        if gradient is not None:
            torch.testing.assert_close(gradient, other, atol=EXACT, rtol=1e-4)


@pytest.mark.parametrize("changed", [{"_attn_implementation": "eager"}, {"encoder_layerdrop": 0.5}])
def test_text_that_cannot_be_packed_is_the_same(changed: dict) -> None:
    inputs = tiny.inputs([3, 2])
    expected = logits(build(tiny.config()), inputs)
    model = build(tiny.config())
    for name, value in changed.items():
        setattr(model.model.text_encoder.config, name, value)
    torch.testing.assert_close(logits(model, inputs), expected, atol=EXACT, rtol=0)


@pytest.mark.parametrize("architecture", [{}, {"audio": "layer", "fusion": "gated"}])
def test_gradients_are_those_of_each_dialogue_alone(architecture: dict) -> None:
    model = build(tiny.config(freeze_text_encoder=False, freeze_audio_encoder=False, **architecture))
    inputs = tiny.inputs([3, 1, 2])
    model(**padded(inputs)).loss.backward()
    batched = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    for b, length in enumerate((3, 1, 2)):
        model(**{name: v[b : b + 1, :length] for name, v in inputs.items()}, num_items_in_batch=6).loss.backward()
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            assert torch.isfinite(batched[name]).all()
            torch.testing.assert_close(batched[name], parameter.grad, atol=EXACT, rtol=1e-4, msg=name)


def test_dialogues_of_1_to_33_utterances() -> None:
    model = build(tiny.config(text="bert"))
    lengths = [1, 33, 2, 17, 5]
    inputs = tiny.inputs(lengths)
    batched = logits(model, inputs)
    for b, length in enumerate(lengths):
        alone = logits(model, {name: values[b : b + 1, :length] for name, values in inputs.items()})
        torch.testing.assert_close(alone[0], batched[b, :length], atol=EXACT, rtol=0)


@pytest.mark.parametrize("text", ["bart", "bert", "roberta"])
def test_no_layer_computes_on_padding(text: str) -> None:
    model = build(tiny.config(text))
    inputs = padded(tiny.inputs([3, 1]))
    computed: dict[str, int] = {}

    def count(name: str) -> object:
        return lambda _module, args: computed.__setitem__(name, computed.get(name, 0) + args[0].shape[:-1].numel())

    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and "audio_encoder." not in name and "visual_encoder." not in name:
            module.register_forward_pre_hook(count(name))
    logits(model, inputs)
    mask = inputs["utterance_mask"]
    faces = inputs["action_units_mask"].flatten(2).any(-1) & mask
    tokens = int(inputs["attention_mask"][mask].sum())
    expected = {name: tokens if "text_encoder." in name else int(mask.sum()) for name in computed}
    expected["model.modalities.visual.projection"] = int(faces.sum())
    assert computed == expected
    assert tokens in computed.values()


def test_an_absent_modality_is_a_learned_vector_and_not_zeros() -> None:
    model = build(tiny.config())
    inputs = tiny.inputs([3, 2])
    inputs["audio_attention_mask"][0, 1] = False
    inputs["action_units_mask"][1] = False
    output = model(**inputs)
    has = output.modality_mask
    assert has[0, 1].tolist()[:2] == [True, False]
    assert not has[1, :, 2].any()
    assert not has[1, 2].any(), "padding uses nothing"

    silence = {**inputs, "audio_attention_mask": inputs["audio_attention_mask"].clone()}
    silence["audio_attention_mask"][0, 1] = True
    silence["input_values"] = inputs["input_values"].clone()
    silence["input_values"][0, 1] = 0.0
    assert (logits(model, silence) - output.logits).abs().max() > 1e-4
    with torch.no_grad():
        model.model.modalities["audio"].absent.add_(1.0)
    changed = (logits(model, inputs) - output.logits).abs().amax(-1)
    assert changed[0].min() > 1e-6
    assert changed[1].max() == 0


@pytest.mark.parametrize("kept", [("input_ids", "attention_mask"), ("input_values", "audio_attention_mask")])
def test_a_whole_modality_may_be_left_out_or_masked(kept: tuple[str, str]) -> None:
    model = build(tiny.config())
    inputs = tiny.inputs([3, 2])
    masks = {"attention_mask", "audio_attention_mask", "action_units_mask"} - {kept[1]}
    masked = {name: torch.zeros_like(value) if name in masks else value for name, value in inputs.items()}
    left_out = {name: inputs[name] for name in (*kept, "utterance_mask")}
    torch.testing.assert_close(logits(model, masked), logits(model, left_out), atol=EXACT, rtol=0)


def test_utterances_may_come_as_rows() -> None:
    model = build(tiny.config())
    inputs = tiny.inputs([3, 2])
    names = ("input_ids", "attention_mask", "input_values", "audio_attention_mask")
    rows = {name: value.flatten(0, 1) if name in names else value for name, value in inputs.items()}
    assert torch.equal(logits(model, rows), logits(model, inputs))
    one = {name: inputs[name][0] for name in names}
    expected = logits(model, {name: inputs[name][:1] for name in names})
    assert torch.equal(logits(model, one), expected)


def test_a_dialogue_without_any_text() -> None:
    inputs = tiny.inputs([2, 3])
    without = {name: value for name, value in inputs.items() if name not in ("input_ids", "attention_mask")}
    assert torch.isfinite(logits(build(tiny.config()), without)).all()
    assert torch.isfinite(logits(build(tiny.config(text=None)), inputs)).all()


@pytest.mark.parametrize("name", ["input_values", "action_units", "face_areas", "visual_features"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_named(name: str, value: float) -> None:
    model = build(tiny.config())
    inputs = tiny.inputs([2])
    if name == "visual_features":
        inputs[name] = torch.zeros(1, 2, model.config.feature_sizes["visual"])
    inputs["action_units_mask"][:] = True
    inputs[name].view(-1)[0] = value
    with pytest.raises(ValueError, match=f"`{name}` must be finite"):
        model(**inputs)


def test_other_bad_input_is_named() -> None:
    model = build(tiny.config())
    inputs = tiny.inputs([2])
    with pytest.raises(ValueError, match="one input at least, found none"):
        model()
    with pytest.raises(ValueError, match=r"less than one frame|samples"):
        model(input_values=torch.randn(1, 1, 20))
    with pytest.raises(ValueError, match="must hold 5 values a face"):
        model(action_units=torch.rand(1, 1, 2, 2, 6))
    with pytest.raises(ValueError, match=r"`text_features` must have the shape \[1, 2, 16\]"):
        model(text_features=torch.rand(1, 2, 8))
    with pytest.raises(ValueError, match="needs `face_areas`"):
        build(tiny.config(face_pooling="area"))(**{**inputs, "face_areas": None})
    with pytest.raises(ValueError, match="one modality at least"):
        M2FNetModel(M2FNetConfig())
    crowd = torch.rand(1, 1, 1, 6, tiny.ACTION_UNITS)
    with pytest.raises(ValueError, match="holds 4 faces a frame"):
        build(tiny.config(face_pooling="concat"))(action_units=crowd)


def test_cached_features_give_what_raw_inputs_give() -> None:
    model = build(tiny.config(num_blocks=2))
    inputs = tiny.inputs([3, 2])
    expected = logits(model, inputs)
    tokens = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        features = model.model.get_text_features(**tokens).pooler_output
    cached = {name: value for name, value in inputs.items() if name not in ("input_ids", "attention_mask")}
    torch.testing.assert_close(logits(model, {**cached, "text_features": features}), expected, atol=EXACT, rtol=0)

    known = torch.zeros(2, 3, dtype=torch.bool)
    known[:, 0] = True
    mixed = {**inputs, "text_features": features.masked_fill(~known.unsqueeze(-1), 9.0), "text_features_mask": known}
    torch.testing.assert_close(logits(model, mixed), expected, atol=EXACT, rtol=0)


def test_features_alone_need_no_encoder(tmp_path: Path) -> None:
    model = build(tiny.config(text=None, audio=None, visual=False, text_feature_size=6, visual_feature_size=9))
    inputs = {
        "text_features": torch.randn(2, 3, 6),
        "visual_features": torch.randn(2, 3, 9),
        "visual_features_mask": torch.tensor([[True, False, True], [True, True, True]]),
    }
    output = model(**inputs)
    assert output.modality_mask[0, 1].tolist() == [True, False, False]
    model.save_pretrained(tmp_path)
    again = M2FNetForEmotionClassification.from_pretrained(tmp_path)
    assert torch.equal(logits(again, inputs), logits(model, inputs))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_saved_and_loaded_gives_equal_logits(tmp_path: Path, dtype: torch.dtype) -> None:
    model = build(tiny.config()).to(dtype)
    inputs = tiny.inputs([3, 2])
    expected = logits(model, inputs)
    assert expected.dtype == dtype
    assert torch.isfinite(expected).all()
    model.save_pretrained(tmp_path / "one")
    model.save_pretrained(tmp_path / "sharded", max_shard_size="20kB")
    assert len(list((tmp_path / "sharded").glob("*.safetensors"))) > 1
    for folder, options in (("one", {}), ("sharded", {}), ("one", {"device_map": "auto"}), ("one", {"dtype": dtype})):
        again = M2FNetForEmotionClassification.from_pretrained(tmp_path / folder, **options)
        assert torch.equal(logits(again, inputs), expected)
    assert not list(tmp_path.glob("**/*.bin"))


def test_frozen_encoders_stay_frozen(tmp_path: Path) -> None:
    model = build(tiny.config(freeze_audio_encoder=False))
    model.save_pretrained(tmp_path)
    for one in (model, M2FNetForEmotionClassification.from_pretrained(tmp_path)):
        one.train()
        assert not one.model.text_encoder.training
        assert not any(parameter.requires_grad for parameter in one.model.text_encoder.parameters())
        assert one.model.audio_encoder.training
        assert all(parameter.requires_grad for parameter in one.model.audio_encoder.parameters())


def test_causal_sees_no_future_and_bidirectional_does() -> None:
    inputs = tiny.inputs([5])
    changed = {**inputs, "input_ids": inputs["input_ids"].clone()}
    changed["input_ids"][0, 3] = 11
    for causal in (True, False):
        model = build(tiny.config(causal=causal))
        moved = (logits(model, changed) - logits(model, inputs)).abs().amax(-1)[0]
        assert moved[3:].min() > 1e-6
        assert (moved[:3].max() == 0) == causal


def test_a_window_that_covers_the_dialogue_is_full_attention() -> None:
    inputs = tiny.inputs([5, 2])
    full, wide, narrow = (build(tiny.config(attention_window=window)) for window in (None, 4, 1))
    torch.testing.assert_close(logits(wide, inputs), logits(full, inputs), atol=EXACT, rtol=0)
    assert (logits(narrow, inputs) - logits(full, inputs)).abs().max() > 1e-5


WINDOWS = [{"attention_window": window, "causal": causal} for window in (3, 70) for causal in (True, False)]


def featured(**architecture: object) -> M2FNetForEmotionClassification:
    """A model of cached features alone."""
    features = {"text_feature_size": 6, "audio_feature_size": 5}
    return build(tiny.config(text=None, audio=None, visual=False, **features, **architecture))


def long_inputs(lengths: list[int]) -> dict[str, torch.Tensor]:
    random, shape = torch.Generator().manual_seed(0), (len(lengths), max(lengths))
    return {
        "text_features": torch.randn(*shape, 6, generator=random),
        "audio_features": torch.randn(*shape, 5, generator=random),
        "utterance_mask": torch.arange(shape[1]) < torch.tensor(lengths).unsqueeze(1),
    }


@pytest.mark.parametrize("architecture", [{}, {"causal": True}, *WINDOWS])
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_tiles_give_what_a_mask_over_the_whole_dialogue_gives(
    monkeypatch: pytest.MonkeyPatch, architecture: dict, implementation: str
) -> None:
    model = featured(**architecture)
    model.set_attn_implementation(implementation)
    inputs = long_inputs([200, 1, 64, 65, 130, 7, 7])
    batched = logits(model, inputs)
    monkeypatch.setattr(attention, "ROWS_AT_ONCE", 60)
    torch.testing.assert_close(logits(model, inputs), batched, atol=EXACT, rtol=0)
    monkeypatch.setattr(attention, "is_tracing", lambda _: True)
    torch.testing.assert_close(logits(model, inputs), batched, atol=EXACT, rtol=0)


@pytest.mark.parametrize("architecture", WINDOWS)
def test_gradients_of_tiles_are_those_of_a_mask(monkeypatch: pytest.MonkeyPatch, architecture: dict) -> None:
    model = featured(**architecture)
    inputs = long_inputs([200, 7])
    monkeypatch.setattr(attention, "ROWS_AT_ONCE", 60)
    model(**inputs).logits.square().mean().backward()
    tiled = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    monkeypatch.setattr(attention, "is_tracing", lambda _: True)
    model(**inputs).logits.square().mean().backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(tiled[name], parameter.grad, atol=EXACT, rtol=1e-4, msg=name)


@pytest.mark.parametrize("causal", [True, False])
def test_with_a_window_attention_grows_with_the_number_of_utterances(causal: bool) -> None:
    def scores(length: int, window: int | None) -> int:
        config = tiny.config(attention_window=window, causal=causal)
        tiles = tile(PackedBatch(torch.ones(1, length, dtype=torch.bool)), config, "sdpa")
        return sum(group.tiles * group.queries * group.keys for piece in tiles for group in piece.groups)

    assert scores(10_000, None) == 10_000**2
    assert scores(100_000, 32) <= 1.1 * 100 * scores(1_000, 32)
    assert scores(10_000, 32) < scores(10_000, None) / 50


@pytest.mark.parametrize("window", [None, 2])
def test_no_row_of_attention_is_padding(window: int | None) -> None:
    mask = torch.arange(200) < torch.tensor([200, 3, 3, 70]).unsqueeze(1)
    tiles = tile(PackedBatch(mask), tiny.config(attention_window=window), "sdpa")
    assert sum(group.tiles * group.queries for piece in tiles for group in piece.groups) == int(mask.sum())
    queries = torch.cat([torch.arange(int(mask.sum()))[one.query_rows][one.query_index] for one in tiles])
    assert queries.sort().values.tolist() == list(range(int(mask.sum())))


@pytest.mark.parametrize("architecture", [{}, *WINDOWS[::2], {"fusion": "gated", "attention_window": 1}])
def test_a_cache_goes_on_where_the_dialogue_was(architecture: dict) -> None:
    model = featured(**{**architecture, "causal": True})
    inputs = long_inputs([150])
    whole = model(**inputs, output_attentions=True)
    cache, parts = M2FNetCache(model.config), []
    first = 0
    for length in (1, 1, 90, 3, 1, 54):
        part = {name: values[:, first : first + length] for name, values in inputs.items()}
        parts.append(model(**part, cache=cache, output_attentions=True))
        first += length
    assert cache.past_length == 150
    torch.testing.assert_close(torch.cat([part.logits for part in parts], 1), whole.logits, atol=EXACT, rtol=0)
    kept = min(96, architecture.get("attention_window") or 96)
    weights = parts[-1].attentions[0]
    assert weights.shape == (1, 2, 54, kept + 54)
    torch.testing.assert_close(weights, whole.attentions[0][:, :, 96:, 96 - kept :], atol=EXACT, rtol=0)


def test_what_a_cache_cannot_follow_is_named() -> None:
    causal = featured(causal=True)
    with pytest.raises(ValueError, match="found a causal model and 2 dialogues"):
        causal(**long_inputs([2, 2]), cache=M2FNetCache(causal.config))
    model = featured()
    with pytest.raises(ValueError, match="found another model and 1 dialogues"):
        model(**long_inputs([2]), cache=M2FNetCache(model.config))
    with pytest.raises(ValueError, match="one real utterance at least"):
        model(**{**long_inputs([2]), "utterance_mask": torch.zeros(1, 2, dtype=torch.bool)})


@pytest.mark.parametrize("architecture", [{}, {"causal": True}, {"attention_window": 1}])
def test_attention_implementations_agree(architecture: dict) -> None:
    inputs = tiny.inputs([4, 2])
    config = tiny.config(**architecture)
    config._attn_implementation = "eager"
    eager = build(config)
    expected = logits(eager, inputs)
    eager.set_attn_implementation("sdpa")
    torch.testing.assert_close(logits(eager, inputs), expected, atol=EXACT, rtol=0)


def test_attentions_and_hidden_states_on_request() -> None:
    model = build(tiny.config())
    inputs = tiny.inputs([4, 2])
    plain = model(**inputs)
    assert plain.hidden_states is None
    assert plain.attentions is None
    output = model(**inputs, output_attentions=True, output_hidden_states=True)
    torch.testing.assert_close(output.logits, plain.logits, atol=EXACT, rtol=0)
    assert [tuple(state.shape) for state in output.hidden_states] == [(2, 4, 16)] * 3
    for weights in (*output.attentions, *output.audio_attentions, *output.visual_attentions):
        assert weights.shape == (2, 2, 4, 4)
        torch.testing.assert_close(weights[0].sum(-1), torch.ones(2, 4))
        assert not weights[1, :, :2, 2:].any(), "no attention to padding"


def test_what_is_returned_on_request_has_a_gradient() -> None:
    """As the library promises of its models: hidden states and attentions can be used for explanations."""
    model = build(tiny.config())
    output = model(**tiny.inputs([4, 2]), output_attentions=True, output_hidden_states=True)
    inner = [output.hidden_states[0], *output.attentions, *output.audio_attentions, *output.visual_attentions]
    gradients = torch.autograd.grad(output.loss, inner)
    assert all(gradient.abs().max() > 0 for gradient in gradients)


def test_attentions_of_a_long_batch_are_those_of_its_dialogues(monkeypatch: pytest.MonkeyPatch) -> None:
    model = featured()
    inputs = long_inputs([20, 30])
    monkeypatch.setattr(attention, "ROWS_AT_ONCE", 10)
    together = model(**inputs, output_attentions=True).attentions[0]
    alone = model(**{name: values[1:] for name, values in inputs.items()}, output_attentions=True).attentions[0]
    torch.testing.assert_close(together[1:], alone, atol=EXACT, rtol=0)


FEATURES = {
    "text": ("input_ids", "attention_mask", "pooling_mask"),
    "audio": ("input_values", "audio_attention_mask"),
    "visual": ("action_units", "action_units_mask", "face_areas"),
}


def get_features(model: M2FNetForEmotionClassification, modality: str, inputs: dict, **kwargs: object) -> object:
    given = {name: inputs[name] for name in FEATURES[modality] if name in inputs}
    with torch.no_grad():
        return getattr(model.model, f"get_{modality}_features")(**given, **kwargs)


@pytest.mark.parametrize("modality", ["text", "audio", "visual"])
def test_features_come_as_the_library_gives_them(modality: str) -> None:
    model = build(tiny.config(num_blocks=2))
    inputs = tiny.inputs([3, 2])
    inputs["action_units_mask"][1, 1] = inputs["attention_mask"][1, 1] = inputs["audio_attention_mask"][1, 1] = False
    output = get_features(model, modality, inputs)
    assert isinstance(output, BaseModelOutputWithPooling)
    assert output.pooler_output.shape == (2, 3, model.config.feature_sizes[modality])
    assert torch.equal(output.last_hidden_state, output.pooler_output)
    assert not output.pooler_output[1, 1].any()
    assert output.pooler_output[0].abs().min(-1).values.max() > 0
    assert output.hidden_states is None
    assert output.attentions is None
    as_tuple = get_features(model, modality, inputs, return_dict=False)
    assert isinstance(as_tuple, tuple)
    assert torch.equal(as_tuple[0], output.pooler_output)
    model.config.return_dict = False
    assert isinstance(get_features(model, modality, inputs), tuple)

    raw = {name: value for name, value in inputs.items() if name not in FEATURES[modality]}
    known = output.pooler_output.any(-1)
    cached = {f"{modality}_features": output.pooler_output, f"{modality}_features_mask": known}
    model.config.return_dict = True
    torch.testing.assert_close(logits(model, {**raw, **cached}), logits(model, inputs), atol=EXACT, rtol=0)


@pytest.mark.parametrize("architecture", [{}, {"text": "bert", "audio": "layer"}, {"text": "roberta"}])
@pytest.mark.parametrize("modality", ["text", "audio"])
def test_features_come_with_their_encoders_layers_on_request(
    monkeypatch: pytest.MonkeyPatch, modality: str, architecture: dict
) -> None:
    model = build(tiny.config(**architecture))
    inputs = tiny.inputs([3, 2])
    inputs["attention_mask"][0, 1] = inputs["audio_attention_mask"][0, 1] = True
    inputs["pooling_mask"] = inputs["attention_mask"] & (torch.arange(9) % 2 == 0)
    plain = get_features(model, modality, inputs)
    output = get_features(model, modality, inputs, output_hidden_states=True, output_attentions=True)
    torch.testing.assert_close(output.pooler_output, plain.pooler_output, atol=EXACT, rtol=0)
    assert [tuple(one.shape) for one in output.hidden_states] == [(2, 3, 16)] * 3
    mask = "attention_mask" if modality == "text" else "audio_attention_mask"
    values = inputs[FEATURES[modality][0]][0, 1][inputs[mask][0, 1]]
    encoder = getattr(model.model, f"{modality}_encoder")
    encoder.config._attn_implementation = "eager"
    with torch.no_grad():
        alone = encoder(values.unsqueeze(0), output_hidden_states=True, output_attentions=True)
    own = inputs["pooling_mask"][0, 1][inputs[mask][0, 1]] if modality == "text" else slice(None)
    for layer, expected in zip(output.hidden_states, alone.hidden_states, strict=True):
        torch.testing.assert_close(layer[0, 1], expected[0, own].mean(0), atol=EXACT, rtol=0)
    for weights, expected in zip(output.attentions, alone.attentions, strict=True):
        size = expected.shape[-1]
        torch.testing.assert_close(weights[0, 1, :, :size, :size], expected[0], atol=EXACT, rtol=0)
        assert not weights[0, 1, :, size:].any()
    one = get_features(model, modality, inputs, output_hidden_states=(1,))
    assert [layer is not None for layer in one.hidden_states] == [False, True, False]
    model.config.output_hidden_states = True
    assert len(get_features(model, modality, inputs).hidden_states) == 3

    monkeypatch.setattr(encoders, "LONGEST_SOUND", 300)
    monkeypatch.setattr(encoders, "longest_text", lambda _: 4)
    in_pieces = get_features(model, modality, inputs, output_attentions=True)
    assert output.attentions[0][0, 1, :, 0, -1].all()
    assert not in_pieces.attentions[0][0, 1, :, 0, -1].any()
    assert in_pieces.attentions[0][0, 1, :, 0, 0].all()


def test_features_without_their_encoder_are_refused() -> None:
    with pytest.raises(ValueError, match=r"no audio encoder \(`audio_config` is None\)"):
        build(tiny.config(audio=None)).model.get_audio_features(torch.zeros(1, 1, 900))


def test_fusion_module_queries_with_text_and_takes_text() -> None:
    """Query and value are the text, the key is the other modality (paper, equations 8 to 10)."""
    model = build(tiny.config(visual=False))
    layer = model.model.fusion_layers[0]
    tiles = tile(PackedBatch(torch.ones(1, 3, dtype=torch.bool)), model.config, "sdpa")
    text, audio = torch.randn(3, 16), torch.randn(3, 16)
    attention = layer.attentions["audio"]
    heads = [
        projection(states).view(3, 2, 8).transpose(0, 1)
        for projection, states in ((attention.query, text), (attention.key, audio), (attention.value, text))
    ]
    mixed = nn.functional.scaled_dot_product_attention(*heads).transpose(0, 1).reshape(3, 16)
    expected = nn.functional.gelu(layer.merge(torch.cat([text, attention.output(mixed)], dim=-1)))
    torch.testing.assert_close(layer(text, audio, tiles=tiles)[0], expected)


def test_dialogue_encoder_has_a_skip_connection_around_it() -> None:
    model = build(tiny.config())
    layer = model.model.modalities["text"].layers[0]
    states, tiles = torch.randn(3, 16), tile(PackedBatch(torch.ones(1, 3, dtype=torch.bool)), model.config, "sdpa")
    attended, _ = layer.attention(states, states, states, tiles[0])
    inner = layer.attention_norm(states + attended)
    gate, up = layer.feed_forward.gate(inner), layer.feed_forward.up(inner)
    inner = layer.feed_forward_norm(inner + layer.feed_forward.down(nn.functional.silu(gate) * up))
    torch.testing.assert_close(layer(states, tiles)[0], states + inner)


def test_the_gate_gives_an_absent_modality_no_weight() -> None:
    model = build(tiny.config(fusion="gated"))
    inputs = tiny.inputs([3])
    inputs["audio_attention_mask"][0, 1] = False
    weights = model(**inputs).modality_weights[0]
    torch.testing.assert_close(weights.sum(-1), torch.ones(3))
    assert weights[1, 1] == 0
    assert weights[0, 1] > 0


def test_modality_dropout_always_leaves_one() -> None:
    model = build(tiny.config(modality_dropout=0.9)).train()
    inputs = tiny.inputs([8, 8])
    inputs["action_units_mask"][:] = True
    has = model(**inputs).modality_mask
    assert has.any(-1).all()
    assert has.float().mean() < 0.7
    assert model.eval()(**inputs).modality_mask.all()


def test_block_pooling_by_hand() -> None:
    states = torch.arange(1.0, 6.0).view(1, 5, 1).repeat(2, 1, 1)
    mask = torch.tensor([[1, 1, 1, 1, 1], [0, 1, 0, 0, 1]]).bool()
    assert block_pool(states, mask, 1).tolist() == [[3.0], [3.5]]
    assert block_pool(states, mask, 2).tolist() == [[2.0, 4.0], [2.0, 5.0]]
    assert block_pool(states, mask, 3).tolist() == [[1.5, 3.0, 4.5], [2.0, 3.5, 5.0]]
    expected = nn.functional.adaptive_avg_pool1d(states[:1].transpose(1, 2), 4).flatten()
    torch.testing.assert_close(block_pool(states[:1], mask[:1], 4)[0], expected)


def test_micro_batches_hold_everything_once_and_little_padding() -> None:
    lengths = torch.randint(1, 200, (300,)).tolist()
    batches = list(micro_batches(lengths, budget=1000, longest=150))
    assert sorted(index for batch in batches for index in batch) == list(range(300))
    for batch in batches:
        longest = max(lengths[index] for index in batch)
        assert len(batch) == 1 or longest * len(batch) <= 1000
        assert longest <= 150 or len(batch) == 1
        assert sum(lengths[index] for index in batch) >= LEAST_FILL * longest * len(batch)
    for batch in micro_batches(lengths, budget=1000, longest=None, equal=True):
        assert len({lengths[index] for index in batch}) == 1


def test_long_text_and_sound_are_read_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build(tiny.config(text="roberta"))
    encoder = model.model.text_encoder
    ids = torch.randint(5, 400, (1, 150))
    everything = torch.ones_like(ids, dtype=torch.bool)
    with torch.no_grad():
        pooled = encoders.encode_text(encoder, ids, everything, everything, 1)
        parts = [encoder(piece).last_hidden_state for piece in ids.tensor_split(3, dim=1)]
    torch.testing.assert_close(pooled, torch.cat(parts, dim=1).mean(1), atol=EXACT, rtol=0)

    monkeypatch.setattr(encoders, "LONGEST_SOUND", 1_000)
    sound = torch.randn(1, 2_500)
    with torch.no_grad():
        pooled = encoders.encode_audio(model.model.audio_encoder, sound, torch.ones_like(sound, dtype=torch.bool), 1)
        parts = [model.model.audio_encoder(piece).last_hidden_state for piece in sound.tensor_split(3, dim=1)]
    torch.testing.assert_close(pooled, torch.cat(parts, dim=1).mean(1), atol=EXACT, rtol=0)


def test_gradient_checkpointing_changes_no_gradient() -> None:
    model = build(tiny.config(freeze_text_encoder=False, hidden_dropout=0.0, attention_dropout=0.0)).train()
    model.config.classifier_dropout = 0.0
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    model.model.text_encoder.eval()
    inputs = tiny.inputs([3, 2])
    model(**inputs).loss.backward()
    expected = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    model.gradient_checkpointing_enable()
    model(**inputs).loss.backward()
    for name, parameter in model.named_parameters():
        if name in expected:
            torch.testing.assert_close(parameter.grad, expected[name], atol=EXACT, rtol=1e-4)


@pytest.mark.slow
def test_compiled_gives_the_same() -> None:
    model = build(tiny.config(audio=None))
    inputs = tiny.inputs([3, 2])
    expected = logits(model, inputs)
    torch.testing.assert_close(logits(torch.compile(model), inputs), expected, atol=EXACT, rtol=0)


def test_encoders_come_from_their_own_checkpoints(tmp_path: Path) -> None:
    torch.manual_seed(1)
    bart, sound = BartModel(tiny.text_config("bart")), Wav2Vec2ForCTC(tiny.audio_config())
    bart.save_pretrained(tmp_path / "bart")
    sound.save_pretrained(tmp_path / "sound")
    model = M2FNetForEmotionClassification.from_encoders(
        text=str(tmp_path / "bart"),
        audio=str(tmp_path / "sound"),
        visual={"num_action_units": tiny.ACTION_UNITS},
        hidden_size=16,
        num_hidden_layers=1,
        num_fusion_layers=1,
        freeze_text_encoder=False,
    )
    encoder = bart.get_encoder().state_dict()
    assert all(torch.equal(value, encoder[name]) for name, value in model.model.text_encoder.state_dict().items())
    for name, value in sound.wav2vec2.state_dict().items():
        assert torch.equal(value, model.model.audio_encoder.state_dict()[name]), name
    assert not any("decoder" in name for name, _ in model.named_parameters())
    assert model.model.text_encoder.embed_tokens.weight.requires_grad
    assert not any(parameter.requires_grad for parameter in model.model.audio_encoder.parameters())
    model.save_pretrained(tmp_path / "whole")
    assert str(tmp_path) not in (tmp_path / "whole" / "config.json").read_text()
    again = M2FNetForEmotionClassification.from_pretrained(tmp_path / "whole")
    inputs = tiny.inputs([2])
    assert torch.equal(logits(again, inputs), logits(model.eval(), inputs))


@pytest.mark.parametrize("mask_time_length", [2, 100])
def test_every_weight_of_trained_encoders_gets_a_gradient(mask_time_length: int) -> None:
    """Also what SpecAugment puts in place of masked frames, where sound is too short to be masked."""
    audio = tiny.audio_config("layer")
    audio.update({"apply_spec_augment": True, "mask_time_length": mask_time_length})
    trained = {"freeze_text_encoder": False, "freeze_audio_encoder": False, "audio_config": audio}
    model = M2FNetForEmotionClassification(tiny.config("bert", None, **trained)).train()
    model(**tiny.inputs([4, 4, 4])).loss.backward()
    assert [name for name, weight in model.named_parameters() if weight.grad is None] == []


@pytest.mark.parametrize("pooling", ["learned", "area", "concat"])
def test_the_visual_encoder_shows_its_states_on_request(pooling: str) -> None:
    config = M2FNetVisualConfig(num_action_units=tiny.ACTION_UNITS, hidden_size=8, face_pooling=pooling, max_faces=2)
    encoder = M2FNetVisualEncoder(config).eval()
    faces, areas, mask = torch.rand(4, 3, 2, 5), torch.rand(4, 3, 2), torch.rand(4, 3, 2) > 0.4
    silent = encoder(faces, mask, areas)
    assert silent.hidden_states is None
    output = encoder(faces, mask, areas, output_hidden_states=True)
    before, after = output.hidden_states
    assert torch.equal(output.last_hidden_state, silent.last_hidden_state)
    assert after is output.last_hidden_state
    shown = mask.any(-1)
    torch.testing.assert_close(before[shown], encoder.activation(encoder.face(faces))[shown])
    before.retain_grad()
    after.sum().backward()
    assert before.grad.any()
    config.output_hidden_states = True
    assert len(encoder(faces, mask, areas).hidden_states) == 2
    assert encoder(faces, mask, areas, output_hidden_states=False).hidden_states is None


@pytest.mark.parametrize("pooling", ["learned", "area", "concat"])
def test_the_visual_encoder_is_a_model_of_the_library(tmp_path: Path, pooling: str) -> None:
    config = M2FNetVisualConfig(num_action_units=tiny.ACTION_UNITS, hidden_size=8, face_pooling=pooling, max_faces=2)
    encoder = M2FNetVisualEncoder(config).eval()
    random = torch.Generator().manual_seed(0)
    faces, areas = torch.rand(4, 3, 2, 5, generator=random), torch.rand(4, 3, 2, generator=random)
    mask = torch.rand(4, 3, 2, generator=random) > 0.4
    mask[1] = False
    expected = encoder(faces, mask, areas).last_hidden_state
    assert expected.shape == (4, 3, 8)
    assert torch.equal(expected.any(-1), mask.any(-1))
    assert torch.equal(encoder(faces, mask, areas, return_dict=False)[0], expected)
    assert encoder.get_input_embeddings().in_features == tiny.ACTION_UNITS
    encoder.save_pretrained(tmp_path / "saved")
    # As the version before saved what `m2fnet train-extractor` had made.
    config.save_pretrained(tmp_path / "before")
    save_file(encoder.state_dict(), tmp_path / "before" / "model.safetensors", metadata={"format": "pt"})
    for folder in ("saved", "before"):
        for model_class in (M2FNetVisualEncoder, AutoModel):
            again = model_class.from_pretrained(tmp_path / folder)
            assert type(again) is M2FNetVisualEncoder
            assert torch.equal(again(faces, mask, areas).last_hidden_state, expected)
        model = M2FNetForEmotionClassification.from_encoders(visual=str(tmp_path / folder), hidden_size=16)
        assert torch.equal(model.model.visual_encoder(faces, mask, areas).last_hidden_state, expected)
        model.save_pretrained(tmp_path / "whole")
        assert str(tmp_path) not in (tmp_path / "whole" / "config.json").read_text()


def test_unused_poolers_are_not_built(tmp_path: Path) -> None:
    assert not any("pooler" in name for name, _ in build(tiny.config(text="bert")).named_parameters())
    BertModel(tiny.text_config("bert")).save_pretrained(tmp_path)
    model = M2FNetForEmotionClassification.from_encoders(text=str(tmp_path), hidden_size=16, num_hidden_layers=1)
    assert not any("pooler" in name for name, _ in model.named_parameters())
    assert not any(name.startswith("fusion") for name, _ in model.model.named_parameters())


def test_initialised_as_glorot_says() -> None:
    model = M2FNetForEmotionClassification(tiny.config(hidden_size=256))
    weight = model.model.fusion_layers[0].merge.weight
    bound = (6 / sum(weight.shape)) ** 0.5
    assert 0.95 * bound < weight.abs().max() <= bound
    assert not model.model.fusion_layers[0].merge.bias.any()
    own = model.model.audio_encoder
    torch.manual_seed(0)
    like = Wav2Vec2Model(own.config)
    name = "encoder.layers.0.attention.q_proj.weight"
    assert own.get_parameter(name).std() == pytest.approx(like.get_parameter(name).std().item(), rel=0.3)


def test_tuples_and_dictionaries_hold_the_same() -> None:
    model = build(tiny.config())
    inputs = tiny.inputs([2])
    as_tuple, as_dict = model(**inputs, return_dict=False), model(**inputs)
    assert torch.equal(as_tuple[0], as_dict.loss)
    assert torch.equal(as_tuple[1], as_dict.logits)
    assert AutoModel.from_config(tiny.config(audio=None)).audio_encoder is None
