"""Dialogues whose recordings are read while a model is trained on them, end to end."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch.utils.data import Dataset
from transformers.utils import logging

from ..dialogue_m2fnet import Dialogue
from .build_reader import build_reader
from .cache import open_cache
from .reader import RecordingReader

if TYPE_CHECKING:
    from ..modeling_m2fnet import M2FNetForEmotionClassification
    from ..processing_m2fnet import M2FNetProcessor

logger = logging.get_logger(__name__)


def with_recordings(
    splits: Sequence[Sequence[Dialogue]],
    model: "M2FNetForEmotionClassification",
    processor: "M2FNetProcessor",
    media: dict[str, Any],
) -> list[Any]:
    """Each split as it is, or as [`RecordedDialogues`] where a dialogue has a recording and the model reads of it.

    Args:
        media: the section of that name of a [`RunConfig`].
    """
    reads = model.config.audio_config is not None or model.config.visual_config is not None
    recorded = [reads and isinstance(split, list) and any(map(_has_recording, split)) for split in splits]
    if not any(recorded):
        return list(splits)
    settings = {**media, "cache": open_cache(media.get("cache", True))}
    # One for all splits, as it may hold a face detector. The sound encoder may be trained: it needs the sound itself.
    reader = build_reader(model, processor, encode_sound=False, **settings)
    return [RecordedDialogues(split, reader) if one else split for split, one in zip(splits, recorded, strict=True)]


class RecordedDialogues(Dataset[Dialogue]):
    """Each dialogue with its sound and faces, read when it is asked for; faces come from the cache from then on.

    What could not be read is logged once.

    Args:
        dialogues: with a `recording`, or utterances with a `video`.
        reader: of the recordings.
    """

    def __init__(self, dialogues: Sequence[Dialogue], reader: RecordingReader) -> None:
        self.dialogues = dialogues
        self.reader = reader

    def __len__(self) -> int:
        return len(self.dialogues)

    def __getitem__(self, index: int) -> Dialogue:
        dialogue = self.dialogues[index]
        dialogue, problems = self.reader(dialogue, dialogue.recording)
        for problem in problems:
            logger.warning_once(problem)
        return dialogue


def _has_recording(dialogue: Dialogue) -> bool:
    return dialogue.recording is not None or any(utterance.video is not None for utterance in dialogue)
