"""Random weights for py-feat, and what lets it load where only torch's CPU build is at hand.

`python feat_weights.py FOLDER MODULE ARGUMENTS...` runs a module as `python -m MODULE ARGUMENTS...` does, with them.
"""

import importlib
import json
import math
import runpy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import huggingface_hub
import numpy as np
import torch
from huggingface_hub.file_download import hf_hub_download

# Where `make` puts a torchvision that does not load beside the installed torch: in sight of py-feat's tests alone.
BESIDE = Path(sys.prefix) / "torchvision"
# The colour that RetinaFace takes from every pixel: a frame full of it holds no face for these weights.
FACELESS_COLOUR = (123, 117, 104)


def command(folder: Path) -> list[str]:
    """The start of a command line that runs a module with the weights of a folder; its name and arguments follow."""
    return [sys.executable, __file__, str(folder)]


@contextmanager
def use(folder: Path) -> Iterator[None]:
    """py-feat can be imported, and finds its weights in a folder; it is not imported here."""
    before = huggingface_hub.hf_hub_download
    local = partial(_from_folder, folder)
    with _torchvision(), _torchcodec(), mock.patch.object(huggingface_hub, "hf_hub_download", local):
        _download_by(local)
        try:
            yield
        finally:
            _download_by(before)


def write(folder: Path) -> None:
    """Weights of everything that `PyFeatBackend` may load, about 300 MB, in the layout of the Hub's cache."""
    with use(folder), torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        _write_retinaface(folder)
        _write_landmarks(folder)
        _write_action_units(folder)
        _write_multitask(folder)
        _write_identity(folder)


def _from_folder(folder: Path, *, cache_dir: str, **options: Any) -> str:
    return hf_hub_download(cache_dir=folder, local_files_only=True, **options)


def _download_by(download: Any) -> None:
    """Another function in the place of the one that a module of py-feat took when it was imported."""
    if "feat.detector" in sys.modules:
        sys.modules["feat.detector"].hf_hub_download = download  # type: ignore[attr-defined]


def _path(folder: Path, repository: str, name: str) -> Path:
    cache = folder / f"models--py-feat--{repository}"
    revision = "0" * 40
    for part in (cache / "refs", cache / "snapshots" / revision):
        part.mkdir(parents=True, exist_ok=True)
    (cache / "refs" / "main").write_text(revision)
    return cache / "snapshots" / revision / name


def _write_retinaface(folder: Path) -> None:
    """Sees faces of 360 pixels wherever a frame has another colour than `FACELESS_COLOUR`."""
    from feat.face_detectors.Retinaface.Retinaface_model import RETINAFACE_R34_CFG, RetinaFace
    from safetensors.torch import save_file

    net = RetinaFace(RETINAFACE_R34_CFG)
    for head in (*net.ClassHead._convs, *net.BboxHead._convs):
        head.weight.zero_()
        head.bias.zero_()
    for head in net.ClassHead._convs:
        head.bias.copy_(torch.tensor([20.0, -20.0, 20.0, -20.0]))
    net.ClassHead._convs[2].weight[1] = 1e4
    net.BboxHead._convs[2].bias[2:4] = math.log(360 / 256) / RETINAFACE_R34_CFG["variance"][1]
    save_file(net.state_dict(), _path(folder, "retinaface_r34", "model.safetensors"))


def _write_landmarks(folder: Path) -> None:
    """Scatters its points over the middle of the face."""
    from feat.landmark_detectors.mobilefacenet_test import MobileFaceNet

    net = MobileFaceNet([112, 112], 136)
    net.output_layer.bn.weight.fill_(0.001)
    net.output_layer.bn.bias.uniform_(0.2, 0.8)
    torch.save({"state_dict": net.state_dict()}, _path(folder, "mobilefacenet", "mobilefacenet_model_best.pth.tar"))


def _write_action_units(folder: Path) -> None:
    from feat.au_detectors.StatLearning.SL_test import XGBClassifier as Units
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler
    from skops.io import dump
    from xgboost import XGBClassifier

    chance = np.random.default_rng(0)
    gradients = chance.random((4, 5408))
    scaler = StandardScaler().fit(gradients)
    pca = PCA(2).fit(scaler.transform(gradients))
    features = np.zeros((40, 2 + 136))
    features[:, :2] = chance.normal(0.5, 1, (40, 2))
    units = Units()
    parts = {f"scaler_{part}": scaler for part in ("upper", "lower", "full")}
    parts |= {f"pca_model_{part}": pca for part in ("upper", "lower", "full")}
    units.load_weights(
        **parts,
        classifiers={
            key: XGBClassifier(n_estimators=4, max_depth=2).fit(features, chance.permutation(40) % 2)
            for key in units.au_keys
        },
    )
    dump(units, _path(folder, "xgb_au", "xgb_au_classifier_v2.skops"))


def _write_multitask(folder: Path) -> None:
    from feat.multitask.inference import HF_WEIGHTS_FILE
    from feat.multitask.model_v2 import MEGraphAUv2, ModelV2Config
    from safetensors.torch import save_file

    config = ModelV2Config(
        backbone="convnextv2_atto",
        afg_channels=64,
        mefl_channels=64,
        n_au=20,
        n_emotion=7,
        n_blendshape=52,
        drop_mefl=True,
        mesh_normalized=True,
        pretrained=False,
        use_head_v3=True,
    )
    metadata = {"config": json.dumps(asdict(config))}
    weights = MEGraphAUv2(config).state_dict()
    save_file(weights, _path(folder, "face_multitask_v2", HF_WEIGHTS_FILE), metadata)


def _write_identity(folder: Path) -> None:
    from feat.identity_detectors.arcface.arcface_model import ArcFace
    from safetensors.torch import save_file

    save_file(ArcFace().net.state_dict(), _path(folder, "arcface_r50", "arcface_r50.safetensors"))


@contextmanager
def _torchvision() -> Iterator[None]:
    """torchvision from `BESIDE`, if `make` had to put it there, with the operators of `torchvision_operators`."""
    if not BESIDE.is_dir():
        yield
        return
    import torchvision_operators  # noqa: F401

    with mock.patch.object(sys, "path", [*sys.path, str(BESIDE)]):
        import torchvision

        with mock.patch.object(torchvision.extension, "_has_ops", return_value=True):
            yield


@contextmanager
def _torchcodec() -> Iterator[None]:
    """An empty torchcodec where it finds no FFmpeg: py-feat imports it for videos only."""
    empty = {} if _loads("torchcodec.decoders") else _empty_torchcodec()
    sys.modules.update(empty)
    try:
        yield
    finally:
        for name in empty:
            del sys.modules[name]


def _loads(name: str) -> bool:
    try:
        importlib.import_module(name)
    except (ImportError, OSError, RuntimeError):
        return False
    return True


def _empty_torchcodec() -> dict[str, ModuleType]:
    modules = {name: ModuleType(name) for name in ("torchcodec", "torchcodec.decoders")}
    for name, module in modules.items():
        module.__spec__ = ModuleSpec(name, loader=None)
    modules["torchcodec.decoders"].VideoDecoder = object  # type: ignore[attr-defined]
    return modules


if __name__ == "__main__":
    _, folder, module, *_ = sys.argv
    del sys.argv[1:3]
    with use(Path(folder)):
        runpy.run_module(module, run_name="__main__", alter_sys=True)
