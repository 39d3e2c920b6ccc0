import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any
from weakref import WeakSet

import pytest
from sample_predictions import conversation, dialogues
from transformers import pipeline

from m2fnet_hf import Dialogue, MultimodalEmotionPipeline
from m2fnet_hf.cli import main
from m2fnet_hf.evaluation.bootstrap import bootstrap_intervals
from m2fnet_hf.evaluation.columns import PredictionColumns
from m2fnet_hf.evaluation.evaluate import compute_metrics, evaluate
from m2fnet_hf.evaluation.predictions import predict_utterances, read_predictions, tee_predictions
from m2fnet_hf.registration import TASK

BATCH_SIZE = 2


@pytest.fixture(scope="module")
def pipe(tiny_checkpoint: Path) -> MultimodalEmotionPipeline:
    return pipeline(TASK, model=str(tiny_checkpoint), device="cpu", batch_size=BATCH_SIZE)


def labelled() -> list[Dialogue]:
    return [
        conversation("joy", None, "anger", id="a"),
        conversation("fear", id="b"),
        conversation(None, "joy", id="c"),
        conversation("joy", "sadness", id="d"),
        conversation("anger", id="e"),
    ]


def test_records_are_what_the_pipeline_says(pipe: MultimodalEmotionPipeline) -> None:
    dialogue = conversation("joy", None, "anger", id="first")
    answers = pipe(dialogue)
    records = list(predict_utterances(pipe, [dialogue]))
    assert [(one.dialogue, one.position, one.utterance, one.speaker, one.label) for one in records] == [
        ("first", 1, 0, "Ann", "joy"),
        ("first", 3, 20, "Ann", "anger"),
    ]
    for one, answer in zip(records, (answers[0], answers[2]), strict=True):
        assert one.prediction == answer["label"]
        assert one.modalities == answer["modalities"] == ["text", "audio", "visual"]
        assert one.probabilities == pytest.approx(answer["scores"])
        assert list(one.probabilities) == pipe.model.config.label_names


@pytest.mark.parametrize(
    ("ids", "keys"), [((7, "x"), [7, "x"]), ((7, None), [7, 1]), ((7, 7), [7, 7]), ((1, None), [1, 1])]
)
def test_dialogues_are_told_apart(pipe: MultimodalEmotionPipeline, tmp_path: Path, ids: tuple, keys: list) -> None:
    path = tmp_path / "predictions.jsonl"
    # The second is labelled later than the first, as if it went on with it.
    given = [conversation("joy", None, id=ids[0]), conversation(None, "joy", id=ids[1])]
    records = list(tee_predictions(predict_utterances(pipe, given), path))
    assert [one.dialogue for one in records] == keys
    for found in (records, read_predictions(path)):
        assert bootstrap_intervals(PredictionColumns(found)) is not None


def test_a_stream_gives_the_metrics_of_a_list(pipe: MultimodalEmotionPipeline) -> None:
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    from m2fnet_hf.data.table import to_dialogues, to_table

    table = to_table(labelled())
    expected = evaluate(pipe, to_dialogues(table))
    assert evaluate(pipe, datasets.IterableDataset.from_generator(lambda: iter(table))) == expected
    assert evaluate(pipe, table) == expected
    assert evaluate(pipe, list(table)) == expected
    assert evaluate(pipe, (dialogue for dialogue in to_dialogues(table))) == expected


def test_no_more_than_a_batch_of_a_stream_is_held(pipe: MultimodalEmotionPipeline) -> None:
    held: WeakSet[Dialogue] = WeakSet()
    most = []

    def stream() -> Iterator[Dialogue]:
        for _ in range(10 * BATCH_SIZE):
            dialogue = conversation("joy", "anger")
            held.add(dialogue)
            most.append(len(held))
            yield dialogue

    assert sum(1 for _ in predict_utterances(pipe, stream())) == 2 * len(most)
    # Beside the batch that is read, what loops still name of the one before.
    assert max(most) <= BATCH_SIZE + 3


def test_rows_need_nothing_but_utterances(pipe: MultimodalEmotionPipeline) -> None:
    rows = [{"utterances": [{"text": "yes", "label": "joy"}]}, {"utterances": [{"text": "no", "label": "anger"}]}]
    for given in (rows, iter(rows)):
        assert [(one.dialogue, one.label) for one in predict_utterances(pipe, given)] == [(0, "joy"), (1, "anger")]


