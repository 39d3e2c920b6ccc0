"""Faces from a file: what py-feat or OpenFace wrote about a recording, or arrays of one's own."""

import csv
import re
from array import array
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np

from ..media.clip import Frame
from ..utils.hashes import sha256_files
from .types import Faces

_LANDMARKS = tuple(f"{axis}_{point}" for axis in "xy" for point in range(68))
_FEX = ("FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight", "FaceScore", "frame")
_OPENFACE = ("timestamp", "confidence", "success", *_LANDMARKS)
_OTHERS = ("approx_time", "FrameWidth", "FrameHeight", "x_68", r"AU\d+(_r)?", r"Identity_\d+")
_WANTED = re.compile("|".join([*_FEX, *_OPENFACE, *_OTHERS]))
# Half an interval reaches every moment between two frames of the file; the rest is for rounded times.
_REACH = 0.55
_LONE_INTERVAL = 1.0
# Boxes may end outside the frame, but not by its size.
_LARGEST_SHARE = 2.0


class _Rows(NamedTuple):
    """A row per face, and rows of NaN boxes for frames without one; as in [`Faces`], and `times` [N] in seconds.

    Args:
        names: of the Action Units.
        size: width and height of the frame that boxes and landmarks count in; `None` where the file does not say.
    """

    times: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    action_units: np.ndarray
    names: tuple[str, ...]
    landmarks: np.ndarray | None = None
    identities: np.ndarray | None = None
    size: Sequence[float] | None = None


class PrecomputedBackend:
    """Faces of a file instead of those of the pixels: for each frame, the file's faces nearest in time.

    Args:
        path: of one of
            .csv of py-feat (`Fex.to_csv`): Action Units as probabilities.
            .csv of OpenFace 2 (`FeatureExtraction`, with `-2Dfp -aus`): the intensities, `AU01_r` and so on from 0 to
                5, of rows of `success` 1; a box is the one around the landmarks.
            .npz: per face `times` [N] in seconds, `boxes` [N, 4], `action_units` [N, A], and optionally `scores` [N],
                `landmarks` [N, 68, 2], `identities` [N, I], `names` [A] of the Action Units and `size` [2], the width
                and height in pixels that boxes and landmarks count in; they are shares of the frame without it.
        fps: frames per second of the recording, for py-feat's files. Default: from their `approx_time`, which only
            tells whole seconds: times may be wrong by the distance of two rows.
        size: width and height of the recording in pixels, instead of the file's. Default, where the file has none (as
            OpenFace's): that of the frames given, which is wrong if they were shrunk.

    Attributes:
        action_units: names of the Action Units, as in the file.

    Raises:
        FileNotFoundError: without the file.
        ValueError: for a file of another kind, without rows or without Action Units; for py-feat's without `fps` where
            it is needed.
    """

    def __init__(self, path: str | Path, fps: float | None = None, size: Sequence[float] | None = None) -> None:
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"Faces must be in a csv or npz file, found none at {path}; check the path.")
        rows = _read_npz(path, size) if path.suffix.lower() == ".npz" else _read_csv(path, fps)
        if not len(rows.times) or np.isnan(rows.times).any():
            found = "a row without" if len(rows.times) else "no row"
            raise ValueError(f"{path.name} must have a row with a time for each face, found {found}; write it again.")
        self.action_units = rows.names
        self.settings: Mapping[str, Any] = {
            "sha256": sha256_files([path]),
            "fps": fps,
            "size": None if size is None else list(size),
        }
        self._rows = rows
        self._size = rows.size if size is None else size
        self._times, moments = np.unique(rows.times, return_inverse=True)
        self._middles = (self._times[1:] + self._times[:-1]) / 2
        real = np.flatnonzero(~np.isnan(rows.boxes).any(-1))
        self._order = real[np.argsort(moments[real], kind="stable")]
        self._starts = np.searchsorted(moments[self._order], np.arange(len(self._times) + 1))
        self._reach = _REACH * (np.median(np.diff(self._times)) if len(self._times) > 1 else _LONE_INTERVAL)

    def detect(self, frames: Sequence[Frame]) -> list[Faces]:
        """The file's faces nearest to each frame in time, at most about half the file's frame interval away."""
        return [self._faces(frame) for frame in frames]

    def _faces(self, frame: Frame) -> Faces:
        nearest = np.searchsorted(self._middles, frame.time)
        close = abs(self._times[nearest] - frame.time) <= self._reach
        chosen = self._order[self._starts[nearest] : self._starts[nearest + 1]] if close else self._order[:0]
        height, width = frame.image.shape[:2]
        scale = np.array([width, height]) / (self._size if self._size is not None else (width, height))
        rows = self._rows
        return Faces(
            boxes=rows.boxes[chosen] * np.tile(scale, 2),
            scores=rows.scores[chosen],
            action_units=rows.action_units[chosen],
            landmarks=None if rows.landmarks is None else rows.landmarks[chosen] * scale,
            identities=None if rows.identities is None else rows.identities[chosen],
        )


