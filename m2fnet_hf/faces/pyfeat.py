"""Faces and Action Units by py-feat, which is imported and loaded at the first frame."""

import importlib
import os
import random
import sys
import warnings
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from ..media.clip import Frame
from ..names_m2fnet import PYFEAT_ACTION_UNITS
from .types import Faces

if TYPE_CHECKING:
    import torch

_REPOSITORIES = {
    "Detectorv1": ["py-feat/retinaface_r34", "py-feat/mobilefacenet", "py-feat/xgb_au"],
    "Detectorv2": ["py-feat/retinaface_r34", "py-feat/face_multitask_v2"],
}
_IDENTITY_REPOSITORY = "py-feat/arcface_r50"
# RetinaFace, which py-feat builds itself, gives nothing below.
_LOWEST_THRESHOLD = 0.5
_LANDMARKS = [f"{axis}_{point}" for point in range(68) for axis in "xy"]
_IDENTITIES = [f"Identity_{value}" for value in range(1, 513)]

# What importing py-feat and what it rests on writes for the whole process.
_NAMES_IN_MAIN = ("EmoSVMClassifier", "SVMClassifier", "XGBClassifier")
_VARIABLES = ("KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK", "OMP_NUM_THREADS", "TORCHINDUCTOR_CACHE_DIR")


class PyFeatBackend:
    """Faces and 20 Action Units of py-feat.

    Args:
        detector: `Detectorv1`, or `Detectorv2`, one of whose heads was trained on MELD.
        device: any of torch; `None` is the best there is.
        batch_size: frames at a time.
        longest_side: of the frames in which faces are looked for, in pixels; larger ones are shrunk. The faces
            themselves are cut from the frames as they were given.
        face_threshold: score of the worst face that is kept, 0.5 to 1.
        identity: whether to give `Faces.identities` (512 values).

    Raises:
        ValueError: for another detector or threshold.
        ImportError: where py-feat is missing; from `detect`, where it does not load.
        OSError: from `detect`, where its weights are missing.
    """

    action_units = PYFEAT_ACTION_UNITS

    def __init__(
        self,
        detector: str = "Detectorv1",
        device: str | None = None,
        batch_size: int = 8,
        longest_side: int = 640,
        face_threshold: float = 0.5,
        identity: bool = False,
    ) -> None:
        if detector not in _REPOSITORIES:
            raise ValueError(f"`detector` must be one of {', '.join(_REPOSITORIES)}, found {detector!r}.")
        if not _LOWEST_THRESHOLD <= face_threshold <= 1:
            raise ValueError(f"`face_threshold` must be from {_LOWEST_THRESHOLD} to 1, found {face_threshold}.")
        self.device = device
        self.batch_size = batch_size
        self.settings: dict[str, Any] = {
            "backend": "py-feat",
            "version": _installed_version(),
            "detector": detector,
            "longest_side": longest_side,
            "face_threshold": face_threshold,
            "identity": identity,
        }
        self._model: Any = None

    def detect(self, frames: Sequence[Frame]) -> list[Faces]:
        """The faces of each frame, in the frames' order."""
        if not frames:
            return []
        import torch

        with _process_as_it_was():
            if self._model is None:
                self._model = self._load()
            faces: list[Faces] = []
            for _, alike in groupby(frames, key=lambda frame: frame.image.shape):
                images = np.stack([frame.image for frame in alike])
                faces += self._detect_alike(torch.from_numpy(images).permute(0, 3, 1, 2))
            return faces

    def _load(self) -> Any:
        import torch
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

        detector, identity = self.settings["detector"], self.settings["identity"]
        feat = _import_feat()
        options = {
            "device": "auto" if self.device is None else torch.device(self.device),
            "identity_model": "arcface" if identity else None,
        }
        try:
            if detector == "Detectorv1":
                model = feat.Detectorv1(emotion_model=None, gaze_model=None, **options)
                model.facepose_detector = _OnShrunkFrames(model.facepose_detector, self.settings["longest_side"])
            else:
                model = feat.Detectorv2(**options)
                model.face_detector = _OnShrunkFrames(model.face_detector, self.settings["longest_side"])
        except (HfHubHTTPError, LocalEntryNotFoundError) as error:
            raise OSError(_missing_weights(detector, identity)) from error
        return model

    def _detect_alike(self, images: "torch.Tensor") -> list[Faces]:
        """Faces of frames of one size, uint8 [B, 3, height, width]."""
        # py-feat's own `detect` does the same, and also draws a bar and tells people apart over all frames it is given.
        from feat.data import TensorDataset
        from torch.utils.data import DataLoader

        faces: list[Faces] = []
        for batch in DataLoader(TensorDataset(images), batch_size=self.batch_size):
            found = self._model.detect_faces(batch["Image"], face_detection_threshold=self.settings["face_threshold"])
            rows = self._model.forward(found, batch)
            start = 0
            for frame in found:
                stop = start + len(frame["scores"])
                faces.append(self._faces(frame, rows.iloc[start:stop], images.shape[-2:]))
                start = stop
        return faces

    def _faces(self, frame: "dict[str, torch.Tensor]", rows: Any, size: Sequence[int]) -> Faces:
        """Faces of a frame of a height and width; it has one row of NaN where there is none."""
        boxes = frame["boxes"].cpu().numpy()
        real = ~np.isnan(boxes).any(-1)
        height, width = size
        rows = rows[real]
        return Faces(
            boxes=boxes[real].clip(0, [width, height, width, height]).astype(np.float32),
            scores=frame["scores"].cpu().numpy()[real],
            action_units=rows[list(self.action_units)].to_numpy(np.float32),
            landmarks=rows[_LANDMARKS].to_numpy(np.float32).reshape(-1, 68, 2),
            identities=rows[_IDENTITIES].to_numpy(np.float32) if self.settings["identity"] else None,
        )


