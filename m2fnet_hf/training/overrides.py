"""A run's settings changed, by name and by modality; and hashes that tell settings and data apart."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from ..dialogue_m2fnet import Dialogue
from ..features.store import StoredDialogues
from ..processing_m2fnet import MODALITIES
from ..utils.hashes import hash_json, hash_parts
from .settings import RunConfig

FUSION_SETTINGS = {"fusion", "num_fusion_layers", "fusion_includes_text"}
FACE_SETTINGS = {"face_pooling", "appearance", "geometry"}


def override(run: RunConfig, settings: Mapping[str, Any]) -> RunConfig:
    """A copy of a run with other values for settings named `section.key`.

    Raises:
        ValueError: for another name.
    """
    sections: dict[str, Any] = vars(run)
    for path, value in settings.items():
        names = path.split(".")
        if len(names) < 2 or names[0] not in sections:
            raise ValueError(f"A setting must read section.key with one of {', '.join(sections)}, found {path!r}.")
        sections = _put(sections, names, value)
    return RunConfig(**sections)


def run_modalities(run: RunConfig) -> list[str]:
    """The modalities that a run's model reads."""
    return [
        modality
        for modality in MODALITIES
        if modality in run.encoders or any(run.model.get(name) is not None for name in _sources(modality))
    ]


def with_modalities(run: RunConfig, modalities: Sequence[str]) -> RunConfig:
    """A run whose model is built from some of its modalities alone; one alone has nothing to fuse.

    Raises:
        ValueError: for none, or one that the run does not have.
    """
    known = run_modalities(run)
    if not modalities or not set(modalities) <= set(known):
        raise ValueError(f"`modalities` must be some of the run's ({', '.join(known)}), found {modalities!r}.")
    dropped = {name for modality in set(known) - set(modalities) for name in _sources(modality)}
    if "visual" not in modalities:
        dropped |= FACE_SETTINGS
    if len(modalities) == 1:
        dropped |= FUSION_SETTINGS
    encoders = {modality: name for modality, name in run.encoders.items() if modality in modalities}
    kept = {
        section: {name: value for name, value in getattr(run, section).items() if name not in dropped}
        for section in ("model", "processor")
    }
    return RunConfig(**{**vars(run), "encoders": encoders, **kept})


def chosen_on_dev(run: RunConfig) -> RunConfig:
    """The run, of which the epoch with the best weighted F1 on dev is kept and no other."""
    defaults = {"eval_strategy": "epoch", "save_strategy": "epoch"}
    fixed = {"load_best_model_at_end": True, "metric_for_best_model": "weighted_f1", "save_total_limit": 1}
    return RunConfig(**{**vars(run), "training": {**defaults, **run.training, **fixed}})


def settings_hash(*settings: Any) -> str:
    """Sixteen letters that tell settings apart."""
    return hash_json(settings, size=8, default=repr)


def data_hash(splits: Iterable[Iterable[Dialogue]]) -> str:
    """Letters that tell data apart; of recordings their paths count, of features the names of their files."""
    return hash_parts(chain.from_iterable(map(_bytes_of, splits)))


def _bytes_of(split: Iterable[Dialogue]) -> Iterator[bytes]:
    if isinstance(split, StoredDialogues):
        yield split.fingerprint.encode()
        return
    for dialogue in split:
        yield f"dialogue {dialogue.recording}".encode()
        for value in chain.from_iterable(vars(utterance).values() for utterance in dialogue):
            yield value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode()
    yield b"end of split"


def _put(values: Mapping[str, Any], names: Sequence[str], value: Any) -> dict[str, Any]:
    """A copy of nested dictionaries with one value replaced."""
    first, *rest = names
    return {**values, first: _put(values.get(first) or {}, rest, value) if rest else value}


def _sources(modality: str) -> tuple[str, str]:
    """The arguments of the model that give it a modality."""
    return f"{modality}_config", f"{modality}_feature_size"
