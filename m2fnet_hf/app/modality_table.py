"""Which modality said what: a table in HTML."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ..reports.console_tables import UNREAD
from ..reports.formatting import emotion, one_line, speaker_name
from ..reports.palette import palette

MOST_DRAWN = 100  # utterances; the attention to more would be stripes too thin to see


def modality_table(answers: Sequence[Mapping[str, Any]], reads: Sequence[str], labels: Sequence[str]) -> str:
    """What each modality says alone, how the answer changes without it, and where the model looked for sound and faces.

    Args:
        answers: with `modality_scores`, and perhaps with `attentions` or `weights`.
        reads: the modalities of the model.
        labels: all emotions.
    """
    colors = palette(labels)
    looked = answers[0].get("attentions", {})
    names = ["Utterance", "With all", *(f"{UNREAD[name].capitalize()} alone" for name in reads)]
    names += [f"Without {UNREAD[name]}" for name in reads]
    names += [f"Where it looked for {UNREAD[name]}" for name in looked]
    names += ["Weights"] * ("weights" in answers[0])
    rows = []
    for number, answer in enumerate(answers):
        cells = [f"{number + 1}. <b>{escape(speaker_name(answer))}</b> {escape(one_line(answer['text']))}"]
        cells += [_emotion(answer, colors)]
        for kind in ("alone", "without"):
            said = answer["modality_scores"][kind]
            nothing = {name: "nothing is left" if name in answer["modalities"] else "had none" for name in reads}
            cells += [_change(answer, said[name], colors) if name in said else nothing[name] for name in reads]
        cells += [_attention(answer["attentions"][name]) for name in looked]
        if "weights" in answer:
            cells.append(", ".join(f"{UNREAD[name]} {share:.0%}" for name, share in answer["weights"].items()))
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f'<div class="table modalities">{table}</div>'


def _change(answer: Mapping[str, Any], scores: Mapping[str, float], colors: Mapping[str, str]) -> str:
    """The answer from other modalities, marked where it is another."""
    label = max(scores, key=scores.__getitem__)
    said = _emotion({"label": label, "score": scores[label]}, colors)
    return said if label == answer["label"] else f"<strong>{said}</strong>"


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