def _read_csv(path: Path, fps: float | None) -> _Rows:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.reader(file, skipinitialspace=True)
        names = [name.strip() for name in next(reader, [])]
        if set(_FEX) <= set(names):
            return _from_fex(path, _numbers(path, names, reader), fps)
        if set(_OPENFACE) <= set(names):
            return _from_openface(path, _numbers(path, names, reader))
    raise ValueError(
        f"{path.name} must be an npz file, or a csv file with py-feat's columns ({', '.join(_FEX)}) or OpenFace's "
        f"({', '.join(_OPENFACE[:3])}, {_OPENFACE[3]} to {_OPENFACE[-1]}), found {', '.join(names)[:80] or 'nothing'}; "
        "write it with one of these."
    )


def _numbers(path: Path, names: list[str], reader: Any) -> dict[str, np.ndarray]:
    """The columns that matter here [N]."""
    wanted = [name for name in names if _WANTED.fullmatch(name)]
    pick = itemgetter(*map(names.index, wanted))
    values = array("f")
    for row in reader:
        try:
            values.extend(map(_number, pick(row)))
        except (IndexError, ValueError):
            raise ValueError(
                f"{path.name}, line {reader.line_num}, must have a number in each of {len(names)} columns, found "
                f"{', '.join(row)[:60]!r}; write the file again."
            ) from None
    return dict(zip(wanted, np.frombuffer(values, dtype=np.float32).reshape(-1, len(wanted)).T, strict=True))


def _number(cell: str) -> float:
    """A number, or the seconds of py-feat's MM:SS."""
    try:
        return float(cell)
    except ValueError:
        # An empty cell is pandas' NaN, and -nan(ind) that of OpenFace on Windows.
        if not cell.strip() or "nan" in cell:
            return float("nan")
        minutes, seconds = cell.split(":")
        return 60 * int(minutes) + float(seconds)


def _from_fex(path: Path, columns: dict[str, np.ndarray], fps: float | None) -> _Rows:
    names = _units(path, columns, "AU01")
    left, top, width, height = (columns[name] for name in _FEX[:4])
    size = _together(columns, ("FrameWidth", "FrameHeight"))
    # Files of 478 points name their first 68 so too.
    landmarks = None if "x_68" in columns else _together(columns, _LANDMARKS)
    return _Rows(
        times=columns["frame"] / (fps or _frame_rate(path, columns)),
        boxes=np.stack([left, top, left + width, top + height], axis=-1),
        scores=columns["FaceScore"],
        action_units=np.stack([columns[name] for name in names], axis=-1),
        names=names,
        landmarks=None if landmarks is None else _points(landmarks),
        identities=_together(columns, [name for name in columns if name.startswith("Identity_")]),
        size=None if size is None else size[0].tolist(),
    )


