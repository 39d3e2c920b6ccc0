"""Who says what: names before, around and beside the words, by the evidence of the whole file.

`The thing is: I hate it.` looks like a name and words. Whether something is a name shows in the other cues: where most
of them have one, even `bell hooks:` and `priya@example.org:` are names; where hardly any has, only `ROSS:` is.
"""

import html
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .draft import number, plain_speaker
from .vocabulary import JOINING, OPENERS, VERBS

Turn = tuple[str | None, str]

VOICE = re.compile(r"<v(?:\.[^\s<>]*)?\s+([^<>]+)>")
_TAG = re.compile(
    r"</?(?:b|i|u|s|c|v|ruby|rt|rp|lang|font|span|em|strong|div|p|br|bold|italic|small|big)(?:[.\s/][^<>]*)?/?>"
    r"|<\d[\d:.]*>|\{\\[^{}]*\}|\{[YyCcFfSsPp]:[^{}]*\}",
    re.IGNORECASE,
)
_MARK = re.compile(r"^(?:[-\u2010-\u2015]+(?:\s+|(?=\D))|>{2,3}\s*|»\s+)")
_CHANGE = re.compile(r"(?<=\S)\s+>{2,3}\s+")
_STAMP = r"[\[(]\s*\d{1,2}:\d\d(?::\d\d)?(?:[.,]\d+)?\s*[\])]"
_STAMPED = re.compile(rf"^{_STAMP}\s*")
_NAME = re.compile(rf"([^:\uff1a\n]{{1,80}}?)\s*(?:({_STAMP})\s*[:\uff1a]?|([:\uff1a]))(.*)", re.DOTALL)
_BRACKETED = re.compile(r"[\[(\uff08\u3010]([^\[\]()\uff08\uff09\u3010\u3011]{1,60})[\])\uff09\u3011]")
_BEFORE = re.compile(rf"{_BRACKETED.pattern}\s*(.*)", re.DOTALL)
_MANNER = re.compile(r"\s*\[[^\[\]]*\]")
_IN_PARENTHESES = re.compile(r"\s*\([^()]*\)")
_OFF_SCREEN = re.compile(
    r"\s*\((?:v\.? ?o\.?|o\.? ?[sc]\.?|cont['\u2019]?d?\.?|continued|off|off-?screen|voice-? ?over|filtered)\)",
    re.IGNORECASE,
)
_END = re.compile(r"\s*\[(?:SPEAKER[_ ]TURN|BLANK_AUDIO)\]\s*")
_ABBREVIATION = re.compile(
    r"(?:\w\.)+|(?:mr|mrs|ms|mx|dr|prof|sgt|lt|cpl|capt|col|gen|rev|fr|st|jr|sr|hr|fr|sra|mme|mlle|no)\.", re.IGNORECASE
)
_NUMBERED = re.compile(
    r"(?:speaker|spk|spkr|person|participant|voice|guest|caller|agent|customer|man|woman|s|p)[ _#-]?\d{1,3}", re.I
)
_HANDLE = re.compile(r"[\w.+-]+@[\w.-]+|@?\w[\w-]*(?:[._]\w[\w-]*)+|\+?[\d][\d\s()*./x-]{3,}|@\w+")
_NOISES = re.compile(
    r"laugh|chuckl|giggl|sigh|gasp|cry|crie|sob|scream|shout|yell|whisper|groan|grunt|moan|cough|sniff|music|applau|cheer|bark|"
    r"door|phone|ring|beep|footstep|inaudible|unintelligible|indistinct|crosstalk|silen|pause|noise|knock|clear|sing|song|play|"
    r"blank|foreign|continu|breath|exhal|inhal|pant|snicker|whimper|scoff|mutter|mumbl|hum|whistl|clap|thunder|wind|engine|siren|"
    r"explo|gunshot|buzz|click|static|snor|yawn|kiss|slam|creak|bell|sound|overlap|sfx|speaker.turn|audience|chatter|weep|wail|"
    r"lach|musik|rire|soupir|musique|risa|m\u00fasica|\u7b11|\u62cd\u624b|\u97f3\u697d|\u97f3\u4e50|\u97f3\u6a02|\u638c\u58f0|\u638c\u8072|\u6d99|\uc6c3\uc74c|\uc74c\uc545|\u0441\u043c\u0435|\u043c\u0443\u0437\u044b\u043a",
    re.IGNORECASE,
)
MANY = 0.5  # of the cues
LONGEST_NAME, LONGEST_PLAIN_NAME = 60, 40
FEW_CUES = 6


class _Line(NamedTuple):
    """A line of a cue.

    Args:
        text: all of it, without the mark.
        is_marked: a dash or `>>` opens it, another speaker says it.
        name: what may be the speaker's name.
        said: what follows that name.
        is_bracketed: the name stands in brackets without a colon.
        is_first: of its cue.
    """

    text: str
    is_marked: bool
    name: str | None
    said: str
    is_bracketed: bool
    is_first: bool = True


