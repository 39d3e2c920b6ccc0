"""The frame rate of a recording."""

from pathlib import Path

import av

from .container import open_container


def frame_rate(recording: str | Path) -> float | None:
    """Frames a second on average, `None` where there is no video to be read."""
    try:
        with open_container(Path(recording)) as container:
            rates = [stream.average_rate or stream.guessed_rate for stream in container.streams.video]
    except (av.FFmpegError, OSError):
        return None
    return next((float(rate) for rate in rates if rate), None)
