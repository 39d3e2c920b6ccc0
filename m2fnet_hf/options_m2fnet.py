"""The options of a call of the pipeline."""

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, TypedDict

from .names_m2fnet import is_whole

if TYPE_CHECKING:
    from transformers import Pipeline

# Those of each step.
READING = ("asr", "faces", "frame_rate", "audio_track", "modalities", "cache", "progress", "on_problem")
FORWARD = ("return_attentions", "return_embeddings", "return_modalities")
SHOWING = ("top_k", "return_faces")


class PipelineOptions(TypedDict, total=False):
    """What a call of the pipeline may set; see [`MultimodalEmotionPipeline`]."""

    transcript: Any
    asr: "str | os.PathLike[str] | Pipeline | None"
    faces: Any
    frame_rate: float
    audio_track: int | None
    modalities: Sequence[str] | None
    cache: str | os.PathLike[str] | bool
    progress: Callable[..., Iterable[Any]] | None
    on_problem: Callable[[str], Any] | None
    batch_size: int | None
    num_workers: int | None
    top_k: int | None
    return_attentions: bool
    return_embeddings: bool
    return_modalities: bool
    return_faces: bool


def by_step(given: Mapping[str, Any], reads: Sequence[str], pipeline: str) -> tuple[dict[str, Any], ...]:
    """The given options of reading, forward pass and showing.

    Args:
        given: by name.
        reads: modalities of the model.
        pipeline: name of the class, whose `help` lists the options.

    Raises:
        TypeError: for an option that there is not.
        ValueError: for a value that cannot be.
    """
    steps = (READING, FORWARD, SHOWING)
    unknown = [name for name in given if not any(name in names for names in steps)]
    if unknown:
        raise TypeError(f"The pipeline takes what `help({pipeline})` lists, found {', '.join(unknown)}.")
    if given.get("top_k") is not None and not is_whole(given["top_k"], 1):
        raise ValueError(f"`top_k` must be a whole number of at least 1, found {given['top_k']!r}.")
    if "frame_rate" in given and not (isinstance(given["frame_rate"], Real) and float(given["frame_rate"]) > 0):
        raise ValueError(f"`frame_rate` must be above 0 frames per second, found {given['frame_rate']!r}.")
    if given.get("audio_track") is not None and not is_whole(given["audio_track"], 1):
        raise ValueError(f"`audio_track` must be a track's number, from 1 on, found {given['audio_track']!r}.")
    if not isinstance(given.get("cache"), str | os.PathLike | bool | None):
        raise ValueError(f"`cache` must be a folder, or true or false, found {given['cache']!r}.")
    if given.get("modalities") is not None:
        _check_modalities(given["modalities"], reads)
    # What is not given stays out, because the library puts it in the place of what the pipeline was made with.
    return tuple({name: given[name] for name in names if name in given} for names in steps)


def _check_modalities(modalities: Any, reads: Sequence[str]) -> None:
    is_list = isinstance(modalities, Collection) and not isinstance(modalities, str)
    if not is_list or not modalities or not all(name in reads for name in modalities):
        raise ValueError(
            f"`modalities` must list one or more of those that the model reads ({', '.join(reads)}), found "
            f"{modalities!r}."
        )


__all__ = ["PipelineOptions", "by_step"]
