"""Acted speech (RAVDESS, CREMA-D, EmoDB, SAVEE, TESS): what the names of its files say, and folds of speakers apart.

Files may be of any kind that holds sound and lie in any folders below the corpus's own; only their names are read.
"""

import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

SUFFIXES = {".wav", ".flac", ".mp3", ".ogg", ".m4a", ".mp4", ".flv", ".avi", ".mkv"}

# The corpora's own names of emotions to MELD's. Calm (RAVDESS) and boredom (EmoDB) are none of MELD's seven: their
# clips are read, and have the emotion `None`. `calm_as_neutral` of `read_acted` makes neutral of the former.
MELD_NAMES: Mapping[str, str] = {
    "neutral": "neutral",
    "surprised": "surprise",
    "fearful": "fear",
    "sad": "sadness",
    "happy": "joy",
    "disgusted": "disgust",
    "angry": "anger",
}

_RAVDESS_EMOTIONS = dict(
    zip(
        ("01", "02", "03", "04", "05", "06", "07", "08"),
        ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgusted", "surprised"),
        strict=True,
    )
)
_RAVDESS_TEXTS = {"01": "Kids are talking by the door.", "02": "Dogs are sitting by the door."}
_CREMAD_EMOTIONS = {
    "ANG": "angry",
    "DIS": "disgusted",
    "FEA": "fearful",
    "HAP": "happy",
    "NEU": "neutral",
    "SAD": "sad",
}
_CREMAD_TEXTS = {
    "IEO": "It's eleven o'clock.",
    "TIE": "That is exactly what happened.",
    "IOM": "I'm on my way to the meeting.",
    "IWW": "I wonder what this is about.",
    "TAI": "The airplane is almost full.",
    "MTI": "Maybe tomorrow it will be cold.",
    "IWL": "I would like a new alarm clock.",
    "ITH": "I think I have a doctor's appointment.",
    "DFA": "Don't forget a jacket.",
    "ITS": "I think I've seen this before.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}
_EMODB_EMOTIONS = {
    "W": "angry",
    "L": "bored",
    "E": "disgusted",
    "A": "fearful",
    "F": "happy",
    "T": "sad",
    "N": "neutral",
}
_EMODB_TEXTS = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}
_SAVEE_EMOTIONS = {
    "a": "angry",
    "d": "disgusted",
    "f": "fearful",
    "h": "happy",
    "n": "neutral",
    "sa": "sad",
    "su": "surprised",
}
_TESS_EMOTIONS = {
    "angry": "angry",
    "disgust": "disgusted",
    "fear": "fearful",
    "happy": "happy",
    "neutral": "neutral",
    "ps": "surprised",
    "sad": "sad",
}


@dataclass(frozen=True, kw_only=True)
class ActedClip:
    """One clip of one speaker. Immutable.

    Args:
        path: of the file that holds the sound, and the picture where the corpus has one.
        corpus: `ravdess`, `cremad`, `emodb`, `savee` or `tess`.
        speaker: unique among all corpora, such as `ravdess-07`.
        emotion: one of MELD's seven, or `None` for one that is not among them.
        acted: the emotion under the name that all corpora share here, such as `calm`.
        text: the words, where the name tells them.
        intensity: as the corpus writes it, where it does (RAVDESS `01` normal, `02` strong; CREMA-D `LO`, `MD`, `HI`).
        action_units: path of an OpenFace or py-feat csv beside the clip, of the same name; `None` without one.
    """

    path: Path
    corpus: str
    speaker: str
    emotion: str | None
    acted: str
    text: str | None = None
    intensity: str | None = None
    action_units: Path | None = None


class _LeftOutError(ValueError):
    """A name that is understood, of a file that holds no speech with sound."""


class _OtherNameError(_LeftOutError):
    """A name that is not of the corpus."""


def read_acted(root: str | Path, corpus: str | None = None, calm_as_neutral: bool = False) -> list[ActedClip]:
    """The clips of a corpus, or of all corpora in a folder, in order of their paths.

    RAVDESS's songs and its videos without sound are left out; of a clip that is there with sound alone (`03-...`) and
    with picture (`01-...`) both are read, so give the folder of one kind.

    Args:
        root: folder below which the files lie.
        corpus: `ravdess`, `cremad`, `emodb`, `savee` or `tess`. Default: the one that each file is named by.
        calm_as_neutral: count RAVDESS's calm, which was made as a second neutral, as neutral.

    Raises:
        ValueError: for another corpus.
        FileNotFoundError: where no file below `root` has a name of the corpus, or of any.

    Warns:
        UserWarning: naming the files with sound or picture that were left out, and why.
    """
    if corpus is not None and corpus not in _PARSERS:
        raise ValueError(f"The corpus must be one of {', '.join(_PARSERS)}, found {corpus!r}.")
    corpora = list(_PARSERS) if corpus is None else [corpus]
    whose = corpus or "acted speech"
    names = {**MELD_NAMES, "calm": "neutral"} if calm_as_neutral else MELD_NAMES
    clips, left_out = [], []
    for path in sorted(path for path in Path(root).rglob("*") if path.suffix.lower() in SUFFIXES):
        try:
            clips.append(_clip(path, corpora, names))
        except (_LeftOutError, KeyError) as error:
            reason = str(error) if isinstance(error, _LeftOutError) else f"unknown code {error}"
            left_out.append(f"{path.relative_to(root)} ({reason})")
    if left_out:
        warnings.warn(f"{len(left_out)} files of {whose} are left out: {', '.join(left_out)}.", stacklevel=2)
    if not clips:
        raise FileNotFoundError(
            f"{root} must hold files named as {' or '.join(corpora)} names them, found none; check the folder."
        )
    return clips


