"""The predictions of one conversation with all that a reader must know about them, as every report takes it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..data.language import describe_foreign, foreign_utterances
from ..dialogue_m2fnet import LATEST, EmotionPrediction
from .console_tables import UNREAD, reads_only

if TYPE_CHECKING:
    from ..configuration_m2fnet import M2FNetConfig


def build_result(
    predictions: Sequence[EmotionPrediction],
    config: "M2FNetConfig",
    model: str,
    source: str,
    warnings: Sequence[str] = (),
    model_license: str | None = None,
) -> dict[str, Any]:
    """What is written as JSON, and what all other reports are made from.

    Its `language` says what the model was trained on and, by position, which utterances are in something else; `None`
    where that is not known.

    Args:
        predictions: what the pipeline gave for one dialogue.
        config: of the model.
        model, source: names of the model and of the transcript, or of the recording without one.
        warnings: what could not be read.
        model_license: of the model's weights, where it is known.

    Raises:
        ValueError: where no utterance has anything that the model reads.
    """
    reads = config.modalities
    missing = {name: Counter(one["missing"][name] for one in predictions if name in one["missing"]) for name in reads}
    if not any(prediction["modalities"] for prediction in predictions):
        why = "; ".join(dict.fromkeys(reason for counts in missing.values() for reason in counts))
        words = " and ".join(UNREAD[name] for name in reads)
        raise ValueError(
            f"The model {model} needs {words} of one utterance at least, found none in {source}: {why}; give a "
            "recording that has them, or another model."
        )
    languages = config.languages if "text" in reads else None
    texts = [prediction["text"] for prediction in predictions]
    notes = (reads_only(reads), describe_foreign(texts, languages))
    return {
        "source": source,
        "recording": None,
        "model": model,
        "model_license": model_license,
        "labels": config.label_names,
        "reads": list(reads),
        "note": " ".join(filter(None, notes)) or None,
        "language": None if languages is None else _languages(languages, foreign_utterances(texts, languages)),
        "warnings": [warning for warning in warnings if warning not in notes],
        "missing": {name: dict(counts.most_common()) for name, counts in missing.items() if counts},
        "utterances": list(predictions),
    }


def _languages(trained_on: Sequence[str], foreign: Mapping[int, str]) -> dict[str, Any]:
    """What the model was trained on, and by position the utterances in something else."""
    return {"trained_on": list(trained_on), "foreign": {str(position): name for position, name in foreign.items()}}


def recording_of(result: Mapping[str, Any]) -> str | None:
    """The path of the recording of a result, also of one that was written when it was called `video`."""
    return result.get("recording", result.get("video"))


def is_whole(result: Any) -> bool:
    """Whether something that was read has all that is drawn of a result, as m2fnet writes it."""
    try:
        labels, utterances = result["labels"], result["utterances"]
        return (
            isinstance(recording_of(result), str | None)
            and isinstance(labels, list)
            and all(isinstance(label, str) for label in labels)
            and bool(utterances)
            and all(one["label"] in labels and _is_whole(one) for one in utterances)
        )
    except (AttributeError, LookupError, TypeError):
        return False


def _is_whole(one: Mapping[str, Any]) -> bool:
    times = [time for time in (one["start"], one["end"]) if time is not None]
    return (
        all(_is_number(time, 0, LATEST) for time in times)
        and sorted(times) == times
        and _is_number(one["score"], 0, 1)
        and all(isinstance(one[name], str | None) for name in ("speaker", "text"))
        and all(map(_is_face, one.get("faces") or ()))
    )


def _is_face(face: Mapping[str, Any]) -> bool:
    box = face["box"]
    # A face may reach out of the picture, but not that far.
    is_box = isinstance(box, list) and len(box) == 4 and all(_is_number(side, -LATEST, LATEST) for side in box)
    return is_box and _is_number(face["time"], 0, LATEST) and isinstance(face["track"], int)


def _is_number(value: Any, least: float, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def summary(result: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each modality that some utterances lacked, and for each how many labels it changed."""
    total = len(result["utterances"])
    for name, reasons in result["missing"].items():
        why = "; ".join(f"{reason} ({count})" for reason, count in reasons.items())
        yield f"{sum(reasons.values())} of {total} utterances were predicted without {UNREAD[name]}: {why}."
    for name in result["reads"]:
        used = [one for one in result["utterances"] if name in one.get("modality_scores", {}).get("without", {})]
        changed = [one for one in used if _likeliest(one["modality_scores"]["without"][name]) != one["label"]]
        if used:
            yield f"Without {UNREAD[name]}, {len(changed)} of {len(used)} utterances would have another label."


def _likeliest(scores: Mapping[str, float]) -> str:
    return max(scores, key=scores.__getitem__)