def test_a_sequence_is_checked_before_and_a_stream_on_the_way(pipe: MultimodalEmotionPipeline) -> None:
    given = [*labelled(), conversation("joy", "bored", id="typo")]
    wrong = r"^Dialogue typo: A label must be one of .*, found 'bored'; rename it in the data, or train .*\.$"
    with pytest.raises(ValueError, match=wrong):
        next(predict_utterances(pipe, given))
    records = predict_utterances(pipe, iter(given))
    assert next(records).dialogue == "a"
    with pytest.raises(ValueError, match=wrong):
        list(records)
    nothing = {"utterances": [{"label": "joy"}]}
    with pytest.raises(ValueError, match=r"^Dialogue 1: Utterance 1: An utterance needs one modality"):
        list(predict_utterances(pipe, iter([given[0], nothing])))


@pytest.mark.parametrize("given", [[conversation(None)], []])
def test_a_stream_needs_labels_too(pipe: MultimodalEmotionPipeline, given: list[Dialogue]) -> None:
    with pytest.raises(ValueError, match="needs labelled utterances, found none"):
        evaluate(pipe, iter(given))


def test_the_progress_of_a_stream_has_no_end(pipe: MultimodalEmotionPipeline) -> None:
    told = []

    def progress(items: Any, description: str, total: int | None) -> Any:
        told.append((description, total))
        return items

    evaluate(pipe, iter(labelled()), progress)
    assert told == [("Dialogues", None)]


def test_metrics_can_be_computed_again_from_the_file(pipe: MultimodalEmotionPipeline, tmp_path: Path) -> None:
    path = tmp_path / "new" / "predictions.jsonl"
    given = [conversation("joy", "anger", id="á"), conversation("fear", id="b\u2028")]
    records = list(tee_predictions(predict_utterances(pipe, given), path))
    assert path.read_text(encoding="utf-8").count("\n") == 3
    assert [path.name for path in path.parent.iterdir()] == ["predictions.jsonl"]
    assert [asdict(one) for one in read_predictions(path)] == [asdict(one) for one in records]
    assert compute_metrics(PredictionColumns(read_predictions(path))) == compute_metrics(PredictionColumns(records))


def test_what_was_broken_off_leaves_no_file(pipe: MultimodalEmotionPipeline, tmp_path: Path) -> None:
    path = tmp_path / "predictions.jsonl"
    given = [*labelled(), conversation("bored")]
    with pytest.raises(ValueError, match="found 'bored'"):
        list(tee_predictions(predict_utterances(pipe, iter(given)), path))
    assert list(tmp_path.iterdir()) == []
    path.write_text("of a former run")
    stopped = tee_predictions(predict_utterances(pipe, labelled()), path)
    next(stopped)
    stopped.close()
    assert [path.read_text() for path in tmp_path.iterdir()] == ["of a former run"]


@pytest.mark.parametrize(
    "change",
    [lambda line: "{", lambda line: "[1]", lambda line: '{"speed": 3}', lambda line: line.replace("position", "place")],
)
def test_another_file_is_refused(tmp_path: Path, change: Callable[[str], str]) -> None:
    path = tmp_path / "predictions.jsonl"
    list(tee_predictions(dialogues(1, 1), path))
    path.write_text(path.read_text() + change(path.read_text()))
    with pytest.raises(ValueError, match=r"predictions\.jsonl, line 2: expected a prediction"):
        list(read_predictions(path))


def test_the_command_writes_the_predictions_of_its_figures(tiny_checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").write_text(
        '{"id": "x", "utterances": [{"text": "yes", "label": "joy"}, {"text": "no", "label": "anger"}]}\n'
        '{"id": "y", "utterances": [{"text": "why", "label": "joy"}]}\n'
    )
    results, predictions = tmp_path / "results.json", tmp_path / "new" / "predictions.jsonl"
    files = ("--output", str(results), "--predictions", str(predictions))
    assert main(["evaluate", "--data", str(tmp_path), "--model", str(tiny_checkpoint), *files]) == 0
    shown = json.loads(results.read_text())
    metrics = json.loads(json.dumps(compute_metrics(PredictionColumns(read_predictions(predictions)))))
    assert {name: shown[name] for name in metrics} == metrics
