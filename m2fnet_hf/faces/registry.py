"""Face backends by name."""

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from .types import FaceBackend

ENTRY_POINT_GROUP = "m2fnet_hf.face_backends"

_BACKENDS: dict[str, Callable[..., FaceBackend]] = {}


def register_face_backend(name: str, factory: Callable[..., FaceBackend]) -> None:
    """Make a backend known by name; `factory(**options)` builds it.

    A package may also name its factory in the entry point group `m2fnet_hf.face_backends`.
    """
    _BACKENDS[name] = factory


def load_face_backend(name: str | Path, **options: Any) -> FaceBackend:
    """A backend by name, or the one for a file of faces, or for a folder of files that are named like the recordings.

    Raises:
        ValueError: for a name that is not registered.
        ImportError, OSError: where its packages or weights are missing, saying how to get them.
    """
    if str(name) not in face_backends() and Path(name).is_dir():
        from .folder import FolderBackend

        return FolderBackend(name, **options)
    if str(name) not in face_backends() and Path(name).suffix:
        return _factory("precomputed")(path=Path(name), **options)
    return _factory(str(name))(**options)


def backend_for(backend: FaceBackend, recording: str | Path) -> FaceBackend:
    """The backend as it is for a recording: one that reads a file needs that recording's frame rate and name.

    Raises:
        ValueError: where its file is of other recordings.
    """
    for_recording = getattr(backend, "for_recording", None)
    return backend if for_recording is None else for_recording(recording)


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
        f"A face backend must be one of {', '.join(face_backends())}, or a csv or npz file of faces or a folder of "
        f"them, found {name!r}."
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
