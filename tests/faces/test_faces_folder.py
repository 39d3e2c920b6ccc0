"""Faces of files that are named like their recordings."""

from pathlib import Path

import numpy as np
import pytest

from m2fnet_hf.faces.folder import FolderBackend
from m2fnet_hf.faces.registry import backend_for, load_face_backend
from m2fnet_hf.media.clip import Frame

BOX = "FaceRectX,FaceRectY,FaceRectWidth,FaceRectHeight,FaceScore,frame,approx_time"


def write(path: Path, unit: float, names: str = "AU01,AU02") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    units = ",".join([str(unit)] * len(names.split(",")))
    rows = [f"10,10,50,50,0.9,{frame},00:{frame // 10:02d},{units}" for frame in range(20)]
    path.write_text("\n".join([f"{BOX},{names}", *rows]))


def units(backend: FolderBackend, recording: Path) -> list[list[float]]:
    found = backend_for(backend, recording).detect([Frame(0.5, np.zeros((100, 100, 3), np.uint8))])
    assert found[0].action_units is not None
    return found[0].action_units.round(3).tolist()


def test_each_recording_has_the_faces_of_the_file_of_its_name(tmp_path: Path) -> None:
    write(tmp_path / "units" / "a.csv", 0.25)
    write(tmp_path / "units" / "deep" / "b.csv", 0.75)
    (tmp_path / "units" / "a table of something else.csv").write_text("name,age\nAnn,3\n")
    backend = load_face_backend(str(tmp_path / "units"))
    assert isinstance(backend, FolderBackend)
    assert backend.action_units == ("AU01", "AU02")
    assert units(backend, tmp_path / "a.wav") == [[0.25, 0.25]]
    assert units(backend_for(backend, tmp_path / "a.wav"), tmp_path / "b.wav") == [[0.75, 0.75]]
    assert units(backend, tmp_path / "c.wav") == []
    assert {str(backend_for(backend, tmp_path / f"{name}.wav").settings) for name in "abc"} == {
        str(backend_for(backend, tmp_path / f"{name}.mp4").settings) for name in "abc"
    }


def test_of_one_name_the_file_beside_the_recording_is_meant(tmp_path: Path) -> None:
    write(tmp_path / "DC" / "a01.csv", 0.25)
    write(tmp_path / "JE" / "a01.csv", 0.75)
    backend = FolderBackend(tmp_path)
    assert units(backend, tmp_path / "JE" / "a01.wav") == [[0.75, 0.75]]
    with pytest.raises(ValueError, match=r"must be named like a01\.wav, found .*put it beside"):
        units(backend, tmp_path / "KL" / "a01.wav")


def test_what_cannot_work_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("name,age\nAnn,3\n")
    with pytest.raises(FileNotFoundError, match="must hold csv or npz files of py-feat or OpenFace"):
        FolderBackend(tmp_path)
    write(tmp_path / "b.csv", 0.5)
    write(tmp_path / "c.csv", 0.5, "AU01,AU04")
    with pytest.raises(ValueError, match=r"c\.csv must have the Action Units AU01, AU02, .*found AU01, AU04"):
        units(FolderBackend(tmp_path), tmp_path / "c.wav")
