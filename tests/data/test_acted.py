from collections.abc import Sequence
from pathlib import Path

import pytest

from m2fnet_hf.data.acted import ActedClip, read_acted, speaker_folds


def make(root: Path, names: Sequence[str]) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def read_one(root: Path, corpus: str, name: str, **settings: bool) -> ActedClip:
    (clip,) = read_acted(make(root, [name]), corpus, **settings)
    return clip


@pytest.mark.parametrize(
    ("corpus", "name", "speaker", "acted", "emotion", "text"),
    [
        ("ravdess", "a/03-01-05-02-01-01-12.wav", "ravdess-12", "angry", "anger", "Kids are talking by the door."),
        ("ravdess", "01-01-08-01-02-02-01.mp4", "ravdess-01", "surprised", "surprise", "Dogs are sitting by the door."),
        ("ravdess", "03-01-02-01-01-01-03.flac", "ravdess-03", "calm", None, "Kids are talking by the door."),
        ("cremad", "AudioWAV/1001_DFA_ANG_XX.wav", "cremad-1001", "angry", "anger", "Don't forget a jacket."),
        ("cremad", "1091_IEO_FEA_HI.wav", "cremad-1091", "fearful", "fear", "It's eleven o'clock."),
        ("cremad", "1076_MTI_SAD_X.wav", "cremad-1076", "sad", "sadness", "Maybe tomorrow it will be cold."),
        ("emodb", "wav/03a01Fa.wav", "emodb-03", "happy", "joy", "Der Lappen liegt auf dem Eisschrank."),
        ("emodb", "16b10Lb.wav", "emodb-16", "bored", None, "Die wird auf dem Platz sein, wo wir sie immer hinlegen."),
        ("savee", "AudioData/DC/sa01.wav", "savee-DC", "sad", "sadness", None),
        ("savee", "KL_su15.wav", "savee-KL", "surprised", "surprise", None),
        ("savee", "JK_n30.wav", "savee-JK", "neutral", "neutral", None),
        ("tess", "OAF_angry/OAF_back_angry.wav", "tess-OAF", "angry", "anger", "Say the word back."),
        ("tess", "OA_bite_neutral.wav", "tess-OAF", "neutral", "neutral", "Say the word bite."),
        ("tess", "YAF_doll_ps.wav", "tess-YAF", "surprised", "surprise", "Say the word doll."),
    ],
)
def test_names(
    tmp_path: Path, corpus: str, name: str, speaker: str, acted: str, emotion: str | None, text: str | None
) -> None:
    clip = read_one(tmp_path, corpus, name)
    assert (clip.corpus, clip.speaker, clip.acted, clip.emotion, clip.text) == (corpus, speaker, acted, emotion, text)
    assert clip.path == tmp_path / name


def test_calm_may_count_as_neutral(tmp_path: Path) -> None:
    clip = read_one(tmp_path, "ravdess", "03-01-02-01-01-01-03.wav", calm_as_neutral=True)
    assert (clip.acted, clip.emotion) == ("calm", "neutral")


def test_boredom_is_none_of_ours_even_then(tmp_path: Path) -> None:
    assert read_one(tmp_path, "emodb", "03a01La.wav", calm_as_neutral=True).emotion is None


def test_intensity_and_action_units(tmp_path: Path) -> None:
    make(tmp_path, ["03-01-05-02-01-01-12.csv"])
    clip = read_one(tmp_path, "ravdess", "03-01-05-02-01-01-12.wav")
    assert clip.intensity == "02"
    assert clip.action_units == tmp_path / "03-01-05-02-01-01-12.csv"


@pytest.mark.parametrize(
    ("corpus", "good", "bad", "reason"),
    [
        ("ravdess", "03-01-05-02-01-01-12.wav", "my holiday.wav", "not named as 03-01-06"),
        ("ravdess", "03-01-05-02-01-01-12.wav", "03-02-05-02-01-01-12.wav", "a song"),
        ("ravdess", "03-01-05-02-01-01-12.wav", "02-01-05-02-01-01-12.mp4", "a video without sound"),
        ("ravdess", "03-01-05-02-01-01-12.wav", "03-01-09-02-01-01-12.wav", "unknown code '09'"),
        ("cremad", "1001_DFA_ANG_XX.wav", "1001_DFA_BOR_XX.wav", "unknown code 'BOR'"),
        ("cremad", "1001_DFA_ANG_XX.wav", "1001_XXX_ANG_XX.wav", "unknown code 'XXX'"),
        ("emodb", "03a01Fa.wav", "03a03Fa.wav", "unknown code 'a03'"),
        ("savee", "DC_a01.wav", "DC_x01.wav", "not named as DC_a01"),
        ("tess", "OAF_back_angry.wav", "OAF_back_bored.wav", "unknown code 'bored'"),
    ],
)
def test_what_is_not_understood_is_named(tmp_path: Path, corpus: str, good: str, bad: str, reason: str) -> None:
    make(tmp_path, [good, bad, "README.md"])
    with pytest.warns(UserWarning, match=f"1 files of {corpus} are left out: {bad} .{reason}"):
        clips = read_acted(tmp_path, corpus)
    assert [clip.path.name for clip in clips] == [good]


def test_a_folder_without_clips(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="must hold files named as tess names them, found none"):
        read_acted(tmp_path, "tess")


def test_an_unknown_corpus(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be one of ravdess, cremad, emodb, savee, tess, found 'iemocap'"):
        read_acted(tmp_path, "iemocap")


def clips(speakers: int, corpus: str = "ravdess") -> list[ActedClip]:
    return [
        ActedClip(path=Path(f"{n}-{k}"), corpus=corpus, speaker=f"{corpus}-{n:02d}", emotion="joy", acted="happy")
        for n in range(speakers)
        for k in range(3)
    ]


def test_folds_hold_each_speaker_once_and_both_corpora() -> None:
    given = clips(8) + clips(4, "emodb")
    tested = []
    for train, test in speaker_folds(given, 4):
        assert not {clip.speaker for clip in train} & {clip.speaker for clip in test}
        assert len(train) + len(test) == len(given)
        assert sorted(clip.corpus for clip in test) == ["emodb"] * 3 + ["ravdess"] * 6
        tested += sorted({clip.speaker for clip in test})
    assert sorted(tested) == sorted({clip.speaker for clip in given})


def test_folds_are_seeded_and_do_not_depend_on_order() -> None:
    given = clips(8)
    names = [{clip.speaker for clip in test} for _, test in speaker_folds(given, 4)]
    assert names == [{clip.speaker for clip in test} for _, test in speaker_folds(given[::-1], 4)]
    assert names != [{clip.speaker for clip in test} for _, test in speaker_folds(given, 4, seed=1)]


@pytest.mark.parametrize("folds", [1, 9])
def test_too_many_or_few_folds(folds: int) -> None:
    with pytest.raises(ValueError, match="must be 2 to 8"):
        speaker_folds(clips(8), folds)