def speaker_folds(
    clips: Iterable[ActedClip], folds: int, seed: int = 0
) -> list[tuple[list[ActedClip], list[ActedClip]]]:
    """`folds` pairs of clips to train with and clips of other speakers to test with; each speaker is tested once.

    The speakers of each corpus are spread evenly over the folds, the same way whatever the order of the clips.

    Args:
        clips: of any corpora.
        folds: at least 2, and at most as many as speakers.
        seed: of the draw.

    Raises:
        ValueError: for fewer speakers than folds.
    """
    clips = list(clips)
    by_corpus: dict[str, list[str]] = {}
    for corpus, speaker in sorted({(clip.corpus, clip.speaker) for clip in clips}):
        by_corpus.setdefault(corpus, []).append(speaker)
    random = Random(seed)
    order = [speaker for speakers in by_corpus.values() for speaker in random.sample(speakers, len(speakers))]
    if not 2 <= folds <= len(order):
        raise ValueError(f"Folds of speakers apart must be 2 to {len(order)} (the speakers), found {folds}.")
    number = {speaker: place % folds for place, speaker in enumerate(order)}
    return [
        (
            [clip for clip in clips if number[clip.speaker] != fold],
            [clip for clip in clips if number[clip.speaker] == fold],
        )
        for fold in range(folds)
    ]


def _clip(path: Path, corpora: Sequence[str], names: Mapping[str, str]) -> ActedClip:
    corpus, fields = _parsed(path, corpora)
    units = path.with_suffix(".csv")
    return ActedClip(
        path=path,
        corpus=corpus,
        speaker=f"{corpus}-{fields['speaker']}",
        emotion=names.get(fields["acted"]),
        acted=fields["acted"],
        text=fields.get("text"),
        intensity=fields.get("intensity"),
        action_units=units if units.is_file() else None,
    )


def _parsed(path: Path, corpora: Sequence[str]) -> tuple[str, dict[str, str]]:
    """The first corpus that names its files so, and what the name says."""
    for corpus in corpora:
        try:
            return corpus, _PARSERS[corpus](path)
        except _OtherNameError:
            if len(corpora) == 1:
                raise
    raise _OtherNameError(f"not named as {' or '.join(corpora)} names files")


def _match(pattern: str, name: str, form: str) -> Sequence[str]:
    match = re.fullmatch(pattern, name)
    if match is None:
        raise _OtherNameError(f"not named {form}")
    return match.groups()


def _ravdess(path: Path) -> dict[str, str]:
    parts = _match(r"(\d\d)-" * 6 + r"(\d\d)", path.stem, "as 03-01-06-01-02-01-12")
    modality, channel, emotion, intensity, text, _, actor = parts
    if modality == "02":
        raise _LeftOutError("a video without sound")
    if channel == "02":
        raise _LeftOutError("a song")
    return {
        "speaker": actor,
        "acted": _RAVDESS_EMOTIONS[emotion],
        "text": _RAVDESS_TEXTS[text],
        "intensity": intensity,
    }


def _cremad(path: Path) -> dict[str, str]:
    actor, text, emotion, level = _match(r"(\d{4})_([A-Z]{3})_([A-Z]{3})_([A-Z]{1,2})", path.stem, "as 1001_DFA_ANG_XX")
    return {
        "speaker": actor,
        "acted": _CREMAD_EMOTIONS[emotion],
        "text": _CREMAD_TEXTS[text],
        "intensity": level,
    }


def _emodb(path: Path) -> dict[str, str]:
    speaker, text, emotion = _match(r"(\d\d)([ab]\d\d)([A-Z])[a-z]?", path.stem, "as 03a01Fa")
    return {"speaker": speaker, "acted": _EMODB_EMOTIONS[emotion], "text": _EMODB_TEXTS[text]}


def _savee(path: Path) -> dict[str, str]:
    """`DC_a01`, or `a01` in a folder `DC`."""
    name = path.stem if "_" in path.stem else f"{path.parent.name}_{path.stem}"
    speaker, emotion = _match(r"([A-Z]{2})_(sa|su|[adfhn])\d\d", name, "as DC_a01, or a01 in a folder DC")
    return {"speaker": speaker, "acted": _SAVEE_EMOTIONS[emotion]}


def _tess(path: Path) -> dict[str, str]:
    """The word may hold an apostrophe or nothing else than letters; one copy writes `OA_` for `OAF_`."""
    speaker, word, emotion = _match(r"(OAF?|YAF?)_(.+)_([A-Za-z]+)", path.stem, "as OAF_back_angry")
    return {
        "speaker": speaker[0] + "AF",
        "acted": _TESS_EMOTIONS[emotion.lower()],
        "text": f"Say the word {word.lower()}.",
    }


_PARSERS: Mapping[str, Callable[[Path], dict[str, str]]] = {
    "ravdess": _ravdess,
    "cremad": _cremad,
    "emodb": _emodb,
    "savee": _savee,
    "tess": _tess,
}
