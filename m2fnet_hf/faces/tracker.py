"""Faces over time: which face of a frame is the person of which face before."""

from dataclasses import dataclass, field

import numpy as np

from .types import Faces

# Boxes of one face at 1 to 5 frames a second: 0.25 lets it move by 0.6 of its width.
_LEAST_OVERLAP = 0.25
# Two heads side by side are a head apart: one that is nearer, and not twice as large, is the same that moved.
_NEAR = 1.0
_MOST_GROWTH = 2.0


@dataclass
class _Track:
    """A person: box and time when last found, and the sum of their identities (whose direction is the mean's)."""

    number: int
    box: np.ndarray = field(init=False)
    time: float = field(init=False)
    identity: np.ndarray | None = None


class FaceTracker:
    """Gives the faces of a recording's frames, one frame after the other, the number of their person.

    A face continues the track with the most similar identity, else the one whose box it overlaps or is next to. Without
    identities a person who comes back after a gap or a cut is a new track, and one shown at the same place after a cut
    is taken for the one before.

    Args:
        longest_gap: seconds after which a place tells nothing more about who is there.
        same: cosine similarity to a track's mean identity from which a face is the same person, wherever it is.
            Default: 0.8, py-feat's own threshold for the identities that it gives.
        different: cosine similarity below which a place does not link two faces. Default: half of `same`, as a turned
            or blurred face of one person falls between the two.
    """

    def __init__(self, longest_gap: float = 2.0, same: float = 0.8, different: float = 0.4) -> None:
        self.longest_gap = longest_gap
        self.same = same
        self.different = different
        self._tracks: list[_Track] = []
        self._count = 0

    def update(self, time: float, faces: Faces) -> np.ndarray:
        """The track of each face of the next frame, [P] integers from 0; the same number is the same person.

        Args:
            time: seconds from the start, not before the last frame's.
            faces: with boxes in pixels or in shares of the frame, alike for the whole recording.
        """
        self._tracks = [
            track for track in self._tracks if track.identity is not None or time - track.time <= self.longest_gap
        ]
        identities = None if faces.identities is None else _unit(faces.identities)
        links = _best_pairs(self._scores(time, faces.boxes, identities))
        numbers = np.empty(len(faces), dtype=np.int64)
        for face, box in enumerate(faces.boxes):
            track = self._tracks[links[face]] if face in links else self._open()
            track.box, track.time = box, time
            if identities is not None and not np.isnan(identities[face]).any():
                track.identity = identities[face] + (0 if track.identity is None else track.identity)
            numbers[face] = track.number
        return numbers

    def _open(self) -> _Track:
        track = _Track(self._count)
        self._tracks.append(track)
        self._count += 1
        return track

    def _scores(self, time: float, boxes: np.ndarray, identities: np.ndarray | None) -> np.ndarray:
        """How well each face continues each track [P, T]: above 1 by identity, up to 1 by place, 0 not at all."""
        scores = np.zeros((len(boxes), len(self._tracks)))
        recent = [column for column, track in enumerate(self._tracks) if time - track.time <= self.longest_gap]
        if recent:
            scores[:, recent] = _closeness(boxes, np.stack([self._tracks[column].box for column in recent]))
        known = {column: track.identity for column, track in enumerate(self._tracks) if track.identity is not None}
        if known and identities is not None:
            columns = list(known)
            likeness = identities @ _unit(np.stack(list(known.values()))).T
            by_place = np.where(likeness < self.different, 0.0, scores[:, columns])
            scores[:, columns] = np.where(likeness >= self.same, 1 + likeness, by_place)
        return scores


def _unit(identities: np.ndarray) -> np.ndarray:
    """Rows of length 1."""
    return identities / np.linalg.norm(identities, axis=-1, keepdims=True)


def _closeness(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """From 1 where boxes [P, 4] and [T, 4] are equal to 0 where they cannot be the same face, [P, T]."""
    one, two = boxes[:, None].astype(np.float64), others[None].astype(np.float64)
    extent, other_extent = (box[..., 2:] - box[..., :2] for box in (one, two))
    area, other_area = extent.prod(-1), other_extent.prod(-1)
    shared = np.minimum(one[..., 2:], two[..., 2:]) - np.maximum(one[..., :2], two[..., :2])
    intersection = shared.clip(min=0).prod(-1)
    overlap = intersection / (area + other_area - intersection)

    move = (one[..., 2:] + one[..., :2] - two[..., 2:] - two[..., :2]) / 2
    distance = np.linalg.norm(move / np.sqrt(extent * other_extent), axis=-1)
    growth = np.maximum(area / other_area, other_area / area)
    near = (distance < _NEAR) & (growth < _MOST_GROWTH)
    return np.where(overlap >= _LEAST_OVERLAP, overlap, np.where(near, _LEAST_OVERLAP * (1 - distance), 0.0))


def _best_pairs(scores: np.ndarray) -> dict[int, int]:
    """Row to column, the highest score first, each row and column once."""
    scores = scores.copy()
    pairs = {}
    while scores.size and scores.max() > 0:
        row, column = np.unravel_index(scores.argmax(), scores.shape)
        pairs[int(row)] = int(column)
        scores[row] = scores[:, column] = 0
    return pairs
