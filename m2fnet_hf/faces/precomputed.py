"""Faces from a file: what py-feat or OpenFace wrote about a recording, or arrays of one's own."""

import codecs
import csv
import re
import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile, ZipFile
from zlib import error as ZlibError

import numpy as np

from ..media.clip import Frame
from ..media.frame_rate import frame_rate
from ..utils.hashes import sha256_files
from ..utils.paths import check_file
from .types import Faces

_LANDMARKS = tuple(f"{axis}_{point}" for axis in "xy" for point in range(68))
_FEX = ("FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight", "FaceScore", "frame")
_OPENFACE = ("timestamp", "success")
_OTHERS = (
    "approx_time",
    "FrameWidth",
    "FrameHeight",
    "x_68",
    "confidence",
    "face_id",
    r"AU\d+(_[rc])?",
    r"Identity_\d+",
)
_WANTED = re.compile("|".join([*_FEX, *_OPENFACE, *_LANDMARKS, *_OTHERS]))
# A recording of another rate than the file tells is a copy of the one that was looked at.
_SAME_RATE = 0.05
# Half an interval reaches every moment between two frames of the file; the rest is for rounded times.
_REACH = 0.55
_LONE_INTERVAL = 1.0
_LONGEST_HEADER = 1_000_000  # characters
_LARGEST_ARRAYS = 4e9  # bytes
# Boxes may end outside the frame, but not by its size.
_LARGEST_SHARE = 2.0


class _Rows(NamedTuple):
    """A row per face, and rows of NaN boxes for frames without one; as in [`Faces`].

    Args:
        times: [N] in seconds, or frames where `is_counted`.
        names: of the Action Units.
        size: width and height of the frame that boxes and landmarks count in; `None` where the file does not say.
        is_counted: times are frames, counted from 0.
        rate: frames a second that the file itself tells, roughly.
        inputs: which of the `input_names` each row is of [N], where there are several.
    """

    times: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    action_units: np.ndarray
    names: tuple[str, ...]
    landmarks: np.ndarray | None = None
    identities: np.ndarray | None = None
    size: Sequence[float] | None = None
    is_counted: bool = False
    rate: float | None = None
    inputs: np.ndarray | None = None
    input_names: tuple[str, ...] = ()

    def of(self, chosen: np.ndarray) -> "_Rows":
        """Some of the rows [N]."""
        arrays = {name: value[chosen] for name, value in self._asdict().items() if isinstance(value, np.ndarray)}
        return self._replace(**arrays)


