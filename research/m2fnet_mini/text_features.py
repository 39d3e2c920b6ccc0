"""Stage 2: what meld-mini makes of MELD's words and of the sentences of acted speech.

    python -m research.m2fnet_mini.text_features

Writes `text-SPLIT.safetensors`, one row per utterance in MELD's order: `features` [N, 384] (meld-mini's encoder,
context `dialogue`), `logits` [N, 7] (its classifier, offsets of the classes in it), `labels` [N], `dialogues` [N]
(number within the split) and `speakers` [N] (index within the dialogue). And `text-acted.safetensors`: `features`
[K, 384] and `sentence` [K], the number in `SENTENCES` of what was read; the first two rows are sentences by themselves,
the others stand in conversations of such sentences.
"""

from collections.abc import Iterable

import numpy as np
import torch
from safetensors.torch import save_file

from m2fnet_hf import M2FNetForEmotionClassification, M2FNetProcessor
from m2fnet_hf.data.meld import load_meld_split
from m2fnet_hf.dialogue_m2fnet import Dialogue
from m2fnet_hf.names_m2fnet import MELD_EMOTIONS

from .common import DATA, RUNS, TEACHER

SENTENCES = ("Kids are talking by the door.", "Dogs are sitting by the door.")
CONVERSATIONS = 200  # of acted sentences
NAMES = ("Anna", "Ben", "Clara", "David", "Emma", "Actor", "Speaker 1", "Speaker 2", "SPEAKER_00", None)


def main() -> None:
    torch.set_num_threads(1)
    processor = M2FNetProcessor.from_pretrained(TEACHER)
    model = M2FNetForEmotionClassification.from_pretrained(TEACHER, dtype=torch.float32).eval()
    for split in ("train", "dev", "test"):
        path = RUNS / f"text-{split}.safetensors"
        if path.is_file():
            continue
        dialogues = load_meld_split(DATA / "meld", split)
        features, logits = encode(model, processor, dialogues)
        everyone = [utterance for dialogue in dialogues for utterance in dialogue]
        save_file(
            {
                "features": features,
                "logits": logits,
                "labels": torch.tensor([MELD_EMOTIONS.index(str(utterance.label)) for utterance in everyone]),
                "dialogues": torch.tensor([number for number, one in enumerate(dialogues) for _ in one]),
                "speakers": torch.tensor([index for one in dialogues for index in one.speaker_ids]),
            },
            path,
        )
        print(path, flush=True)
    path = RUNS / "text-acted.safetensors"
    if not path.is_file():
        dialogues = list(acted_conversations())
        features, _ = encode(model, processor, dialogues)
        said = [SENTENCES.index(str(utterance.text)) for dialogue in dialogues for utterance in dialogue]
        save_file({"features": features, "sentence": torch.tensor(said)}, path)


def encode(
    model: M2FNetForEmotionClassification, processor: M2FNetProcessor, dialogues: Iterable[Dialogue]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Features [N, 384] and logits [N, 7] of all utterances."""
    features, logits = [], []
    with torch.inference_mode():
        for dialogue in dialogues:
            batch = processor(dialogue, modalities=["text"])
            names = ("input_ids", "attention_mask", "pooling_mask")
            features.append(model.model.get_text_features(*(batch[name] for name in names)).pooler_output[0])
            logits.append(model(text_features=features[-1].unsqueeze(0)).logits[0])
    return torch.cat(features), torch.cat(logits)


def acted_conversations() -> Iterable[Dialogue]:
    """Each sentence by itself, then conversations of 2 to 14 of them by one or two speakers."""
    random = np.random.default_rng(0)
    for sentence in SENTENCES:
        yield Dialogue([{"text": sentence}])
    for _ in range(CONVERSATIONS):
        people = random.choice(len(NAMES), size=random.integers(1, 3), replace=False)
        yield Dialogue(
            [
                {"text": SENTENCES[random.integers(len(SENTENCES))], "speaker": NAMES[random.choice(people)]}
                for _ in range(random.integers(2, 15))
            ]
        )


if __name__ == "__main__":
    main()
