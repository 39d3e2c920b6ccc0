import sys

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2")
data = pytest.importorskip("skimage.data")

from m2fnet_hf.faces.opencv import OpenCVBackend, _distinct  # noqa: E402
from m2fnet_hf.faces.registry import load_face_backend  # noqa: E402
from m2fnet_hf.faces.types import Faces  # noqa: E402
from m2fnet_hf.media.clip import Frame  # noqa: E402

# Forehead to chin and cheek to cheek of the photo of 512 x 512 pixels, by eye.
FACE = np.array([177.0, 70.0, 275.0, 180.0])


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return data.astronaut()


def _detect(image: np.ndarray, **options: float) -> Faces:
    return OpenCVBackend(**options).detect([Frame(0.0, image)])[0]


def _overlap(one: np.ndarray, two: np.ndarray) -> float:
    shared = np.prod(np.clip(np.minimum(one[2:], two[2:]) - np.maximum(one[:2], two[:2]), 0, None))
    return shared / (np.prod(one[2:] - one[:2]) + np.prod(two[2:] - two[:2]) - shared)


@pytest.mark.parametrize("longest_side", [512, 300], ids=["whole", "shrunk"])
def test_finds_the_face_in_pixels_of_the_frame(photo: np.ndarray, longest_side: int) -> None:
    faces = _detect(photo, longest_side=longest_side)
    assert len(faces) == 1
    assert _overlap(faces.boxes[0], FACE) > 0.5
    assert 0.95 < faces.scores[0] <= 1
    assert faces.action_units is None


def test_finds_it_without_colour_and_beside_another(photo: np.ndarray) -> None:
    grey = np.repeat(photo.mean(-1, keepdims=True).astype(np.uint8), 3, axis=-1)
    faces = _detect(np.hstack([grey, photo]), longest_side=1024)
    assert len(faces) == 2
    left, right = faces.boxes[np.argsort(faces.boxes[:, 0])]
    assert _overlap(left, FACE) > 0.5
    assert _overlap(right - [512, 0, 512, 0], FACE) > 0.5


def test_a_smaller_face_than_asked_is_none(photo: np.ndarray) -> None:
    assert len(_detect(photo, min_size=0.3)) == 0


@pytest.mark.parametrize("shape", [(360, 640), (1, 1), (23, 2000)])
@pytest.mark.parametrize("value", [0, 128])
def test_a_frame_without_face_has_none(shape: tuple[int, int], value: int) -> None:
    faces = _detect(np.full((*shape, 3), value, dtype=np.uint8))
    assert faces.boxes.shape == (0, 4)
    assert faces.scores.shape == (0,)


def test_a_box_in_a_surer_one_is_left_out() -> None:
    boxes = np.array([[0, 0, 40, 40], [0, 0, 100, 100], [90, 0, 190, 100]])
    assert _distinct(boxes, np.array([0.6, 0.9, 0.7])) == [1, 2]


def test_opencv_keeps_its_threads(photo: np.ndarray) -> None:
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    try:
        _detect(photo)
        assert cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(before)


def test_it_is_known_by_name_and_its_settings_are_json() -> None:
    backend = load_face_backend("opencv", longest_side=320)
    assert backend.action_units == ()
    assert backend.settings == {
        "cascade": "haarcascade_frontalface_default.xml",
        "longest_side": 320,
        "min_size": 0.06,
        "opencv": cv2.__version__,
    }


def test_without_opencv_4_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as without_cascades:
        without_cascades.delattr(cv2, "CascadeClassifier")
        without_cascades.setattr(cv2, "__version__", "5.0.0")
        with pytest.raises(ImportError, match=r"found 5\.0\.0; run: pip install 'm2fnet-hf\[appearance\]'"):
            OpenCVBackend()
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ImportError, match="found none"):
        OpenCVBackend()
