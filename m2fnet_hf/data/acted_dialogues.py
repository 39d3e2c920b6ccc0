"""Acted speech (RAVDESS, CREMA-D, EmoDB, SAVEE, TESS) to dialogues of one speaker each, in splits of speakers apart."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from ..dialogue_m2fnet import Dialogue, Utterance
from .acted import ActedClip, read_acted
from .splits import REPORT_SHARES, SPLITS

if TYPE_CHECKING:
    from datasets import DatasetDict

TARGETS = ("emotion", "acted")
LONGEST = 64  # clips of a dialogue
# Of two files of one clip, the one with a picture has the sound as well.
WITH_PICTURE = {".mp4", ".flv", ".avi", ".mkv"}


def load_acted(root: str | Path, target: str = "emotion", corpus: str | None = None, seed: int = 0) -> "DatasetDict":
    """[`read_acted_dialogues`] as a table."""
    from .table import to_tables

    return to_tables(read_acted_dialogues(root, target, corpus, seed))


def read_acted_dialogues(
    root: str | Path, target: str = "emotion", corpus: str | None = None, seed: int = 0
) -> dict[str, list[Dialogue]]:
    """Acted speech by split, no speaker in two of them; each utterance has its clip as `video`.

    A dialogue is what one speaker said, in random order, as the order of files is that of their emotions; one of more
    than 64 clips becomes several of about the same length. The id of an utterance is the name of its file. The words
    are there where the name tells them, and `missing` says so elsewhere. 25 % of the speakers of each corpus are
    `test` and 15 % `dev`, one at least of each; a corpus of two speakers has no `dev`, and the only one of a corpus is
    `train`.

    Faces are not read here: `faces=root` gives the pipeline and `m2fnet extract` the csv files beside the clips.

    Args:
        root: folder below which the files lie, of one corpus or of several.
        target: what becomes the label: `emotion` is one of MELD's seven (calm counts as neutral, and boredom has no
            label), `acted` the corpora's own emotions: neutral, calm, happy, sad, angry, fearful, disgusted, surprised,
            bored.
        corpus: `ravdess`, `cremad`, `emodb`, `savee` or `tess`. Default: the one that each file is named by.
        seed: of the draw of the splits and of the order.

    Raises:
        FileNotFoundError: where no file below `root` has a name of a corpus.
        ValueError: for another target or corpus.

    Warns:
        UserWarning: naming files that were left out: names that are not understood, and a clip's second file.
    """
    if target not in TARGETS:
        raise ValueError(f"The target must be one of {', '.join(TARGETS)}, found {target!r}.")
    clips = _once(read_acted(root, corpus, calm_as_neutral=True))
    random = Random(seed)
    return {
        split: [dialogue for one in speakers for dialogue in _dialogues(one, target, random)]
        for split, speakers in _split(clips, random).items()
        if speakers
    }


def _once(clips: Iterable[ActedClip]) -> list[ActedClip]:
    """Each clip once, of several files one with a picture."""
    kept: dict[tuple[str, str], ActedClip] = {}
    repeats = []
    for clip in sorted(clips, key=lambda clip: clip.path.suffix.lower() not in WITH_PICTURE):
        first = kept.setdefault((clip.speaker, clip.path.stem), clip)
        if first is not clip:
            repeats.append(f"{clip.path} (it is in {first.path} too)")
    if repeats:
        warnings.warn(f"{len(repeats)} files of acted speech are left out: {', '.join(repeats)}.", stacklevel=3)
    return sorted(kept.values(), key=lambda clip: clip.path)


def _split(clips: Iterable[ActedClip], random: Random) -> dict[str, list[list[ActedClip]]]:
    """The clips of each speaker, by split."""
    corpora: dict[str, dict[str, list[ActedClip]]] = {}
    for clip in clips:
        corpora.setdefault(clip.corpus, {}).setdefault(clip.speaker, []).append(clip)
    splits: dict[str, list[list[ActedClip]]] = {split: [] for split in SPLITS}
    for _, speakers in sorted(corpora.items()):
        drawn = random.sample(sorted(speakers), len(speakers))
        sizes = _sizes(len(speakers), REPORT_SHARES)
        for split in SPLITS:
            names, drawn = drawn[: sizes[split]], drawn[sizes[split] :]
            splits[split] += [speakers[name] for name in sorted(names)]
    return splits


def _sizes(speakers: int, shares: Mapping[str, float]) -> dict[str, int]:
    """How many speakers of a corpus each split gets."""
    test = max(1, round(shares["test"] * speakers)) if speakers > 1 else 0
    dev = max(1, round(shares["dev"] * speakers)) if speakers > 2 else 0
    return {"train": speakers - dev - test, "dev": dev, "test": test}


def _dialogues(clips: Sequence[ActedClip], target: str, random: Random) -> list[Dialogue]:
    """What one speaker said."""
    said = random.sample(clips, len(clips))
    count = -(-len(said) // LONGEST)
    speaker = said[0].speaker
    return [
        Dialogue(
            [_utterance(clip, target) for clip in said[number::count]],
            id=speaker if count == 1 else f"{speaker}-{number + 1}",
        )
        for number in range(count)
    ]


def _utterance(clip: ActedClip, target: str) -> Utterance:
    return Utterance(
        id=clip.path.stem,
        text=clip.text,
        speaker=clip.speaker,
        label=clip.emotion if target == "emotion" else clip.acted,
        video=str(clip.path),
        missing={} if clip.text else {"text": f"{clip.corpus} does not name its words"},
    )
