"""Writes recordings whose frames and sound tell their own time."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

BITS = 8
SIZE = (128, 64)
TEN_A_SECOND = tuple(k / 10 for k in range(20))


def numbered_image(number: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """RGB [height, width, 3]: the number's bits in the upper half, white for 1, the highest left; grey below."""
    width, height = size
    image = np.full((height, width, 3), 128, dtype=np.uint8)
    bits = [255 * (number >> bit & 1) for bit in reversed(range(BITS))]
    image[: height // 2] = np.repeat(bits, width // BITS)[None, :, None]
    return image


def number_of(image: np.ndarray) -> int:
    """The number that an upright image carries, at any size."""
    cells = np.array_split(image[: image.shape[0] // 2].mean((0, 2)), BITS)
    return sum(1 << bit for bit, cell in enumerate(reversed(cells)) if cell.mean() > 128)


def chirp(times: np.ndarray) -> np.ndarray:
    """A tone that rises from 300 Hz by 20 Hz a second, so that no two moments sound alike."""
    return 0.5 * np.sin(2 * np.pi * (300 * times + 10 * times**2))


def lag_of(samples: np.ndarray, start: float, rate: int) -> float:
    """Seconds by which samples come after the chirp that is due from `start` on, within 0.1 s."""
    reach = rate // 10
    heard = samples[reach:-reach]
    lags = range(-reach, reach + 1)
    due = chirp(start + np.arange(len(samples)) / rate)
    return max(lags, key=lambda lag: float(due[reach - lag : reach - lag + len(heard)] @ heard)) / rate


def record(
    path: Path,
    *,
    frame_times: Sequence[float] = TEN_A_SECOND,
    seconds: float = 2.0,
    sound_start: float = 0.0,
    silence: tuple[float, float] = (0.0, 0.0),
    size: tuple[int, int] = SIZE,
    rotation: int = 0,
    ticks: int | None = None,
    video_codec: str = "mpeg4",
    audio_codec: str = "pcm_s16le",
    sampling_rate: int = 16_000,
    layout: str = "mono",
    options: dict[str, str] | None = None,
    tags: dict[str, str] | None = None,
) -> Path:
    """A recording of numbered frames and of the chirp.

    Args:
        frame_times: in seconds; none for a recording without video.
        seconds: of sound; 0 for a recording without it.
        sound_start: time of the first sample.
        silence: start and end of a stretch whose packets are left out.
        rotation: degrees counter-clockwise by which a player turns the stored picture, whose numbers then are upright.
        ticks: in a second, that frames start on; the median rate of frames unless given.
        options: of the container.
        tags: as its title.
    """
    with av.open(str(path), "w", options=options or {}) as container:
        container.metadata.update(tags or {})
        streams = []
        if frame_times:
            rate = 1 / np.median(np.diff(frame_times)) if len(frame_times) > 1 else 10
            video = container.add_stream(video_codec, rate=Fraction(rate).limit_denominator(1001))
            video.width, video.height = size if rotation % 180 == 0 else size[::-1]
            video.pix_fmt = "yuvj420p" if video_codec == "mjpeg" else "yuv420p"
            video.gop_size = 5
            video.bit_rate = 400_000
            if ticks:
                video.codec_context.time_base = Fraction(1, ticks)
            if rotation:
                video.set_display_rotation(rotation)
            streams.append((video, _pictures(frame_times, size, rotation)))
        if seconds:
            audio = container.add_stream(audio_codec, rate=sampling_rate, layout=layout)
            streams.append((audio, _sound(seconds, sound_start, silence, sampling_rate, layout)))
        for stream, frame in _by_time(streams):
            container.mux(stream.encode(frame))
        for stream, _ in streams:
            container.mux(stream.encode(None))
    return path


def _pictures(times: Sequence[float], size: tuple[int, int], rotation: int) -> Iterator[av.VideoFrame]:
    for number, time in enumerate(times):
        image = np.rot90(numbered_image(number % (1 << BITS), size), -rotation // 90)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame.time_base = Fraction(1, 90_000)
        frame.pts = round(time * 90_000)
        yield frame


def _sound(
    seconds: float, start: float, silence: tuple[float, float], rate: int, layout: str
) -> Iterator[av.AudioFrame]:
    first, last = (round(time * rate) for time in (start, start + seconds))
    channels = len(av.AudioLayout(layout).channels)
    for position in range(first, last, 1024):
        if silence[0] <= position / rate < silence[1]:
            continue
        times = np.arange(position, min(position + 1024, last)) / rate
        samples = np.tile(chirp(times).astype(np.float32), (channels, 1))
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
        frame.sample_rate = rate
        frame.time_base = Fraction(1, rate)
        frame.pts = position
        yield frame


def _by_time(streams: list) -> Iterator[tuple]:
    """Frames of all streams in the order of their times, as a recorder writes them."""
    waiting = [(stream, frames, next(frames)) for stream, frames in streams]
    while waiting:
        waiting.sort(key=lambda entry: entry[2].time)
        stream, frames, frame = waiting.pop(0)
        yield stream, frame
        if (following := next(frames, None)) is not None:
            waiting.append((stream, frames, following))
