import re
import time
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
    assert eaf.get_annotation_data_for_tier("unknown") == [(3000, 3001, "Tom & <Jerry>!")]
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


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A researcher's file: two speakers, gestures, a translation, a vocabulary, and what pympi does not know of."""
    eaf = pympi.Eaf(author="researcher")
    eaf.remove_tier("default")
    eaf.add_linguistic_type("utterance")
    eaf.add_linguistic_type("emotion", constraints="Included_In")
    eaf.add_linguistic_type("translation", constraints="Symbolic_Association", timealignable=False)
    eaf.add_linked_file("file:///C:/data/talk%201.mp4", relpath="./talk%201.mp4", mimetype="video/mp4")
    eaf.add_tier("ANN", ling="utterance", part="Ann", ann="rk")
    eaf.add_tier("BEN", ling="utterance", part="Ben")
    eaf.add_tier("emotion@ANN", ling="emotion", parent="ANN")
    eaf.add_tier("translation@BEN", ling="translation", parent="BEN")
    eaf.add_annotation("ANN", 120, 1480, "You came!")
    eaf.add_annotation("ANN", 3600, 4700, "Sit down,\nplease.")
    eaf.add_annotation("BEN", 2000, 3400, "I nearly missed the train.")
    eaf.add_annotation("emotion@ANN", 300, 900, "waves")
    eaf.add_ref_annotation("translation@BEN", "BEN", 2700, "Beinahe verpasst.")
    eaf.properties.append(("lastUsedAnnotationId", 6))
    path = tmp_path / "own" / "talk.eaf"
    path.parent.mkdir()
    eaf.to_file(str(path))
    written = path.read_text().replace('ANNOTATION_ID="a5"', 'CVE_REF="cveid0" ANNOTATION_ID="a5"')
    assert "CVE_REF" in written
    path.write_text(written)
    return path


def predicted(own: Path) -> list[dict]:
    from m2fnet_hf import read_transcript

    with pytest.warns(UserWarning, match="translation@BEN"):
        said = read_transcript(own)
    return [utterance(one.text, "joy", start=one.start, end=one.end, speaker=one.speaker) for one in said]


def test_the_own_file_comes_back_with_the_emotions_under_its_tiers(own: Path, tmp_path: Path) -> None:
    extra = utterance("Not in it.", "anger", start=9, end=10, speaker="ANN")
    eaf = written(tmp_path, [*predicted(own), extra], transcript=own)
    before = pympi.Eaf(str(own))
    for name, tier in before.tiers.items():
        assert eaf.tiers[name] == tier
    for name, kind in before.linguistic_types.items():
        assert eaf.linguistic_types[name] == kind
    assert eaf.get_linked_files() == before.get_linked_files()
    assert eaf.adocument["AUTHOR"] == "researcher"
    assert eaf.adocument["DATE"] == before.adocument["DATE"]
    assert 'CVE_REF="cveid0"' in (tmp_path / "out.eaf").read_text()
    assert eaf.get_ref_annotation_data_for_tier("emotion@BEN") == [(2000, 3400, "joy", "I nearly missed the train.")]
    emotions = eaf.get_ref_annotation_data_for_tier("emotion@ANN 2")
    assert emotions == [(120, 1480, "joy", "You came!"), (3600, 4700, "joy", "Sit down,\nplease.")]
    assert eaf.get_parameters_for_tier("emotion@ANN 2")["PARENT_REF"] == "ANN"
    assert eaf.get_parameters_for_tier("emotion@ANN 2")["LINGUISTIC_TYPE_REF"] == "emotion 2"
    assert eaf.get_annotation_data_for_tier("ANN 2") == [(9000, 10000, "Not in it.")]
    assert eaf.get_ref_annotation_data_for_tier("emotion@ANN 2 2") == [(9000, 10000, "anger", "Not in it.")]
    (last,) = (value for name, value in eaf.properties if name == "lastUsedAnnotationId")
    keys = [key for aligned, referring, *_ in eaf.tiers.values() for key in (*aligned, *referring)]
    assert len(keys) == len(set(keys))
    assert f"a{last}" in keys


def test_the_recording_is_linked_once(own: Path, tmp_path: Path) -> None:
    assert (
        len(written(tmp_path, predicted(own), transcript=own, recording=tmp_path / "talk 1.mp4").get_linked_files())
        == 1
    )
    both = written(tmp_path, predicted(own), transcript=own, recording=tmp_path / "other.mp4").get_linked_files()
    assert [link["RELATIVE_MEDIA_URL"] for link in both] == ["./talk%201.mp4", "other.mp4"]


def test_the_same_result_is_the_same_file(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = []
    for year in ("2020", "2030"):
        monkeypatch.setattr("time.strftime", lambda *_, year=year: f"{year}-01-01T00:00:00+00:00")
        for transcript in (None, own):
            written(tmp_path, predicted(own), transcript=transcript)
            files.append((tmp_path / "out.eaf").read_bytes())
    assert files[:2] == files[2:]


def test_what_came_from_here_goes_back_again(own: Path, tmp_path: Path) -> None:
    """The file of a first prediction, corrected by hand, is predicted again."""
    written(tmp_path, predicted(own), transcript=own)
    first = (tmp_path / "out.eaf").rename(tmp_path / "first.eaf")
    eaf = written(tmp_path, predicted(first), transcript=first)
    assert eaf.get_ref_annotation_data_for_tier("emotion@BEN") == eaf.get_ref_annotation_data_for_tier("emotion@BEN 2")
    assert [name for name in eaf.get_tier_names() if name.startswith("ANN")] == ["ANN"]


def test_thousands_that_overlap_are_written_in_time_and_told_apart(tmp_path: Path) -> None:
    said = [utterance(f"word {n}", start=n / 1000, end=100, speaker="ANN") for n in range(4000)]
    started = time.process_time()
    write_elan(result(said), tmp_path / "out.eaf")
    assert time.process_time() - started < 10, "a search of all tiers for each name takes minutes"
    names = re.findall(r'TIER_ID="(ANN[ 0-9]*)"', (tmp_path / "out.eaf").read_text())
    assert names == ["ANN", *(f"ANN {n}" for n in range(2, 4001))]