class PrecomputedBackend:
    """Faces of a file instead of those of the pixels: for each frame, the file's faces nearest in time.

    Args:
        path: of one of
            .csv of py-feat (`Fex.to_csv`): Action Units as probabilities.
            .csv of OpenFace 2 (`FeatureExtraction`, with `-aus` and best with `-2Dfp`): the intensities, `AU01_r` and
                so on from 0 to 5, which this name tells from py-feat's, of rows of `success` 1; a box is around the
                landmarks, the whole frame without them.
            .npz: per face `times` [N] in seconds, `boxes` [N, 4], `action_units` [N, A], and optionally `scores` [N],
                `landmarks` [N, 68, 2], `identities` [N, I], `names` [A] of the Action Units and `size` [2], the width
                and height in pixels that boxes and landmarks count in; they are shares of the frame without it.
        fps: frames per second of the recording, for files that count its frames: py-feat's, and OpenFace's in which
            every `timestamp` is 0. Default: that of the recording ([`for_recording`]), or else from py-feat's
            `approx_time`, which only tells whole seconds: times may be wrong by the distance of two rows.
        size: width and height of the recording in pixels, instead of the file's. Default, where the file has none (as
            OpenFace's): that of the frames given, which is wrong if they were shrunk.

    Attributes:
        action_units: names of the Action Units, as in the file.

    Raises:
        FileNotFoundError: without the file.
        ValueError: for a file of another kind, without rows or without Action Units; in `detect`, where the recording's
            frame rate or name is needed and not known.
    """

    needs_pictures = False

    def __init__(self, path: str | Path, fps: float | None = None, size: Sequence[float] | None = None) -> None:
        path = Path(path)
        check_file(path, "A csv or npz file of faces")
        rows = _read_npz(path, size) if path.suffix.lower() == ".npz" else _read_csv(path)
        if not len(rows.times) or not np.isfinite(rows.times).all():
            found = "a row without" if len(rows.times) else "no row"
            raise ValueError(f"{path.name} must have a row with a time for each face, found {found}; write it again.")
        if np.isinf(rows.boxes).any() or np.isinf(rows.action_units).any():
            raise ValueError(f"{path.name} must have finite numbers, found infinite ones; write it again.")
        self.action_units = rows.names
        self.settings: Mapping[str, Any] = {
            "sha256": sha256_files([path]),
            "fps": fps,
            "size": None if size is None else list(size),
        }
        self._path = path
        self._fps = fps
        self._size = rows.size if size is None else size
        self._rows = rows
        self._of_moment: _Moments | None = None

    def for_recording(self, recording: str | Path) -> "PrecomputedBackend":
        """The faces of one recording: by its frame rate, and of several inputs the one that is named like it.

        Raises:
            ValueError: where the file is of other recordings.
        """
        own = copy(self)
        rows = _of_input(self._path, self._rows, Path(recording))
        rate = self._fps or _told_rate(frame_rate(recording) if rows.is_counted else None, rows.rate)
        own.settings = {**self.settings, "fps": rate if rows.is_counted else self._fps}
        if rows.inputs is not None:
            own.settings["input"] = Path(recording).name
        own._of_moment = _Moments(self._path, rows, rate)
        return own

    def detect(self, frames: Sequence[Frame]) -> list[Faces]:
        """The file's faces nearest to each frame in time, at most about half the file's frame interval away."""
        if self._of_moment is None:
            rows = _of_input(self._path, self._rows, None)
            self._of_moment = _Moments(self._path, rows, self._fps or rows.rate)
        return [self._faces(frame, self._of_moment) for frame in frames]

    def _faces(self, frame: Frame, of_moment: "_Moments") -> Faces:
        rows, chosen = of_moment.rows, of_moment.nearest(frame.time)
        height, width = frame.image.shape[:2]
        scale = np.array([width, height]) / (self._size if self._size is not None else (width, height))
        boxes = rows.boxes[chosen] * np.tile(scale, 2)
        if rows.landmarks is None and not np.nan_to_num(rows.boxes).any():  # somewhere in the frame
            boxes = np.tile([0.0, 0.0, width, height], (len(chosen), 1))
        return Faces(
            boxes=boxes,
            scores=rows.scores[chosen],
            action_units=rows.action_units[chosen],
            landmarks=None if rows.landmarks is None else rows.landmarks[chosen] * scale,
            identities=None if rows.identities is None else rows.identities[chosen],
        )


class _Moments:
    """Rows by time.

    Raises:
        ValueError: where their times are frames, and it is not known how many a second has.
    """

    def __init__(self, path: Path, rows: _Rows, rate: float | None) -> None:
        if rows.is_counted and not rate:
            raise ValueError(
                f"{path.name} must tell the time of its frames (`approx_time` of py-feat beyond the first second, "
                "`timestamp` of OpenFace), found none; give the recording's frames per second as `fps`."
            )
        self.rows = rows
        times = rows.times / rate if rows.is_counted and rate else rows.times
        self._times, moments = np.unique(times, return_inverse=True)
        self._middles = (self._times[1:] + self._times[:-1]) / 2
        real = np.flatnonzero(~np.isnan(rows.boxes).any(-1))
        self._order = real[np.argsort(moments[real], kind="stable")]
        self._starts = np.searchsorted(moments[self._order], np.arange(len(self._times) + 1))
        self._reach = _REACH * (np.median(np.diff(self._times)) if len(self._times) > 1 else _LONE_INTERVAL)

    def nearest(self, time: float) -> np.ndarray:
        """Places of the rows nearest to a time, none where they are too far away."""
        place = np.searchsorted(self._middles, time)
        close = abs(self._times[place] - time) <= self._reach
        return self._order[self._starts[place] : self._starts[place + 1]] if close else self._order[:0]


