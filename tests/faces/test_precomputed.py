import csv
import json
import wave
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from m2fnet_hf.faces.precomputed import PrecomputedBackend
from m2fnet_hf.faces.registry import load_face_backend
from m2fnet_hf.faces.types import FaceBackend, Faces
from m2fnet_hf.media.clip import Frame

# The columns that the two programs write, in their order and without those in between that are not read.
LANDMARKS = [f"x_{point}" for point in range(68)] + [f"y_{point}" for point in range(68)]
FEX = ["FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight", "FaceScore", *LANDMARKS, "Pitch", "Roll", "Yaw"]
FEX += ["AU01", "AU02", "AU43", "anger", "Identity_1", "Identity_2", "FrameHeight", "FrameWidth", "input", "frame"]
FEX += ["approx_time", "Identity"]
OPENFACE_UNITS = ["01", "02", "04", "05", "06", "07", "09", "10", "12", "14", "15", "17", "20", "23", "25", "26", "45"]
OPENFACE = ["frame", "face_id", "timestamp", "confidence", "success", "gaze_0_x", *LANDMARKS, "X_0", "pose_Tx"]
OPENFACE += [f"AU{unit}_r" for unit in OPENFACE_UNITS] + [f"AU{unit}_c" for unit in [*OPENFACE_UNITS, "28"]]
POINTS = np.stack(np.meshgrid(np.linspace(100, 180, 17), np.linspace(50, 110, 4)), axis=-1).reshape(68, 2)
POINT_CELLS = dict(zip(LANDMARKS, POINTS.T.ravel().tolist(), strict=True))


def _frame(time: float, width: int = 640, height: int = 360) -> Frame:
    return Frame(time, np.zeros((height, width, 3), dtype=np.uint8))


def _at(backend: PrecomputedBackend, *times: float) -> list[Faces]:
    return backend.detect([_frame(time) for time in times])


def _units(backend: FaceBackend, *times: float) -> list[float]:
    """The first Action Unit of the one face of each moment."""
    found = [faces.action_units for faces in backend.detect([_frame(time) for time in times])]
    return [pytest.approx(units[0, 0], abs=1e-6) for units in found if units is not None and len(units) == 1]


def write_video(path: Path, rate: int) -> None:
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(rate):
            file.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
        file.mux(stream.encode())


def write_sound(path: Path) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(3200))


