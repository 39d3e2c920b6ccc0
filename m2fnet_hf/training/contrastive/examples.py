"""Single utterances with a label, and batches of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ...configuration_m2fnet import M2FNetConfig
from ...data.labels import label_id
from ...dialogue_m2fnet import IGNORED, Dialogue, Utterance
from ...features_m2fnet import read_inputs
from ...media.clip import Clip
from ...media.sound import is_silent
from ...processing_m2fnet import M2FNetProcessor


@dataclass(frozen=True, eq=False)
class Example:
    """A labelled utterance and where it stands: faces are normalised over their dialogue, text may have context."""

    dialogue: Dialogue
    index: int
    label: int


@dataclass
class UtteranceCollator:
    """Examples to a batch [N, ...] with `labels` [N]; those that cannot be read, or show no face, are left out.

    Args:
        processor: [`M2FNetProcessor`].
        config: of a model with one modality.
    """

    processor: M2FNetProcessor
    config: M2FNetConfig

    def __call__(self, examples: Sequence[Example]) -> dict[str, torch.Tensor]:
        if self.config.modalities == ("audio",):
            examples = [found for example in examples if (found := self._with_sound(example)) is not None]
        labels = torch.tensor([example.label for example in examples], dtype=torch.long)
        if not examples:
            return {"labels": labels}
        padded = self.processor([example.dialogue for example in examples], modalities=self.config.modalities)
        rows = torch.arange(len(examples)), torch.tensor([example.index for example in examples])
        batch = {name: values[rows] for name, values in padded.items()} | {"labels": labels}
        return self._with_faces(batch) if self.config.modalities == ("visual",) else batch

    def _with_sound(self, example: Example) -> Example | None:
        """The example's sound alone, from its recording where it does not have it yet; `None` where there is none."""
        utterance = example.dialogue[example.index]
        sound, rate = utterance.audio, utterance.sampling_rate
        if sound is None:
            rate = self.processor.feature_extractor.sampling_rate
            sound = _recorded(example.dialogue, utterance, rate)
        if sound is None:
            return None
        return Example(Dialogue([Utterance(audio=sound, sampling_rate=rate)]), 0, example.label)

    def _with_faces(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        raw = read_inputs("visual", batch, self.config)
        assert raw is not None
        batch |= raw.values
        found = batch["faces_mask"].flatten(1).any(1)
        return {name: values[found] for name, values in batch.items()}


def labelled_examples(dialogues: Sequence[Dialogue], config: M2FNetConfig) -> list[Example]:
    """The labelled utterances that have the modality."""
    return [
        Example(dialogue, index, label)
        for dialogue in dialogues
        for index, utterance in enumerate(dialogue)
        if (label := label_id(utterance.label, config.label_ids)) != IGNORED and _has(dialogue, utterance, config)
    ]


def _has(dialogue: Dialogue, utterance: Utterance, config: M2FNetConfig) -> bool:
    if config.modalities == ("audio",):
        return utterance.audio is not None or _span(dialogue, utterance) is not None
    names = ("text",) if config.modalities == ("text",) else _face_inputs(config)
    return all(getattr(utterance, name) is not None for name in names)


def _span(dialogue: Dialogue, utterance: Utterance) -> tuple[str | Path, float, float | None] | None:
    """Where its sound can be read: its own clip, or a part of the dialogue's recording."""
    if utterance.video is not None:
        return utterance.video, 0.0, None
    if dialogue.recording is not None and utterance.start is not None and utterance.end is not None:
        return dialogue.recording, utterance.start, utterance.end
    return None


def _recorded(dialogue: Dialogue, utterance: Utterance, rate: int) -> np.ndarray | None:
    span = _span(dialogue, utterance)
    if span is None:
        return None
    recording, start, end = span
    try:
        sound = Clip(recording).sound(start, end, rate)
    except (OSError, ValueError):
        return None
    return None if sound is None or is_silent(sound) else sound


def _face_inputs(config: M2FNetConfig) -> tuple[str, ...]:
    """What the visual encoder reads of a face."""
    assert config.visual_config is not None
    chosen = config.visual_config.visual_features
    return ("action_units", "appearance") if chosen == "both" else (chosen,)
