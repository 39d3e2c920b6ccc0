"""Times of a recording in words."""


def clock(seconds: float) -> str:
    """`M:SS.d`, or `H:MM:SS.d` from an hour on; a time before the start is `0:00.0`."""
    minutes, tenths = divmod(round(max(0.0, seconds) * 10), 600)
    hours, minutes = divmod(minutes, 60)
    rest = f"{tenths / 10:04.1f}"
    return f"{hours}:{minutes:02d}:{rest}" if hours else f"{minutes}:{rest}"


def span(start: float | None, end: float | None) -> str:
    """Two times in seconds as `0:01.5-0:03.0`, or what is known of it."""
    return "-".join(clock(time) for time in (start, end) if time is not None)
