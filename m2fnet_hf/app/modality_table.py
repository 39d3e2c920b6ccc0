"""Which modality said what: a table in HTML."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ..reports.console_tables import UNREAD
from ..reports.formatting import emotion, one_line, speaker_name
from ..reports.palette import palette

MOST_DRAWN = 100  # utterances; the attention to more would be stripes too thin to see


def modality_table(answers: Sequence[Mapping[str, Any]], withheld: Mapping[str, Any], labels: Sequence[str]) -> str:
    """How each answer changes without a modality, and where the model looked for sound and faces.

    Args:
        answers: with all modalities, and with `attentions` or `weights`.
        withheld: by modality, the answers without it.
        labels: all emotions.
    """
    colors = palette(labels)
    looked = answers[0].get("attentions", {})
    names = ["Utterance", "With all", *(f"Without {UNREAD[name]}" for name in withheld)]
    names += [f"Where it looked for {UNREAD[name]}" for name in looked]
    names += ["Weights"] * ("weights" in answers[0])
    rows = []
    for number, answer in enumerate(answers):
        cells = [f"{number + 1}. <b>{escape(speaker_name(answer))}</b> {escape(one_line(answer['text']))}"]
        cells += [_emotion(answer, colors)]
        for name, others in withheld.items():
            cells.append(_change(answer, others[number], colors) if name in answer["modalities"] else "had none")
        cells += [_attention(answer["attentions"][name]) for name in looked]
        if "weights" in answer:
            cells.append(", ".join(f"{UNREAD[name]} {share:.0%}" for name, share in answer["weights"].items()))
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    return f'<div class="modalities"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _change(answer: Mapping[str, Any], other: Mapping[str, Any], colors: Mapping[str, str]) -> str:
    """The answer without a modality, marked where it is another."""
    if not other["modalities"]:
        return "nothing is left"
    said = _emotion(other, colors)
    return said if other["label"] == answer["label"] else f"<strong>{said}</strong>"


def _emotion(answer: Mapping[str, Any], colors: Mapping[str, str]) -> str:
    dot = f'<span style="color:{colors[answer["label"]]}" aria-hidden="true">\u25cf</span>'
    return f'<span class="emotion">{dot} {escape(emotion(answer))}</span>'


def _attention(shares: Sequence[float]) -> str:
    """A stripe per utterance of the dialogue, darker for more, and the most in words."""
    most = max(range(len(shares)), key=shares.__getitem__)
    words = f"most at {most + 1} ({shares[most]:.0%})"
    if len(shares) > MOST_DRAWN:
        return words
    stripes = "".join(f'<i style="opacity:{share / shares[most]:.2f}"></i>' for share in shares)
    return f'<div class="strip" aria-hidden="true">{stripes}</div>{words}'
