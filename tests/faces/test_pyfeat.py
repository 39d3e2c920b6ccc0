import logging
import os
import random
import subprocess
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import feat_weights
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from m2fnet_hf.faces.pyfeat import PyFeatBackend
from m2fnet_hf.faces.types import Faces
from m2fnet_hf.media.clip import Frame
from m2fnet_hf.names_m2fnet import PYFEAT_ACTION_UNITS

pytestmark = pytest.mark.skipif(find_spec("feat") is None, reason="py-feat is not installed")


def _photograph() -> np.ndarray:
    data = pytest.importorskip("skimage.data")
    return data.astronaut()


def _frames() -> list[Frame]:
    """A face, none, a face of another size, and the first again."""
    face = _photograph()
    faceless = np.broadcast_to(np.uint8(feat_weights.FACELESS_COLOUR), face.shape)
    return [Frame(0.0, face), Frame(0.2, faceless), Frame(0.4, face[:300, :400]), Frame(0.6, face)]


@pytest.fixture(scope="module")
def backend(pyfeat: Path) -> PyFeatBackend:
    return PyFeatBackend(device="cpu", longest_side=256, identity=True)


@pytest.fixture(scope="module")
def found(backend: PyFeatBackend) -> list[Faces]:
    return backend.detect(_frames())


def _assert_faces(faces: Faces, height: int, width: int) -> None:
    assert len(faces) > 0
    assert faces.valid.all()
    assert faces.action_units is not None
    assert faces.action_units.shape == (len(faces), 20)
    assert ((faces.action_units >= 0) & (faces.action_units <= 1)).all()
    assert (faces.scores >= 0.5).all()
    assert (faces.boxes >= 0).all()
    assert (faces.boxes <= [width, height, width, height]).all()
    assert (faces.boxes[:, 2:] > faces.boxes[:, :2]).all()
    assert faces.landmarks is not None
    assert faces.landmarks.shape == (len(faces), 68, 2)
    assert np.isfinite(faces.landmarks).all()


@pytest.mark.slow
def test_faces_have_boxes_landmarks_identities_and_20_action_units(found: list[Faces]) -> None:
    _assert_faces(found[0], 512, 512)
    _assert_faces(found[2], 300, 400)
    assert found[0].identities is not None
    assert found[0].identities.shape == (len(found[0]), 512)
    assert len({tuple(units) for units in found[0].action_units}) > 1, "faces must not share their Action Units"


@pytest.mark.slow
def test_a_frame_without_a_face_has_no_row(found: list[Faces]) -> None:
    faces = found[1]
    assert len(faces) == 0
    assert faces.boxes.shape == (0, 4)
    assert faces.action_units.shape == (0, 20)
    assert faces.landmarks.shape == (0, 68, 2)
    assert faces.identities.shape == (0, 512)


