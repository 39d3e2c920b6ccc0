"""Makes a little conversation of two speakers, with a face and a voice each, and its transcript.

The face is the photograph of an astronaut that scikit-image comes with (public domain), the voices are espeak-ng's.
"""

import argparse
import io
import math
import subprocess
import wave
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageEnhance, ImageOps
from pysubs2 import SSAEvent, SSAFile
from skimage.data import astronaut

TURNS = [
    ("MAYA", "Hey, I'm home. Is the package here yet?"),
    ("TOM", "It came this morning. I put it on the kitchen table."),
    ("MAYA", "Wait, why is it already open?!"),
    ("TOM", "Okay, please don't be mad. I thought it was mine."),
    ("MAYA", "That was your birthday present, you idiot! You ruined it!"),
    ("TOM", "Oh my God. You bought me the camera?"),
    ("TOM", "I'm so sorry. I feel awful now."),
    ("MAYA", "Ugh, and there's mold all over this sandwich. That's disgusting."),
    ("TOM", "Maya, this is the best present anyone has ever given me!"),
    ("MAYA", "Well, I'm glad you like it. Happy birthday!"),
]
VOICES = (("en-us+f3", 60), ("en-us+m3", 35))  # name and pitch
SAMPLING_RATE = 22_050  # espeak-ng's
X264_OPTIONS = {"crf": "33", "preset": "slow", "x264-params": "mbtree=0"}  # with mbtree no two runs are alike
FACE = (226, 132)  # the middle of the part of the photograph that is shown, in pixels
FACE_HEIGHT = 240
SWAY = 2.5  # seconds in which a speaker moves to and fro
PHOTOGRAPH = Image.fromarray(astronaut())


def make_clip(
    path: Path,
    turns: Sequence[tuple[str, str]],
    size: tuple[int, int] = (320, 240),
    fps: float = 12.5,
    pause: float = 0.3,
) -> list[tuple[float, float]]:
    """Writes an mp4 in which two speakers, left and right, say their turns; the one who speaks moves and is lit.

    Args:
        path: the file to write.
        turns: speaker and text; the first speaker is on the left, all others are on the right.
        size: width and height in pixels, even.
        fps: frames per second.
        pause: seconds of silence after each turn.

    Returns:
        Start and end of each turn in seconds.

    Raises:
        FileNotFoundError: without espeak-ng.
    """
    sides = [int(speaker != turns[0][0]) for speaker, _ in turns]
    silence = np.zeros(round(pause * SAMPLING_RATE), dtype=np.int16)
    sound = np.empty(0, dtype=np.int16)
    times = []
    for side, (_, text) in zip(sides, turns, strict=True):
        speech = speak(text, *VOICES[side])
        times.append((len(sound) / SAMPLING_RATE, (len(sound) + len(speech)) / SAMPLING_RATE))
        sound = np.concatenate([sound, speech, silence])
    rate = Fraction(fps).limit_denominator(1001)
    count = math.ceil(len(sound) / SAMPLING_RATE * rate)
    encode(path, (draw(float(n / rate), sides, times, size) for n in range(count)), sound, rate, size)
    return times


def encode(
    path: Path, pictures: Iterable[Image.Image], sound: np.ndarray, rate: Fraction, size: tuple[int, int]
) -> None:
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as target:
        video = target.add_stream("libx264", rate=rate, options=X264_OPTIONS)
        video.width, video.height = size
        audio = target.add_stream("aac", rate=SAMPLING_RATE, layout="mono", bit_rate=24_000)
        played = 0
        for number, picture in enumerate(pictures, start=1):
            target.mux(video.encode(av.VideoFrame.from_image(picture)))
            until = round(number / rate * SAMPLING_RATE)
            samples = av.AudioFrame.from_ndarray(sound[None, played:until], "s16", "mono")
            samples.sample_rate, samples.pts, played = SAMPLING_RATE, played, until
            target.mux(audio.encode(samples))
        target.mux(video.encode())
        target.mux(audio.encode())


def speak(text: str, voice: str, pitch: int) -> np.ndarray:
    """A text spoken by espeak-ng, int16 [S] at `SAMPLING_RATE`.

    Raises:
        FileNotFoundError: without espeak-ng.
    """
    try:
        command = ["espeak-ng", "-v", voice, "-p", str(pitch), "-z", "--stdout", text]
        spoken = subprocess.run(command, check=True, capture_output=True).stdout
    except FileNotFoundError:
        raise FileNotFoundError("Speech needs the program espeak-ng, found none; install it.") from None
    with wave.open(io.BytesIO(spoken)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), dtype=np.int16)


def draw(time: float, sides: Sequence[int], times: Sequence[tuple[float, float]], size: tuple[int, int]) -> Image.Image:
    """The two speakers at a time in seconds."""
    speaking = {side for side, (start, end) in zip(sides, times, strict=True) if start <= time < end}
    width, height = size[0] // 2, size[1]
    picture = Image.new("RGB", size)
    for side in (0, 1):
        sway = math.sin(2 * math.pi * time / SWAY) if side in speaking else 0.0
        tall = FACE_HEIGHT * (1 + 0.03 * sway)
        wide = tall * width / height
        left, top = FACE[0] + 5 * sway - wide / 2, FACE[1] - tall / 2
        portrait = PHOTOGRAPH.resize((width, height), Image.Resampling.BILINEAR, (left, top, left + wide, top + tall))
        lit = ImageEnhance.Brightness(portrait).enhance(1.0 if side in speaking else 0.6)
        picture.paste(ImageOps.mirror(lit) if side else lit, (side * width, 0))
    return picture


def write_srt(path: Path, turns: Sequence[tuple[str, str]], times: Sequence[tuple[float, float]]) -> None:
    """Writes the turns as subtitles, `NAME: text`."""
    subtitles = SSAFile()
    for (speaker, text), (start, end) in zip(turns, times, strict=True):
        subtitles.append(SSAEvent(round(start * 1000), round(end * 1000), f"{speaker}: {text}"))
    subtitles.save(str(path))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER")
    output = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    times = make_clip(output / "conversation.mp4", TURNS)
    write_srt(output / "conversation.srt", TURNS, times)


if __name__ == "__main__":
    main()
