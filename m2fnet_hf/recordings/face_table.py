"""What was measured of the faces of a recording, one row per face, and whose faces they are."""

from collections.abc import Callable, Sequence

import numpy as np

from ..faces.tracker import FaceTracker
from ..faces.types import Faces
from .batches import Table

# Frames are taken within utterances only, so a face may be out of sight for longer than while it is followed.
LONGEST_GAP = 5.0


class FaceTable:
    """The faces of a recording.

    Args:
        table: `frames`, the times of all frames [N] in seconds, and one row per face in their order: `time`, `boxes`,
            `scores` and perhaps `action_units`, `identities` and `appearance`.
        units: makes the model's Action Units [N, A] of the backend's [N, A']; `None` keeps none.
        max_faces: faces kept per frame, the largest.

    Attributes:
        rows: by time of a frame, the rows of its faces.
        people: the track of each face.
    """

    def __init__(self, table: Table, units: Callable[[np.ndarray], np.ndarray] | None, max_faces: int) -> None:
        self.table = table
        self.units = units
        self.max_faces = max_faces
        times = table.get("time", np.empty(0))
        frames = table.get("frames", np.empty(0))
        first, last = np.searchsorted(times, frames), np.searchsorted(times, frames, side="right")
        self.rows = {time: np.arange(*ends) for time, *ends in zip(frames.tolist(), first, last, strict=True)}
        self.people = np.full(len(times), -1)

    def track(self, tracker: FaceTracker | None = None, known: dict[float, np.ndarray] | None = None) -> None:
        """Say whose faces they are.

        Args:
            tracker: goes on where it was; default: a new one.
            known: the tracks of earlier frames, by time, to which these are added.
        """
        tracker = tracker or FaceTracker(longest_gap=LONGEST_GAP)
        known = {} if known is None else known
        for time, rows in self.rows.items():
            if time not in known:
                known[time] = tracker.update(time, self._faces(rows)) if len(rows) else rows
            self.people[rows] = known[time]

    def at(self, times: Sequence[float]) -> dict[str, np.ndarray]:
        """The fields of an utterance whose frames are at these times; none where the recording shows none of them."""
        frames = [self._largest(self.rows[time]) for time in times if time in self.rows]
        if not frames:
            return {}
        fields = {"face_times": np.array([time for time in times if time in self.rows])}
        if not any(map(len, frames)):
            return fields
        boxes = self.table["boxes"]
        columns = {"face_boxes": boxes, "face_areas": _areas(boxes), "face_ids": self.people}
        if self.units is not None and "action_units" in self.table:
            columns["action_units"] = self.units(self.table["action_units"])
        if "appearance" in self.table:
            columns["appearance"] = self.table["appearance"]
        return fields | {name: _padded(column, frames) for name, column in columns.items()}

    def _faces(self, rows: np.ndarray) -> Faces:
        identities = self.table["identities"][rows] if "identities" in self.table else None
        return Faces(self.table["boxes"][rows], self.table["scores"][rows], identities=identities)

    def _largest(self, rows: np.ndarray) -> np.ndarray:
        areas = _areas(self.table["boxes"][rows]) if len(rows) else np.empty(0)
        return rows[np.sort(np.argsort(-areas, kind="stable")[: self.max_faces])]


def _padded(column: np.ndarray, frames: list[np.ndarray]) -> np.ndarray:
    """Rows of a column by frame [F, P, ...], NaN (or -1) where a frame has fewer faces than another."""
    absent = -1 if np.issubdtype(column.dtype, np.integer) else np.nan
    padded = np.full((len(frames), max(map(len, frames)), *column.shape[1:]), absent, column.dtype)
    for row, members in zip(padded, frames, strict=True):
        row[: len(members)] = column[members]
    return padded


def _areas(boxes: np.ndarray) -> np.ndarray:
    return np.prod(np.clip(boxes[:, 2:], 0, 1) - np.clip(boxes[:, :2], 0, 1), axis=1)
