"""Dialogues whose recordings are read while a model is trained on them, end to end."""

from collections.abc import Sequence
from typing import Any

from torch.utils.data import Dataset

from ..dialogue_m2fnet import Dialogue
from .build_reader import observer_for
from .cache import open_cache
from .reader import Observer


def with_recordings(
    splits: Sequence[Sequence[Dialogue]], model: Any, processor: Any, media: dict[str, Any]
) -> list[Any]:
    """Each split as it is, or as [`ObservedDialogues`] where a dialogue has a recording and the model reads of it.

    Args:
        media: the section of that name of a [`RunConfig`].
    """
    reads = model.config.audio_config is not None or model.config.visual_config is not None
    seen = [reads and isinstance(split, list) and any(map(_has_recording, split)) for split in splits]
    if not any(seen):
        return list(splits)
    settings = {**media, "cache": open_cache(media.get("cache", True))}
    # One for all splits, as it may hold a face detector. The sound encoder may be trained: it needs the sound itself.
    observer = observer_for(model, processor, encode_sound=False, **settings)
    return [ObservedDialogues(split, observer) if one else split for split, one in zip(splits, seen, strict=True)]


class ObservedDialogues(Dataset[Dialogue]):
    """Each dialogue with its sound and faces, read when it is asked for; faces come from the cache from then on.

    Args:
        dialogues: with a `recording`, or utterances with a `video`.
        observer: what looks and listens.
    """

    def __init__(self, dialogues: Sequence[Dialogue], observer: Observer) -> None:
        self.dialogues = dialogues
        self.observer = observer

    def __len__(self) -> int:
        return len(self.dialogues)

    def __getitem__(self, index: int) -> Dialogue:
        dialogue = self.dialogues[index]
        return self.observer(dialogue, dialogue.recording)


def _has_recording(dialogue: Dialogue) -> bool:
    return dialogue.recording is not None or any(utterance.video is not None for utterance in dialogue)
