"""What is known of the faces of a frame, and what a face backend is.

Shapes: P faces of a frame, A Action Units, I identity values. Pixels of the frame as it was given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..media.clip import Frame


@dataclass(frozen=True, eq=False)
class Faces:
    """The faces of one frame.

    Args:
        boxes: left, top, right, bottom in pixels [P, 4].
        scores: confidence of the detector, 0 to 1 [P].
        action_units: [P, A], NaN where they are unknown; `None` from a backend without any.
        landmarks: 68 points x, y in pixels [P, 68, 2] in the order of dlib and OpenFace, or `None`.
        identities: [P, I], alike for the same person (cosine), or `None`.
    """

    boxes: np.ndarray
    scores: np.ndarray
    action_units: np.ndarray | None = None
    landmarks: np.ndarray | None = None
    identities: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def valid(self) -> np.ndarray:
        """Faces whose Action Units are known, [P]."""
        if self.action_units is None:
            return np.zeros(len(self), dtype=bool)
        return ~np.isnan(self.action_units).any(-1)


class FaceBackend(Protocol):
    """Finds faces.

    Attributes:
        action_units: names of the Action Units in order; empty for a backend without any.
        settings: all that changes what it finds, for the cache; what JSON can hold.
        needs_pictures: whether it looks at the frames (`True` unless it has this); one that does not is asked for the
            faces of sound alone too, with empty frames.
    """

    @property
    def action_units(self) -> tuple[str, ...]:
        """See the class."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """See the class."""
        ...

    def detect(self, frames: Sequence[Frame]) -> list[Faces]:
        """The faces of each frame, in the frames' order; [`Faces`] of length 0 where there is none."""
        ...
