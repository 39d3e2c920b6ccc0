"""Sound of any channels, of several tracks, and none."""

import struct
import wave
from pathlib import Path

import av
import numpy as np
import pytest
from tracks import write_tracks

from m2fnet_hf.media.clip import Clip

RATE = 16_000
TONE = 0.5 * np.sin(np.arange(RATE) / 20)


def one_of(channels: int, place: int) -> np.ndarray:
    """A tone on one channel, int16 [S, C]."""
    samples = np.zeros((RATE, channels), np.int16)
    samples[:, place] = np.round(TONE * 32_767)
    return samples


def write_wav(path: Path, samples: np.ndarray, mask: int | None = None) -> Path:
    """A WAV file without a channel mask, or with one."""
    channels = samples.shape[1]
    if mask is None:
        with wave.open(str(path), "wb") as file:
            file.setparams((channels, 2, RATE, 0, "NONE", ""))
            file.writeframes(samples.tobytes())
        return path
    size = 2 * channels
    head = struct.pack("<HHIIHHHHI", 0xFFFE, channels, RATE, RATE * size, size, 16, 22, 16, mask)
    head += bytes.fromhex("0100000000001000800000aa00389b71")
    data = samples.tobytes()
    chunks = b"fmt " + struct.pack("<I", len(head)) + head + b"data" + struct.pack("<I", len(data)) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)
    return path


def loudness(path: Path) -> float:
    clip = Clip(path)
    sound = clip.sound()
    assert clip.problems == []
    assert sound is not None
    assert len(sound) == RATE
    return float(sound.std() / TONE.std())


@pytest.mark.parametrize("channels", [2, 3, 6, 8, 9, 10, 11, 13, 16, 60, 100])
@pytest.mark.parametrize("place", [0, -1])
def test_each_channel_without_a_place_is_heard_alike(tmp_path: Path, channels: int, place: int) -> None:
    path = write_wav(tmp_path / "array.wav", one_of(channels, place))
    assert loudness(path) == pytest.approx(1 / channels, rel=0.02)


@pytest.mark.parametrize(
    ("channels", "mask"),
    [(12, 0x2D63F), (4, 0x2D000), (2, 0xC), (2, 0x9), (3, 0x80000007), (4, 0x3F), (2, 0x600000), (6, 0)],
)
def test_channels_at_places_that_ffmpeg_does_not_mix(tmp_path: Path, channels: int, mask: int) -> None:
    for place in range(channels):
        path = write_wav(tmp_path / "array.wav", one_of(channels, place), mask)
        assert loudness(path) == pytest.approx(1 / channels, rel=0.02)


@pytest.mark.parametrize(("codec", "layout"), [("libopus", "10 channels"), ("wavpack", "7.1.4"), ("aac", "7.1")])
def test_many_planes(tmp_path: Path, codec: str, layout: str) -> None:
    """PyAV's own arrays of these are too long."""
    path = tmp_path / "array.mkv"
    tone = 0.5 * np.sin(np.arange(48_000) / 20)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=48_000, options={"mapping_family": "255"} if "opus" in codec else {})
        stream.layout = layout
        samples = np.zeros((48_000, stream.layout.nb_channels), np.float32)
        samples[:, -1] = tone
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), "flt", layout)
        frame.sample_rate, frame.pts = 48_000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    sound = Clip(path).sound(sampling_rate=48_000)
    assert sound is not None
    assert sound.std() * samples.shape[1] == pytest.approx(tone.std(), rel=0.15)


def test_sound_that_cannot_be_resampled_is_named(tmp_path: Path) -> None:
    path = tmp_path / "fast.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 2**31 - 1, 0, "NONE", ""))
        file.writeframes(one_of(1, 0).tobytes())
    clip = Clip(path)
    assert clip.sound(0.0, 1.0) is None
    assert "of no size and rate that recordings have" in clip.problems[0]


@pytest.mark.parametrize(("riff", "size"), [(0, 0), (0xFFFFFFFF, 0xFFFFFFFF), (0x7FFFFFFF, 0x7FFFFFFF - 36)])
def test_what_was_piped_to_wav_is_whole(tmp_path: Path, riff: int, size: int) -> None:
    path = tmp_path / "piped.wav"
    head = struct.pack("<IHHIIHH", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    note = b"LIST" + struct.pack("<I", 5) + b"INFO." + b"\0"
    data = one_of(1, 0).tobytes()
    content = b"RIFF" + struct.pack("<I", riff) + b"WAVEfmt " + head + note + b"data" + struct.pack("<I", size) + data
    path.write_bytes(content)
    assert loudness(path) == pytest.approx(1, rel=0.01)
    path.write_bytes(content[:-1])
    clip = Clip(path)
    assert clip.sound() is not None
    assert clip.problems == []


def test_a_wav_that_is_cut_is_damaged(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "cut.wav", one_of(1, 0))
    path.write_bytes(path.read_bytes()[:-3001])
    clip = Clip(path)
    clip.sound()
    assert clip.problems != []


def tones(*loudnesses: float) -> list[np.ndarray]:
    return [loudness * np.sin(np.arange(RATE) / 20) for loudness in loudnesses]


@pytest.mark.parametrize(
    ("loudnesses", "track"), [((0.5, 0.25), 1), ((0.0, 0.25), 2), ((0.0, 0.0, 0.25), 3), ((0.0, 0.0), 1)]
)
def test_the_first_track_that_is_not_silent(tmp_path: Path, loudnesses: tuple[float, ...], track: int) -> None:
    clip = Clip(write_tracks(tmp_path / "talk.mkv", tones(*loudnesses)))
    assert clip.audio_track == track
    assert np.abs(clip.sound()).max() == pytest.approx(loudnesses[track - 1], abs=1e-3)
    said = f"talk.mkv has {len(loudnesses)} sound tracks, of which {track} is read"
    assert [problem.startswith(said) for problem in clip.problems] == [True] * (track > 1)


def test_a_track_that_is_chosen(tmp_path: Path) -> None:
    path = write_tracks(tmp_path / "talk.mkv", tones(0.5, 0.25))
    clip = Clip(path, audio_track=2)
    assert np.abs(clip.sound()).max() == pytest.approx(0.25, abs=1e-3)
    assert clip.problems == []
    clip = Clip(path, audio_track=3)
    assert not clip.has_audio
    assert clip.sound() is None
    assert clip.problems == [
        "talk.mkv must have the sound track 3 that was asked for, found 2; its sound is treated as absent."
    ]
    with pytest.raises(ValueError, match="from 1 on, found 0"):
        Clip(path, audio_track=0)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_sound_is_absent(tmp_path: Path, value: float) -> None:
    """As a whole number it would be the loudest there is."""
    samples = np.full(4 * RATE, 0.1, np.float32)
    samples[RATE : RATE + 10] = value
    data = samples.tobytes()
    form = struct.pack("<IHHIIHH", 16, 3, 1, RATE, 4 * RATE, 4, 32)
    path = tmp_path / "talk.wav"
    path.write_bytes(b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " + form + b"data")
    with path.open("ab") as file:
        file.write(struct.pack("<I", len(data)) + data)
    clip = Clip(path)
    sound = clip.sound()
    assert sound is not None
    assert np.abs(sound).max() < 0.2
    assert "is damaged" in clip.problems[0]
