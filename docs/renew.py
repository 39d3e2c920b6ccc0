"""Make again what the documentation shows: its pictures, what README's example prints, and README's table of speed.

`python docs/renew.py`, after the default checkpoint, the timeline or a result of the benchmarks has changed.
"""

import io
import re
from contextlib import redirect_stdout
from pathlib import Path

from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch
from speed import TABLE, speed_table

from m2fnet_hf import MultimodalEmotionPipeline
from m2fnet_hf.reports.result import build_result
from m2fnet_hf.reports.writers import write_reports

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
SAMPLE = ROOT / "examples" / "sample_dialogue" / "conversation.mp4"
INK, PAPER = "#1b1b1f", "white"
COLOURS = {"text": "#cfe3ff", "audio": "#d9f2d0", "visual": "#ffe3c2", "both": "#ececf1"}
MODALITIES = {"text": "words", "audio": "sound", "visual": "faces"}
EXAMPLE = re.compile(r"(```python\n)(import m2fnet_hf.*?)(```\n\nprints\n\n```\n)(.*?)(```)", re.S)
ENCODERS = {"text": "text encoder", "audio": "sound encoder", "visual": "Action Units"}


def box(axes: Axes, x: float, y: float, label: str, colour: str = "both", width: float = 1.5) -> None:
    patch = FancyBboxPatch(
        (x - width / 2, y - 0.24), width, 0.48, boxstyle="round,pad=0.03", facecolor=COLOURS[colour], edgecolor=INK
    )
    axes.add_patch(patch)
    axes.text(x, y, label, ha="center", va="center", color=INK)


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], label: str = "") -> None:
    axes.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": INK, "shrinkA": 2, "shrinkB": 2})
    if label:
        x, y = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
        axes.text(x + 0.4, y + 0.08, label, ha="center", va="bottom", color=INK, style="italic")


def canvas(width: float, height: float) -> Axes:
    axes = pyplot.figure(figsize=(width, height), facecolor=PAPER).add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.axis("off")
    return axes


def save(name: str) -> None:
    pyplot.savefig(PICTURES / name, metadata={"Date": None})
    pyplot.close()


def draw_model() -> None:
    """From a recording to an emotion for every utterance."""
    axes = canvas(9.6, 3.4)
    box(axes, 1.0, 1.7, "recording,\ntranscript", width=1.4)
    for row, modality in enumerate(MODALITIES):
        y = 2.7 - row
        arrow(axes, (1.75, 1.7), (2.35, y))
        box(axes, 3.1, y, f"{MODALITIES[modality]}\n{ENCODERS[modality]}", modality, 1.4)
        arrow(axes, (3.85, y), (4.45, y))
        box(axes, 5.25, y, "dialogue\nencoders", modality, 1.5)
        arrow(axes, (6.05, y), (6.65, 1.7))
    box(axes, 7.3, 1.7, "fusion", width=1.2)
    arrow(axes, (7.95, 1.7), (8.25, 1.7))
    box(axes, 8.9, 1.7, "emotion", width=1.2)
    axes.text(3.1, 0.12, "each utterance by itself", ha="center", color=INK)
    axes.text(5.25, 0.12, "the whole dialogue", ha="center", color=INK)
    save("model.svg")


def draw_fusion() -> None:
    """One fusion attention module."""
    axes = canvas(9.6, 3.0)
    box(axes, 1.0, 2.4, "text", "text", 1.2)
    box(axes, 1.0, 1.5, "sound", "audio", 1.2)
    box(axes, 1.0, 0.6, "faces", "visual", 1.2)
    box(axes, 4.4, 1.5, "attention", "audio", 1.6)
    box(axes, 4.4, 0.6, "attention", "visual", 1.6)
    arrow(axes, (1.65, 1.5), (3.55, 1.5), "keys")
    arrow(axes, (1.65, 0.6), (3.55, 0.6), "keys")
    arrow(axes, (1.65, 2.3), (3.55, 1.65))
    arrow(axes, (1.65, 2.25), (3.55, 0.75))
    axes.text(2.9, 2.1, "query and value", color=INK, style="italic")
    box(axes, 7.0, 2.4, "merge", width=1.3)
    arrow(axes, (1.65, 2.42), (6.3, 2.42))
    arrow(axes, (5.25, 1.5), (6.4, 2.25))
    arrow(axes, (5.25, 0.6), (6.6, 2.15))
    arrow(axes, (7.7, 2.4), (8.2, 2.4))
    box(axes, 8.85, 2.4, "next text", "text", 1.2)
    save("fusion.svg")


def draw_speaker_normalization() -> None:
    """What the normalisation by speaker takes away, on two made-up voices."""
    figure, panels = pyplot.subplots(1, 2, figsize=(9.6, 2.6), sharey=True, facecolor=PAPER)
    calm, upset = [0.0, 0.3, -0.2], [1.4, 1.7]
    for place, rest in enumerate((3.0, 0.5)):
        mean = sum(calm + upset) / 5
        for panel, shift in zip(panels, (rest, -mean), strict=True):
            panel.scatter([place] * 3, [value + shift for value in calm], marker="o", color="#0b5fa5", label="calm")
            panel.scatter([place] * 2, [value + shift for value in upset], marker="^", color="#b5482a", label="upset")
            panel.set_xticks([0, 1], ["a high voice", "a low voice"])
            panel.set_xlim(-0.6, 1.6)
    panels[0].set_ylabel("pitch")
    panels[0].set_title("as measured: pitch tells who speaks", fontsize=10)
    panels[1].set_title("less the speaker's mean: it tells how", fontsize=10)
    handles, labels = panels[1].get_legend_handles_labels()
    panels[1].legend(handles[:2], labels[:2], frameon=False)
    figure.tight_layout()
    save("speaker-normalization.svg")


def draw_timeline() -> None:
    """The timeline of the sample dialogue, as the default model predicts it without faces."""
    pipe = MultimodalEmotionPipeline.from_pretrained()
    answers = pipe(SAMPLE, transcript=SAMPLE.with_suffix(".srt"), faces="none")
    result = build_result(answers, pipe.model.config, model="m2fnet-mini", source=SAMPLE.name)
    (picture,) = write_reports(result, PICTURES, "timeline", kinds=("png",))
    print(picture)


def write_example() -> None:
    """What README's code prints, into README."""
    path = ROOT / "README.md"
    readme = path.read_text(encoding="utf-8")
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(EXAMPLE.search(readme)[2], {})
    path.write_text(EXAMPLE.sub(lambda match: "".join((*match.groups()[:3], printed.getvalue(), match[5])), readme))


def write_speed() -> None:
    """README's table of speed."""
    path = ROOT / "README.md"
    path.write_text(TABLE.sub(lambda _: speed_table(), path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    pyplot.switch_backend("Agg")
    pyplot.rcParams.update({"svg.hashsalt": "m2fnet", "svg.fonttype": "none", "font.size": 10})
    draw_model()
    draw_fusion()
    draw_speaker_normalization()
    draw_timeline()
    write_example()
    write_speed()
