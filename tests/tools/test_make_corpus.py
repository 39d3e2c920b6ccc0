import csv
import shutil
import warnings
from pathlib import Path

import pytest

from m2fnet_hf.data.meld import read_meld
from m2fnet_hf.media.clip import Clip
from m2fnet_hf.names_m2fnet import MELD_EMOTIONS

pytest.importorskip("skimage", reason="scikit-image, whose photograph it shows, is not installed")
if shutil.which("espeak-ng") is None:
    pytest.skip("espeak-ng, whose voices it has, is not installed", allow_module_level=True)

SMALL = {"train": 3, "dev": 1, "test": 1}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from make_corpus import make_corpus

    folder = tmp_path_factory.mktemp("corpus")
    make_corpus(folder, SMALL)
    return folder


def test_it_is_read_as_meld(corpus: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        splits = read_meld(corpus)
    assert {split: len(dialogues) for split, dialogues in splits.items()} == SMALL
    utterances = [u for dialogues in splits.values() for dialogue in dialogues for u in dialogue]
    assert [u.missing.get("audio") for u in utterances if u.video is None] == ["dia2_utt2.mp4 is not in train_splits"]
    assert [u.id for u in splits["train"][0]][:2] == [0, 2], "keys must have a gap"
    whole = Clip(splits["train"][0][0].video)
    assert (whole.has_video, whole.has_audio, whole.width, whole.height) == (True, True, 160, 120)
    assert whole.duration == pytest.approx(splits["train"][0][0].end - splits["train"][0][0].start, abs=0.15)


def test_the_last_clip_of_test_is_cut(corpus: Path) -> None:
    first, *_, last = read_meld(corpus)["test"][0]
    for utterance, is_cut in ((first, False), (last, True)):
        clip = Clip(utterance.video)
        (sound,) = clip.read([], [(0.0, clip.duration)], 16_000)
        assert (len(sound.samples) < 0.8 * 16_000 * (utterance.end - utterance.start)) == is_cut
        assert bool(clip.problems) == is_cut


def test_one_seed_makes_one_corpus(corpus: Path, tmp_path: Path) -> None:
    from make_corpus import make_corpus

    make_corpus(tmp_path, {"dev": 1})
    files = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert len(files) > 2
    for name in files:
        if name.suffix == ".mp4":
            assert (tmp_path / name).read_bytes() == (corpus / name).read_bytes()


def test_every_emotion_is_drawn_with_all_columns(tmp_path: Path) -> None:
    from random import Random

    from make_corpus import COLUMNS, DIALOGUES, draw_rows, write_csv

    rows = list(draw_rows(DIALOGUES["train"], Random("0 train")))
    assert {row.emotion for row in rows} == set(MELD_EMOTIONS)
    assert {row.speaker for row in rows} == {"Ada", "Bela", "Cleo", "Dan"}
    write_csv(tmp_path / "x.csv", rows[:2], time=3599.9)
    with (tmp_path / "x.csv").open() as file:
        first = next(csv.DictReader(file))
    assert tuple(first) == COLUMNS
    assert first["StartTime"] == "00:59:59,900"
    assert first["EndTime"].startswith("01:00:0")
