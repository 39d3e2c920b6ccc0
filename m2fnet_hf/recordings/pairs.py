"""The conversations in a folder: recordings and transcripts that belong together by their names."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from ..data.transcripts import FORMATS

RECORDINGS = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".flv", ".wmv", ".3gp", ".ogv"),
    *(".wav", ".mp3", ".m4a", ".aac", ".flac", ".ogg", ".oga", ".opus", ".wma", ".aif", ".aiff"),
)


class Pair(NamedTuple):
    """A conversation.

    Args:
        name: of its results, which no other has.
        recording, transcript: its files; one of them may be `None`.
        problem: why it cannot be told what belongs to it, if that is so.
    """

    name: str
    recording: Path | None
    transcript: Path | None
    problem: str | None = None


def find_pairs(folder: Path, languages: Sequence[str] | None = None) -> tuple[list[Pair], list[str]]:
    """The conversations in a folder, not in those within it, in the order of their names.

    `talk.srt`, `talk.en.vtt` and `talk.mp4.srt` are transcripts of `talk.mp4`. Of several, the one that is named like
    the recording is taken, or else the one in a language that the model was trained on.

    Args:
        languages: what the model was trained on, where that is known.

    Returns:
        The conversations, and a sentence for what else lies there.
    """
    pairs, left_out = pair_files([path for path in folder.iterdir() if not path.name.startswith(".")], languages)
    return pairs, [f"{folder.name} also holds what was not used: {', '.join(left_out)}."] if left_out else []


def pair_files(files: Iterable[Path], languages: Sequence[str] | None = None) -> tuple[list[Pair], list[str]]:
    """The conversations among files, as [`find_pairs`] finds them, and the names of what belongs to none."""
    files = sorted(files)
    recordings = [path for path in files if path.is_file() and path.suffix.lower() in RECORDINGS]
    transcripts = [path for path in files if path.is_file() and path.suffix.lower() in FORMATS]
    found: list[tuple[Path | None, Path | None, str | None]] = []
    named: set[Path] = set()
    unused: set[Path] = set()
    for recording in recordings:
        own = [path for path in transcripts if _belongs(path, recording)]
        named.update(own)
        chosen = _choose(own, recording, languages or ())
        if len(own) > 1 and chosen is None:
            names = " and ".join(path.name for path in own)
            problem = f"{recording.name} must have one transcript, found {names}; rename or move the others."
            found.append((recording, None, problem))
        else:
            found.append((recording, chosen, None))
            unused.update(path for path in own if path != chosen)
    unused -= {transcript for _, transcript, _ in found if transcript is not None}
    found += [(None, path, None) for path in transcripts if path not in named]
    others = [path.name for path in files if path not in {*recordings, *transcripts}]
    return _named(found), [*others, *sorted(path.name for path in unused)]


def _belongs(transcript: Path, recording: Path) -> bool:
    stem = transcript.stem.casefold()
    return stem == recording.stem.casefold() or stem.startswith(f"{recording.stem.casefold()}.")


def _choose(own: Sequence[Path], recording: Path, languages: Sequence[str]) -> Path | None:
    """The transcript of a recording, `None` where there is none or it cannot be told which."""
    full = [path for path in own if path.stem.casefold() == recording.name.casefold()]
    same = [path for path in own if path.stem.casefold() == recording.stem.casefold()]
    codes = {language.lower().partition("-")[0] for language in languages}
    spoken = [path for path in own if Path(path.stem).suffix.lower().lstrip(".").partition("-")[0] in codes]
    return next((group[0] for group in (own, full, same, spoken) if len(group) == 1), None)


def _named(found: Sequence[tuple[Path | None, Path | None, str | None]]) -> list[Pair]:
    """Each with a name of its own: without the ending, unless another has the same."""
    pairs = []
    paths = [recording or transcript for recording, transcript, _ in found]
    stems = Counter(path.stem.casefold() for path in paths if path is not None)
    for path, (recording, transcript, problem) in zip(paths, found, strict=True):
        assert path is not None
        name = path.stem if stems[path.stem.casefold()] == 1 else path.name
        pairs.append(Pair(name, recording, transcript, problem))
    names = Counter(pair.name.casefold() for pair in pairs)
    if max(names.values(), default=1) > 1:  # `a.srt` and `a.vtt` beside `a.srt.json`
        pairs = [pair._replace(name=path.name) for pair, path in zip(pairs, paths, strict=True) if path is not None]
    return sorted(pairs, key=lambda pair: pair.name)
