import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

from m2fnet_hf import AUFeatureExtractor, M2FNetProcessor
from m2fnet_hf.face_arrays_m2fnet import GEOMETRY_SIZE
from m2fnet_hf.feature_extraction_m2fnet import AppearanceFeatureExtractor

NAN = float("nan")


def described(faces: int, geometry: bool = False, seed: int = 0) -> np.ndarray:
    """Descriptions of three values that vary, spread over twenty by one fixed basis, and of landmarks."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(np.random.default_rng(9).normal(size=(20, 3)))[0].T
    gradients = rng.normal(size=(faces, 3)) * [9, 4, 1] @ basis + 5
    return np.hstack([gradients, rng.normal(3, 2, (faces, GEOMETRY_SIZE * geometry))]).astype(np.float32)


def test_pads_and_masks_what_is_not_there() -> None:
    one = np.array([[[1.0, 2.0], [NAN, NAN]], [[3.0, 4.0], [5.0, 6.0]]])
    output = AUFeatureExtractor(num_action_units=2)([one, None, one[:1, :1]])
    assert output["action_units"].shape == (3, 2, 2, 2)
    assert output["action_units_mask"].tolist() == [
        [[True, False], [True, True]],
        [[False, False], [False, False]],
        [[True, False], [False, False]],
    ]
    assert not output["action_units"][~output["action_units_mask"]].any()
    assert "face_areas" not in output


def test_each_person_loses_their_own_median_over_the_dialogue() -> None:
    first = np.array([[[1.0], [10.0]], [[2.0], [20.0]]])
    second = np.array([[[30.0], [NAN]]])
    ids = [np.array([[0, 1], [0, 1]]), np.array([[1, -1]])]
    output = AUFeatureExtractor(num_action_units=1)([first, second], face_ids=ids)["action_units"][..., 0]
    assert output[0].tolist() == [[-0.5, -10.0], [0.5, 0.0]]
    assert output[1, 0].tolist() == [10.0, 0.0]
    assert first[0, 0, 0] == 1.0, "the caller's array must stay as it was"


def test_faces_without_an_identity_are_left_as_they_are() -> None:
    units = np.array([[[1.0], [10.0]]])
    ids = [np.array([[0, -1]])]
    for extractor, given, expected in (
        (AUFeatureExtractor(1), ids, [0.0, 10.0]),
        (AUFeatureExtractor(1), None, [1.0, 10.0]),
        (AUFeatureExtractor(1, person_normalization=False), ids, [1.0, 10.0]),
    ):
        assert extractor([units], face_ids=given)["action_units"][0, 0, :, 0].tolist() == expected


def test_the_largest_faces_are_kept() -> None:
    units = np.array([[[1.0], [NAN], [3.0], [4.0]]])
    areas = np.array([[0.1, NAN, 0.3, 0.2]])
    output = AUFeatureExtractor(1, max_faces=2)([units], [areas])
    assert output["action_units"][0, 0, :, 0].tolist() == [3.0, 4.0]
    np.testing.assert_allclose(output["face_areas"][0, 0], [0.3, 0.2])
    without = AUFeatureExtractor(1, max_faces=2)([units])
    assert without["action_units"][0, 0, :, 0].tolist() == [1.0, 3.0]


@pytest.mark.parametrize(
    ("units", "message"),
    [
        (np.zeros((1, 2, 3)), r"shape \[F, P, 2\] .* found \[1, 2, 3\]"),
        (np.zeros((2, 2)), r"found \[2, 2\]"),
        (np.full((1, 1, 2), np.inf), "finite, or NaN"),
    ],
)
def test_bad_arrays_are_refused(units: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AUFeatureExtractor(num_action_units=2)([units])


def test_a_unit_that_is_unknown_masks_itself_and_not_the_face() -> None:
    units = np.array([[[1.0, NAN, 3.0], [NAN, NAN, NAN]], [[4.0, 5.0, 6.0], [NAN, 8.0, NAN]]])
    extractor = AUFeatureExtractor(3, person_normalization=False)
    output = extractor([units, None])
    assert output["action_units_mask"][0].tolist() == [[True, False], [True, True]]
    known = output["known_action_units"]
    assert known[0].tolist() == (~np.isnan(units)).tolist()
    assert output["action_units"][0].tolist() == np.nan_to_num(units).tolist()
    assert "known_action_units" not in extractor([units[1:, :1]])
    dialogues = [[{"action_units": units}], [{"action_units": units[1:, :1]}]]
    both = M2FNetProcessor(au_feature_extractor=extractor)(dialogues)
    assert both["known_action_units"].shape == both["action_units"].shape
    assert both["known_action_units"][1, 0, 0, 0].all()


def test_a_resting_face_is_of_what_is_known() -> None:
    units = np.array([[[1.0, NAN]], [[3.0, 5.0]], [[8.0, 7.0]]])
    output = AUFeatureExtractor(2)([units], face_ids=[np.zeros((3, 1), dtype=int)])
    assert output["action_units"][0, :, 0].tolist() == [[-2.0, 0.0], [0.0, -1.0], [5.0, 1.0]]
    assert output["known_action_units"][0, :, 0].tolist() == [[True, False], [True, True], [True, True]]


def test_units_are_arranged_by_name_and_openfaces_are_put_on_py_feats_scale(tmp_path: Path) -> None:
    lines = {"AU01": {"from": "AU01_r", "slope": 0.5, "intercept": 0.25}}
    extractor = AUFeatureExtractor(3, openface_units=lines)
    wanted = ["AU02", "AU01", "AU11"]
    offered = ["AU01_r", "AU02_r"]
    assert extractor.lacking(offered, wanted) == ["AU02", "AU11"]
    openface = extractor.arrange(np.array([[[1.0, 4.0], [5.0, 1.0], [NAN, 1.0]]], np.float32), offered, wanted)
    np.testing.assert_array_equal(openface, [[[NAN, 0.75, NAN], [NAN, 1.0, NAN], [NAN, NAN, NAN]]])
    assert extractor.lacking(["AU11", "AU01", "AU04"], wanted) == ["AU02"]
    pyfeat = extractor.arrange(np.array([[0.1, 3.0, 0.3]], np.float32), ["AU11", "AU01", "AU04"], wanted)
    np.testing.assert_allclose(pyfeat, [[NAN, 3.0, 0.1]], rtol=1e-6)
    own = extractor.arrange(np.array([[4.0, 2.0]], np.float32), offered, offered[::-1])
    assert own.tolist() == [[2.0, 4.0]], "a model of OpenFace's units reads them as they are"
    M2FNetProcessor(au_feature_extractor=extractor).save_pretrained(tmp_path)
    loaded = M2FNetProcessor.from_pretrained(tmp_path).au_feature_extractor
    assert loaded.openface_units == lines
    assert AUFeatureExtractor().openface_units["AU43"] == {"from": "AU45_r", "slope": 0.2847, "intercept": -0.0172}


def test_components_keep_what_varies_the_most_first() -> None:
    faces = described(500)
    reduced = AppearanceFeatureExtractor(3).fit(faces).project(faces)
    assert reduced.shape == (500, 3)
    assert reduced.dtype == np.float32
    np.testing.assert_allclose(reduced.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(reduced.std(0), [9, 4, 1], rtol=0.1)
    np.testing.assert_allclose(np.corrcoef(reduced.T), np.eye(3), atol=1e-4)
    apart, before = (np.linalg.norm(array[:-1] - array[1:], axis=-1) for array in (reduced, faces))
    np.testing.assert_allclose(apart, before, rtol=1e-3)


def test_geometry_is_appended_standardised() -> None:
    faces = described(200, geometry=True)
    faces[:, -1] = 7
    extractor = AppearanceFeatureExtractor(2, geometry=True).fit(faces)
    reduced = extractor.project(faces)
    assert extractor.size == reduced.shape[-1] == 2 + GEOMETRY_SIZE
    np.testing.assert_allclose(reduced[:, 2:].mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(reduced[:, 2:-1].std(0), 1, rtol=1e-4)
    assert not reduced[:, -1].any(), "what does not vary must not be divided by nothing"
    without = AppearanceFeatureExtractor(2).fit(faces[:, :-GEOMETRY_SIZE]).project(faces[:, :-GEOMETRY_SIZE])
    np.testing.assert_allclose(reduced[:, :2], without, atol=1e-4)


def test_absent_faces_are_not_learnt_from_and_stay_absent() -> None:
    faces = described(50)
    absent = np.insert(faces, [10, 30], NAN, axis=0)
    fitted = AppearanceFeatureExtractor(3).fit(absent)
    assert fitted.fingerprint == AppearanceFeatureExtractor(3).fit(faces).fingerprint
    reduced = fitted.project(absent.reshape(13, 4, 20))
    assert reduced.shape == (13, 4, 3)
    assert np.isnan(reduced.reshape(52, 3)).any(-1).nonzero()[0].tolist() == [10, 31]


def test_appearance_is_padded_masked_and_normalised_like_action_units() -> None:
    values = [np.random.default_rng(0).normal(size=(3, 4, 2)), None, np.full((1, 1, 2), NAN)]
    areas = [np.random.default_rng(1).uniform(size=(3, 4)), None, np.zeros((1, 1))]
    ids = [np.tile([0, 1, 2, -1], (3, 1)), None, np.full((1, 1), -1)]
    settings: dict[str, Any] = {"max_faces": 3}
    appearance = AppearanceFeatureExtractor(2, **settings)(values, areas, ids, return_tensors="pt")
    units = AUFeatureExtractor(2, **settings)(values, areas, ids)
    assert set(appearance) == {"appearance", "appearance_mask", "face_areas"}
    for ours, theirs in (("appearance", "action_units"), ("appearance_mask", "action_units_mask")):
        np.testing.assert_array_equal(appearance[ours].numpy(), units[theirs])
    np.testing.assert_array_equal(appearance["face_areas"].numpy(), units["face_areas"])


def test_appearance_of_another_size_is_refused() -> None:
    extractor = AppearanceFeatureExtractor(2, geometry=True)
    with pytest.raises(ValueError, match=r"Appearance features must have the shape \[F, P, 138\].*found \[1, 1, 2\]"):
        extractor([np.zeros((1, 1, 2))])
    with pytest.raises(ValueError, match=r"must be fitted .* call `fit\(descriptors\)`"):
        extractor.project(np.zeros(20))
    with pytest.raises(ValueError, match=r"30 components need .* found 10 faces of 20 values"):
        AppearanceFeatureExtractor(30).fit(described(10))
    with pytest.raises(ValueError, match="must have 20 values as those that were fitted, found 156"):
        AppearanceFeatureExtractor(3).fit(described(10)).project(described(1, geometry=True))


@pytest.mark.parametrize("geometry", [False, True])
def test_what_was_fitted_is_saved_beside_the_settings(tmp_path: Path, geometry: bool) -> None:
    faces = described(20, geometry)
    extractor = AppearanceFeatureExtractor(3, geometry=geometry, max_faces=2).fit(faces)
    extractor.save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"preprocessor_config.json", "appearance_pca.safetensors"}
    assert "_weights" not in json.loads((tmp_path / "preprocessor_config.json").read_text())
    loaded = AppearanceFeatureExtractor.from_pretrained(tmp_path)
    assert loaded.max_faces == 2
    assert loaded.fingerprint == extractor.fingerprint
    np.testing.assert_array_equal(loaded.project(faces), extractor.project(faces))
    _, unused = AppearanceFeatureExtractor.from_pretrained(tmp_path, return_unused_kwargs=True, other=1)
    assert unused == {"other": 1}


def test_without_a_fit_nothing_but_settings_is_saved(tmp_path: Path) -> None:
    AppearanceFeatureExtractor(5).save_pretrained(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["preprocessor_config.json"]
    assert AppearanceFeatureExtractor.from_pretrained(tmp_path).num_components == 5


def test_fingerprints_tell_fits_apart() -> None:
    extractors = [
        AppearanceFeatureExtractor(3),
        AppearanceFeatureExtractor(2),
        AppearanceFeatureExtractor(3).fit(described(20)),
        AppearanceFeatureExtractor(3).fit(described(20, seed=1)),
    ]
    assert len({extractor.fingerprint for extractor in extractors}) == 4


def test_what_was_fitted_travels_with_a_processor(tmp_path: Path) -> None:
    faces = described(20)
    extractor = AppearanceFeatureExtractor(3).fit(faces)
    M2FNetProcessor(tiny.tokenizer(), appearance_feature_extractor=extractor).save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "processor_config.json").read_text())["appearance_feature_extractor"]
    assert settings["num_components"] == 3
    assert "_weights" not in settings
    loaded = M2FNetProcessor.from_pretrained(tmp_path).appearance_feature_extractor
    np.testing.assert_array_equal(loaded.project(faces), extractor.project(faces))
