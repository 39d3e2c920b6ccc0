"""What is usual for voices and faces, measured on the training data before the first step."""

import random
from collections.abc import Hashable, Sequence, Sized
from typing import Protocol

import torch

from ..dialogue_m2fnet import Dialogue
from ..features_m2fnet import by_dialogue, modality_features
from ..modeling_m2fnet import M2FNetForEmotionClassification
from ..normalization_m2fnet import SpeakerNormalization
from ..processing_m2fnet import M2FNetProcessor

# Means and standard deviations hardly change with more.
UTTERANCES = 4_000


class Dialogues(Sized, Protocol):
    """Dialogues by number."""

    def __getitem__(self, index: int, /) -> Dialogue: ...


@torch.no_grad()
def fit_normalization(
    model: M2FNetForEmotionClassification,
    processor: M2FNetProcessor,
    dialogues: Dialogues,
    seed: int,
    utterances: int = UTTERANCES,
) -> None:
    """Fit each [`SpeakerNormalization`] of a model to the features of training data; without one, do nothing.

    A name means one speaker within a dialogue and another one in the next. What no utterance has stays as it was. The
    model is left in evaluation mode.

    Args:
        model: whose encoders give the features that the data does not hold.
        processor: of the model.
        dialogues: the training data, of which whole dialogues are drawn.
        seed: of the draw.
        utterances: that are enough; no dialogue is drawn after them.
    """
    norms = speaker_norms(model)
    if not norms:
        return
    model.eval()
    rows: dict[str, list[torch.Tensor]] = {modality: [] for modality in norms}
    speakers: dict[str, list[Hashable]] = {modality: [] for modality in norms}
    drawn = 0
    for number in random.Random(seed).sample(range(len(dialogues)), len(dialogues)):
        dialogue = dialogues[number]
        for modality, (features, present) in _features(model, processor, dialogue, list(norms)).items():
            rows[modality].append(features)
            speakers[modality] += [(number, dialogue[place].speaker) for place in present]
        drawn += len(dialogue)
        if drawn >= utterances:
            break
    for modality, norm in norms.items():
        if rows[modality]:
            norm.fit(torch.cat(rows[modality]), speakers[modality])


def speaker_norms(model: M2FNetForEmotionClassification) -> dict[str, SpeakerNormalization]:
    """Those of a model by modality."""
    norms = {modality: branch.norm for modality, branch in model.model.modalities.items()}
    return {modality: norm for modality, norm in norms.items() if isinstance(norm, SpeakerNormalization)}


def _features(
    model: M2FNetForEmotionClassification, processor: M2FNetProcessor, dialogue: Dialogue, modalities: Sequence[str]
) -> dict[str, tuple[torch.Tensor, list[int]]]:
    """Of each modality that the dialogue has, the features [N, D] and the places of their utterances [N]."""
    batch = processor([dialogue], modalities=modalities).to(model.device)
    mask = batch["utterance_mask"]
    inputs = by_dialogue(batch, mask)
    found = {}
    for modality in modalities:
        features, present = modality_features(modality, inputs, mask, model.config, model.model.encoder(modality))
        if features is not None:
            found[modality] = features[0, present[0]].float(), present[0].nonzero().flatten().tolist()
    return found
