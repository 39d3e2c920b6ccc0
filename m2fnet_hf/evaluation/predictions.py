"""Predictions of labelled utterances, one by one, and their file."""

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.labels import label_id
from ..dialogue_m2fnet import Dialogue, EmotionPrediction
from ..utils.console import Progress
from ..utils.files import write_whole

if TYPE_CHECKING:
    from ..pipeline_m2fnet import MultimodalEmotionPipeline


@dataclass(frozen=True, kw_only=True)
class UtterancePrediction:
    """The prediction of one labelled utterance.

    Args:
        dialogue: its id, or its number where it has none.
        dialogue_number: its place among the dialogues, from 0; it tells dialogues of one id apart.
        position: place in the dialogue, from 1.
        utterance: id in its source.
        speaker: name.
        label, prediction: names of emotions.
        probabilities: of every emotion, in label order.
        modalities: those that the prediction used.

    Raises:
        ValueError: for a label or a prediction without a probability.
    """

    dialogue: str | int
    dialogue_number: int
    position: int
    utterance: str | int | None
    speaker: str | None
    label: str
    prediction: str
    probabilities: dict[str, float]
    modalities: list[str]

    def __post_init__(self) -> None:
        for name in (self.label, self.prediction):
            if name not in self.probabilities:
                raise ValueError(f"`probabilities` must hold {name!r}, found only {', '.join(self.probabilities)}.")


def predict_utterances(
    pipe: "MultimodalEmotionPipeline",
    dialogues: Iterable[Dialogue | Mapping[str, Any]],
    progress: Progress | None = None,
) -> Iterator[UtterancePrediction]:
    """What a `MultimodalEmotionPipeline` predicts of labelled dialogues, while no more than a batch of them is held.

    Args:
        dialogues: [`Dialogue`]s, or dictionaries of their fields such as the rows of a table of `datasets`. Utterances
            without a label are predicted, as context, but not yielded. All of a sequence are checked before the first
            is predicted; anything else may be a stream, is read once and in this process, and each is checked when it
            comes.
        progress: wraps the predicted dialogues, as `rich.progress.track` does; `total` is `None` for a stream.

    Raises:
        ValueError: naming the dialogue, for a label that the model does not know; or where no utterance has one.
    """
    label_ids = pipe.model.config.label_ids
    checked = _checked(dialogues, label_ids)
    predicted: Iterable[list[EmotionPrediction]]
    beside: Iterator[Dialogue]
    if isinstance(dialogues, Sequence):
        # An hour of predictions is not lost to a typo in the last dialogue.
        _need_labels(sum(one.label is not None for dialogue in checked for one in dialogue))
        predicted, beside = pipe(dialogue for dialogue in dialogues), map(Dialogue.from_any, dialogues)
    else:
        waiting: deque[Dialogue] = deque()
        # What another process reads is not seen here.
        predicted, beside = pipe(_queued(checked, waiting), num_workers=0), _dequeued(waiting)
    if progress is not None:
        total = len(dialogues) if isinstance(dialogues, Sized) else None
        predicted = progress(predicted, total=total, description="Dialogues")
    labelled = 0
    for number, (answers, dialogue) in enumerate(zip(predicted, beside, strict=True)):
        for prediction in _predictions(number, dialogue, answers, list(label_ids)):
            yield prediction
            labelled += 1
    _need_labels(labelled)


def tee_predictions(predictions: Iterable[UtterancePrediction], path: Path) -> Iterator[UtterancePrediction]:
    """Pass predictions on and write each, a JSON object per line; the file is there when the last one has passed."""
    with write_whole(path) as part, part.open("w", encoding="utf-8") as file:
        for prediction in predictions:
            file.write(json.dumps(asdict(prediction), ensure_ascii=False, allow_nan=False) + "\n")
            yield prediction


def read_predictions(path: Path) -> Iterator[UtterancePrediction]:
    """What [`tee_predictions`] wrote, line by line.

    Raises:
        ValueError: naming the line that is something else.
    """
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                prediction = _read_prediction(line)
            except (AttributeError, RecursionError, TypeError, ValueError):
                raise ValueError(
                    f"{path.name}, line {number}: expected a prediction that `tee_predictions` wrote, "
                    f"found {line!r:.60}; predict again."
                ) from None
            yield prediction


def _read_prediction(line: str) -> UtterancePrediction:
    prediction = UtterancePrediction(**json.loads(line))
    if not all(0 <= share <= 1 for share in prediction.probabilities.values()):  # NaN is neither
        raise ValueError
    return prediction


def _checked(sources: Iterable[Any], label_ids: Mapping[str, int]) -> Iterator[Dialogue]:
    for number, source in enumerate(sources):
        key: str | int = number
        try:
            dialogue = Dialogue.from_any(source)
            key = _key(dialogue, number)
            for utterance in dialogue:
                label_id(utterance.label, label_ids)
        except (TypeError, ValueError) as error:
            raise type(error)(f"Dialogue {key}: {error}") from None
        yield dialogue


def _need_labels(found: int) -> None:
    if not found:
        raise ValueError("An evaluation needs labelled utterances, found none.")


def _queued(dialogues: Iterable[Dialogue], waiting: deque[Dialogue]) -> Iterator[Dialogue]:
    for dialogue in dialogues:
        waiting.append(dialogue)
        yield dialogue


def _dequeued(waiting: deque[Dialogue]) -> Iterator[Dialogue]:
    while waiting:
        yield waiting.popleft()


def _predictions(
    number: int, dialogue: Dialogue, answers: list[EmotionPrediction], names: list[str]
) -> Iterator[UtterancePrediction]:
    for position, (utterance, answer) in enumerate(zip(dialogue, answers, strict=True), start=1):
        if utterance.label is not None:
            yield UtterancePrediction(
                dialogue=_key(dialogue, number),
                dialogue_number=number,
                position=position,
                utterance=utterance.id,
                speaker=utterance.speaker,
                label=utterance.label,
                prediction=answer["label"],
                probabilities={name: answer["scores"][name] for name in names},
                modalities=answer["modalities"],
            )


def _key(dialogue: Dialogue, number: int) -> str | int:
    return number if dialogue.id is None else dialogue.id
