"""Dialogues that never took place, for a larger model to label: other words, parts of utterances, other neighbours."""

import re
from collections.abc import Callable, Mapping, Sequence
from random import Random

import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from m2fnet_hf import Dialogue, Utterance

NEAREST = 12
# Words that carry the sentence and keep their place in it.
FUNCTION_WORDS = (
    "a am an and are as at be been but by can could did do does for from had has have he her him his how i if in is it "
    "its me my no not of on or our she so that the their them they this to us was we were what when where who why will "
    "with would you your"
)
NAMES = (
    *("Ross", "Rachel", "Monica", "Chandler", "Joey", "Phoebe", "Sarah", "John"),
    *("Man", "Woman", "A", "B", "Speaker 1"),
)

# Utterances to others of the same conversation or, with those of another one, of both.
Turns = list[Utterance]


class Varier:
    """Makes variants of dialogues.

    Args:
        near: words by the word that they may stand for, as [`near_words`] finds them.
        random: decides.
    """

    def __init__(self, near: Mapping[str, Sequence[str]], random: Random) -> None:
        self.near = near
        self.random = random

    def vary(self, dialogue: Dialogue, other: Dialogue) -> Dialogue:
        """A variant of a dialogue, in which another one may break in; every utterance keeps its label."""
        turns = list(dialogue)
        steps: list[tuple[float, Callable[[Turns], Turns]]] = [
            (0.55, self._other_words),
            (0.35, self._parts),
            (0.30, self._later_start),
            (0.30, self._gaps),
            (0.25, lambda turns: self._interrupted(turns, list(other))),
            (0.20, lambda turns: self.random.sample(turns, len(turns))),
            (0.30, self._other_speakers),
        ]
        for share, change in steps:
            if self.random.random() < share:
                turns = change(turns)
        return Dialogue([one.replace(id=str(place)) for place, one in enumerate(turns)])

    def _other_words(self, turns: Turns) -> Turns:
        exchanged, dropped = self.random.choice((0.15, 0.3, 0.4)), self.random.choice((0.0, 0.05, 0.1))
        changed = []
        for one in turns:
            words = [
                self._exchange(word, exchanged) for word in (one.text or "").split() if self.random.random() >= dropped
            ]
            changed.append(one.replace(text=" ".join(words) or one.text))
        return changed

    def _exchange(self, word: str, share: float) -> str:
        """A word with its punctuation, or one that stands near it."""
        letters = re.search(r"[A-Za-z]+", word)
        found = self.near.get(letters[0].lower()) if letters else None
        if found is None or letters is None or self.random.random() >= share:
            return word
        return word.replace(letters[0], self.random.choice(found), 1)

    def _parts(self, turns: Turns) -> Turns:
        """Some utterances of several sentences in two, or one part of them alone."""
        changed = []
        for one in turns:
            sentences = re.split(r"(?<=[.!?])\s+", one.text or "")
            if len(sentences) == 1 or self.random.random() < 0.5:
                changed.append(one)
                continue
            cut = self.random.randrange(1, len(sentences))
            both = [" ".join(sentences[:cut]), " ".join(sentences[cut:])]
            kept = both if self.random.random() < 0.5 else [self.random.choice(both)]
            changed += [one.replace(text=part) for part in kept]
        return changed

    def _later_start(self, turns: Turns) -> Turns:
        return turns[self.random.randrange(len(turns) - 2) :] if len(turns) > 3 else turns

    def _gaps(self, turns: Turns) -> Turns:
        return [one for one in turns if self.random.random() > 0.25] or turns

    def _interrupted(self, turns: Turns, others: Turns) -> Turns:
        """With up to three utterances of another dialogue somewhere in between."""
        place, first = self.random.randrange(len(turns) + 1), self.random.randrange(len(others))
        return [*turns[:place], *others[first : first + 3], *turns[place:]]

    def _other_speakers(self, turns: Turns) -> Turns:
        names = {one.speaker: self.random.choice(NAMES) for one in turns if one.speaker is not None}
        return [one.replace(speaker=names.get(one.speaker)) for one in turns]


def near_words(tokenizer: PreTrainedTokenizerBase, embeddings: torch.Tensor) -> dict[str, list[str]]:
    """The whole words of a vocabulary, each with those whose input embeddings [V, H] are nearest to its own."""
    found = ((re.fullmatch(r"[Ġ▁]?([a-z]{2,})", token), number) for token, number in tokenizer.get_vocab().items())
    words = {match[1]: number for match, number in sorted(found, key=lambda one: one[1]) if match}
    names = list(words)
    vectors = nn.functional.normalize(embeddings[list(words.values())].float(), dim=-1)
    kept = {*FUNCTION_WORDS.split()}
    near: dict[str, list[str]] = {}
    for start in range(0, len(names), 2000):
        nearest = (vectors[start : start + 2000] @ vectors.T).topk(min(NEAREST + 1, len(names))).indices[:, 1:]
        near |= {names[start + row]: [names[one] for one in ids] for row, ids in enumerate(nearest.tolist())}
    return {word: others for word, others in near.items() if word not in kept and others}