def _of_input(path: Path, rows: _Rows, recording: Path | None) -> _Rows:
    """The rows of a recording, of a file of several."""
    if rows.inputs is None:
        return rows
    names = [Path(name.replace("\\", "/")) for name in rows.input_names]
    for part in ("name", "stem"):
        same = [
            place for place, name in enumerate(names) if recording and getattr(name, part) == getattr(recording, part)
        ]
        if same:
            return rows.of(np.isin(rows.inputs, same))
    expected = "those of one recording" if recording is None else f"those of {recording.name}"
    found = ", ".join(name.name for name in names[:5])
    raise ValueError(
        f"{path.name} must hold the faces of the recording, expected {expected}, found those of {found}; keep the rows "
        "of one `input`, or name the recording like it."
    )


def _told_rate(recorded: float | None, roughly: float | None) -> float | None:
    """The recording's rate, but not where the file was made of a copy with another one."""
    if recorded and roughly and abs(roughly - recorded) > _SAME_RATE * recorded:
        return roughly
    return recorded or roughly


def _read_csv(path: Path) -> _Rows:
    with path.open("rb") as file:
        is_wide = file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    with path.open(encoding="utf-16" if is_wide else "utf-8-sig", errors="replace", newline="") as file:
        header = file.readline(_LONGEST_HEADER)
        delimiter = max(",;\t", key=header.count)
        reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True)
        try:
            names = [one.strip() for one in next(csv.reader([header], delimiter=delimiter, skipinitialspace=True), [])]
            if set(_FEX) <= set(names):
                return _from_fex(path, *_numbers(path, names, reader))
            if set(_OPENFACE) <= set(names):
                return _from_openface(path, _numbers(path, names, reader)[0])
        except csv.Error:
            raise ValueError(
                f"{path.name}, line {reader.line_num + 1}, must be csv, found open quotes or a cell that is too "
                "long; write the file again."
            ) from None
    found = ", ".join(names)[:80] or "nothing"
    raise ValueError(
        f"{path.name} must be an npz file, or a csv file with py-feat's columns ({', '.join(_FEX)}) or OpenFace's "
        f"({', '.join(_OPENFACE)}, and x_0 to y_67), found {found if found.isprintable() else 'no text'}; write it "
        "with one of these."
    )


def _numbers(path: Path, names: list[str], reader: Any) -> tuple[dict[str, np.ndarray], list[str]]:
    """The columns of numbers that matter here [N], and what stands in `input`."""
    wanted = [name for name in names if _WANTED.fullmatch(name)]
    pick = itemgetter(*map(names.index, wanted))
    place = names.index("input") if "input" in names else None
    values, inputs = array("f"), []
    for row in reader:
        if not row:
            continue
        try:
            values.extend(map(_number, pick(row)))
            inputs.append("" if place is None else sys.intern(row[place].strip()))
        except (IndexError, ValueError):
            raise ValueError(
                f"{path.name}, line {reader.line_num + 1}, must have a number in each of {len(names)} columns, found "
                f"{', '.join(row)[:60]!r}; write the file again."
            ) from None
    numbers = np.frombuffer(values, dtype=np.float32).reshape(-1, len(wanted)).T
    return dict(zip(wanted, numbers, strict=True)), inputs


def _number(cell: str) -> float:
    """A number, or the seconds of py-feat's MM:SS."""
    try:
        return float(cell)
    except ValueError:
        if "," in cell:  # as spreadsheets in much of Europe save it
            return float(cell.replace(",", "."))
        # An empty cell is pandas' NaN, and -nan(ind) that of OpenFace on Windows.
        if not cell.strip() or "nan" in cell:
            return float("nan")
        minutes, seconds = cell.split(":")
        return 60 * int(minutes) + float(seconds)