def _frame_rate(path: Path, columns: dict[str, np.ndarray]) -> float:
    """The frame rate that puts no frame before the whole second of its timestamp."""
    seconds = columns.get("approx_time", np.zeros(0))
    later = seconds > 0
    if not later.any():
        raise ValueError(
            f"{path.name} must tell the time of its frames in `approx_time` beyond the first second, found none; give "
            "the recording's frames per second as `fps`."
        )
    return float((columns["frame"][later] / seconds[later]).min())


def _from_openface(path: Path, columns: dict[str, np.ndarray]) -> _Rows:
    names = _units(path, columns, "AU01_r")
    points = _points(np.stack([columns[name] for name in _LANDMARKS], axis=-1))
    points[columns["success"] == 0] = np.nan
    return _Rows(
        times=columns["timestamp"],
        boxes=np.hstack([points.min(1), points.max(1)]),
        scores=columns["confidence"],
        action_units=np.stack([columns[name] for name in names], axis=-1),
        names=names,
        landmarks=points,
    )


def _units(path: Path, columns: Iterable[str], example: str) -> tuple[str, ...]:
    """The names of Action Units that are like the example."""
    names = tuple(name for name in columns if re.fullmatch(example.replace("01", r"\d+"), name))
    if not names:
        raise ValueError(f"{path.name} must have columns of Action Units like {example}, found none; write them too.")
    return names


def _together(columns: dict[str, np.ndarray], names: Sequence[str]) -> np.ndarray | None:
    """Columns side by side [N, C], `None` without all of them or without a value."""
    if not names or not columns.keys() >= set(names):
        return None
    values = np.stack([columns[name] for name in names], axis=-1)
    return None if np.isnan(values).all() else values


def _points(values: np.ndarray) -> np.ndarray:
    """All x and then all y [N, 136] to points [N, 68, 2]."""
    return np.stack(np.split(values, 2, axis=-1), axis=-1)


def _read_npz(path: Path, size: Sequence[float] | None) -> _Rows:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
    except (BadZipFile, EOFError, TypeError, ValueError) as error:
        raise ValueError(f"{path.name} must be an npz file of plain arrays, found: {error}; use np.savez.") from None
    _check_arrays(path, arrays)
    count = arrays["action_units"].shape[1]
    if size is None and "size" not in arrays and np.nanmax(arrays["boxes"], initial=0) > _LARGEST_SHARE:
        raise ValueError(
            f"{path.name} must have boxes in shares of the frame or its `size`, found boxes up to "
            f"{np.nanmax(arrays['boxes']):g} without; add the array `size` of width and height."
        )
    return _Rows(
        times=arrays["times"],
        boxes=arrays["boxes"],
        scores=arrays.get("scores", np.ones(len(arrays["times"]))),
        action_units=arrays["action_units"],
        names=tuple(arrays.get("names", np.array([f"unit {number}" for number in range(1, count + 1)])).tolist()),
        landmarks=arrays.get("landmarks"),
        identities=arrays.get("identities"),
        size=arrays.get("size", np.ones(2)).tolist(),
    )


def _check_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    missing = {"times", "boxes", "action_units"} - arrays.keys()
    if missing:
        raise ValueError(
            f"{path.name} must have the arrays times, boxes and action_units, found {', '.join(arrays) or 'none'}; add "
            f"{', '.join(sorted(missing))}."
        )
    units = arrays["action_units"].shape[-1:]
    row = {"times": (), "boxes": (4,), "scores": (), "action_units": units, "landmarks": (68, 2)}
    shapes = {name: (len(arrays["times"]), *rest) for name, rest in row.items()} | {"names": units, "size": (2,)}
    for name in shapes.keys() & arrays.keys():
        if arrays[name].shape != shapes[name]:
            raise ValueError(
                f"{path.name} must have `{name}` of the shape {list(shapes[name])}, found {list(arrays[name].shape)}; "
                "give one row per face."
            )
