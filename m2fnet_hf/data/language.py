"""In which language something is said, where that is another than a model was trained on."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

# A transcript is judged as a whole: this probable, and no more so in what the model knows. On MELD's 1432 dialogues and
# 13,708 utterances, all of them English, these find one, which says "bedankt voor de koffie".
_PROBABLE = 0.7
_IMPROBABLE = 0.05
# A single utterance is judged where it is as long, in letters, and as sure.
_LONG = 20
_SURE = 0.9
# Of a long transcript, characters enough to know its language.
_ENOUGH = 20_000
# Languages that the detector tells apart and that count as one here.
_KIN = {"ar": ("ary", "arz"), "en": ("pcm",), "no": ("nn",), "zh": ("wuu", "yue")}
# Scripts, as Unicode's names of letters begin, and the languages that are written with them; others are Latin.
_SCRIPTS = {
    "ARABIC": "ar ary arz fa ps sdh ug ur",
    "ARMENIAN": "hy",
    "BENGALI": "as bn",
    "CJK": "ja ko wuu yue zh",
    "CYRILLIC": "ba be bg kk ky mk mn ru sr tg tt uk",
    "DEVANAGARI": "gom hi mr ne sa",
    "ETHIOPIC": "am",
    "GEORGIAN": "ka",
    "GREEK": "el grc",
    "GUJARATI": "gu",
    "GURMUKHI": "pa",
    "HANGUL": "ko",
    "HEBREW": "hbo he",
    "HIRAGANA": "ja",
    "KANNADA": "kn",
    "KATAKANA": "ja",
    "KHMER": "km",
    "LAO": "lo",
    "MALAYALAM": "ml",
    "MYANMAR": "my",
    "ORIYA": "or",
    "SINHALA": "si",
    "TAMIL": "ta",
    "TELUGU": "te",
    "THAI": "th",
    "TIBETAN": "dz",
}
# Words that English can hardly be said without, and that other languages which are written in Latin have not.
_ENGLISH = re.compile(
    "i|you|she|it|they|my|your|his|our|their|him|them|us|mine|this|that|these|those|there|here|the|and|if"
    "|because|but|than|then|now|what|who|why|when|where|how|which|are|were|been|be|did|does|would|could|should"
    "|can|from|with|about|just|know|think|like|really|never|ever|get|got|go|going|well|please|thank|thanks"
    "|very|too|only|again|something|nothing|anything|everything|someone|anyone|everyone|i'm|i've|i'll|i'd"
    "|you're|you've|you'll|he's|she's|it's|we're|we've|we'll|they're|that's|there's|what's|who's|let's|don't"
    "|didn't|doesn't|can't|won't|isn't|wasn't"
)
_NAMES = {
    **{"ar": "Arabic", "bg": "Bulgarian", "bn": "Bengali", "ca": "Catalan", "cs": "Czech", "da": "Danish"},
    **{"de": "German", "el": "Greek", "en": "English", "es": "Spanish", "et": "Estonian", "eu": "Basque"},
    **{"fa": "Persian", "fi": "Finnish", "fr": "French", "gl": "Galician", "he": "Hebrew", "hi": "Hindi"},
    **{"hr": "Croatian", "hu": "Hungarian", "id": "Indonesian", "it": "Italian", "ja": "Japanese", "ko": "Korean"},
    **{"lt": "Lithuanian", "lv": "Latvian", "ms": "Malay", "nl": "Dutch", "no": "Norwegian", "pl": "Polish"},
    **{"pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sk": "Slovak", "sl": "Slovenian", "sr": "Serbian"},
    **{"sv": "Swedish", "sw": "Swahili", "ta": "Tamil", "th": "Thai", "tl": "Tagalog", "tr": "Turkish"},
    **{"uk": "Ukrainian", "ur": "Urdu", "vi": "Vietnamese", "zh": "Chinese"},
}


def foreign_utterances(texts: Sequence[str | None], languages: Sequence[str]) -> dict[int, str]:
    """Which utterances are in another language than these, or in a script that they are not written with.

    Short ones count where the whole is in that language; alone they are too little to tell.

    Args:
        texts: of a dialogue's utterances.
        languages: codes of ISO 639 such as `en`.

    Returns:
        By position, the name of the language, `Cyrillic script` where only that is known.
    """
    codes = {language.lower().partition("-")[0] for language in languages}
    known = codes.union(*(_KIN.get(code, ()) for code in codes))
    by_script: dict[str, dict[int, str]] = {}
    for position, text in enumerate(texts):
        script = _script(text or "")
        if script is not None:
            by_script.setdefault(script, {})[position] = text or ""
    found = _in_latin(by_script.pop("LATIN", {}), known)
    for script, written in by_script.items():
        users = _SCRIPTS[script].split()
        if known.isdisjoint(users):
            code, sureness = _ranked("\n".join(written.values())[:_ENOUGH])[0]
            is_certain = code in users and sureness >= _PROBABLE
            found |= dict.fromkeys(written, _name(code) if is_certain else _script_name(script))
    return dict(sorted(found.items()))


def describe_foreign(texts: Sequence[str | None], languages: Sequence[str] | None) -> str | None:
    """A sentence about the utterances in other languages, or `None` where there are none, or nothing is known.

    Args:
        texts: of a dialogue's utterances.
        languages: what the model was trained on, `None` where that is not known.
    """
    found = foreign_utterances(texts, languages) if languages else {}
    if not found or not languages:
        return None
    others = " and ".join(name for name, _ in Counter(found.values()).most_common())
    trained = " and ".join(map(_name, languages))
    is_whole = all(position in found for position, text in enumerate(texts) if text and any(map(str.isalpha, text)))
    which = "What is said" if is_whole else "Some of what is said"
    return f"{which} is in {others}, and the model was trained on {trained}: do not trust its labels for that."


def _in_latin(texts: dict[int, str], known: set[str]) -> dict[int, str]:
    if not texts:
        return {}
    letters = {position: sum(map(str.isalpha, text)) for position, text in texts.items()}
    if sum(letters.values()) < _LONG:
        return {}
    if "en" in known and all(map(_is_plain_english, ["\n".join(texts.values()), *_long(texts)])):
        return {}
    ranked = dict(_ranked("\n".join(texts.values())[:_ENOUGH]))
    best = next(iter(ranked))
    certain = {position: _ranked(text)[0] for position, text in texts.items() if letters[position] >= _LONG}
    certain = {position: (code, sureness) for position, (code, sureness) in certain.items() if sureness >= _SURE}
    found = {position: _name(code) for position, (code, _) in certain.items() if code not in known}
    is_whole = ranked[best] >= _PROBABLE and sum(ranked.get(code, 0.0) for code in known) <= _IMPROBABLE
    if not is_whole or best == "zxx":  # no language at all
        return found
    return {position: _name(best) for position in texts if letters[position] and position not in certain} | found


def _long(texts: dict[int, str]) -> Iterator[str]:
    return (text for text in texts.values() if sum(map(str.isalpha, text)) >= _LONG)


def _is_plain_english(text: str) -> bool:
    """Whether enough of its words say so; then the detector, which takes a second to load, need not."""
    words = re.findall(r"[^\W\d_]+(?:'[a-z]+)?", text.lower().replace("\u2019", "'"))
    found = sum(_ENGLISH.fullmatch(word) is not None for word in words)
    return found >= 2 and found > 0.3 * len(words)


def _script(text: str) -> str | None:
    """The script of most letters."""
    letters = filter(str.isalpha, unicodedata.normalize("NFKC", text))
    names = Counter(unicodedata.name(letter, "").partition(" ")[0] for letter in letters)
    scripts = {name: count for name, count in names.items() if name == "LATIN" or name in _SCRIPTS}
    if scripts.keys() & {"HIRAGANA", "KATAKANA"}:
        scripts["HIRAGANA"] = sum(scripts.pop(name, 0) for name in ("CJK", "HIRAGANA", "KATAKANA"))
    return max(scripts, key=scripts.__getitem__, default=None)


def _script_name(script: str) -> str:
    return "Chinese characters" if script == "CJK" else f"{script.capitalize()} script"


def _ranked(text: str) -> list[tuple[str, float]]:
    """Codes of languages and their probabilities, the most probable first."""
    return _detector().rank(text)


@cache
def _detector() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def _name(code: str) -> str:
    return _NAMES.get(code.lower().partition("-")[0], code)