def _from_fex(path: Path, columns: dict[str, np.ndarray], inputs: list[str]) -> _Rows:
    names = _units(path, columns, "AU01")
    left, top, width, height = (columns[name] for name in _FEX[:4])
    size = _together(columns, ("FrameWidth", "FrameHeight"))
    # Files of 478 points name their first 68 so too.
    landmarks = None if "x_68" in columns else _together(columns, _LANDMARKS)
    known, places = np.unique(np.array(inputs, dtype=object).astype(str), return_inverse=True)
    return _Rows(
        times=columns["frame"],
        boxes=np.stack([left, top, left + width, top + height], axis=-1),
        scores=columns["FaceScore"],
        action_units=np.stack([columns[name] for name in names], axis=-1),
        names=names,
        landmarks=None if landmarks is None else _points(landmarks),
        identities=_together(columns, [name for name in columns if name.startswith("Identity_")]),
        size=None if size is None else size[0].tolist(),
        is_counted=True,
        rate=_rough_rate(columns),
        inputs=places if len(known) > 1 else None,
        input_names=tuple(known.tolist()),
    )


def _rough_rate(columns: dict[str, np.ndarray]) -> float | None:
    """The frame rate that puts no frame before the whole second at which it was seen."""
    seconds = columns.get("approx_time", np.zeros(0))
    later = seconds > 0
    return float((columns["frame"][later] / seconds[later]).min()) if later.any() else None


def _from_openface(path: Path, columns: dict[str, np.ndarray]) -> _Rows:
    names = _units(path, columns, "AU01_r")
    count = len(columns["success"])
    failed = columns["success"] == 0
    landmarks = _together(columns, _LANDMARKS)
    points = None if landmarks is None else _points(landmarks)
    boxes = np.zeros((count, 4)) if points is None else np.hstack([points.min(1), points.max(1)])
    boxes[failed] = np.nan
    if points is not None:
        points[failed] = np.nan
    # It writes zeros where it was given pictures, or a recording that does not tell its rate; it counts from 1.
    is_counted = not columns["timestamp"].any() and "frame" in columns and len(np.unique(columns["frame"])) > 1
    return _Rows(
        times=columns["frame"] - 1 if is_counted else columns["timestamp"],
        boxes=boxes,
        scores=columns.get("confidence", np.ones(count)),
        action_units=np.stack([columns[name] for name in names], axis=-1),
        names=names,
        landmarks=points,
        # Without landmarks, only its number tells one face from another.
        identities=np.eye(256)[columns["face_id"].astype(int) % 256]
        if points is None and "face_id" in columns and columns["face_id"].any()
        else None,
        is_counted=is_counted,
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
        with ZipFile(path) as archive:
            size_in_memory = sum(member.file_size for member in archive.infolist())
        if size_in_memory > _LARGEST_ARRAYS:
            raise BadZipFile
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
    except (BadZipFile, EOFError, NotImplementedError, RuntimeError, TypeError, ValueError, ZlibError):
        raise ValueError(
            f"{path.name} must be an npz file of plain arrays of at most {_LARGEST_ARRAYS / 1e9:.0f} GB, found another "
            "kind of file or a damaged one; use np.savez."
        ) from None
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
    if not arrays["times"].ndim:
        raise ValueError(f"{path.name} must have `times` of the shape [N], found a number; give one row per face.")
    units = arrays["action_units"].shape[-1:]
    row = {"times": (), "boxes": (4,), "scores": (), "action_units": units, "landmarks": (68, 2)}
    shapes = {name: (len(arrays["times"]), *rest) for name, rest in row.items()} | {"names": units, "size": (2,)}
    for name in {*shapes, "identities"} & arrays.keys():
        if name != "names" and arrays[name].dtype.kind not in "fiu":
            raise ValueError(f"{path.name} must have numbers in `{name}`, found {arrays[name].dtype}; write it again.")
    for name in shapes.keys() & arrays.keys():
        if arrays[name].shape != shapes[name]:
            raise ValueError(
                f"{path.name} must have `{name}` of the shape {list(shapes[name])}, found {list(arrays[name].shape)}; "
                "give one row per face."
            )