def _write_fex(path: Path, *faces: dict[str, Any]) -> Path:
    """Rows as pandas writes them: NaN is empty."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, FEX, restval="")
        writer.writeheader()
        writer.writerows({"FrameHeight": 720.0, "FrameWidth": 1280.0, "input": "a, b.mp4", **face} for face in faces)
    return path


def _fex_face(frame: int, left: float = 100, unit: float = 0.5, **others: Any) -> dict[str, Any]:
    box = {"FaceRectX": left, "FaceRectY": 50, "FaceRectWidth": 80, "FaceRectHeight": 60, "FaceScore": 0.9}
    units = {"AU01": unit, "AU02": 0.25, "AU43": 0}
    return {**box, **POINT_CELLS, **units, "Identity_1": 0.6, "Identity_2": 0.8, "frame": frame, **others}


def _write_openface(path: Path, *faces: dict[str, Any], columns: list[str] = OPENFACE) -> Path:
    """Rows with a space after each comma, as OpenFace writes them."""
    lines = [", ".join(columns), *(", ".join(str(face.get(name, 0)) for name in columns) for face in faces)]
    path.write_text("\n".join(lines) + "\n")
    return path


def _openface_face(timestamp: float, unit: float = 1.5, success: int = 1, **others: Any) -> dict[str, Any]:
    return {"timestamp": timestamp, "confidence": 0.98, "success": success, "AU01_r": unit, **POINT_CELLS, **others}


def _write_npz(path: Path, **arrays: Any) -> Path:
    own = {"times": [0.0, 0.5, 0.5], "boxes": np.tile([0.1, 0.2, 0.3, 0.6], (3, 1)), "action_units": np.eye(3, 2)}
    np.savez(path, **{name: array for name, array in {**own, **arrays}.items() if array is not None})
    return path


def test_reads_what_pyfeat_wrote(tmp_path: Path) -> None:
    path = _write_fex(tmp_path / "faces.csv", _fex_face(0), _fex_face(0, left=900, unit=0.75), {"frame": 25})
    backend = PrecomputedBackend(path, fps=25)
    first, empty = _at(backend, 0.0, 1.0)
    assert backend.action_units == ("AU01", "AU02", "AU43")
    # The recording has 1280 x 720 pixels, the frame half of it.
    np.testing.assert_allclose(first.boxes, [[50, 25, 90, 55], [450, 25, 490, 55]])
    np.testing.assert_allclose(first.scores, 0.9, rtol=1e-6)
    np.testing.assert_allclose(first.action_units, [[0.5, 0.25, 0], [0.75, 0.25, 0]])
    np.testing.assert_allclose(first.landmarks, [POINTS / 2, POINTS / 2])
    np.testing.assert_allclose(first.identities, [[0.6, 0.8]] * 2)
    assert len(empty) == 0


def test_the_frame_rate_follows_from_whole_seconds(tmp_path: Path) -> None:
    rate = 30000 / 1001
    clock = [f"{int(number / rate) // 60:02d}:{int(number / rate) % 60:02d}" for number in range(2000)]
    faces = [_fex_face(number, unit=number / 2000, approx_time=time) for number, time in enumerate(clock)]
    backend = PrecomputedBackend(_write_fex(tmp_path / "faces.csv", *faces))
    for number in (0, 100, 1999):
        found = _at(backend, number / rate)[0].action_units
        assert found is not None
        assert abs(found[0, 0] * 2000 - number) <= 1


def test_what_pyfeat_could_not_tell_is_nan_or_none(tmp_path: Path) -> None:
    unknown = dict.fromkeys([*LANDMARKS, "Identity_1", "Identity_2", "AU01"], "")
    faces = _at(PrecomputedBackend(_write_fex(tmp_path / "faces.csv", _fex_face(0) | unknown), fps=25), 0)[0]
    assert faces.landmarks is None
    assert faces.identities is None
    assert faces.valid.tolist() == [False]


@pytest.mark.parametrize("alone", [False, True], ids=["face_id", "one face"])
def test_reads_what_openface_wrote(tmp_path: Path, alone: bool) -> None:
    columns = [name for name in OPENFACE if name != "face_id" or not alone]
    faces = [_openface_face(0.0), _openface_face(0.033, success=0), _openface_face(0.067, unit="-nan(ind)")]
    backend = PrecomputedBackend(_write_openface(tmp_path / "faces.csv", *faces, columns=columns))
    found, failed, unknown = _at(backend, 0.0, 0.033, 0.067)
    assert backend.action_units == tuple(f"AU{unit}_r" for unit in OPENFACE_UNITS)
    np.testing.assert_allclose(found.boxes, [[100, 50, 180, 110]])
    np.testing.assert_allclose(found.landmarks, POINTS[None])
    np.testing.assert_allclose(found.scores, 0.98, rtol=1e-6)
    assert found.action_units is not None
    assert found.action_units[0, :2].tolist() == [1.5, 0]
    assert len(failed) == 0
    assert unknown.valid.tolist() == [False]


def test_a_given_size_scales_what_openface_wrote(tmp_path: Path) -> None:
    path = _write_openface(tmp_path / "faces.csv", _openface_face(0))
    faces = _at(PrecomputedBackend(path, size=(1280, 720)), 0)[0]
    np.testing.assert_allclose(faces.boxes, [[50, 25, 90, 55]])
    np.testing.assert_allclose(faces.landmarks, POINTS[None] / 2)


def test_reads_own_arrays_in_shares_of_the_frame(tmp_path: Path) -> None:
    backend = PrecomputedBackend(_write_npz(tmp_path / "faces.npz"))
    one, two = _at(backend, 0, 0.5)
    np.testing.assert_allclose(one.boxes, [[64, 72, 192, 216]])
    assert one.scores.tolist() == [1]
    assert two.action_units is not None
    assert two.action_units.tolist() == [[0, 1], [0, 0]]
    assert backend.action_units == ("unit 1", "unit 2")


def test_reads_own_arrays_in_pixels(tmp_path: Path) -> None:
    more = {
        "boxes": np.array([[100, 50, 180, 110], [0, 0, 80, 60], [np.nan] * 4]),
        "size": [1280, 720],
        "scores": [0.9, 0.8, 0.7],
        "landmarks": np.tile(POINTS, (3, 1, 1)),
        "identities": np.eye(3),
        "names": ["AU12", "AU25"],
    }
    backend = PrecomputedBackend(_write_npz(tmp_path / "faces.npz", **more))
    one, two = _at(backend, 0, 0.5)
    assert backend.action_units == ("AU12", "AU25")
    np.testing.assert_allclose(one.boxes, [[50, 25, 90, 55]])
    np.testing.assert_allclose(one.landmarks, POINTS[None] / 2)
    assert two.scores.tolist() == [0.8], "a row of NaN is no face"
    assert two.identities is not None
    assert two.identities.tolist() == [[0, 1, 0]]


def test_a_frame_takes_the_nearest_faces_within_half_an_interval(tmp_path: Path) -> None:
    times, units = [3.0, 0.0, 1.0], np.array([[3.0], [0.0], [1.0]])
    backend = PrecomputedBackend(_write_npz(tmp_path / "faces.npz", times=times, action_units=units))
    found = _at(backend, 0.4, 0.6, 1.5, 2.0, 2.5, 3.8, 3.9)
    values = [None if not len(faces) else faces.action_units[0, 0] for faces in found if faces.action_units is not None]
    # The median of one second and two is 1.5 s: a frame may be 0.825 s away.
    assert values == [0, 1, 1, None, 3, 3, None]


def test_settings_follow_the_content_and_are_json(tmp_path: Path) -> None:
    path = _write_npz(tmp_path / "faces.npz")
    backend = load_face_backend(path, size=(640, 360))
    copy = tmp_path / "copy.npz"
    copy.write_bytes(path.read_bytes())
    assert json.loads(json.dumps(backend.settings)) == PrecomputedBackend(copy, size=[640, 360]).settings
    assert backend.settings != PrecomputedBackend(path).settings
    _write_npz(copy, times=[0, 1, 2])
    assert backend.settings != PrecomputedBackend(copy, size=(640, 360)).settings


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"must be an npz file, or a csv file with py-feat's columns \(FaceRectX, .* found nothing"),
        ("\x00\x01ftypisom", "found no text; write it"),
        ("a" * 200_000, r"line 1, must be csv, found open quotes or a cell that is too long"),
        ("a,b\n1,2\n", r"OpenFace's \(timestamp, success, and x_0 to y_67\), found a, b"),
        (",".join(FEX) + "\n", "must have a row with a time for each face, found no row"),
        (",".join(FEX) + "\n1,2,3\n", r"line 2, must have a number in each of \d+ columns, found '1, 2, 3'"),
        (",".join(FEX) + "\n" + ",".join(["x"] * len(FEX)), "found 'x, x"),
        (",".join(name for name in FEX if "AU" not in name), "Action Units like AU01, found none"),
        (",".join(name for name in OPENFACE if "_r" not in name), "Action Units like AU01_r, found none"),
    ],
)
def test_another_csv_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "faces.csv"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        PrecomputedBackend(path, fps=25)


@pytest.mark.parametrize("time", ["", "00:00"])
def test_without_times_the_frame_rate_must_be_given(tmp_path: Path, time: str) -> None:
    path = _write_fex(tmp_path / "faces.csv", _fex_face(0, approx_time=time), _fex_face(9, approx_time=time))
    backend = PrecomputedBackend(path)
    with pytest.raises(ValueError, match="frames per second as `fps`"):
        _at(backend, 0)
    sound = tmp_path / "talk.wav"
    write_sound(sound)
    with pytest.raises(ValueError, match="frames per second as `fps`"):
        backend.for_recording(sound)


@pytest.mark.parametrize("rate", [25, 50])
def test_the_recording_tells_the_frame_rate(tmp_path: Path, rate: int) -> None:
    write_video(tmp_path / "talk.mp4", rate)
    path = _write_fex(tmp_path / "faces.csv", *(_fex_face(number, unit=number / 100) for number in range(100)))
    backend = PrecomputedBackend(path).for_recording(tmp_path / "talk.mp4")
    assert _units(backend, 0.0, 1.0) == [0.0, rate / 100]
    assert backend.settings["fps"] == rate
    assert _units(PrecomputedBackend(path, fps=10).for_recording(tmp_path / "talk.mp4"), 1.0) == [0.1]


def test_a_file_made_of_a_copy_with_another_rate_keeps_its_own(tmp_path: Path) -> None:
    write_video(tmp_path / "talk.mp4", 25)
    clock = [f"00:{number // 10:02d}" for number in range(100)]
    faces = (_fex_face(number, unit=number / 100, approx_time=time) for number, time in enumerate(clock))
    backend = PrecomputedBackend(_write_fex(tmp_path / "faces.csv", *faces)).for_recording(tmp_path / "talk.mp4")
    assert _units(backend, 1.0) == [0.1]


def test_faces_of_two_recordings_are_kept_apart(tmp_path: Path) -> None:
    faces = [
        _fex_face(number, unit=unit, input=f"clips/{name}.mp4")
        for name, unit in (("one", 0.25), ("two", 0.75))
        for number in range(5)
    ]
    backend = PrecomputedBackend(_write_fex(tmp_path / "faces.csv", *faces), fps=5)
    for name, unit in (("one", 0.25), ("two", 0.75)):
        (own,) = _at(backend.for_recording(tmp_path / f"{name}.mkv"), 0.2)
        assert own.action_units is not None
        assert own.action_units[:, 0].tolist() == [unit]
    with pytest.raises(
        ValueError, match=r"expected those of three\.mp4, found those of one\.mp4, two\.mp4; keep the rows"
    ):
        backend.for_recording(tmp_path / "three.mp4")
    with pytest.raises(ValueError, match="expected those of one recording, found those of one"):
        _at(backend, 0)


def test_openface_without_times_counts_the_recordings_frames(tmp_path: Path) -> None:
    write_video(tmp_path / "talk.mp4", 25)
    faces = [_openface_face(0.0, unit=float(number), frame=number + 1) for number in range(5)]
    backend = PrecomputedBackend(_write_openface(tmp_path / "faces.csv", *faces))
    with pytest.raises(ValueError, match="frames per second as `fps`"):
        _at(backend, 0)
    assert _units(backend.for_recording(tmp_path / "talk.mp4"), 0.0, 0.12) == [0.0, 3.0]


def test_openface_without_landmarks(tmp_path: Path) -> None:
    columns = [name for name in OPENFACE if name not in LANDMARKS]
    faces = [_openface_face(0.1 * number, unit=float(number), success=int(number != 2)) for number in range(4)]
    backend = PrecomputedBackend(_write_openface(tmp_path / "faces.csv", *faces, columns=columns))
    assert _units(backend, 0.0, 0.1, 0.3) == [0.0, 1.0, 3.0]
    found, failed = _at(backend, 0.1, 0.2)
    assert found.boxes.tolist() == [[0, 0, 640, 360]]
    assert (found.landmarks, len(failed)) == (None, 0)
    faces = [_openface_face(0.0, face_id=number, unit=float(number)) for number in range(2)]
    (two,) = _at(PrecomputedBackend(_write_openface(tmp_path / "two.csv", *faces, columns=columns)), 0.0)
    assert two.identities is not None
    assert (two.identities @ two.identities.T).tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_that_a_spreadsheet_saved(tmp_path: Path, encoding: str) -> None:
    path = _write_openface(tmp_path / "faces.csv", _openface_face(0.5, unit=1.25))
    text = path.read_text().replace(", ", ";").replace(".", ",")
    path.write_bytes(f"{text}\r\n".encode(encoding))
    assert _units(PrecomputedBackend(path), 0.5) == [1.25]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"boxes": None}, "found times, action_units; add boxes"),
        ({"times": 1.0}, r"`times` of the shape \[N\], found a number"),
        ({"boxes": np.ones((2, 4))}, r"`boxes` of the shape \[3, 4\], found \[2, 4\]"),
        ({"boxes": np.full((3, 4), 90.0)}, "found boxes up to 90 without; add the array `size`"),
        ({"names": ["AU01"]}, r"`names` of the shape \[2\], found \[1\]"),
        ({"times": [0, np.nan, 1]}, "found a row without"),
        ({"names": np.array(["AU01", None])}, "npz file of plain arrays"),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PrecomputedBackend(_write_npz(tmp_path / "faces.npz", **arrays))


def test_what_is_no_file_or_no_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="check the path"):
        PrecomputedBackend(tmp_path / "faces.npz")
    for content in (b"", b"PK\x03\x04", b"words"):
        (tmp_path / "faces.npz").write_bytes(content)
        with pytest.raises(ValueError, match="npz file of plain arrays"):
            PrecomputedBackend(tmp_path / "faces.npz")
