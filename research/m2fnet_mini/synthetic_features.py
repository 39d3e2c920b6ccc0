"""Stage 3: MELD's dialogues read by espeak-ng, whose voices have no emotion, as sound features.

    python -m research.m2fnet_mini.synthetic_features

Writes `espeak-NAME.safetensors` with `sound` [N, 768] and `rows` [N], the rows of `text-SPLIT` that were read: `train`
(`TRAIN_DIALOGUES` dialogues, voices of `TRAIN_VOICES`; some of them one voice for all, some each speaker another one),
`dev` (all, the same voices), `dev-unheard` and `test` (all, voices of `DEV_VOICES` and `TEST_VOICES`, none of them in
training) and `test-default` (all in espeak's own voice). Dialogues are drawn by the seed 0.
"""

import re
import subprocess

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from m2fnet_hf.data.meld import load_meld_split

from .common import DATA, RUNS, WHISPER
from .sound import RATE, SoundTower, augment

TRAIN_DIALOGUES = 350
TRAIN_VOICES = ("en-us", "en-us+m1", "en-us+m2", "en-us+m3", "en-us+f1", "en-us+f2", "en-us+m4", "en-us+f3", "en-gb")
DEV_VOICES = ("en-029", "en-us-nyc", "en-gb-x-gbclan", "en-us+Annie", "en-us+Michael", "en-gb-x-gbcwmd", "en-us+linda")
TEST_VOICES = ("en-gb-scotland", "en-us+m7", "en-us+f4", "en-us+m5", "en-us+f5", "en-us+m6", "en-gb-x-rp")


def main() -> None:
    torch.set_num_threads(1)
    tower = SoundTower.from_whisper(WHISPER)
    for name, split, voices in (
        ("train", "train", TRAIN_VOICES),
        ("dev", "dev", TRAIN_VOICES),
        ("dev-unheard", "dev", DEV_VOICES),
        ("test", "test", TEST_VOICES),
        ("test-default", "test", ("en-us",)),
    ):
        path = RUNS / f"espeak-{name}.safetensors"
        if path.is_file():
            continue
        index = load_file(RUNS / f"text-{split}.safetensors")
        dialogues = load_meld_split(DATA / "meld", split)
        random = np.random.default_rng(0)
        chosen = range(len(dialogues))
        if name == "train":
            chosen = sorted(random.choice(len(dialogues), TRAIN_DIALOGUES, replace=False).tolist())
        rows, sound = [], []
        for number in chosen:
            dialogue = dialogues[number]
            order = random.permutation(len(voices))
            if random.random() < 0.3:
                order[:] = order[0]
            pitch, pace = random.integers(35, 66), random.integers(140, 200)
            first = int((index["dialogues"] == number).nonzero()[0])
            for place, (utterance, speaker) in enumerate(zip(dialogue, dialogue.speaker_ids, strict=True)):
                voice = voices[order[max(speaker, 0) % len(voices)]]
                samples = speak(str(utterance.text), voice, *((50, 175) if name == "test-default" else (pitch, pace)))
                if len(samples) < RATE // 10:  # nothing that can be pronounced
                    continue
                if name == "train" and number % 2:
                    samples = augment(samples, random)
                rows.append(first + place)
                with torch.inference_mode():
                    sound.append(tower(torch.tensor(samples)))
        save_file({"sound": torch.stack(sound), "rows": torch.tensor(rows)}, path)
        print(path, len(rows), flush=True)


def speak(text: str, voice: str, pitch: int = 50, pace: int = 175) -> np.ndarray:
    """Sound [S] at 16 kHz of the words, without what espeak-ng would read as markup."""
    words = re.sub(r"[<>&\\]", " ", text)
    command = ["espeak-ng", "-v", voice, "-p", str(pitch), "-s", str(pace), "--stdout", "--stdin"]
    wave = subprocess.run(command, input=words.encode(), capture_output=True, check=True).stdout
    samples = np.frombuffer(wave[44:], dtype="<i2").astype(np.float32) / 32768
    rate = int.from_bytes(wave[24:28], "little")
    place = np.arange(0, max(len(samples) - 1, 0), rate / RATE)
    return np.interp(place, np.arange(len(samples)), samples).astype(np.float32) if len(samples) else samples


if __name__ == "__main__":
    main()
