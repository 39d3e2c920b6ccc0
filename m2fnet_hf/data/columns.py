# ruff: noqa: RUF001  letters of many languages
"""What the columns of tables and the fields of JSON are called, in one place."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import NamedTuple

# By what they hold, the plainest name first: where two columns claim the same, the earlier one has it.
_ALIASES = {
    "text": """
        text, utterance, utterance text, transcript, transcription, transcribed text, sentence, content, caption,
        subtitle, dialogue text, line, speech, spoken text, transcript text, segment text, original text, source text,
        display text, display, utf8, caption text, subtitle text, texte, texto, testo, tekst, szöveg, текст, реплика,
        äusserung, transkript, wortlaut, énoncé, enunciado, metin, النص, טקסט, 文本, 内容, 內容, 文字, 字幕, 台词, 台詞,
        テキスト, 発言, 発話, セリフ, 본문, 텍스트, 대사, 내용""",
    "speaker": """
        speaker, speaker name, speaker id, speaker label, actor, name, character, participant, who, spk, spk id,
        speakers, speaker no, speaker number, role, voice, person, from, author, user, talker, interlocutor, identity,
        display name, participant name, character name, speaker tag, sprecher, sprecherin, locuteur, interlocuteur,
        hablante, orador, falante, parlante, oratore, spreker, mówca, mluvčí, beszélő, konuşmacı, спикер, говорящий,
        имя, 说话人, 说话者, 發言人, 发言人, 角色, 話者, 発言者, 名前, 화자, 발화자, 이름""",
    "start": """
        start, start time, starttime, begin, begin time, begintime, start timestamp, in, time in, timecode in, in point,
        onset, start at, starts at, time start, tmin, xmin, start tc, tc in, start timecode, timecode start,
        segment start, utterance start, offset, timestamp, time, timecode, ts, tc, t start, start offset, offset in,
        from time, startzeit, beginn, anfang, anfangszeit, début, temps début, heure début, inicio, início,
        tiempo inicio, tempo início, inizio, begintijd, początek, začátek, kezdet, başlangıç, начало, время начала,
        开始, 开始时间, 開始, 開始時間, 開始時刻, 시작, 시작 시간, 시작시간""",
    "end": """
        end, end time, endtime, stop, stop time, end timestamp, out, time out, timecode out, finish, out point, end at,
        ends at, time end, tmax, xmax, end tc, tc out, end timecode, timecode end, segment end, utterance end, t end,
        end offset, to time, until, endzeit, ende, fin, temps fin, heure fin, final, tiempo fin, fim, tempo fim, fine,
        einde, eindtijd, koniec, konec, vég, bitiş, конец, время окончания, 结束, 结束时间, 終了, 結束, 結束時間,
        終了時間, 終了時刻, 끝, 종료, 종료 시간, 종료시간, offset""",
    "duration": """
        duration, length, dur, duration time, dauer, durée, duración, duração, durata, duur, длительность, 时长, 時長,
        지속시간""",
    "label": """
        label, emotion, emotion label, gold, gold label, class, emotions, affect, mood, emoción, emoção, emozione,
        gefühl, émotion, эмоция, 情绪, 情緒, 情感, 感情, 감정""",
    "id": """
        id, key, utterance id, utt id, segment id, number, no, nr, index, sr no, row, cue, #, n, line no, line number,
        seq""",
    # The key of an utterance within its dialogue, in a folder of dialogues.
    "utterance": "utterance id, utt id, utterance no, utterance number, utt, turn, turn id, utterance",
    "dialogue": """
        dialogue, dialogue id, dialog, dialog id, dia, conversation, conversation id, conv id, conv, dialogue no,
        session, session id, scene, call, call id, meeting, diálogo, gespräch""",
    "split": "split, set, partition, subset, fold",
    "video": "video, clip, video file, clip file, video path",
    "recording": "recording, media, media file, audio file, recording file, wav",
}
ALIASES = {role: tuple(" ".join(names.split()).split(", ")) for role, names in _ALIASES.items()}
# Seconds in each.
UNITS: dict[str, float] = {
    unit: seconds
    for seconds, units in {
        1.0: "s sec secs second seconds sekunden secondes segundos secondi 秒",
        1e-3: "ms msec msecs millis millisec millisecond milliseconds millisekunden 毫秒",
        1e-6: "us usec micros microseconds",
        1e-7: "ticks",
        1e-9: "ns nanos nanoseconds",
        60.0: "min mins minutes minuten",
    }.items()
    for unit in units.split()
}
FRAMES = frozenset({"frame", "frames", "f", "frame no"})
CLOCKS = frozenset({"hh mm ss", "hh mm ss ms", "hh mm ss mmm", "hh mm ss msec", "hh mm ss ff", "h m s", "mm ss", "hms"})
TIMES = ("start", "end", "duration")


class Column(NamedTuple):
    """What a column is taken for.

    Args:
        role: a key of `ALIASES`.
        unit: seconds in each of its times; 0 where they are frames, `None` where its name does not say.
    """

    role: str
    unit: float | None = None


def find_columns(names: Iterable[str], roles: Iterable[str]) -> dict[str, tuple[str, Column]]:
    """The column of each role that there is one of, as `{role: (name, column)}`; a column has one role."""
    wanted = set(roles)
    claims = [
        (rank, place, name, column)
        for place, name in enumerate(dict.fromkeys(names))
        for rank, column in _meanings(name)
        if column.role in wanted
    ]
    found: dict[str, tuple[str, Column]] = {}
    taken = set()
    for _, _, name, column in sorted(claims, key=lambda claim: claim[:2]):
        if column.role not in found and name not in taken:
            found[column.role] = (name, column)
            taken.add(name)
    return found


def plain_name(name: str) -> str:
    """A name without case, accents, brackets, underscores and camel humps."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ")
    bare = "".join(one for one in unicodedata.normalize("NFKD", spaced.casefold()) if not unicodedata.combining(one))
    return " ".join(re.findall(r"#|\w+", unicodedata.normalize("NFC", bare)))


def _meanings(name: str) -> Iterator[tuple[int, Column]]:
    """What a name may mean, and how far it is from saying so plainly."""
    plain = plain_name(name)
    for role, rank in _ROLES.get(plain, ()):
        yield rank, Column(role)
    words = plain.split()
    for count in range(1, min(len(words), 5)):
        unit, rest = " ".join(words[-count:]), words[: len(words) - count]
        bare = " ".join(rest[:-1] if rest[-1:] == ["in"] and len(rest) > 1 else rest)
        seconds = 0.0 if unit in FRAMES else UNITS.get(unit)
        if seconds is None and unit not in CLOCKS:
            continue
        # YouTube's `tStartMs` and `dDurationMs` put a letter first.
        for alias in (bare, bare[2:] if bare[1:2] == " " else ""):
            for role, rank in _ROLES.get(alias, ()):
                if role in TIMES:
                    yield rank, Column(role, seconds)


def _roles() -> dict[str, list[tuple[str, int]]]:
    roles: dict[str, list[tuple[str, int]]] = {}
    for role, aliases in ALIASES.items():
        for rank, alias in enumerate(aliases):
            roles.setdefault(plain_name(alias), []).append((role, rank))
    return roles


_ROLES = _roles()
