"""Dialogues whose recordings are read while a model is trained on them, end to end."""

from collections.abc import Sequence
from typing import Any

from torch.utils.data import Dataset

from ..data.cache import open_cache
from ..data.dialogue import Dialogue
from ..media.observe import Observer
from ..media.senses import observer_for


def with_recordings(
    dialogues: Sequence[Dialogue], model: Any, processor: Any, media: dict[str, Any]
) -> "Sequence[Dialogue] | ObservedDialogues":
    """The same dialogues where none has a recording or the model reads neither sound nor faces.

    Args:
        media: the section of that name of a [`RunConfig`].
    """
    reads = model.config.audio_config is not None or model.config.visual_config is not None
    if not reads or not isinstance(dialogues, list) or not any(map(_has_recording, dialogues)):
        return dialogues
    settings = {**media, "cache": open_cache(media.get("cache", True))}
    # The sound encoder may be trained: it needs the sound itself, in each epoch.
    return ObservedDialogues(dialogues, observer_for(model, processor, encode_sound=False, **settings))


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
