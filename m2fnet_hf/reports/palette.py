"""A colour for every emotion that colour-blind readers tell apart, on white and on dark."""

import colorsys
from collections.abc import Iterator, Sequence

DARK = "#15181D"  # the page's dark background

# Each has a contrast of 3:1 to white and to DARK. For readers with all cones, and without red, green or blue ones
# (Machado's simulation), any two of the emotions differ by 14 in CIEDE2000, and any two of all twelve by 10.
MELD_COLORS = {
    "neutral": "#68655C",
    "joy": "#D4800E",
    "surprise": "#0C7884",
    "anger": "#C61D0C",
    "sadness": "#6252C8",
    "fear": "#BD71F7",
    "disgust": "#1EA784",
}
_FURTHER = ("#7C6641", "#7995B7", "#9E8253", "#FF42AB", "#C32F80")

_GOLDEN_ANGLE = 0.381966  # of a turn: hues that never repeat and stay apart
_BRIGHTEST = 0.29  # luminance with a contrast of 3:1 to white


def palette(labels: Sequence[str]) -> dict[str, str]:
    """A colour (`#RRGGBB`) per label: MELD's emotions have their own, the others what is free, then further hues."""
    free = _further_colors({MELD_COLORS[label] for label in labels if label in MELD_COLORS})
    return {label: MELD_COLORS[label] if label in MELD_COLORS else next(free) for label in labels}


def text_color(background: str) -> str:
    """Black or white, whichever reads better on a colour."""
    return "#000000" if contrast(background, "#000000") >= contrast(background, "#FFFFFF") else "#FFFFFF"


def blend(color: str, share: float, background: str = "#FFFFFF") -> str:
    """A colour that covers a share of the background."""
    mixed = (share * top + (1 - share) * below for top, below in zip(_rgb(color), _rgb(background), strict=True))
    return _hex(mixed)


def contrast(one: str, other: str) -> float:
    """WCAG's ratio of two colours, from 1 to 21."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _further_colors(taken: set[str]) -> Iterator[str]:
    """The colours of MELD's emotions that are not taken, the further ones, grey; then hues without end."""
    colors = (*MELD_COLORS.values(), *_FURTHER)
    yield from (color for color in (*colors[1:], colors[0]) if color not in taken)
    hue = 0.05
    while True:
        lightness = 0.6
        while _luminance(_hex(colorsys.hls_to_rgb(hue % 1, lightness, 0.55))) > _BRIGHTEST:
            lightness -= 0.01
        yield _hex(colorsys.hls_to_rgb(hue % 1, lightness, 0.55))
        hue += _GOLDEN_ANGLE


def _luminance(color: str) -> float:
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in _rgb(color))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _rgb(color: str) -> tuple[float, ...]:
    return tuple(part / 255 for part in bytes.fromhex(color[1:]))


def _hex(parts: Iterator[float] | Sequence[float]) -> str:
    return "#" + "".join(f"{round(255 * part):02X}" for part in parts)
