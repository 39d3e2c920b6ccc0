# ruff: noqa: RUF001  letters as people have them
"""Another language than a model knows is named, and English never."""

import csv
from pathlib import Path

import pytest

from m2fnet_hf.data.language import _detector, describe_foreign, foreign_utterances

ENGLISH = [
    "You came! I am so happy.",
    "Okay.",
    "Huh?",
    "Oh no, no, no!",
    "Hey, Pheebs!",
    "Mmm. Good.",
    "C'mon, señor, one more espresso...",
    "I nearly missed the train.",
    "Whoa-whoa-whoa! Wait-wait-wait!",
    "10, 9, 8, 7...",
    "[music]",
]
OTHERS = {
    "German": ["Du bist gekommen!", "Ich hätte fast den Zug verpasst.", "Okay.", "Setz dich bitte."],
    "French": ["Tu es venue !", "J'ai failli rater le train.", "Assieds-toi, s'il te plaît."],
    "Spanish": ["¡Has venido!", "Casi pierdo el tren.", "No quiero hablar de eso."],
    "Italian": ["Sei venuto!", "Ho quasi perso il treno.", "Non voglio parlarne."],
    "Chinese": ["你来了！", "我差点错过火车。", "请坐。"],
    "Japanese": ["来てくれたんだ！", "電車に乗り遅れるところだった。", "座ってください。"],
    "Russian": ["Ты пришла!", "Я чуть не опоздал на поезд.", "Садись, пожалуйста."],
    "Arabic": ["لقد جئت!", "كدت أن أفوت القطار.", "اجلس من فضلك."],
    "Turkish": ["Geldin!", "Az kalsın treni kaçırıyordum.", "Otur lütfen."],
}
CODES = {"German": "de", "French": "fr", "Spanish": "es", "Italian": "it", "Chinese": "zh", "Japanese": "ja"}
CODES |= {"Russian": "ru", "Arabic": "ar", "Turkish": "tr-TR"}


@pytest.mark.parametrize("language", OTHERS)
def test_a_transcript_in_another_language(language: str) -> None:
    texts = OTHERS[language]
    assert foreign_utterances(texts, ["en"]) == dict.fromkeys(range(len(texts)), language)
    assert describe_foreign(texts, ["en"]) == (
        f"What is said is in {language}, and the model was trained on English: do not trust its labels for that."
    )
    assert describe_foreign(texts, [CODES[language]]) is None
    assert describe_foreign(texts, None) is None


@pytest.mark.parametrize("texts", [ENGLISH, *([text] for text in ENGLISH), [None], ["..."], ["😀"], ["ＯＫ, 𝐇𝐞𝐥𝐥𝐨"]])
def test_english_is_not_foreign(texts: list[str | None]) -> None:
    assert foreign_utterances(texts, ["en"]) == {}


def test_a_mixed_transcript() -> None:
    texts = [*ENGLISH, "Ich hätte fast den Zug verpasst, weißt du.", "谢谢", "Иван", None]
    first = len(ENGLISH)
    found = foreign_utterances(texts, ["en"])
    assert list(found) == [first, first + 1, first + 2]
    assert found[first] == "German"
    assert describe_foreign(texts, ["en"]).startswith("Some of what is said is in German")
    assert list(foreign_utterances(texts, ["en", "de"])) == [first + 1, first + 2]


def test_a_name_in_another_script_is_not_a_language() -> None:
    assert foreign_utterances(["Иван said that he would come later."], ["en"]) == {}


def test_a_german_model_meets_english() -> None:
    assert set(foreign_utterances(ENGLISH[:8], ["de"]).values()) == {"English"}


def test_meld_is_english(meld_root: Path) -> None:
    dialogues: dict[tuple[str, str], list[str]] = {}
    for split in ("train", "dev", "test"):
        with (meld_root / f"{split}_sent_emo.csv").open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                dialogues.setdefault((split, row["Dialogue_ID"]), []).append(row["Utterance"])
    assert [texts for texts in dialogues.values() if foreign_utterances(texts, ["en"])] == []
    alone = [text for texts in dialogues.values() for text in texts if foreign_utterances([text], ["en"])]
    assert alone == []


def test_plain_english_does_without_the_detector() -> None:
    _detector.cache_clear()
    assert foreign_utterances(["You came! I am so happy.", "Okay.", "I nearly missed the train."], ["en"]) == {}
    assert _detector.cache_info().currsize == 0
