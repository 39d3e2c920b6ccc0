import numpy as np
import pytest

from m2fnet_hf import AUFeatureExtractor

NAN = float("nan")


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
