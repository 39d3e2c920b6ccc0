"""Faces by the Haar cascade that OpenCV 4 brings along: boxes without any download, no Action Units."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..media.clip import Frame
from .types import Faces

_CASCADE = "haarcascade_frontalface_default.xml"
# Windows grow by a tenth, and 5 of them must agree: with fewer, clothes and patterns become faces.
_SEARCH = {"scaleFactor": 1.1, "minNeighbors": 5}


class OpenCVBackend:
    """Boxes of the upright frontal faces that OpenCV's Haar cascade finds, each once.

    `scores` are the logistic function of the sum that the cascade's last stage gives a face: they rank faces, a clear
    one is near 1, and are no probabilities.

    Args:
        longest_side: pixels to which larger frames are shrunk for the search.
        min_size: smallest face, as share of the frame's shorter side; the cascade needs 24 pixels.

    Raises:
        ImportError: without OpenCV 4.
    """

    action_units: tuple[str, ...] = ()

    def __init__(self, longest_side: int = 640, min_size: float = 0.06) -> None:
        self.longest_side = longest_side
        self.min_size = min_size
        self._cv2 = _opencv()
        self._cascade = self._cv2.CascadeClassifier(str(Path(self._cv2.data.haarcascades) / _CASCADE))

    @property
    def settings(self) -> Mapping[str, Any]:
        """See [`FaceBackend`]."""
        return {
            "cascade": _CASCADE,
            "longest_side": self.longest_side,
            "min_size": self.min_size,
            "opencv": self._cv2.__version__,
        }

    def detect(self, frames: Sequence[Frame]) -> list[Faces]:
        """The faces of each frame, the surest first; without any, [`Faces`] of length 0."""
        threads = self._cv2.getNumThreads()
        # OpenCV's threads would compete with torch's.
        self._cv2.setNumThreads(1)
        try:
            return [self._detect(frame.image) for frame in frames]
        finally:
            self._cv2.setNumThreads(threads)

    def _detect(self, image: np.ndarray) -> Faces:
        grey = self._cv2.cvtColor(image, self._cv2.COLOR_RGB2GRAY)
        shrink = min(1.0, self.longest_side / max(grey.shape))
        if shrink < 1:
            grey = self._cv2.resize(grey, None, fx=shrink, fy=shrink, interpolation=self._cv2.INTER_AREA)
        smallest = round(self.min_size * min(grey.shape))
        found, _, weights = self._cascade.detectMultiScale3(
            grey, minSize=(smallest, smallest), outputRejectLevels=True, **_SEARCH
        )
        corners = np.asarray(found, dtype=np.float64).reshape(-1, 4)
        boxes = np.hstack([corners[:, :2], corners[:, :2] + corners[:, 2:]]) / shrink
        scores = 1 / (1 + np.exp(-np.asarray(weights, dtype=np.float64)))
        kept = _distinct(boxes, scores)
        return Faces(boxes[kept], scores[kept])


def _distinct(boxes: np.ndarray, scores: np.ndarray) -> list[int]:
    """The boxes that share less than half of the smaller one with a surer one, the surest first."""
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(-1)
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable"):
        shared = np.minimum(boxes[kept, 2:], boxes[index, 2:]) - np.maximum(boxes[kept, :2], boxes[index, :2])
        if (shared.clip(min=0).prod(-1) < 0.5 * np.minimum(areas[kept], areas[index])).all():
            kept.append(int(index))
    return kept


def _opencv() -> Any:
    try:
        import cv2
    except ImportError:
        found = "none"
    else:
        if hasattr(cv2, "CascadeClassifier") and hasattr(cv2, "data"):
            return cv2
        found = cv2.__version__
    raise ImportError(
        f"The face backend opencv needs OpenCV 4 with its Haar cascades, found {found}; "
        "run: pip install 'm2fnet-hf[appearance]'."
    )
