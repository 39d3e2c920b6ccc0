"""Makes a little corpus in MELD's own layout: conversations whose words, voices and faces all depend on the emotion.

The faces are the photograph of an astronaut that scikit-image comes with (public domain), the voices are espeak-ng's.
Two clips are as in the real one: one is not there, one is cut short.

    python tests/tools/make_corpus.py --output corpus
"""

import argparse
import csv
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np
from make_clip import FACE, FACE_HEIGHT, PHOTOGRAPH, SAMPLING_RATE, encode, speak
from PIL import Image, ImageEnhance, ImageOps

from m2fnet_hf.data.meld import CLIP_FOLDERS

COLUMNS = (
    "Sr No.",
    "Utterance",
    "Speaker",
    "Emotion",
    "Sentiment",
    "Dialogue_ID",
    "Utterance_ID",
    "Season",
    "Episode",
    "StartTime",
    "EndTime",
)
DIALOGUES = {"train": 12, "dev": 4, "test": 6}
UTTERANCES = (2, 5)  # at least and at most in a dialogue
SIZE = (160, 120)  # of the picture in pixels
FRAME_RATE = Fraction(10)
PAUSE = 0.5  # seconds between two utterances
HOUR = 3600.0  # between two splits, so that no two rows are said at one time


class Person(NamedTuple):
    """How somebody is heard and seen: espeak-ng's voice, its pitch, and whether the face is mirrored."""

    voice: str
    pitch: int
    mirrored: bool


class Mood(NamedTuple):
    """What an emotion does to words, voice (pitch, speed, loudness) and picture (zoom, brightness)."""

    sentiment: str
    words: tuple[str, ...]
    pitch: int
    speed: float
    loudness: float
    zoom: float
    brightness: float


PEOPLE = {
    "Ada": Person("en-us+f3", 55, False),
    "Bela": Person("en-us+m3", 35, True),
    "Cleo": Person("en-us+f5", 60, True),
    "Dan": Person("en-us+m7", 30, False),
}
MOODS = {
    "neutral": Mood("neutral", ("The bus leaves at ten.", "I put it on the table."), 0, 1.0, 0.6, 1.1, 1.0),
    "surprise": Mood("positive", ("Wow, you came!", "What? Really?"), 25, 1.1, 0.9, 1.4, 1.3),
    "fear": Mood("negative", ("Somebody is out there.", "Please do not leave me."), 15, 1.25, 0.3, 1.05, 0.5),
    "sadness": Mood("negative", ("I miss her so much.", "It is all over now."), -15, 0.8, 0.3, 1.0, 0.7),
    "joy": Mood("positive", ("This is wonderful!", "I love it so much!"), 15, 1.05, 0.8, 1.2, 1.5),
    "disgust": Mood("negative", ("That smells awful.", "Take this rotten thing away."), -20, 0.9, 0.6, 1.0, 0.85),
    "anger": Mood("negative", ("Get out of here!", "How dare you!"), -5, 1.2, 1.0, 1.5, 0.9),
}
# Said in any mood, so that a model has to listen and look.
OPEN_WORDS = ("Well, here we are.", "So this is it.")


class Row(NamedTuple):
    """An utterance of the corpus."""

    dialogue: int
    utterance: int
    speaker: str
    emotion: str
    text: str


def make_corpus(output: Path, dialogues: dict[str, int] | None = None, seed: int = 0) -> None:
    """Writes three csv files and three folders of clips, of which the last of train is missing and that of test cut.

    Args:
        output: the folder to write to.
        dialogues: how many there are in each split. Default: 12, 4 and 6.
        seed: of everything that is drawn.

    Raises:
        FileNotFoundError: without espeak-ng.
    """
    for number, (split, count) in enumerate((dialogues or DIALOGUES).items()):
        folder = output / CLIP_FOLDERS[split]
        folder.mkdir(parents=True, exist_ok=True)
        rows = list(draw_rows(count, Random(f"{seed} {split}")))
        for row in rows:
            make_clip(folder / f"dia{row.dialogue}_utt{row.utterance}.mp4", row)
        last = folder / f"dia{rows[-1].dialogue}_utt{rows[-1].utterance}.mp4"
        if split == "train":
            last.unlink()
        elif split == "test":
            last.write_bytes(last.read_bytes()[: last.stat().st_size * 3 // 4])
        write_csv(output / f"{split}_sent_emo.csv", rows, time=number * HOUR)


def draw_rows(dialogues: int, random: Random) -> Iterator[Row]:
    """The utterances of dialogues of two people; every third dialogue lacks the `Utterance_ID` 1."""
    for dialogue in range(dialogues):
        speakers = random.sample(sorted(PEOPLE), 2)
        for number in range(random.randint(*UTTERANCES)):
            emotion = random.choice(sorted(MOODS))
            text = random.choice(MOODS[emotion].words + OPEN_WORDS)
            gap = int(dialogue % 3 == 0 and number > 0)
            yield Row(dialogue, number + gap, speakers[number % 2], emotion, text)


@cache
def say(text: str, speaker: str, emotion: str) -> np.ndarray:
    """A text as somebody says it in a mood, int16 [S] at `SAMPLING_RATE`."""
    person, mood = PEOPLE[speaker], MOODS[emotion]
    spoken = speak(text, person.voice, person.pitch + mood.pitch)
    times = np.arange(0, len(spoken) - 1, mood.speed)
    return (mood.loudness * np.interp(times, np.arange(len(spoken)), spoken)).astype(np.int16)


def make_clip(path: Path, row: Row) -> None:
    """Writes an mp4 of an utterance: the speaker's face, which nods, and voice."""
    sound = say(row.text, row.speaker, row.emotion)
    count = int(len(sound) / SAMPLING_RATE * FRAME_RATE) + 1
    pictures = (draw_face(row.speaker, row.emotion, 4 * (number % 3 - 1)) for number in range(count))
    encode(path, pictures, sound, FRAME_RATE, SIZE)


@cache
def draw_face(speaker: str, emotion: str, nod: int) -> Image.Image:
    """Somebody in a mood, `nod` pixels of the photograph higher or lower."""
    mood = MOODS[emotion]
    tall = FACE_HEIGHT / mood.zoom
    wide = tall * SIZE[0] / SIZE[1]
    left, top = FACE[0] - wide / 2, FACE[1] - tall / 2 + nod
    portrait = PHOTOGRAPH.resize(SIZE, Image.Resampling.BILINEAR, (left, top, left + wide, top + tall))
    lit = ImageEnhance.Brightness(portrait).enhance(mood.brightness)
    return ImageOps.mirror(lit) if PEOPLE[speaker].mirrored else lit


def write_csv(path: Path, rows: list[Row], time: float) -> None:
    """Writes the rows with all of MELD's columns; the first starts at a time in seconds, each after the one before."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for number, row in enumerate(rows, start=1):
            end = time + len(say(row.text, row.speaker, row.emotion)) / SAMPLING_RATE
            words = (number, row.text, row.speaker, row.emotion, MOODS[row.emotion].sentiment)
            writer.writerow((*words, row.dialogue, row.utterance, 1, 1, clock(time), clock(end)))
            time = end + PAUSE


def clock(seconds: float) -> str:
    """Seconds as `HH:MM:SS,mmm`."""
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02},{rest % 1000:03}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER")
    for split, count in DIALOGUES.items():
        parser.add_argument(f"--{split}", type=int, default=count, metavar="N", help=f"dialogues ({count})")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    make_corpus(options.output, {split: getattr(options, split) for split in DIALOGUES}, options.seed)


if __name__ == "__main__":
    main()
