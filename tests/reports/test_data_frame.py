"""Predictions as pandas tables and Parquet files."""

from pathlib import Path

import pytest
from sample_results import LABELS, result, utterance

pandas = pytest.importorskip("pandas", reason="pandas is not installed")
pytest.importorskip("pyarrow", reason="pyarrow is not installed")

from m2fnet_hf import to_data_frame  # noqa: E402
from m2fnet_hf.reports.writers import write_reports  # noqa: E402

FIRST, SECOND = utterance(), utterance(None, "anger", start=None, end=None, speaker=None)


def test_a_row_per_utterance() -> None:
    table = to_data_frame([FIRST, SECOND], LABELS)
    assert list(table.columns) == [
        "start",
        "end",
        "speaker",
        "text",
        "label",
        "score",
        *LABELS,
        "modalities",
        "missing",
    ]
    assert table[["start", "end"]].iloc[0].tolist() == [1.0, 2.5]
    assert table[["start", "end", "speaker", "text"]].iloc[1].isna().all()
    assert table[LABELS].iloc[0].tolist() == [FIRST["scores"][label] for label in LABELS]
    assert table.loc[table.label == "anger", "score"].tolist() == [SECOND["score"]]


def test_several_dialogues_are_numbered() -> None:
    table = to_data_frame([[FIRST, SECOND], [FIRST]])
    assert table.dialogue.tolist() == [0, 0, 1]
    assert list(table.columns[7:14]) == sorted(LABELS)


def test_no_dialogue_is_an_empty_table() -> None:
    assert len(to_data_frame([])) == 0


def test_parquet_holds_what_csv_holds(tmp_path: Path) -> None:
    given = [FIRST, utterance("Oh.\n=1+1", start=None, end=None)]
    written = write_reports(result(given), tmp_path, "talk", ["csv", "parquet"])
    assert [path.name for path in written] == ["talk.csv", "talk.parquet"]
    table = pandas.read_parquet(written[1])
    pandas.testing.assert_frame_equal(table, to_data_frame(given, LABELS))
    assert table.text.tolist() == ["You came!", "Oh.\n=1+1"]
    assert table[["score", *LABELS]].equals(pandas.read_csv(written[0])[["score", *LABELS]])


def test_all_reports_are_those_for_people(tmp_path: Path) -> None:
    assert "talk.parquet" not in {path.name for path in write_reports(result([FIRST]), tmp_path, "talk", "all")}
