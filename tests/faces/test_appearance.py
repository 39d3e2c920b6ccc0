import sys

import numpy as np
import pytest

pytest.importorskip("skimage")

from skimage import data, transform

from m2fnet_hf.face_arrays_m2fnet import GEOMETRY_SIZE
from m2fnet_hf.faces.appearance import HOG_SIZE, describe
from m2fnet_hf.faces.types import Faces

BOX = np.array([177.0, 66.0, 272.0, 161.0])


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return data.astronaut()


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    """Landmarks [68, 2] with the photo's eyes and corners of the mouth, by eye, and the others anywhere in the face."""
    points = np.random.default_rng(0).uniform([180, 70], [270, 180], (68, 2))
    points[36:42], points[42:48], points[48], points[54] = (203, 101), (248, 102), (207, 143), (243, 143)
    return points


def _faces(boxes: np.ndarray, points: np.ndarray | None = None) -> Faces:
    landmarks = None if points is None else points.reshape(-1, 68, 2)
    return Faces(boxes.reshape(-1, 4), np.ones(boxes.size // 4), landmarks=landmarks)


def _likeness(one: np.ndarray, two: np.ndarray) -> float:
    return float(one @ two / np.linalg.norm(one) / np.linalg.norm(two))


def test_a_description_does_not_depend_on_the_size_of_the_picture(photo: np.ndarray) -> None:
    larger = np.kron(photo, np.ones((3, 3, 1), dtype=np.uint8))
    one = describe(photo, _faces(BOX), geometry=False)
    assert one.shape == (1, HOG_SIZE)
    assert one.dtype == np.float32
    assert _likeness(one[0], describe(larger, _faces(3 * BOX), geometry=False)[0]) > 0.9
    elsewhere = describe(photo, _faces(np.add(BOX, [0, 300, 0, 300])), geometry=False)[0]
    assert _likeness(one[0], elsewhere) < 0.8


def test_landmarks_put_a_turned_face_upright(photo: np.ndarray, points: np.ndarray) -> None:
    turn = transform.SimilarityTransform(scale=0.8, rotation=0.5, translation=(150, -60))
    turned = (255 * transform.warp(photo, turn.inverse)).astype(np.uint8)
    one = describe(photo, _faces(BOX, points), geometry=True)[0]
    two = describe(turned, _faces(BOX, turn(points)), geometry=True)[0]
    assert one.shape == (HOG_SIZE + GEOMETRY_SIZE,)
    assert _likeness(one[:HOG_SIZE], two[:HOG_SIZE]) > 0.9
    np.testing.assert_allclose(one[HOG_SIZE:], two[HOG_SIZE:], atol=1e-5)
    askew = describe(turned, _faces(BOX, turn(points).mean(0) + points - points.mean(0)), geometry=True)[0]
    assert _likeness(one[:HOG_SIZE], askew[:HOG_SIZE]) < 0.8


def test_geometry_is_where_the_landmarks_are_in_the_patch(photo: np.ndarray, points: np.ndarray) -> None:
    placed = describe(photo, _faces(BOX, points), geometry=True)[0, HOG_SIZE:].reshape(68, 2)
    np.testing.assert_allclose(placed[36], [0.3, 0.4], atol=0.05)
    np.testing.assert_allclose(placed[42], [0.7, 0.4], atol=0.05)
    np.testing.assert_allclose(placed[[48, 54]].mean(0), [0.5, 0.8], atol=0.05)


def test_what_is_not_known_of_a_face_is_nan(photo: np.ndarray, points: np.ndarray) -> None:
    boxes = np.stack([BOX, BOX, np.full(4, np.nan)])
    landmarks = np.stack([points, np.full_like(points, np.nan), np.full_like(points, np.nan)])
    absent = [
        np.isnan(describe(photo, faces, geometry=geometry)).all(-1).tolist()
        for faces in (_faces(boxes, landmarks), _faces(boxes))
        for geometry in (True, False)
    ]
    assert absent == [[False, True, True], [False, False, True], [True, True, True], [False, False, True]]
    assert describe(photo, _faces(np.empty(0)), geometry=True).shape == (0, HOG_SIZE + GEOMETRY_SIZE)


def test_a_face_may_reach_over_the_edge(photo: np.ndarray) -> None:
    over = describe(photo, _faces(np.array([-40.0, -40, 60, 90])), geometry=False)
    assert np.isfinite(over).all()


def test_without_scikit_image_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, photo: np.ndarray) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(ImportError, match=r"pip install 'm2fnet-hf\[appearance\]'"):
        describe(photo, _faces(BOX), geometry=False)
