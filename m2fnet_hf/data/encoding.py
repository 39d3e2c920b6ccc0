# ruff: noqa: RUF001  letters of many languages
"""The text of a file in whatever encoding it was saved.

Detectors of encodings need paragraphs; a transcript may hold two short lines. What settles it there is whether the
letters that come out are those of one language.
"""

import codecs
import re
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from ..utils.text import shown, without_escapes

SAMPLE = 20_000  # bytes of lines with other letters than ASCII
LEAST_SCORE = 0.6
TIE = 0.005
# A file that is mostly UTF-8 and holds a few bytes of an older encoding was pasted together.
_STRAY_BYTES = re.compile(rb"[\x80-\xff]+")
_MARKS = "“”‘’„‚«»‹›…–—¿¡°´`§№€£·•♪♫½©®™×\u00a0\u00ad"
_WIDE_MARKS = "，。？！：；、（）「」『』【】《》“”‘’…—～·\u3000"


class _Language(NamedTuple):
    """How text of one language looks.

    Args:
        letters: those beyond ASCII; of scripts without an alphabet, those that are used at all.
        common: those that every conversation is full of; empty where ASCII has most of them.
        share: of the common ones in all, at least.
    """

    letters: frozenset[str]
    common: frozenset[str] = frozenset()
    share: float = 0.25


def _alphabet(*letters: str) -> list[_Language]:
    """Languages with an alphabet; its first ten letters are the common ones where they are all beyond ASCII."""
    return [
        _Language(frozenset(some + some.upper() + _MARKS), frozenset(some[:10] if min(some) > "\u0250" else ""), 0.6)
        for some in letters
    ]


