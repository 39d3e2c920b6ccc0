"""What is said in a game's script, by whom, in pieces of a dialogue."""

import json
from itertools import chain
from pathlib import Path

import pytest
import script_dialogues

SCRIPTS = {
    "wesnoth-1.16-l/data/one.cfg": """
        [message]
            speaker=Konrad
            message= _ "What is this place?"
        [/message]
        [message]
            speaker=narrator
            message= _ "They went, <i>slowly</i>, and said ""never""."
        [/message]
    """,
    "freedroidrpg-data/dialogs/2Ewald.lua": 'id = "a", text = _"Water, please.", Npc:says(_"Here you go.")',
    "fillets-ng-data/script/dialogs_en.lua": 'dialogId("a", "font_small", "Look!")\ndialogId("b", "font_big", "Hm…")',
    "hedgewars-data/Missions/a.lua": (
        '{func = AnimSay, args = {enemy, loc("Die!"), 1}} {func = AnimSay, args = {hog, loc("Why, though?")}}'
    ),
    "freedink-data/Story/a.c": 'say("`0Hurry up!", &man); say_stop("It is locked.", 1);',
    "flare-game/npcs/a.txt": "name=Yora, Enchanter\nhim=Good day.\nyou=Farewell.\n",
    "endless-sky-data/data/a.txt": '`"Come in," says Freya. "Sit."`\n`You ask, "Where to?"`\n',
    "renpy-thequestion/the_question/game/script.rpy": '    s happy "Hi there!"\n    m "Oh, hello."\n',
    "naev-data/dat/missions/a.lua": '_([["Found us," he says. "Run, Sam!"]])',
    "crawl-common/database/monspeak.txt": 'The orc says, "Good meat."\n',
    "vader/tweets_GroundTruth.txt": "1\t0.5\t@you such a day http://x.org :)\n",
    "chat/chatterbot_corpus/data/english/food.yml": "conversations:\n- - Do you eat?\n  - I cannot eat.\n",
    "chat/chatterbot_corpus/data/english/sports.yml": "conversations:\n- - Who won?\n  - They did.\n",
}
SAID = [
    [("Konrad", "What is this place?"), ("Narrator", 'They went, slowly, and said "never".')],
    [("Tux", "Water, please."), ("Ewald", "Here you go.")],
    [("Anna", "Look!"), ("Max", "Hm...")],
    [("Enemy", "Die!"), ("Hog", "Why, though?")],
    [(None, "Hurry up!"), ("Dink", "It is locked.")],
    [("Yora", "Good day."), ("Hero", "Farewell.")],
    [("Freya", "Come in, Sit."), (None, "Where to?")],
    [("Sylvie", "Hi there!"), ("Me", "Oh, hello.")],
    [(None, "Found us,"), (None, "Run, Sam!")],
    [(None, "Good meat.")],
    [(None, "you such a day :)")],
    [("Ann", "Do you eat?"), ("Ben", "I cannot eat.")],
]


def test_every_game_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, script in SCRIPTS.items():
        path = tmp_path / "unpacked" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script, encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["script_dialogues", str(tmp_path / "unpacked"), str(tmp_path / "scripts")])
    script_dialogues.main()
    lines = (tmp_path / "scripts" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    found = [[(one["speaker"], one["text"]) for one in json.loads(line)["utterances"]] for line in lines]
    assert [[text for _, text in turns] for turns in found] == [[text for _, text in turns] for turns in SAID]
    for (speaker, _), (expected, _) in zip(chain(*found), chain(*SAID), strict=True):
        assert speaker == expected if expected else speaker


def test_long_talk_is_cut_and_nothing_is_said_twice(tmp_path: Path) -> None:
    folder = tmp_path / "fillets-ng-data" / "script"
    folder.mkdir(parents=True)
    line = 'dialogId("a", "font_{}", "{}")\n'
    said = "".join(line.format(("small", "big")[number % 2], f"Line number {number % 90}.") for number in range(100))
    (folder / "dialogs_en.lua").write_text(said + line.format("small", "so " * 61) + line.format("big", "..."))
    pieces = list(script_dialogues.dialogues(tmp_path))
    assert sorted(int(text.split()[2][:-1]) for piece in pieces for _, text in piece) == list(range(90))
    assert 90 / 16 <= len(pieces) <= 90 / 5 + 1
    assert pieces == list(script_dialogues.dialogues(tmp_path))
