import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
from sample_predictions import dialogues

from m2fnet_hf.evaluation.columns import PredictionColumns
from m2fnet_hf.evaluation.evaluate import compute_metrics
from m2fnet_hf.evaluation.predictions import UtterancePrediction

EMOTIONS = [f"emotion {number}" for number in range(7)]


def stream(count: int, length: int = 10) -> Iterator[UtterancePrediction]:
    for number in range(count):
        for position in range(1, length + 1):
            yield UtterancePrediction(
                dialogue=number,
                dialogue_number=number,
                position=position,
                utterance=None,
                speaker=f"speaker {number % 50}",
                label=EMOTIONS[position % 7],
                prediction=EMOTIONS[number % 7],
                probabilities={name: (1 + (name == EMOTIONS[number % 7])) / 8 for name in EMOTIONS},
                modalities=["text", "audio"][: 1 + number % 2],
            )


def test_columns_hold_what_the_records_say() -> None:
    records = dialogues(3, 4)
    found = PredictionColumns(iter(records))
    assert len(found) == 12
    names = np.array(found.names)
    assert names[found.labels].tolist() == [one.label for one in records]
    assert names[found.predicted].tolist() == [one.prediction for one in records]
    assert found.probabilities == pytest.approx(np.array([list(one.probabilities.values()) for one in records]))
    assert found.dialogues.tolist() == [one.dialogue_number for one in records]
    assert found.positions.tolist() == [one.position for one in records]
    assert [found.speaker_names[index] for index in found.speakers] == [one.speaker for one in records]
    assert [list(found.modality_sets[index]) for index in found.modalities] == [one.modalities for one in records]


def test_the_records_of_a_pipeline_lose_no_precision() -> None:
    assert PredictionColumns(stream(1)).probabilities.tolist() == [
        list(one.probabilities.values()) for one in stream(1)
    ]


def test_ten_times_the_utterances_take_little_more_memory() -> None:
    held, most = [], []
    few, many = 100, 1_000
    for count in (few, many):
        tracemalloc.start()
        predictions = PredictionColumns(stream(count))
        held.append(tracemalloc.get_traced_memory()[0])
        compute_metrics(predictions)
        most.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    more = 10 * (many - few)
    assert held[1] - held[0] < 60 * more
    assert most[1] - most[0] < 100 * more
