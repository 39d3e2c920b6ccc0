"""Dialogues to try the page with, written for it: a row is start, end, speaker, words."""

from typing import Any

_SURPRISE = ("Ann", "You came!"), ("Ben", "I nearly missed the train."), ("Ann", "What a surprise, after all that!")
_QUARREL = (
    ("Lea", "Did you eat my sandwich?"),
    ("Tom", "I thought it was left over."),
    ("Lea", "My name was on it! Twice!"),
    ("Tom", "I'm so sorry. I feel terrible."),
)
_NEWS = (
    ("Kim", "They called from the hospital."),
    ("Sam", "Oh no. What happened?"),
    ("Kim", "Nothing happened. Grandma is coming home tomorrow!"),
    ("Sam", "That is the best news of the whole year!"),
)
DIALOGUES: dict[str, list[list[Any]]] = {
    name: [[None, None, speaker, text] for speaker, text in said]
    for name, said in (("A surprise", _SURPRISE), ("A quarrel", _QUARREL), ("Some news", _NEWS))
}