@dataclass
class _Evidence:
    """What the whole file shows.

    Args:
        cues: how many cues have words.
        named: cues that begin with what may be a name.
        names: how often each of these does, in any case.
        noted: how often with a note in brackets beside it.
        mixed: cues whose name is not in capitals.
    """

    cues: int
    named: int
    names: Counter
    noted: Counter
    mixed: int = 0

    @property
    def has_names(self) -> bool:
        return self.named >= 2 and self.named >= MANY * self.cues


def split_turns(cues: Sequence[str]) -> tuple[list[list[Turn]], list[str]]:
    """Speaker and words of each turn of each cue, and remarks.

    A cue is one turn; or one for each `<v NAME>`, or for each line that opens with a name, a dash or `>>`.
    """
    voiced = [VOICE.split(cue) for cue in cues]
    lines = [[_line(one, place == 0) for place, one in enumerate(_lines(parts[0]))] for parts in voiced]
    evidence = _weigh([some for some in lines if some])
    manners: list[str] = []
    turns = []
    for parts, unvoiced in zip(voiced, lines, strict=True):
        own = [(_final(name, evidence, manners), said) for name, said in _turns(unvoiced, evidence)]
        own += [(plain_speaker(words(name)), words(said)) for name, said in zip(parts[1::2], parts[2::2], strict=True)]
        turns.append([(name, _END.sub(" ", said).strip()) for name, said in own])
    turns = _one_spelling(turns)
    remarks = []
    if manners:
        some = ", ".join(dict.fromkeys(manners[:3]))
        remarks.append(f"{number(manners, 'note')} beside names ({some}) left out")
    return turns, remarks


def _one_spelling(turns: list[list[Turn]]) -> list[list[Turn]]:
    """Turns with each name in the way in which it is written most often: `ben` is `Ben`."""
    counts = Counter(name for some in turns for name, _ in some if name)
    spelling: dict[str, str] = {}
    for name, _ in counts.most_common():
        spelling.setdefault(name.casefold(), name)
    return [[(name and spelling[name.casefold()], said) for name, said in some] for some in turns]


def with_heads(cues: Sequence[list[str]]) -> list[list[str]]:
    """The lines of cues, where most begin with a name on a line of its own, as in a play, with a colon behind it."""
    named = [len(cue) > 1 and cue[0][-1:] != ":" and is_plain_name(cue[0]) for cue in cues]
    heads = [cue[0] for cue, is_named in zip(cues, named, strict=True) if is_named]
    are_capitals = all(
        cue[0].isupper() and not "".join(cue[1:]).isupper()
        for cue, is_named in zip(cues, named, strict=True)
        if is_named
    )
    if len(heads) < 2 or 2 * len(heads) < len(cues) or not (are_capitals or 2 * len(set(heads)) <= len(heads)):
        return list(cues)
    return [[f"{cue[0]}:", *cue[1:]] if is_named else cue for cue, is_named in zip(cues, named, strict=True)]


def words(text: str) -> str:
    """Text without tags, entities and line breaks."""
    return " ".join(html.unescape(_TAG.sub("", text)).split())


def _lines(text: str) -> Iterator[str]:
    """Lines of a cue with words; a name alone on its line, `ROSS:` or `(Ross)`, belongs to the next."""
    waiting = ""
    for raw in text.split("\n"):
        for said in _CHANGE.sub("\n>> ", words(raw)).split("\n"):
            if not said:
                continue
            line = f"{waiting} {said}" if waiting else said
            alone = line[-1] in ":\uff1a" or _BRACKETED.fullmatch(line)
            waiting = line if alone and len(line) < LONGEST_NAME else ""
            if not waiting:
                yield line
    if waiting:
        yield waiting


def _line(line: str, is_first: bool) -> _Line:
    mark = _MARK.match(line)
    text = line[mark.end() :] if mark else line
    text = _STAMPED.sub("", text) or text
    bracket, colon = _BEFORE.match(text), _NAME.match(text)
    if bracket and bracket[2] and not bracket[2].startswith((":", "\uff1a")):
        return _Line(text, mark is not None, bracket[1].strip(), bracket[2], True, is_first)
    if colon and _is_said(colon):
        return _Line(text, mark is not None, colon[1].strip(), colon[4].strip(), False, is_first)
    return _Line(text, mark is not None, None, "", False, is_first)


def _is_said(match: re.Match) -> bool:
    """Neither a time (12:30), nor an address (https://), nor a colon that ends the turn."""
    after = match[4]
    if not after.strip() or not match[1].strip():
        return False
    return match[3] != ":" or after[0] not in "/0123456789"


