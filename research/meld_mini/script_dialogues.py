"""Dialogues without labels: the scripts of free games, a chat bot's and tweets, for `out_of_fold.py --unlabelled`.

    apt-get download wesnoth-1.16-{did,dm,dw,ei,httt,l,low,nr,sof,sota,sotbe,thot,trow,tsg,ttb,utbs} \\
        {freedroidrpg,fillets-ng,hedgewars,freedink,endless-sky,naev}-data flare-game renpy-thequestion crawl-common
    mkdir unpacked
    for package in *.deb; do dpkg -x $package unpacked/${package%%_*}; done
    pip download --no-deps --no-binary vaderSentiment vaderSentiment chatterbot-corpus
    tar xzOf vaderSentiment-*.tar.gz --wildcards '*/hutto_ICWSM_2014.tar.gz' | tar xzC unpacked
    unzip chatterbot_corpus-*.whl -d unpacked
    python research/meld_mini/script_dialogues.py unpacked runs/scripts

Nothing of these texts goes into the package: what a large model makes of them teaches a small one.
"""

import argparse
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

LONGEST = 60  # words of an utterance
PASSERS_BY = ("Anna", "Tom", "Lucy", "Martin", "Old Man", "Woman", "Guard")
CREW = ("Jack", "Freya", "Tomek", "Alondra", "Danforth", "Katya", "Sam", "Barmy", "Ijs", "Raven")
NAMES = (
    *("Jack", "Anna", "Tom", "Lucy", "Martin", "Rachel", "Ross", "Monica", "Chandler", "Joey", "Phoebe", "Sarah"),
    *("John", "Maya", "Speaker 1", "Speaker 2", "A", "B", "Man", "Woman"),
)
PLAIN_MARKS = str.maketrans(
    {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-", "\u2026": "..."}
)
DULL_TOPICS = "coding|tech|computers|trivia|sports|money"
LUA_TEXT = r'"((?:[^"\\]|\\.)*)"'
QUOTED = r'[“"]([^“”"]{%d,400})[”"]'
SAYS = r"(?:says?|asks?|replies|shouts?|yells|exclaims|answers)"

# Speaker and text, one utterance after the other.
Turns = list[tuple[str, str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("unpacked", type=Path, help="folder with a folder for each package")
    parser.add_argument("output", type=Path, help="folder")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with (options.output / "train.jsonl").open("w", encoding="utf-8") as file:
        for number, turns in enumerate(dialogues(options.unpacked)):
            said = [{"speaker": speaker, "text": text} for speaker, text in turns]
            file.write(json.dumps({"id": str(number), "utterances": said}, ensure_ascii=False) + "\n")


def dialogues(unpacked: Path) -> Iterator[Turns]:
    """Pieces of all that is said, every text once."""
    seen: set[str] = set()
    for sources, seed, least in ((STORIES, 0, 2), (SHORT_TEXTS, 1, 1)):
        decide = Random(seed)
        pieces = [piece for source in sources for turns in source(unpacked, decide) for piece in cut(turns, decide)]
        for piece in pieces:
            new = [(speaker, text) for speaker, text in piece if text not in seen]
            seen |= {text for _, text in new}
            if len(new) >= least:
                yield new


def cut(turns: Turns, decide: Random) -> Iterator[Turns]:
    turns = [(speaker, clean(text)) for speaker, text in turns]
    turns = [(speaker, text) for speaker, text in turns if is_speech(text)]
    while turns:
        count = min(len(turns), decide.randint(5, 16))
        yield turns[:count]
        turns = turns[count:]


def clean(text: str) -> str:
    """Without markup, and with a name for what a game fills in."""
    text = text.translate(PLAIN_MARKS).replace('\\"', '"').replace("\\n", " ")
    text = re.sub(r"\$\w+(\.\w+)*|%[sd]", "Sam", re.sub(r"<[^>]*>|`.", "", text))
    return " ".join(re.sub(r"[_~{}]", "", text).split())


def is_speech(text: str) -> bool:
    return 1 <= len(text.split()) <= LONGEST and re.search("[A-Za-z]{2}", text) is not None


def wesnoth(unpacked: Path, decide: Random) -> Iterator[Turns]:
    for _, script in _files(unpacked, "wesnoth*/**/*.cfg"):
        turns: Turns = []
        for part in re.finditer(r"\[event\]|\[message\](.*?)\[/message\]", script, re.S):
            if part[1] is None:
                if len(turns) >= 4:
                    yield turns
                    turns = []
                continue
            text = re.search(r'message=\s*_\s*"((?:[^"]|"")*)"', part[1])
            speaker = re.search(r'speaker=\s*"?([\w \']+)', part[1])
            if text:
                name = speaker[1].strip() if speaker else "Narrator"
                name = name.replace("narrator", "Narrator").replace("unit", "Soldier").replace("_", " ")
                turns.append((name, text[1].replace('""', '"')))
        yield turns


def freedroid(unpacked: Path, decide: Random) -> Iterator[Turns]:
    said = rf'\bid\s*=\s*"|\btext\s*=\s*_{LUA_TEXT}|(Npc|Tux):says(?:_\w+)?\(\s*_{LUA_TEXT}'
    for path, script in _files(unpacked, "freedroid*/**/dialogs/*.lua"):
        name = re.sub(r"[^A-Za-z]", " ", path.stem).split()[0].title()
        found = [part.groups() for part in re.finditer(said, script)]
        yield [
            ("Tux" if reply is None else {"Npc": name}.get(who, who), chosen or reply)
            for chosen, who, reply in found
            if chosen is not None or reply is not None
        ]


def fillets(unpacked: Path, decide: Random) -> Iterator[Turns]:
    for _, script in _files(unpacked, "fillets*/**/dialogs_en.lua"):
        said = re.findall(rf'dialogId\("[^"]*",\s*"(\w+)",\s*{LUA_TEXT}', script)
        yield [({"font_small": "Anna", "font_big": "Max"}.get(font, "Voice"), text) for font, text in said]


def hedgewars(unpacked: Path, decide: Random) -> Iterator[Turns]:
    said = rf"func\s*=\s*AnimSay,\s*args\s*=\s*\{{\s*([\w\[\]]+),\s*(?:string\.format\()?loc\({LUA_TEXT}"
    for _, script in _files(unpacked, "hedgewars*/**/*.lua"):
        yield [(re.sub("[^A-Za-z]", " ", who).strip().title() or "Hog", text) for who, text in re.findall(said, script)]


def freedink(unpacked: Path, decide: Random) -> Iterator[Turns]:
    for _, script in _files(unpacked, "freedink*/**/*.c", encoding="latin1"):
        name = decide.choice(PASSERS_BY)
        said = re.findall(rf"say(?:_stop)?(?:_npc)?\({LUA_TEXT}\s*,\s*([^)]*)\)", script)
        yield [("Dink" if re.match(r"\s*1", who) else name, text) for text, who in said]


def flare(unpacked: Path, decide: Random) -> Iterator[Turns]:
    for _, script in _files(unpacked, "flare*/**/*.txt"):
        found = re.search("^name=(.*)", script, re.M)
        name = re.split("[ ,]", found[1])[0] if found else "Guard"
        said = re.findall("^(him|her|you)=(.*)", script, re.M)
        yield [("Hero" if who == "you" else name, text) for who, text in said]


def endless_sky(unpacked: Path, decide: Random) -> Iterator[Turns]:
    for _, script in _files(unpacked, "endless*/**/data/**/*.txt"):
        for scene in re.split(r"\n\t*(?:conversation|on offer|on complete|on visit|label)\b", script):
            turns, pair = [], decide.sample(CREW, 2)
            for line in re.findall("`([^`]*)`", scene):
                quotes = re.findall(QUOTED % 2, line)
                found = re.search(rf"{SAYS}\s+([A-Z][a-z]+)|([A-Z][a-z]+)\s+{SAYS}", line)
                name = (found[1] or found[2]) if found else "The"
                if name in ("The", "He", "She", "They", "When", "Then"):
                    name = pair[0] if "The" in line or "says" in line else pair[1]
                if quotes:
                    turns.append((name, " ".join(quotes)))
            yield turns


def the_question(unpacked: Path, decide: Random) -> Iterator[Turns]:
    for _, script in _files(unpacked, "renpy-thequestion/**/the_question/game/script.rpy"):
        said = re.findall(r'^\s+([sm])\s.*?"(.*)"', script, re.M)
        yield [({"s": "Sylvie", "m": "Me"}[who], text) for who, text in said]


def naev(unpacked: Path, decide: Random) -> Iterator[Turns]:
    for _, script in _files(unpacked, "naev*/**/dat/**/*.lua"):
        turns = []
        for long, short in re.findall(rf"_\(\[\[(.*?)\]\]\)|_\({LUA_TEXT}\)", script, re.S):
            pair = decide.sample(NAMES, 2)
            turns += [
                (decide.choice(pair), text) for text in re.findall(QUOTED % 3, (long or short).replace('\\"', '"'))
            ]
        yield turns


def crawl(unpacked: Path, decide: Random) -> Iterator[Turns]:
    for _, script in _files(unpacked, "crawl-common/**/database/monspeak.txt"):
        said = re.findall(r'says,? "([^"@]+)"|"([^"@]{4,})"', script)
        yield [(decide.choice(NAMES), text) for both in said for text in both if text]


def tweets(unpacked: Path, decide: Random) -> Iterator[Turns]:
    for _, table in _files(unpacked, "**/tweets_GroundTruth.txt"):
        texts = [clean(re.sub(r"https?://\S+|[#@](?=\w)", "", line.split("\t")[-1])) for line in table.splitlines()]
        texts = [text for text in texts if is_speech(text)]
        decide.shuffle(texts)
        while texts:
            count, pair = decide.randint(1, 5), decide.sample(NAMES, 2)
            yield [(decide.choice(pair), text) for text in texts[:count]]
            texts = texts[count:]


def chat_bot(unpacked: Path, decide: Random) -> Iterator[Turns]:
    for path, talk in _files(unpacked, "**/chatterbot_corpus/data/english/*.yml"):
        if not re.search(DULL_TOPICS, path.name):
            for part in talk.split("\n- - ")[1:]:
                texts = [line.strip().strip("'\"") for line in part.split("\n  - ")]
                yield [("Ann" if number % 2 else "Ben", text) for number, text in enumerate(texts[:16], start=1)]


Source = Callable[[Path, Random], Iterator[Turns]]
STORIES: tuple[Source, ...] = (*(wesnoth, freedroid, fillets, hedgewars, freedink, flare, endless_sky, the_question),)
SHORT_TEXTS: tuple[Source, ...] = (naev, crawl, tweets, chat_bot)


def _files(unpacked: Path, pattern: str, encoding: str = "utf-8") -> Iterator[tuple[Path, str]]:
    for path in sorted(unpacked.glob(pattern)):
        yield path, path.read_text(encoding=encoding, errors="replace")


if __name__ == "__main__":
    main()
