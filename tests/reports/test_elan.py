from itertools import pairwise
from pathlib import Path

import pytest
from sample_results import LABELS, conversation, result, utterance

from m2fnet_hf.reports.timeline_layout import milliseconds

pympi = pytest.importorskip("pympi", reason="pympi-ling is not installed")

from m2fnet_hf.reports.elan import write_elan  # noqa: E402  # imports pympi


def written(tmp_path: Path, utterances: list, **options: object) -> "pympi.Eaf":
    write_elan(result(utterances), tmp_path / "out.eaf", **options)
    return pympi.Eaf(str(tmp_path / "out.eaf"))


def test_tiers_of_each_speaker(tmp_path: Path) -> None:
    eaf = written(tmp_path, [utterance(), utterance("Tom & <Jerry>\x00\x1b!", "anger", start=3, end=3, speaker=None)])
    assert eaf.get_annotation_data_for_tier("ANN") == [(1000, 2500, "You came!")]
    assert eaf.get_ref_annotation_data_for_tier("emotion@ANN") == [(1000, 2500, "joy", "You came!")]
    assert eaf.get_ref_annotation_data_for_tier("probability@ANN") == [(1000, 2500, "0.610", "You came!")]
    assert eaf.get_annotation_data_for_tier("unknown") == [(3000, 3001, "Tom & <Jerry> !")]
    assert eaf.get_parameters_for_tier("emotion@ANN")["PARENT_REF"] == "ANN"
    assert len(eaf.get_tier_names()) == 6


def test_the_emotions_are_a_vocabulary(tmp_path: Path) -> None:
    eaf = written(tmp_path, [utterance()])
    assert [values[0][0] for values, _ in eaf.get_cv_entries("emotions").values()] == LABELS
    assert eaf.get_parameters_for_linguistic_type("emotion")["CONTROLLED_VOCABULARY_REF"] == "emotions"


def test_nothing_overlaps_and_nothing_is_lost(tmp_path: Path) -> None:
    utterances = [*conversation(60)["utterances"], utterance("Both", start=3.0, end=9.0, speaker="SPEAKER 00")]
    # A speaker whose name is that of a further tier.
    utterances.append(utterance("Third", start=3.0, end=9.0, speaker="SPEAKER 00 2"))
    eaf = written(tmp_path, utterances)
    tiers = [name for name in eaf.get_tier_names() if "@" not in name]
    found = []
    for tier in tiers:
        data = sorted(eaf.get_annotation_data_for_tier(tier))
        assert all(before[1] <= after[0] for before, after in pairwise(data))
        labels = {entry[:2]: entry[2] for entry in eaf.get_ref_annotation_data_for_tier(f"emotion@{tier}")}
        speaker = eaf.get_parameters_for_tier(tier)["PARTICIPANT"]
        found += [(start, end, speaker, text, labels[start, end]) for start, end, text in data]
    expected = [(*milliseconds(one), one["speaker"], one["text"], one["label"]) for one in utterances]
    assert sorted(found) == sorted(expected)


def test_each_emotion_hangs_on_its_own_moment(tmp_path: Path) -> None:
    touching = [utterance("a", "joy", start=0, end=1), utterance("b", "anger", start=1, end=1)]
    eaf = written(tmp_path, touching)
    assert eaf.get_ref_annotation_data_for_tier("emotion@ANN") == [(0, 1000, "joy", "a"), (1000, 1001, "anger", "b")]


def test_the_recording_is_linked_from_where_the_file_lies(tmp_path: Path) -> None:
    eaf = written(tmp_path, [utterance()], recording=tmp_path / "films" / "clip.mp4")
    (link,) = eaf.get_linked_files()
    assert (link["RELATIVE_MEDIA_URL"], link["MIME_TYPE"]) == ("films/clip.mp4", "video/mp4")


def test_an_older_file_is_replaced(tmp_path: Path) -> None:
    written(tmp_path, [utterance("old")])
    assert written(tmp_path, [utterance("new")]).get_annotation_data_for_tier("ANN")[0][2] == "new"
    assert [file.name for file in tmp_path.iterdir()] == ["out.eaf"]
