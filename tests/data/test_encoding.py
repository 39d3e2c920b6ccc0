# ruff: noqa: RUF001  lines and letters as people have them
"""Text in the encodings of the world, in files too short for statistics."""

from collections.abc import Callable

import pytest
from cue_files import said, srt

from m2fnet_hf.data.transcripts import Transcript

Open = Callable[..., Transcript]


@pytest.mark.parametrize(
    ("encoding", "texts"),
    [
        ("gb18030", ["王芳：你为什么不告诉我！", "李雷: 对不起"]),
        ("big5", ["王芳：你為什麼不告訴我！", "李雷: 對不起"]),
        ("shift_jis", ["田中：どうして言わなかったの？", "佐藤: ごめんなさい"]),
        ("euc_jp", ["田中：どうして言わなかったの？", "佐藤: ごめんなさい"]),
        ("iso2022_jp", ["田中：どうして言わなかったの？", "佐藤: ごめんなさい"]),
        ("euc_kr", ["민수: 왜 나한테 말 안 했어?", "지영: 미안해"]),
        ("cp1251", ["Анна: Почему ты плачешь?", "Борис: Не знаю."]),
        ("koi8_r", ["Анна: Почему ты плачешь?", "Борис: Не знаю."]),
        ("cp866", ["Анна: Почему ты плачешь?", "Борис: Не знаю."]),
        ("cp1252", ["Zoë: “Où es-tu ?”", "René: Je suis désolé…"]),
        ("latin-1", ["Müller: Schön, daß du da bist!", "Jörg: Natürlich."]),
        ("latin-1", ["Íñigo: ¿Qué pasó, mañana?", "María: Nada."]),
        ("cp1250", ["Łukasz: Dlaczego mi nie powiedziałeś?", "Żaneta: Przepraszam cię."]),
        ("cp1253", ["Άννα: Γιατί κλαις;", "Γιώργος: Δεν ξέρω."]),
        ("cp1254", ["Ayşe: Neden ağlıyorsun?", "Gökhan: Bilmiyorum."]),
        ("cp1255", ["דנה: למה את בוכה?", "יוסי: אני לא יודע"]),
        ("cp874", ["แอน: สวัสดี", "เบน: ไม่"]),
        ("cp1250", ["Gyula: Hol vagy? Őrült!", "Éva: Itt, nővérem."]),
        ("latin-1", ["Søren: Hvad sker der på øen?", "Åse: Jeg er så træt"]),
        ("mac_roman", ["Zoë: “naïve”", "René: déjà vu"]),
        ("utf-16-le", ["王芳: 你好", "Anna: Hi"]),
        ("utf-16-be", ["Anna: Why?", "Ben: Hm."]),
        ("utf-32", ["Zoë: Why?", "Ben: Hm."]),
        ("utf-8-sig", ["Zoë: Why?", "Ben: Hm."]),
    ],
)
def test_old_encodings_of_short_files(opened: Open, encoding: str, texts: list[str]) -> None:
    expected = [tuple(part.strip() for part in text.replace("：", ":").split(":", 1)) for text in texts]
    assert said(opened("a.srt", srt(*texts).replace("\n", "\r\n").encode(encoding))) == expected


def test_what_nobody_can_tell_is_refused(opened: Open) -> None:
    with pytest.raises(ValueError, match=r"a\.srt must be text in UTF-8, .* found invalid .* save it as UTF-8"):
        opened("a.srt", srt("그냥 가").encode("euc_kr"))
    for content in (b"\0\0\0\x18ftypmp42\0\0\0\0", b"%PDF-1.4", b"PK\x03\x04docx"):
        with pytest.raises(ValueError, match=r"a\.srt must be text, found another kind of file"):
            opened("a.srt", content)