@pytest.mark.slow
def test_frames_are_found_alike_together_and_alone(
    backend: PyFeatBackend, found: list[Faces], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert backend.detect([]) == []
    monkeypatch.setattr(backend, "batch_size", 1)
    alone = [faces for frame in _frames() for faces in backend.detect([frame])]
    for one, other in zip(alone, found, strict=True):
        for name in ("boxes", "scores", "action_units", "landmarks", "identities"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_faces_are_looked_for_in_a_shrunk_frame_and_given_in_the_pixels_of_the_whole(
    backend: PyFeatBackend, found: list[Faces]
) -> None:
    image = torch.from_numpy(_photograph()).permute(2, 0, 1)[None].float()
    half = F.interpolate(image, (256, 256), mode="bilinear", antialias=True)[0].permute(1, 2, 0).byte().numpy()
    [faces] = backend.detect([Frame(0.0, half)])
    np.testing.assert_allclose(faces.boxes * 2, found[0].boxes, atol=1e-3)
    # The points are scattered from 0.2 to 0.8 of a cut that is 1.2 as large as the box.
    assert abs(np.median(found[0].landmarks) - np.median(faces.landmarks) * 2) < 4
    assert found[0].landmarks.max() > 256


@pytest.mark.slow
def test_nothing_is_printed_and_gradients_stay_on(
    backend: PyFeatBackend, found: list[Faces], capfd: pytest.CaptureFixture[str]
) -> None:
    backend.detect(_frames()[:1])
    assert capfd.readouterr() == ("", "")
    assert torch.ones(1, requires_grad=True).exp().requires_grad


@pytest.mark.slow
def test_the_second_detector_finds_the_same_action_units(pyfeat: Path) -> None:
    found = PyFeatBackend("Detectorv2", device="cpu", longest_side=256).detect(_frames()[:3])
    _assert_faces(found[0], 512, 512)
    assert [len(faces) > 0 for faces in found] == [True, False, True]
    assert found[0].identities is None


@pytest.mark.slow
def test_faces_below_the_threshold_are_left_out(backend: PyFeatBackend, found: list[Faces]) -> None:
    strict = PyFeatBackend(device="cpu", longest_side=256, identity=True, face_threshold=1.0)
    strict._model = backend._model
    assert len(strict.detect(_frames()[:1])[0]) == (found[0].scores == 1).sum()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("detector", "repositories"),
    [
        ("Detectorv1", "py-feat/retinaface_r34, py-feat/mobilefacenet, py-feat/xgb_au,"),
        ("Detectorv2", "py-feat/retinaface_r34, py-feat/face_multitask_v2,"),
    ],
)
def test_missing_weights_are_named_and_leave_no_trace(
    pyfeat: Path, tmp_path: Path, detector: str, repositories: str
) -> None:
    before = _state()
    with feat_weights.use(tmp_path), pytest.raises(OSError, match=f"weights of {repositories}") as caught:
        PyFeatBackend(detector).detect(_frames()[:1])
    assert "HF_HUB_OFFLINE, which is set" in str(caught.value)
    _assert_unchanged(before)


@pytest.mark.slow
def test_the_process_is_as_it_was_after_the_first_faces(pyfeat: Path) -> None:
    """py-feat must not be imported yet, so another process runs this file."""
    paths = os.pathsep.join(map(str, (Path(__file__).parent, Path(feat_weights.__file__).parent)))
    subprocess.run(
        [*feat_weights.command(pyfeat), Path(__file__).stem],
        env={name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"} | {"PYTHONPATH": paths},
        check=True,
        timeout=300,
    )


def _state() -> dict[str, Any]:
    """What a library may change for the whole process."""
    import matplotlib

    return {
        "environment": dict(os.environ),
        "main": dict(vars(sys.modules["__main__"])),
        "warnings": list(warnings.filters),
        "logging": (logging.root.level, list(logging.root.handlers)),
        "gradients": torch.is_grad_enabled(),
        "threads": torch.get_num_threads(),
        "dtype": torch.get_default_dtype(),
        "cudnn": (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic),
        "torch": torch.get_rng_state().tolist(),
        "numpy": np.random.get_state()[1].tolist(),
        "random": random.getstate(),
        "matplotlib": dict(matplotlib.rcParams),
    }


def _assert_unchanged(before: dict[str, Any]) -> None:
    now = _state()
    assert [name for name in before if before[name] != now[name]] == []


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(ImportError, match=r"py-feat is needed .* found none; pip install 'm2fnet-hf\[faces\]'"):
        PyFeatBackend()


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        ("RuntimeError('operator torchvision::nms does not exist')", "pip install --force-reinstall torch torchvision"),
        ("RuntimeError('Could not load libtorchcodec. Likely causes:')", "install FFmpeg 4 to 8"),
        ("ImportError('No module named h5py')", r"No module named h5py; pip install .* 'm2fnet-hf\[faces\]'"),
    ],
)
def test_a_broken_installation_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: str, remedy: str
) -> None:
    (tmp_path / "feat").mkdir()
    (tmp_path / "feat" / "__init__.py").write_text(f"raise {error}")
    monkeypatch.delitem(sys.modules, "feat", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match=remedy):
        PyFeatBackend().detect([Frame(0.0, np.zeros((8, 8, 3), np.uint8))])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"detector": "Detector"}, "one of Detectorv1, Detectorv2, found 'Detector'"),
        ({"face_threshold": 0.3}, "from 0.5 to 1, found 0.3"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PyFeatBackend(**options)


def test_settings_hold_what_changes_the_result() -> None:
    backend = PyFeatBackend(longest_side=320)
    assert backend.action_units == PYFEAT_ACTION_UNITS
    assert backend.settings["longest_side"] == 320
    assert backend.settings == PyFeatBackend(longest_side=320, device="cpu", batch_size=1).settings
    assert backend.settings != PyFeatBackend("Detectorv2", longest_side=320).settings


def _find_first_faces() -> None:
    backend = PyFeatBackend(device="cpu", longest_side=64)
    frames = _frames()
    before = _state()
    assert "feat" not in sys.modules
    assert len(backend.detect(frames[:1])[0]) > 0
    assert "feat" in sys.modules
    _assert_unchanged(before)


if __name__ == "__main__":
    XGBClassifier = "the user's own"
    _find_first_faces()
