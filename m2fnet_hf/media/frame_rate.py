"""The frame rate of a recording, and how many of its frames are looked at."""

from pathlib import Path

HIGHEST = 120.0


def check_frame_rate(rate: float) -> None:
    """Refuse a number of frames to look at that no recording shows in a second.

    Raises:
        ValueError: below or at 0, above 120, or NaN.
    """
    if not 0 < rate <= HIGHEST:
        raise ValueError(
            f"The frames that are looked at a second must be above 0 and at most {HIGHEST:g}, found {rate:g}; 2 are "
            "usual."
        )


def frame_rate(recording: str | Path) -> float | None:
    """Frames a second on average, `None` where there is no video to be read."""
    import av

    from .container import open_container

    try:
        with open_container(Path(recording)) as container:
            rates = [stream.average_rate or stream.guessed_rate for stream in container.streams.video]
    except (av.FFmpegError, OSError):
        return None
    return next((float(rate) for rate in rates if rate), None)