_WESTERN = _alphabet(
    "éèêëàâçùûüîïôœæÿ", "äöüßé", "ñóíáéúü", "ãõçáéíóúâêôàü", "àèéìòùî", "åæøäöéü", "ëïéèöüóá", "àçèéíïòóúü"
)
_CENTRAL = _alphabet("ąćęłńóśźż", "áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "áéíóöőúüű", "ăâîșțşţ", "čćđšž")
_TURKISH = _alphabet("çğıöşüâîû")
_TURKISH[0] = _Language(_TURKISH[0].letters | {"İ"})
_CYRILLIC = _alphabet(
    "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъё", "оаниівертслкмдпуяьгзбчйхжшюцщїєфґ", "аоиентсрвлкмдпугзбчјхжшцђљњћџф"
)
_GREEK = _alphabet("αοιετσνηρπβγδζθκλμξυφχψωςάέήίόύώϊϋΐΰ")
_HEBREW = _alphabet("יוהלאתרמבנ" + "".join(map(chr, range(0x5B0, 0x5EB))))
_ARABIC = _alphabet("الينمرتوهب" + "".join(map(chr, range(0x60C, 0x653))) + "پچژگ")
_THAI = [_Language(frozenset(map(chr, range(0xE01, 0xE5C))), frozenset("านรอกเงมยลวสดตบีัิ่้ไแ"), 0.6)]
_BALTIC = _alphabet("ąčęėįšųūž", "āčēģīķļņšūž", "äöõüšž")

_SIMPLIFIED = (
    "的一是不了在有我他这个们来到时大地为子中你说生国年着就那和要她出也得里后自以会家可下而过天去能对小多然于心么之都好看起发当没成"
    "只如事把还用第样道想作种开什呢吗吧啊怎很知真再见走让给话谁哪听叫怕对起快太谢"
)
_TRADITIONAL = (
    "的一是不了在有我他這個們來到時大地為子中你說生國年著就那和要她出也得裡後自以會家可下而過天去能對小多然於心麼之都好看起發當沒成"
    "只如事把還用第樣道想作種開什呢嗎吧啊怎很知真再見走讓給話誰哪聽叫怕對起快太謝"
)
_KOREAN = (
    "이다는가나어지고하에을를의은도로사한아기서그해자라대있리니수인거만게시왜너우무안말했야요네스정보일전주오여면내것"
)


@cache
def _languages() -> dict[str, list[_Language]]:
    """Encodings in order of how common they are, and the languages that are written in them."""
    kana = "".join(map(chr, [*range(0x3041, 0x3097), *range(0x30A1, 0x30FD)]))
    japanese = [_Language(_in_rows("euc_jp", range(0xB0, 0xD0)) | {*kana, *_WIDE_MARKS}, frozenset(kana))]
    simplified = _Language(_in_rows("gb2312", range(0xB0, 0xD8)) | {*_WIDE_MARKS}, frozenset(_SIMPLIFIED))
    traditional = [_Language(_in_rows("big5", range(0xA4, 0xC7)) | {*_WIDE_MARKS}, frozenset(_TRADITIONAL))]
    korean = [_Language(_in_rows("euc_kr", range(0xB0, 0xC9)) | {*_WIDE_MARKS, *_MARKS}, frozenset(_KOREAN))]
    return {
        "cp1252": _WESTERN,
        "gb18030": [simplified],
        "shift_jis": japanese,
        "cp932": japanese,
        "euc_kr": korean,
        "cp949": korean,
        "big5": traditional,
        "cp950": traditional,
        "euc_jp": japanese,
        "iso2022_jp": japanese,
        "cp1251": _CYRILLIC,
        "cp1250": _CENTRAL,
        "iso8859_2": _CENTRAL,
        "cp1254": _TURKISH,
        "koi8_r": _CYRILLIC,
        "koi8_u": _CYRILLIC,
        "cp866": _CYRILLIC,
        "iso8859_5": _CYRILLIC,
        "mac_cyrillic": _CYRILLIC,
        "cp1253": _GREEK,
        "iso8859_7": _GREEK,
        "cp1255": _HEBREW,
        "cp1256": _ARABIC,
        "iso8859_6": _ARABIC,
        "cp874": _THAI,
        "cp1257": _BALTIC,
        "mac_roman": _WESTERN,
        "cp850": _WESTERN,
        "cp852": _CENTRAL,
    }


def _in_rows(encoding: str, rows: Iterable[int]) -> frozenset[str]:
    """The characters of an encoding of two bytes whose first byte is one of these."""
    return frozenset(
        bytes((row, cell)).decode(encoding, "ignore")
        for row in rows
        for cell in [*range(0x40, 0x7F), *range(0xA1, 0xFF)]
    )


def read_text(path: Path) -> str:
    """The file's text with `\\n` at the end of its lines, without control characters.

    Raises:
        FileNotFoundError, OSError: where it cannot be read.
        ValueError: where it is no text, or in an encoding that is not clear.
    """
    return clean_text(decode(path.read_bytes(), shown(path.name)))


def decode(data: bytes, name: str) -> str:
    """Bytes to text.

    Args:
        name: of the file, for the error.

    Raises:
        ValueError: where it is no text, or in an encoding that is not clear.
    """
    if data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return data.decode("utf-32", "replace")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    if wide := _wide(data):
        return data.decode(wide, "replace")
    if data.startswith((b"PK\x03\x04", b"%PDF", b"\xd0\xcf\x11\xe0", b"\x1f\x8b")) or b"\0\0" in data[:SAMPLE]:
        raise ValueError(f"{name} must be text, found another kind of file; export it as text, csv or subtitles.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return _pasted(data) or _older(data, name, error)
    return data.decode("iso2022_jp", "replace") if "\x1b$" in text else text


def clean_text(text: str) -> str:
    """Line ends as `\\n`, and no control characters, which no transcript means."""
    return without_escapes(text).replace("\r\r\n", "\n").replace("\r\n", "\n").replace("\r", "\n").translate(_CONTROLS)


_CONTROLS = {
    code: " " if code in (0x0B, 0x0C) else None for code in [*range(32), 0x7F, 0xFEFF, 0xFFFE] if code not in (9, 10)
}


def _wide(data: bytes) -> str | None:
    """UTF-16 without a mark: digits, spaces and line ends have a zero on one side."""
    sample = data[: SAMPLE - SAMPLE % 2]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if max(even, odd) < max(2, len(sample) // 20) or min(even, odd) * 4 > max(even, odd):
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _pasted(data: bytes) -> str | None:
    """Text of UTF-8 that holds less bytes of Windows-1252, as derived copies of data sets do."""
    text = data.decode("utf-8", "surrogateescape")
    stray = sum("\udc80" <= character <= "\udcff" for character in text)
    if sum(character > "\x7f" for character in text) < 2 * stray + 1:
        return None
    return re.sub("[\udc80-\udcff]+", lambda match: _old_bytes(match[0]), text)


def _old_bytes(stray: str) -> str:
    return stray.encode("utf-8", "surrogateescape").decode("cp1252", "replace")


def _older(data: bytes, name: str, error: UnicodeDecodeError) -> str:
    lines = [line for line in re.split(rb"[\r\n]+", data) if not line.isascii()]
    sample = b"\n".join(lines)
    if len(sample) > SAMPLE:
        sample = sample[:SAMPLE].rpartition(b"\n")[0] or sample
    scores = {encoding: _score(sample, encoding, languages) for encoding, languages in _languages().items()}
    best = sorted(scores, key=scores.__getitem__, reverse=True)
    rivals = {id(_languages()[encoding]) for encoding in best if scores[encoding] > scores[best[0]] - TIE}
    # Windows' European encodings are the usual fallback; between two other scripts the bytes cannot tell.
    if scores[best[0]] >= LEAST_SCORE and (len(rivals) == 1 or best[0] in ("cp1252", "cp1250")):
        for encoding in best[:3]:
            with suppress(UnicodeDecodeError):
                return data.decode(encoding)
    raise ValueError(
        f"{name} must be text in UTF-8, UTF-16 or an older encoding whose letters are those of a language, found "
        f"{error.reason} at byte {error.start}; save it as UTF-8."
    )


def _score(sample: bytes, encoding: str, languages: list[_Language]) -> float:
    """How much a sample looks like one of the languages, at most 1; 0 where it cannot be in that encoding."""
    try:
        text = sample.decode(encoding)
    except UnicodeDecodeError:
        return 0.0
    others = [character for character in text if character > "\x7f"]
    if not others:
        return 0.0
    likeness = max(_likeness(others, language) for language in languages)
    # Those of other scripts come out of the older encodings as marks without letters.
    marks = sum(not character.isalpha() for character in others) / len(others)
    rare = 0.5 * max(0.0, marks - 0.5) if encoding in _RARE else 0.0
    return likeness - _oddities(text) / len(others) - rare


def _likeness(others: list[str], language: _Language) -> float:
    used = sum(character in language.letters for character in others) / len(others)
    if not language.common:
        return used
    common = sum(character in language.common for character in others) / len(others)
    return used * (0.5 + 0.5 * min(1.0, common / language.share))


def _oddities(text: str) -> float:
    """What words hardly have: a capital or an opening quote behind a letter, or letters of two scripts."""
    odd = float(len(_MISREAD.findall(text)))
    for before, after in pairwise(text):
        if before <= "\x7f" >= after or not before.isalpha():
            continue
        if not after.isalpha():
            odd += after in _OPENING
            continue
        mixes_scripts = (before < "\u0250") != (after < "\u0250")
        odd += (before.islower() and after.isupper()) or mixes_scripts
        odd += 0.02 * after.isupper()
    return odd


# French and Portuguese have these before few letters; elsewhere they are letters of Poland and Hungary, read wrongly.
_MISREAD = re.compile("œ(?![uise])|õ(?!e)", re.IGNORECASE)
_RARE = frozenset({"mac_roman", "cp850", "cp852"})
_OPENING = frozenset("‚„“‘«¿¡°")
