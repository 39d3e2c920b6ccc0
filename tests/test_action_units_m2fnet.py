"""Action Units without weights: means over the places where each is known."""

from typing import Any

import pytest
import tiny
import torch

from m2fnet_hf import M2FNetForEmotionClassification, M2FNetModel, M2FNetVisualConfig

WEIGHTLESS = {"num_action_units": tiny.ACTION_UNITS, "hidden_size": None, "face_pooling": "area"}
EXACT = 1e-6


@pytest.fixture
def model() -> M2FNetModel:
    torch.manual_seed(0)
    return M2FNetModel(tiny.config(text=None, audio=None, visual_config=WEIGHTLESS)).eval()


def faces() -> dict[str, torch.Tensor]:
    given = tiny.inputs([3, 2])
    random = torch.Generator().manual_seed(3)
    known = torch.rand(given["action_units"].shape, generator=random) < 0.6
    names = ("action_units", "action_units_mask", "face_areas")
    return {**{name: given[name] for name in names}, "known_action_units": known}


def features(model: Any, **given: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model.get_visual_features(**given).pooler_output


def naive(units: torch.Tensor, known: torch.Tensor, areas: torch.Tensor) -> list[float]:
    """One unit of an utterance [F, P], its mean over faces by area and then over frames, and whether it is known."""
    frames = []
    for frame in range(len(units)):
        total = sum(areas[frame, face] for face in range(len(units[frame])) if known[frame, face])
        if total:
            weighed = [units[frame, p] * areas[frame, p] for p in range(len(units[frame])) if known[frame, p]]
            frames.append(float(sum(weighed) / total))
    return [sum(frames) / len(frames) if frames else 0.0, float(bool(frames))]


def test_it_is_the_mean_where_it_is_known(model: M2FNetModel) -> None:
    given = faces()
    found = features(model, **given)
    assert found.shape == (2, 3, 2 * tiny.ACTION_UNITS)
    assert model.config.feature_sizes == {"visual": 2 * tiny.ACTION_UNITS}
    assert not list(model.visual_encoder.parameters())
    known = given["known_action_units"] & given["action_units_mask"].unsqueeze(-1)
    for b, u, a in torch.cartesian_prod(torch.arange(2), torch.arange(3), torch.arange(tiny.ACTION_UNITS)).tolist():
        value, is_known = naive(given["action_units"][b, u, ..., a], known[b, u, ..., a], given["face_areas"][b, u])
        assert found[b, u, a].item() == pytest.approx(value, abs=EXACT)
        assert found[b, u, a + tiny.ACTION_UNITS].item() == is_known


def test_what_is_unknown_may_hold_anything(model: M2FNetModel) -> None:
    given = faces()
    expected = features(model, **given)
    unknown = ~given["known_action_units"] | ~given["action_units_mask"].unsqueeze(-1)
    given["action_units"][unknown] = float("nan")
    torch.testing.assert_close(features(model, **given), expected, atol=0, rtol=0)


def test_without_areas_and_masks_all_faces_weigh_alike(model: M2FNetModel) -> None:
    units = faces()["action_units"]
    found = features(model, action_units=units)
    torch.testing.assert_close(found[..., : tiny.ACTION_UNITS], units.mean((2, 3)), atol=EXACT, rtol=0)
    assert found[..., tiny.ACTION_UNITS :].all()
    found = features(model, action_units=units, face_areas=torch.zeros(units.shape[:-1]))
    torch.testing.assert_close(found[..., : tiny.ACTION_UNITS], units.mean((2, 3)), atol=EXACT, rtol=0)


def test_an_utterance_of_which_no_unit_is_known_has_no_faces(model: M2FNetModel) -> None:
    given = faces()
    given["known_action_units"][0, 1] = False
    with torch.no_grad():
        mask = model(**given).modality_mask
    present = (given["known_action_units"] & given["action_units_mask"].unsqueeze(-1)).flatten(2).any(-1)
    assert not present[0, 1]
    assert torch.equal(mask[..., 2].bool(), present)


def test_an_encoder_with_weights_reads_the_faces_of_which_all_is_known() -> None:
    torch.manual_seed(0)
    model = M2FNetForEmotionClassification(tiny.config(text=None, audio=None)).eval()
    given = faces()
    given["known_action_units"] |= torch.rand(given["action_units_mask"].shape).unsqueeze(-1) < 0.5
    whole = given["known_action_units"].all(-1)
    assert (whole.any() & ~whole.all()).item()
    with torch.no_grad():
        masked = model(**{**given, "known_action_units": None, "action_units_mask": given["action_units_mask"] & whole})
        torch.testing.assert_close(model(**given).logits, masked.logits, atol=0, rtol=0)


def test_a_saved_model_stays_without_weights(tmp_path: Any, model: M2FNetModel) -> None:
    model.save_pretrained(tmp_path)
    loaded = M2FNetModel.from_pretrained(tmp_path).eval()
    assert loaded.config.visual_config.hidden_size is None
    torch.testing.assert_close(features(loaded, **faces()), features(model, **faces()), atol=0, rtol=0)
    halved = features(loaded.half(), **faces())
    assert halved.dtype == torch.float16


@pytest.mark.parametrize("values", [{"face_pooling": "learned"}, {"visual_features": "appearance"}])
def test_it_only_averages_action_units_by_area(values: dict) -> None:
    with pytest.raises(ValueError, match="`hidden_size=None`, which averages, needs"):
        M2FNetVisualConfig(**{**WEIGHTLESS, **values})
    assert M2FNetVisualConfig().hidden_size == 512
