"""What is known of the faces of a frame, and the backends that find it out.

Shapes: P faces of a frame, A Action Units, I identity values. Pixels of the frame as it was given.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

ENTRY_POINT_GROUP = "m2fnet_hf.face_backends"


class Frame(NamedTuple):
    """A picture of a recording.

    Args:
        time: from the start of the recording, in seconds.
        image: upright, RGB, uint8 [height, width, 3].
    """

    time: float
    image: np.ndarray


@dataclass(frozen=True, eq=False)
class Faces:
    """The faces of one frame.

    Args:
        boxes: left, top, right, bottom in pixels [P, 4].
        scores: confidence of the detector, 0 to 1 [P].
        action_units: [P, A], NaN where they could not be told; `None` from a backend without any.
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
    """

    @property
    def action_units(self) -> tuple[str, ...]: ...

    @property
    def settings(self) -> Mapping[str, Any]: ...

    def detect(self, frames: Sequence[Frame]) -> list[Faces]:
        """The faces of each frame, in the frames' order; [`Faces`] of length 0 where there is none."""
        ...


_BACKENDS: dict[str, Callable[..., FaceBackend]] = {}


def register_face_backend(name: str, factory: Callable[..., FaceBackend]) -> None:
    """Make a backend known by name; `factory(**options)` builds it.

    A package may also name its factory in the entry point group `m2fnet_hf.face_backends`.
    """
    _BACKENDS[name] = factory


def load_face_backend(name: str | Path, **options: Any) -> FaceBackend:
    """A backend by name, or the `precomputed` one for a file of faces.

    Raises:
        ValueError: for a name that nobody registered.
        ImportError, OSError: where its packages or weights are missing, saying how to get them.
    """
    if str(name) not in face_backends() and Path(name).suffix:
        return _factory("precomputed")(path=Path(name), **options)
    return _factory(str(name))(**options)


def face_backends() -> list[str]:
    """Names of all backends."""
    return sorted({*_BACKENDS, *_BUILT_IN, *entry_points(group=ENTRY_POINT_GROUP).names})


def _factory(name: str) -> Callable[..., FaceBackend]:
    if name in _BACKENDS:
        return _BACKENDS[name]
    if name in _BUILT_IN:
        return _BUILT_IN[name]
    for entry in entry_points(group=ENTRY_POINT_GROUP, name=name):
        return entry.load()
    raise ValueError(
        f"A face backend must be one of {', '.join(face_backends())}, or a csv or npz file of faces, found {name!r}."
    )


def _pyfeat(**options: Any) -> FaceBackend:
    from .pyfeat import PyFeatBackend

    return PyFeatBackend(**options)


def _pyfeat_v2(**options: Any) -> FaceBackend:
    return _pyfeat(detector="Detectorv2", **options)


def _opencv(**options: Any) -> FaceBackend:
    from .opencv import OpenCVBackend

    return OpenCVBackend(**options)


def _precomputed(**options: Any) -> FaceBackend:
    from .precomputed import PrecomputedBackend

    return PrecomputedBackend(**options)


_BUILT_IN: dict[str, Callable[..., FaceBackend]] = {
    "opencv": _opencv,
    "precomputed": _precomputed,
    "pyfeat": _pyfeat,
    "pyfeat-v2": _pyfeat_v2,
}
