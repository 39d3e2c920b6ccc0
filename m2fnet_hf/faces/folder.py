"""Faces of a folder of files, each named like its recording: what OpenFace or py-feat wrote about a corpus."""

from collections.abc import Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np

from ..media.clip import Frame
from ..utils.hashes import sha256_files
from .precomputed import PrecomputedBackend
from .types import Faces

SUFFIXES = (".csv", ".npz")


class FolderBackend:
    """Faces of the file that is named like the recording, and none for a recording without such a file.

    Args:
        path: folder below which the files lie, as [`PrecomputedBackend`] reads them. Of several files of one name the
            one beside the recording is meant. Files of other kinds may lie there too.

    Attributes:
        action_units: names of the Action Units, as in the files.

    Raises:
        FileNotFoundError: without any file of faces.
    """

    needs_pictures = False

    def __init__(self, path: str | Path) -> None:
        self._files: dict[str, list[Path]] = {}
        for file in sorted(file for file in Path(path).rglob("*") if file.suffix.lower() in SUFFIXES):
            self._files.setdefault(file.stem, []).append(file)
        files = [file for same in self._files.values() for file in same]
        self.action_units = next((units for units in map(_units_of, files) if units), ())
        if not self.action_units:
            raise FileNotFoundError(
                "A folder of faces must hold csv or npz files of py-feat or OpenFace, named like the recordings, found "
                f"none in {path}; check the folder."
            )
        self.settings: Mapping[str, Any] = {"sha256": sha256_files(files)}
        self._of_recording: PrecomputedBackend | None = None

    def for_recording(self, recording: str | Path) -> "FolderBackend":
        """The faces of one recording.

        Raises:
            ValueError: where several files are named like it and none lies beside it, or its file has other Action
                Units than the first one.
        """
        own = copy(self)
        file = self._file_of(Path(recording))
        own._of_recording = None if file is None else PrecomputedBackend(file).for_recording(recording)
        if own._of_recording is None:
            own.settings = {"sha256": None}
            return own
        if own._of_recording.action_units != self.action_units:
            raise ValueError(
                f"{file} must have the Action Units {', '.join(self.action_units)}, as the first file of the folder "
                f"does, found {', '.join(own._of_recording.action_units)}; write it in the same way."
            )
        own.settings = own._of_recording.settings
        return own

    def detect(self, frames: Sequence[Frame]) -> list[Faces]:
        """The file's faces nearest to each frame in time."""
        if self._of_recording is not None:
            return self._of_recording.detect(frames)
        units = np.empty((0, len(self.action_units)), np.float32)
        return [Faces(np.empty((0, 4)), np.empty(0), units) for _ in frames]

    def _file_of(self, recording: Path) -> Path | None:
        files = self._files.get(recording.stem, [])
        beside = [file for file in files if file.parent.resolve() == recording.parent.resolve()]
        if len(files) > 1 and len(beside) != 1:
            raise ValueError(
                f"One file of faces must be named like {recording.name}, found {', '.join(map(str, files[:5]))}; put "
                "it beside the recording."
            )
        return next(iter(beside or files), None)


def _units_of(file: Path) -> tuple[str, ...]:
    """The Action Units of a file, none where it is another kind of table."""
    try:
        return PrecomputedBackend(file).action_units
    except ValueError:
        return ()