class _OnShrunkFrames:
    """RetinaFace on frames that were shrunk, in the pixels of those that were given.

    It stands in the place of py-feat's, which so cuts the faces from the given frames.
    """

    def __init__(self, detector: Any, longest_side: int) -> None:
        self.detector = detector
        self.longest_side = longest_side

    def __call__(self, images: "torch.Tensor") -> list[list[list[float]]]:
        from torch.nn.functional import interpolate

        height, width = images.shape[-2:]
        if max(height, width) <= self.longest_side:
            return self.detector(images)
        shrink = self.longest_side / max(height, width)
        size = max(1, round(height * shrink)), max(1, round(width * shrink))
        found = self.detector(interpolate(images.float(), size, mode="bilinear", antialias=True))
        x, y = width / size[1], height / size[0]
        return [
            [[left * x, top * y, right * x, bottom * y, score] for left, top, right, bottom, score in faces]
            for faces in found
        ]


@contextmanager
def _process_as_it_was() -> Iterator[None]:
    """Takes back what py-feat does to the whole process; its warnings are not shown."""
    import torch

    threads, chance = torch.get_num_threads(), random.getstate()
    try:
        with (
            torch.no_grad(),
            torch.random.fork_rng(devices=[]),
            warnings.catch_warnings(),
            _as_they_were(os.environ, _VARIABLES),
            _as_they_were(vars(sys.modules["__main__"]), _NAMES_IN_MAIN),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.set_num_threads(threads)
        random.setstate(chance)


@contextmanager
def _as_they_were(values: MutableMapping[str, Any], names: Sequence[str]) -> Iterator[None]:
    before = {name: values[name] for name in names if name in values}
    try:
        yield
    finally:
        for name in names:
            values.pop(name, None)
        values.update(before)


def _installed_version() -> str:
    try:
        return version("py-feat")
    except PackageNotFoundError:
        raise ImportError(
            "py-feat is needed to find Action Units, found none; pip install 'm2fnet-hf[faces]'."
        ) from None


def _import_feat() -> Any:
    try:
        return importlib.import_module("feat")
    except (ImportError, OSError, RuntimeError) as error:
        found = str(error).strip().splitlines()[0]
        raise ImportError(f"py-feat must load to find Action Units, found: {found}; {_remedy(str(error))}") from error


def _remedy(error: str) -> str:
    if "torchcodec" in error:
        return "install FFmpeg 4 to 8 with its libraries, and the torchcodec that fits torch."
    if "torchvision" in error:
        import torch

        return (
            f"torchvision must be built for torch {torch.__version__}, so install both from one index: "
            "pip install --force-reinstall torch torchvision."
        )
    return "pip install --force-reinstall 'm2fnet-hf[faces]'."


def _missing_weights(detector: str, identity: bool) -> str:
    from huggingface_hub.constants import is_offline_mode

    repositories = [*_REPOSITORIES[detector], *([_IDENTITY_REPOSITORY] if identity else [])]
    offline = ", and HF_HUB_OFFLINE, which is set, forbids to download them" if is_offline_mode() else ""
    return (
        f"py-feat must have the weights of {', '.join(repositories)}, found them neither on this computer nor on the "
        f'Hub{offline}; run once with a network, which downloads them, or give `faces` as "opencv" or as a file of '
        "faces, which need none."
    )
