"""Normalisation by speaker: against a naive reference, under padding, causal and online, and in half precision."""

from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

from m2fnet_hf import M2FNetConfig, M2FNetForEmotionClassification
from m2fnet_hf.attention_m2fnet import M2FNetCache
from m2fnet_hf.normalization_m2fnet import PastSpeakers, SpeakerNormalization

EXACT = 1e-5
SIZE = 6
UNITS = {"hidden_size": None, "face_pooling": "area", "num_action_units": SIZE}


def build(modality: str = "audio", **config: Any) -> SpeakerNormalization:
    """With masks of single features where the modality is `visual`."""
    norm = SpeakerNormalization(M2FNetConfig(audio_feature_size=SIZE, visual_config=UNITS, **config), modality)
    random = torch.Generator().manual_seed(1)
    norm.mean.normal_(generator=random)
    norm.scale.uniform_(0.5, 2.0, generator=random)
    return norm


def naive(norm: SpeakerNormalization, features: torch.Tensor, present: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """The formulas, utterance by utterance, of one dialogue [U, D] in double precision."""
    values, known = features.double(), torch.ones(len(features), SIZE, dtype=torch.bool)
    if norm.has_masks:
        values, known = values[:, :SIZE], features[:, SIZE:].bool()
    z = (values - norm.mean.double()) / norm.scale.double()
    rows = []
    for u in range(len(features)):
        there = [v for v in range(u + 1 if norm.causal else len(features)) if present[v]]
        own = [v for v in there if ids[v] == ids[u] >= 0]
        row = []
        for unit in range(SIZE):
            everyone = [z[v, unit] for v in there if known[v, unit]]
            speaker = [z[v, unit] for v in own if known[v, unit]]
            dialogue_mean = sum(everyone) / (len(everyone) + norm.dialogue_strength)
            mean = (sum(speaker) + norm.speaker_strength * dialogue_mean) / (len(speaker) + norm.speaker_strength)
            row.append(z[u, unit] - mean if known[u, unit] else torch.tensor(0.0).double())
        masks = [known[u].double()] if norm.has_masks else []
        count = torch.tensor([len(own)]).double().log1p()
        rows.append(torch.cat([torch.stack(row), *masks, count]) * present[u])
    return torch.stack(rows).float()


def dialogues(norm: SpeakerNormalization, utterances: int = 9, count: int = 3) -> tuple[torch.Tensor, ...]:
    """Features, which are there, and speakers of whom one is unknown; the voices lie far from the mean."""
    random = torch.Generator().manual_seed(utterances)
    features = 3 + 2 * torch.randn(count, utterances, SIZE, generator=random)
    if norm.has_masks:
        known = torch.rand(features.shape, generator=random) < 0.6
        features = torch.cat([features * known, known.float()], dim=-1)
    present = torch.rand(count, utterances, generator=random) < 0.7
    if norm.has_masks:
        present &= features[..., SIZE:].any(-1)
    return features, present, torch.randint(-1, 4, (count, utterances), generator=random)


@pytest.mark.parametrize("modality", ["audio", "visual"])
@pytest.mark.parametrize("settings", [{}, {"causal": True}, {"speaker_strength": 0.5, "dialogue_strength": 9}])
@pytest.mark.parametrize("utterances", [1, 2, 9, 40])
def test_it_is_the_formula(modality: str, settings: dict, utterances: int) -> None:
    norm = build(modality, **settings)
    features, present, ids = dialogues(norm, utterances)
    result = norm(features, present, ids)
    assert result.shape == (3, utterances, norm.output_size)
    assert norm.output_size == {"audio": SIZE + 1, "visual": 2 * SIZE + 1}[modality]
    for b in range(3):
        torch.testing.assert_close(result[b], naive(norm, features[b], present[b], ids[b]), atol=EXACT, rtol=0)


@pytest.mark.parametrize("causal", [False, True])
def test_what_is_absent_changes_nothing_wherever_it_stands(causal: bool) -> None:
    norm = build("visual", causal=causal)
    features, present, ids = dialogues(norm)
    expected = norm(features, present, ids)
    # Behind each utterance one that is not there, of any speaker and with any content.
    wide, there, who = (torch.stack([part, part.flip(1)], dim=2).flatten(1, 2) for part in (features, present, ids))
    there[:, 1::2] = False
    result = norm(wide * 7, there, who)
    torch.testing.assert_close(result[:, 1::2], torch.zeros_like(expected), atol=0, rtol=0)
    wide[:, 1::2] *= 7
    torch.testing.assert_close(norm(wide, there, who)[:, ::2], expected, atol=EXACT, rtol=0)


def test_any_number_can_name_a_speaker() -> None:
    norm = build()
    features, present, ids = dialogues(norm)
    expected = norm(features, present, ids)
    renamed = torch.where(ids < 0, ids, 10**12 - 7 * ids)
    torch.testing.assert_close(norm(features, present, renamed), expected, atol=EXACT, rtol=0)


def test_the_future_is_not_heard() -> None:
    norm = build(causal=True)
    features, present, ids = dialogues(norm)
    changed = features.clone()
    changed[:, 5:] += 1
    torch.testing.assert_close(norm(changed, present, ids)[:, :5], norm(features, present, ids)[:, :5])


def test_long_dialogues_are_exact_and_take_little_memory() -> None:
    """The square of these utterances would be 20 GB; the last of them is summed as exactly as the first."""
    norm = build(causal=True)
    features, present, ids = dialogues(norm, 50_000, count=1)
    result = norm(features + 1_000, present, ids)
    z = ((features[0] + 1_000 - norm.mean) / norm.scale).double() * present[0].unsqueeze(-1)
    u = int((present[0] & (ids[0] == 2)).nonzero().max())
    own = z[: u + 1][ids[0, : u + 1] == 2]
    n, everyone = int((present[0, : u + 1] & (ids[0, : u + 1] == 2)).sum()), int(present[0, : u + 1].sum())
    mean = (own.sum(0) + 2 * z[: u + 1].sum(0) / (everyone + 4)) / (n + 2)
    # Values of a thousand have single precision's last digit at 1e-4.
    torch.testing.assert_close(result[0, u, :SIZE], (z[u] - mean).float(), atol=2e-3, rtol=0)
    lone = features.clone()
    lone[0, -1], ids[0, -1], present[0, -1] = 3.0, 99, True
    one = ((lone[0, -1] - norm.mean) / norm.scale).double()
    z = ((lone[0] - norm.mean) / norm.scale).double() * present[0].unsqueeze(-1)
    mean = (one + 2 * z.sum(0) / (present.sum() + 4)) / 3
    torch.testing.assert_close(norm(lone, present, ids)[0, -1, :SIZE], (one - mean).float(), atol=EXACT, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_sums_in_single(dtype: torch.dtype) -> None:
    norm = build()
    features, present, ids = dialogues(norm, 3_000, count=1)
    features, halved = features.to(dtype), build().to(dtype)
    norm.mean.copy_(halved.mean)
    norm.scale.copy_(halved.scale)
    result = halved(features, present, ids)
    assert result.dtype == dtype
    torch.testing.assert_close(result, norm(features.float(), present, ids).to(dtype))


@pytest.mark.parametrize("pieces", [[1] * 9, [4, 5], [0, 9]])
def test_it_goes_on_from_the_past(pieces: list[int]) -> None:
    norm = build("visual", causal=True)
    features, present, ids = dialogues(norm, count=1)
    past = PastSpeakers()
    parts = [part.split([size for size in pieces if size], dim=1) for part in (features, present, ids)]
    results = [norm(*one, past=past) for one in zip(*parts, strict=True)]
    torch.testing.assert_close(torch.cat(results, dim=1), norm(features, present, ids), atol=EXACT, rtol=0)
    assert past.sums is not None
    assert past.sums.shape[1] == len(ids.unique()), "a row for each speaker and no more"


@pytest.mark.parametrize("modality", ["audio", "visual"])
def test_fitting(modality: str) -> None:
    norm = build(modality)
    features, _, ids = dialogues(norm, 400, count=1)
    values, known = features[0, :, :SIZE], torch.ones(400, SIZE, dtype=torch.bool)
    if norm.has_masks:
        known = features[0, :, SIZE:].bool()
    values[:, 2] = 0.25  # it never varies
    values *= known
    norm.fit(features[0], [f"speaker {one}" for one in ids[0].tolist()])
    for unit in range(SIZE):
        own = [values[(ids[0] == one) & known[:, unit], unit].double() for one in range(-1, 4)]
        residual = torch.cat([each - each.mean() for each in own])
        assert norm.mean[unit].item() == pytest.approx(torch.cat(own).mean().item(), abs=EXACT)
        variance = residual.square().sum() / (len(residual) - len(own))
        assert norm.scale[unit].item() == pytest.approx(max(1e-3, variance.sqrt().item()), abs=EXACT)


def test_speakers_of_one_utterance_each_have_the_scale_of_all() -> None:
    norm, features = build(), torch.randn(50, SIZE) * 3 + 1
    norm.fit(features, range(50))
    torch.testing.assert_close(norm.scale, features.std(0, correction=0))
    lone = norm.scale.clone()
    norm.fit(features, [*range(49), 0])  # of two utterances something can be said
    assert (norm.scale - lone).abs().min() > 0


def config(**values: Any) -> M2FNetConfig:
    visual = {**UNITS, "num_action_units": tiny.ACTION_UNITS}
    return tiny.config(**{"visual_config": visual, "speaker_normalization": ["audio", "visual"], **values})


def model(**values: Any) -> M2FNetForEmotionClassification:
    torch.manual_seed(0)
    built = M2FNetForEmotionClassification(config(**values)).eval()
    for modality in ("audio", "visual"):
        built.model.modalities[modality].norm.mean.normal_(std=0.3)
    return built


def inputs(utterances: list[int]) -> dict[str, torch.Tensor]:
    given = tiny.inputs(utterances)
    random = torch.Generator().manual_seed(2)
    del given["labels"]
    known = torch.rand(given["action_units"].shape, generator=random) < 0.6
    shape = given["utterance_mask"].shape
    return {**given, "known_action_units": known, "speaker_ids": torch.randint(-1, 3, shape, generator=random)}


def logits(model: Any, given: dict[str, torch.Tensor], **more: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(**given, **more).logits


@pytest.mark.parametrize("settings", [{}, {"causal": True}, {"fusion": "gated", "visual_config": {"hidden_size": 8}}])
def test_a_model_gives_each_dialogue_alone_the_same(settings: dict) -> None:
    if "visual_config" in settings:
        settings = {**settings, "visual_config": {"num_action_units": tiny.ACTION_UNITS, "hidden_size": 8}}
    built, given = model(**settings), inputs([4, 1, 6])
    together = logits(built, given)
    for b, length in enumerate((4, 1, 6)):
        alone = logits(built, {name: values[b : b + 1, :length] for name, values in given.items()})
        torch.testing.assert_close(alone[0], together[b, :length], atol=EXACT, rtol=0)


def test_speakers_change_the_answer_and_unknown_ones_need_no_tensor() -> None:
    built, given = model(), inputs([5])
    speakers = given.pop("speaker_ids")
    without = logits(built, given)
    unknown = torch.full_like(speakers, -1)
    torch.testing.assert_close(logits(built, given, speaker_ids=unknown), without, atol=EXACT, rtol=0)
    assert (logits(built, given, speaker_ids=torch.zeros_like(speakers)) - without).abs().max() > 1e-3


def test_what_is_withheld_is_in_no_mean() -> None:
    built, given = model(), inputs([5])
    given["audio_attention_mask"][:, 3] = False
    expected = logits(built, given)
    given["input_values"][:, 3] = 9.0
    torch.testing.assert_close(logits(built, given), expected, atol=EXACT, rtol=0)


@pytest.mark.parametrize("settings", [{}, {"attention_window": 2}])
@pytest.mark.parametrize("pieces", [[1] * 7, [3, 4]])
def test_with_a_cache_it_is_the_causal_pass(settings: dict, pieces: list[int]) -> None:
    built, given = model(causal=True, **settings), inputs([7])
    cache = M2FNetCache(built.config)
    parts = {name: values.split(pieces, dim=1) for name, values in given.items()}
    online = [logits(built, {name: part[n] for name, part in parts.items()}, cache=cache) for n in range(len(pieces))]
    torch.testing.assert_close(torch.cat(online, dim=1), logits(built, given), atol=EXACT, rtol=0)


def test_it_is_saved_and_loaded(tmp_path: Path) -> None:
    built, given = model(), inputs([3])
    names = {name for name in built.state_dict() if ".norm." in name}
    assert names == {
        *(f"model.modalities.{modality}.norm.{name}" for modality in ("audio", "visual") for name in ("mean", "scale")),
        *(f"model.modalities.text.norm.{name}" for name in ("weight", "bias")),
    }
    built.save_pretrained(tmp_path)
    loaded = M2FNetForEmotionClassification.from_pretrained(tmp_path).eval()
    assert loaded.config.speaker_normalization == ["audio", "visual"]
    torch.testing.assert_close(logits(loaded, given), logits(built, given), atol=EXACT, rtol=0)


def test_without_it_a_model_is_as_it_was() -> None:
    torch.manual_seed(0)
    plain = M2FNetForEmotionClassification(tiny.config())
    assert plain.config.speaker_normalization is None
    assert {name for name in plain.state_dict() if ".audio.norm." in name} == {
        "model.modalities.audio.norm.weight",
        "model.modalities.audio.norm.bias",
    }


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"speaker_normalization": ["text"]},
            "`speaker_normalization` must be a list, each of it one of audio, visual",
        ),
        ({"audio": None}, r"must name modalities that the model reads \(text, visual\), found audio"),
        ({"speaker_strength": 0}, "`speaker_strength` must be a number from 1e-06 to 1000000.0, found 0"),
        ({"dialogue_strength": float("inf")}, "`dialogue_strength` must be a number from 1e-06 to 1000000.0, found"),
    ],
)
def test_what_a_config_refuses(values: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config(**values)
