"""IEMOCAP (Busso et al., 2008): its transcriptions, evaluations and recordings to dialogues.

Each of its videos shows one actor in its left half and one in its right. Nothing is cut apart: both faces are found in
the whole picture and followed as two people, as in any recording of a conversation.
"""

import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..dialogue_m2fnet import Dialogue
from .encoding import read_text
from .splits import split_dialogues

if TYPE_CHECKING:
    from datasets import DatasetDict

SIX = {"hap": "happy", "sad": "sad", "neu": "neutral", "ang": "angry", "exc": "excited", "fru": "frustrated"}
# `emotion4` is the task of speech emotion recognition, which counts excitement as happiness.
TARGETS: Mapping[str, Mapping[str, str]] = {
    "emotion": SIX,
    "emotion4": {"hap": "happy", "exc": "happy", "sad": "sad", "neu": "neutral", "ang": "angry"},
}
IEMOCAP_EMOTIONS = tuple(SIX.values())
SESSIONS = range(1, 6)
TEST_SESSION = 5
# The first one that is there: a video has its sound too.
RECORDINGS = (("avi/DivX", "avi"), ("avi", "avi"), ("wav", "wav"))

# `Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.`
_SPOKEN = re.compile(r"(?P<name>Ses\S+) +\[(?P<start>[\d.]+) *- *(?P<end>[\d.]+)\]:(?P<text>.*)")
# `[6.2901 - 8.2357]	Ses01F_impro01_F000	neu	[2.5000, 2.5000, 2.5000]`
_EVALUATED = re.compile(r"\[(?P<start>[\d.]+) *- *(?P<end>[\d.]+)\]\s+(?P<name>Ses\S+)\s+(?P<code>\w+)")


def load_iemocap(root: str | Path, target: str = "emotion", dev_share: float = 0.1, seed: int = 0) -> "DatasetDict":
    """[`read_iemocap`] as a table."""
    from .table import to_tables

    return to_tables(read_iemocap(root, target, dev_share, seed))


def read_iemocap(
    root: str | Path, target: str = "emotion", dev_share: float = 0.1, seed: int = 0
) -> dict[str, list[Dialogue]]:
    """IEMOCAP by split: sessions 1 to 4 are `train` and, for a share of their dialogues, `dev`; session 5 is `test`.

    A turn whose emotion is undecided or not of the target has no label, and stays as context. A turn that was
    evaluated but not transcribed keeps its label and says in `missing` that it has no text. The speaker is a session's
    woman or man, such as `Ses01_F`; the id of an utterance is its turn's name. A dialogue's `recording` is its video,
    or its sound where there is no video, or nothing where IEMOCAP's recordings are not there at all.

    Args:
        root: the folder of `Session1` to `Session5`.
        target: `emotion` (happy, sad, neutral, angry, excited, frustrated) or `emotion4` (excited counts as happy,
            frustrated has no label).
        dev_share: of the dialogues of sessions 1 to 4.
        seed: of the draw of `dev`.

    Raises:
        FileNotFoundError: naming the folder or file that is expected.
        ValueError: for another target, or a turn that ends before it starts.

    Warns:
        UserWarning: naming lines that look like turns and cannot be read.
    """
    if target not in TARGETS:
        raise ValueError(f"The target must be one of {', '.join(TARGETS)}, found {target!r}.")
    sessions = {number: _session(Path(root), number, TARGETS[target]) for number in SESSIONS}
    test = sessions.pop(TEST_SESSION)
    seen = [dialogue for dialogues in sessions.values() for dialogue in dialogues]
    return {**split_dialogues(seen, {"train": 1 - dev_share, "dev": dev_share}, seed), "test": test}


def _session(root: Path, number: int, classes: Mapping[str, str]) -> list[Dialogue]:
    folder = root / f"Session{number}" / "dialog"
    # Copies by macOS hold `._Ses...txt` too.
    transcriptions = sorted((folder / "transcriptions").glob("Ses*.txt"))
    if not transcriptions:
        raise FileNotFoundError(
            f"IEMOCAP's folder must hold Session{number}/dialog/transcriptions/Ses*.txt, found none in {root}; give "
            "the folder of Session1 to Session5."
        )
    return [_dialogue(path, folder, classes) for path in transcriptions]


def _dialogue(transcription: Path, folder: Path, classes: Mapping[str, str]) -> Dialogue:
    evaluation = folder / "EmoEvaluation" / transcription.name
    if not evaluation.is_file():
        raise FileNotFoundError(
            f"IEMOCAP must have {evaluation.name} in EmoEvaluation too, found none in {folder}; unpack it again."
        )
    turns: dict[str, dict[str, Any]] = {}
    for match in _lines(evaluation, _EVALUATED, opening="["):
        turns[match["name"]] = {**_turn(match), "label": classes.get(match["code"])}
    for match in _lines(transcription, _SPOKEN, opening="Ses"):
        turns.setdefault(match["name"], {}).update(_turn(match), text=match["text"].strip())
    recording, missing = _recording(folder, transcription.stem)
    for turn in turns.values():
        wordless = {} if turn.get("text") else {"text": f"{transcription.name} has no words of {turn['id']}"}
        turn["missing"] = {**missing, **wordless}
    try:
        ordered = sorted(turns.values(), key=lambda turn: turn["start"])
        return Dialogue(ordered, id=transcription.stem, recording=recording)
    except ValueError as error:
        raise ValueError(f"{transcription.name}: {error}") from None


def _turn(match: re.Match) -> dict[str, Any]:
    """What both files know of a turn; its name ends like `_F000`, where F is the woman of the session."""
    name = match["name"]
    return {
        "id": name,
        "speaker": f"{name[:5]}_{name.rpartition('_')[2][:1]}",
        "start": float(match["start"]),
        "end": float(match["end"]),
    }


def _lines(path: Path, pattern: re.Pattern, opening: str) -> Iterator[re.Match]:
    """The lines of turns; the files hold comments and lines without times as well."""
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if match := pattern.match(line):
            yield match
        elif line.startswith(opening):
            warnings.warn(f"{path.name}, line {number}, cannot be read and is left out: {line[:60]!r}.", stacklevel=2)


def _recording(folder: Path, name: str) -> tuple[str | None, dict[str, str]]:
    """The path of a dialogue's recording, or why there is none in a session that has others."""
    places = [(folder / place, suffix) for place, suffix in RECORDINGS if (folder / place).is_dir()]
    for place, suffix in places:
        if (place / f"{name}.{suffix}").is_file():
            return str(place / f"{name}.{suffix}"), {}
    reason = f"IEMOCAP's folder has no recording of {name}"
    return None, {"audio": reason, "visual": reason} if places else {}
