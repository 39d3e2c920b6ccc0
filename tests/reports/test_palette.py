import numpy as np
import pytest
from sample_results import LABELS

from m2fnet_hf.reports.palette import DARK, MELD_COLORS, blend, contrast, palette, text_color

MACHADO = {
    "no red cones": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green cones": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "no blue cones": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
    "all cones": np.eye(3).tolist(),
}


TWELVE = [
    "angry",
    "bored",
    "calm",
    "curious",
    "excited",
    "frustrated",
    "happy",
    "neutral",
    "proud",
    "sad",
    "shy",
    "tired",
]


@pytest.mark.parametrize("cones", MACHADO)
@pytest.mark.parametrize(("labels", "difference"), [(LABELS, 14), (TWELVE, 10), (["joy", *TWELVE[:11]], 10)])
def test_any_two_emotions_differ_for_everybody(labels: list[str], difference: float, cones: str) -> None:
    """As drawn: no bar is faded, whatever its probability, and they are the same on white and on dark."""
    color = pytest.importorskip("skimage.color")
    shades = np.array([list(bytes.fromhex(shade[1:])) for shade in palette(labels).values()]) / 255
    linear = np.where(shades <= 0.04045, shades / 12.92, ((shades + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.transpose(MACHADO[cones]), 0, 1)
    seen = np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055)
    lab = color.rgb2lab(seen[None])[0]
    distances = color.deltaE_ciede2000(lab[:, None], lab[None])
    assert distances[~np.eye(len(lab), dtype=bool)].min() > difference, "a just visible difference is about 1"


def test_every_color_is_seen_on_white_and_on_dark() -> None:
    labels = [*LABELS, *(f"emotion {number}" for number in range(30))]
    colors = palette(labels)
    assert len(set(colors.values())) == len(labels)
    for color in colors.values():
        assert contrast(color, "#FFFFFF") >= 3
        assert contrast(color, DARK) >= 3
        assert contrast(color, text_color(color)) >= 4.5


def test_known_emotions_keep_their_color_and_others_take_what_is_free() -> None:
    colors = palette(["joy", "boredom", "neutral"])
    assert colors["joy"] == MELD_COLORS["joy"]
    assert colors["neutral"] == MELD_COLORS["neutral"]
    assert colors["boredom"] in set(MELD_COLORS.values()) - {colors["joy"], colors["neutral"]}


def test_contrast_and_blend() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert blend("#000000", 0.5) == "#808080"
    assert blend("#123456", 1) == "#123456"