def _weigh(cues: Sequence[Sequence[_Line]]) -> _Evidence:
    evidence = _Evidence(len(cues), 0, Counter(), Counter())
    for lines in cues:
        for place, line in enumerate(lines):
            if line.name is None or not (_is_bracketed_name if line.is_bracketed else may_be_name)(line.name):
                continue
            base = _base(line.name)
            evidence.named += place == 0
            evidence.mixed += place == 0 and not base.isupper()
            evidence.names[base.casefold()] += 1
            evidence.noted[base.casefold()] += base != line.name
    return evidence


def _turns(lines: Sequence[_Line], evidence: _Evidence) -> Iterator[Turn]:
    opening = [line.is_marked or _is_name(line, evidence) for line in lines]
    # A name opens a turn wherever it stands; a dash may also be one within a sentence.
    starts = [whole or _is_name(line, evidence) for line, whole in zip(lines, [all(opening)] * len(lines), strict=True)]
    name: str | None = None
    said: list[str] = []
    for line, starts_turn in zip(lines, starts, strict=True):
        if starts_turn and said:
            yield name, " ".join(said)
            name, said = None, []
        if _is_name(line, evidence):
            name, said = line.name, [*said, line.said]
        else:
            said.append(line.text if not said or starts_turn or not line.is_marked else f"- {line.text}")
    if said:
        yield name, " ".join(said)


def _is_name(line: _Line, evidence: _Evidence) -> bool:
    if line.name is None:
        return False
    if line.is_bracketed:
        return _is_bracketed_name(line.name)
    if not may_be_name(line.name):
        return False
    if evidence.has_names and (line.is_first or evidence.names[_base(line.name).casefold()] > 1):
        return True
    if not is_plain_name(line.name):
        return False
    # One name in a file of many cues without any is rather the start of a sentence.
    alone = evidence.mixed == 1 and evidence.cues >= FEW_CUES and not line.name.isupper() and " " not in line.name
    return not alone


def _is_bracketed_name(name: str) -> bool:
    if _NUMBERED.fullmatch(name):
        return True
    return not _NOISES.search(name) and is_plain_name(name) and len(name.split()) <= 3 and name.isascii()


def may_be_name(run: str) -> bool:
    """Whether it is a name where the file's cues have names."""
    if _BRACKETED.fullmatch(run):
        return True
    bare = _base(run)
    if not bare or len(run) > LONGEST_NAME:
        return False
    if _HANDLE.fullmatch(bare) or is_plain_name(run):
        return True
    some = bare.split()
    if len(some) > 8 or some[0].casefold().strip(",") in OPENERS or any(one.casefold() in VERBS for one in some):
        return False
    if any(one in '.!?;\u2026\u3002\uff01\uff1f"\u201c' for one in bare[-1]) and not _ABBREVIATION.fullmatch(some[-1]):
        return False
    if bare.islower():
        return len(some) <= 2 and all(map(_is_word_of_name, some))
    return all(map(_is_word_of_name, some)) and all(
        one in JOINING or one[0].isdigit() or not one.islower() for one in some
    )


def _is_word_of_name(word: str) -> bool:
    """`J.`, `O'Neil-Smith`, `2nd`, `Rao,`; not `Yes.`"""
    return (
        _ABBREVIATION.fullmatch(word.rstrip(",")) is not None
        or re.fullmatch(r"[^.!?;:\u3002\uff01\uff1f\uff0c,]+,?", word) is not None
    )


def is_plain_name(run: str) -> bool:
    """Whether it is a name wherever it stands: bracketed, or four capitalised words at most."""
    if len(run) > LONGEST_PLAIN_NAME or run.casefold() in OPENERS:
        return False
    if _BRACKETED.fullmatch(run):
        return True
    some = _BRACKETED.sub("", run).split()
    if not 1 <= len(some) <= 4 or not run[0].isalpha() or run[0].islower():
        return False
    if some[0].casefold() in OPENERS or any(one.casefold() in VERBS for one in some[1:]):
        return False
    return all(
        (_ABBREVIATION.fullmatch(one) or not re.search(r"[.!?,;\u3002\uff01\uff1f\uff0c]", one))
        and (one in JOINING or not one[0].islower())
        for one in some
    )


def _base(run: str) -> str:
    """A name without what stands in brackets beside it."""
    return _IN_PARENTHESES.sub("", _MANNER.sub("", run)).strip()


def _final(name: str | None, evidence: _Evidence, manners: list[str]) -> str | None:
    """A name as the dialogue has it: without brackets around it and notes on how it speaks beside it."""
    if name is None:
        return None
    if whole := _BRACKETED.fullmatch(name):
        return plain_speaker(whole[1])
    base = _base(name)
    bare = _OFF_SCREEN.sub("", _MANNER.sub("", name)).strip()
    note = name[len(base) :]
    # Without the note where the name stands without it elsewhere; but `iPhone (2)` is another telephone.
    key = base.casefold()
    if base and evidence.names[key] > evidence.noted[key] and not re.search(r"\d", note):
        bare = base
    if bare != name and bare:
        manners.append(note.strip())
        name = bare
    return plain_speaker(name)
