"""`m2fnet predict FOLDER`: many conversations, of which one that fails stops no other."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ..hub.load import load_config, load_pipeline, model_name
from ..utils.console import say, sentence_of, show, tell
from .prediction import (
    Conversation,
    check_reports,
    check_results,
    foreign_words,
    predict_conversations,
    read_conversation,
    report_kinds,
    write_conversation,
)

if TYPE_CHECKING:
    from ..recordings.pairs import Pair

KEPT = "there already"


class _Outcome(NamedTuple):
    """What became of a conversation.

    Args:
        said: in the table.
        result: its predictions.
        failed: whether there are none.
    """

    said: str
    result: dict[str, Any] | None = None
    failed: bool = False


def predict_folder(options: argparse.Namespace) -> None:
    """Predict every conversation of a folder whose results are not there yet, and end with a table.

    Raises:
        ValueError: where the folder holds none, or after all others where some failed.
    """
    from ..recordings.pairs import find_pairs
    from ..reports.console_tables import reads_only

    folder, kinds = Path(options.source), _check(options)
    config = load_config(options.model)
    pairs, remarks = find_pairs(folder, config.languages)
    if not pairs:
        raise ValueError(f"{folder} must hold recordings or transcripts, found none; name the folder that has them.")
    if note := reads_only(config.modalities):
        tell(f"{note}\n")
    for sentence in remarks:
        say(sentence)
    outcomes: dict[str, _Outcome] = {}
    conversations: dict[str, Conversation] = {}
    for pair in pairs:
        result = None if options.overwrite else _there(options, pair, kinds)
        if result is not None:
            outcomes[pair.name] = _Outcome(KEPT, result)
            continue
        try:
            conversations[pair.name] = _read(options, pair)
            check_results(options, conversations[pair.name], pair.name, kinds)
        except Exception as error:
            conversations.pop(pair.name, None)
            outcomes[pair.name] = _failed(options, pair.name, error)
        else:
            if foreign := foreign_words(conversations[pair.name], config):
                say(f"{pair.name}: {foreign}")
    if conversations:
        outcomes |= _predict_all(options, conversations, kinds)
    _finish(options, {pair.name: outcomes[pair.name] for pair in pairs})


def _predict_all(
    options: argparse.Namespace, conversations: dict[str, Conversation], kinds: list[str] | Literal["all"]
) -> dict[str, _Outcome]:
    """Predict with one model, and with one reader of recordings until something fails."""
    pipe = load_pipeline(options.model)
    outcomes: dict[str, _Outcome] = {}
    while waiting := [name for name in conversations if name not in outcomes]:
        results = predict_conversations(pipe, [conversations[name] for name in waiting], options)
        for name in waiting:
            tell(f"{len(outcomes) + 1} of {len(conversations)}: {name}")
            try:
                result = next(results)
                written = write_conversation(result, conversations[name], options, name, kinds)
            except Exception as error:
                outcomes[name] = _failed(options, name, error)
                break
            outcomes[name] = _Outcome(", ".join(path.name for path in written), result)
    return outcomes


def _check(options: argparse.Namespace) -> list[str] | Literal["all"]:
    """The kinds of reports, of which JSON is always one."""
    if options.transcript:
        options.parser.error("--transcript needs one recording, found a folder; it takes transcripts by their names")
    if options.output is None:
        options.parser.error("a folder needs --output FOLDER for its results")
    if options.output.exists() and options.output.samefile(options.source):
        options.parser.error("--output must be another folder than the one with the recordings")
    kinds = report_kinds(options)
    check_reports(options, kinds)
    return kinds if kinds == "all" or "json" in kinds else ["json", *kinds]


def _there(options: argparse.Namespace, pair: "Pair", kinds: list[str] | Literal["all"]) -> dict[str, Any] | None:
    """The result that is there: of the same model, and not older than what it was made of."""
    from ..reports.writers import report_name

    sources = [path for path in (pair.recording, pair.transcript) if path is not None]
    try:
        path = options.output / report_name({"source": sources[-1].name}, pair.name, "json")
        result = json.loads(path.read_text(encoding="utf-8"))
        names = [report_name(result, pair.name, kind) for kind in kinds if kinds != "all"]
        written = [(options.output / name).stat().st_mtime for name in (path.name, *names)]
        is_new = min(written) >= max(source.stat().st_mtime for source in sources)
        return result if is_new and result["model"] == model_name(options.model) and result["utterances"] else None
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _read(options: argparse.Namespace, pair: "Pair") -> Conversation:
    if pair.problem is not None:
        raise ValueError(pair.problem)
    return read_conversation(options, pair.transcript, pair.recording)


def _failed(options: argparse.Namespace, name: str, error: Exception) -> _Outcome:
    if options.debug:
        raise error
    say(f"{name}: {sentence_of(error)}")
    return _Outcome("failed", failed=True)


def _finish(options: argparse.Namespace, outcomes: dict[str, _Outcome]) -> None:
    from ..reports.console_tables import folder_table
    from ..reports.result import summary

    for name, outcome in outcomes.items():
        for sentence in summary(outcome.result) if outcome.result and outcome.said != KEPT else ():
            say(f"{name}: {sentence}")
    show(folder_table([(name, outcome.result, outcome.said) for name, outcome in outcomes.items()]))
    tell(f"\nWritten to {options.output}.")
    kept = sum(outcome.said == KEPT for outcome in outcomes.values())
    if kept:
        tell(f"{kept} of {len(outcomes)} were there already; --overwrite predicts them again.")
    failed = [name for name, outcome in outcomes.items() if outcome.failed]
    if failed:
        raise ValueError(f"{len(failed)} of {len(outcomes)} could not be predicted: {', '.join(failed)}.")
