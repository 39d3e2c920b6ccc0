"""Simulated conversations: MELD's words in actors' voices, actors' clips in a row, and the batches of them.

A conversation is rows of tables (`Tables`), so that simulating one costs no more than drawing numbers.

Shapes: B dialogues, U utterances, C classes, K clips.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from safetensors.torch import load_file

from .common import (
    CLASSES,
    NEUTRAL,
    RUNS,
    SHARES,
    TEACHER_TEMPERATURE,
    VERSIONS,
    acted_clips,
    labels,
    sound_table,
    unit_tables,
)

ABSENT = -1
LONGEST_RECORDING = 60


@dataclass(frozen=True)
class Conversation:
    """Rows of [`Tables`] by utterance [U], -1 where absent; speakers, and the target of each utterance [U, C].

    `distilled` where it is to be answered as the teacher answers its words.
    """

    text: np.ndarray
    sound: np.ndarray
    faces: np.ndarray
    speakers: np.ndarray
    target: np.ndarray
    distilled: bool = False

    def __len__(self) -> int:
        return len(self.text)


@dataclass(frozen=True)
class Texts:
    """One split of MELD: first row of the table, teacher's probabilities [N, C], labels, speakers, dialogues."""

    first: int
    teacher_probabilities: np.ndarray
    labels: np.ndarray
    speakers: np.ndarray
    starts: np.ndarray  # of the dialogues, and the end

    def rows(self, dialogue: int) -> np.ndarray:
        """The utterances of a dialogue, counted within the split."""
        return np.arange(self.starts[dialogue], self.starts[dialogue + 1])

    def __len__(self) -> int:
        return len(self.starts) - 1


@dataclass
class Tables:
    """All features, on which `without` (the speakers held out) decides the Action Units' scale."""

    without: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        texts, self.splits = [], {}
        for split in ("train", "dev", "test"):
            stored = load_file(RUNS / f"text-{split}.safetensors")
            dialogues = stored["dialogues"].numpy()
            self.splits[split] = Texts(
                first=sum(map(len, texts)),
                teacher_probabilities=(stored["logits"] / TEACHER_TEMPERATURE).softmax(-1).numpy(),
                labels=stored["labels"].numpy(),
                speakers=stored["speakers"].numpy(),
                starts=np.append(np.searchsorted(dialogues, np.arange(dialogues[-1] + 1)), len(dialogues)),
            )
            texts.append(stored["features"])
        acted = load_file(RUNS / "text-acted.safetensors")
        first = sum(map(len, texts))
        self.sentences = [first + np.flatnonzero(acted["sentence"].numpy() == n) for n in range(2)]
        self.text = torch.cat([*texts, acted["features"]])

        self.clips = len(acted_clips())
        sound = [sound_table().flatten(0, 1)]  # row = version * clips + clip
        self.read_aloud = {}
        for name in ("train", "dev", "dev-unheard", "test", "test-default"):
            path = RUNS / f"espeak-{name}.safetensors"
            if path.is_file():
                stored = load_file(path)
                self.read_aloud[name] = dict(zip(stored["rows"].tolist(), itertools.count(sum(map(len, sound)))))
                sound.append(stored["sound"])
        self.sound = torch.cat(sound)
        openface, pyfeat, self.lines = unit_tables(self.without)
        self.faces = torch.cat([openface, pyfeat])  # row = clip, or clips + clip
        self.has_openface = (~openface.isnan()).any(-1).numpy()
        self.has_pyfeat = (~pyfeat.isnan()).any(-1).numpy()
        self.sentence = np.array(
            [ABSENT if clip.corpus != "ravdess" else int("Dogs" in str(clip.text)) for clip in acted_clips()]
        )

    @cached_property
    def alike(self) -> list[np.ndarray]:
        """By clip, the clips of the same voice and emotion, itself among them."""
        groups: dict[tuple[str, int], list[int]] = {}
        keys = [(clip.speaker, int(label)) for clip, label in zip(acted_clips(), labels(), strict=True)]
        for number, key in enumerate(keys):
            groups.setdefault(key, []).append(number)
        return [np.array(groups[key]) for key in keys]

    def blend(self, rows: torch.Tensor, share: float, random: np.random.Generator) -> torch.Tensor:
        """Sound [B, U, 768] of these rows, that share of acted clips mixed with up to half of one that is alike."""
        acted = ((rows >= 0) & (rows < VERSIONS * self.clips)).numpy() & (random.random(rows.shape) < share)
        rows = rows.clamp(min=0)
        others = rows.numpy().copy()
        for place in zip(*np.nonzero(acted), strict=True):
            clip = random.choice(self.alike[others[place] % self.clips])
            others[place] = random.integers(VERSIONS) * self.clips + clip
        weight = torch.from_numpy(random.uniform(0, 0.5, rows.shape) * acted).unsqueeze(-1).to(self.sound.dtype)
        return torch.lerp(self.sound[rows], self.sound[others], weight)

    def collate(
        self,
        conversations: Sequence[Conversation],
        units_dropout: float = 0.0,
        blended: float = 0.0,
        random: np.random.Generator | None = None,
    ) -> dict[str, torch.Tensor]:
        """The model's inputs, padded, `target` [B, U, C], `distilled` [B].

        Action Units may be hidden, and that share of acted clips blended, for which `random` is needed.
        """
        size = max(map(len, conversations))

        def padded(name: str, fill: int = ABSENT) -> torch.Tensor:
            rows = np.full((len(conversations), size), fill)
            for row, one in zip(rows, conversations, strict=True):
                row[: len(one)] = getattr(one, name)
            return torch.from_numpy(rows)

        text, sound, faces, speakers = (padded(name) for name in ("text", "sound", "faces", "speakers"))
        mask = torch.zeros(len(conversations), size, dtype=torch.bool)
        target = torch.zeros(len(conversations), size, CLASSES)
        for number, one in enumerate(conversations):
            mask[number, : len(one)] = True
            target[number, : len(one)] = torch.from_numpy(one.target)
        units = self.faces[faces.clamp(min=0)]
        known = ~units.isnan() & (faces >= 0).unsqueeze(-1)
        if units_dropout:
            known &= torch.rand(known.shape) >= units_dropout
        return {
            "text": self.text[text.clamp(min=0)],
            "has_text": text >= 0,
            "sound": self.blend(sound, blended, random) if blended else self.sound[sound.clamp(min=0)],
            "has_sound": sound >= 0,
            "units": units,
            "units_known": known,
            "speaker_ids": speakers,
            "utterance_mask": mask,
            "target": target,
            "distilled": torch.tensor([one.distilled for one in conversations]),
        }


@dataclass
class Stage:
    """The actors of some clips, and what is drawn of them.

    Args:
        tables: of all features.
        clips: rows of `acted_clips()`.
        random: where numbers come from.
        versions: of the clips to draw from.
        pyfeat_share: how often py-feat's Action Units stand for OpenFace's where both are known.
        smoothing: of the targets of acted clips.
    """

    tables: Tables
    clips: np.ndarray
    random: np.random.Generator
    versions: int = VERSIONS
    pyfeat_share: float = 0.5
    smoothing: float = 0.0

    def __post_init__(self) -> None:
        self.clips = self.clips[labels()[self.clips] >= 0]

    @cached_property
    def actors(self) -> dict[str, list[np.ndarray]]:
        """Each actor's clips by class."""
        names = np.array([acted_clips()[clip].speaker for clip in self.clips])
        classes = labels()[self.clips]
        return {
            name: [self.clips[(names == name) & (classes == emotion)] for emotion in range(CLASSES)]
            for name in sorted(set(names))
        }

    def available(self, actor: str) -> np.ndarray:
        """Classes that an actor has a clip of [C]."""
        return np.array([len(clips) > 0 for clips in self.actors[actor]])

    def draw(self, actor: str, emotion: int) -> int:
        """A clip of an actor's with an emotion."""
        return int(self.random.choice(self.actors[actor][emotion]))

    def sound(self, clip: int) -> int:
        """A row of the table of sounds: one of the clip's versions."""
        return int(self.random.integers(self.versions)) * self.tables.clips + clip

    def faces(self, clip: int) -> int:
        """A row of the table of Action Units, -1 where the clip has none."""
        if not self.tables.has_openface[clip]:
            return ABSENT
        if self.tables.has_pyfeat[clip] and self.random.random() < self.pyfeat_share:
            return self.tables.clips + clip
        return clip

    def words(self, clip: int) -> int:
        """A row of the table of texts: a clip's own words, -1 where they are not English."""
        sentence = self.tables.sentence[clip]
        return ABSENT if sentence < 0 else int(self.random.choice(self.tables.sentences[sentence]))

    def acted(
        self,
        utterances: Sequence[int],
        shares: np.ndarray | None,
        modalities: Sequence[str] = ("sound",),
        actors: Sequence[str] | None = None,
    ) -> Conversation:
        """Clips of actors in a row, in random turns.

        Args:
            utterances: of each speaker.
            shares: of the emotions; `None` takes all clips of each actor once, at most `utterances`.
            modalities: that it has, of `text`, `sound` and `faces`.
            actors: who speaks; default: drawn.
        """
        if actors is None:
            actors = self.random.choice(list(self.actors), size=len(utterances), replace=False).tolist()
        clips, speakers = [], []
        for speaker, (actor, count) in enumerate(zip(actors, utterances, strict=True)):
            if shares is None:
                every = np.concatenate(self.actors[actor])
                chosen = self.random.permutation(every)[:count].tolist()
            else:
                here = np.where(self.available(actor), shares, 0)
                drawn = self.random.choice(CLASSES, size=count, p=here / here.sum())
                chosen = [self.draw(actor, int(emotion)) for emotion in drawn]
            clips += chosen
            speakers += [speaker] * len(chosen)
        order = self.random.permutation(len(clips))
        return self.of_clips(np.array(clips)[order], np.array(speakers)[order], modalities)

    def of_clips(self, clips: np.ndarray, speakers: np.ndarray, modalities: Sequence[str]) -> Conversation:
        """These clips in this order, with those modalities and their emotions as the target."""
        return Conversation(
            text=np.array([self.words(clip) if "text" in modalities else ABSENT for clip in clips]),
            sound=np.array([self.sound(clip) if "sound" in modalities else ABSENT for clip in clips]),
            faces=np.array([self.faces(clip) if "faces" in modalities else ABSENT for clip in clips]),
            speakers=speakers,
            target=(
                np.eye(CLASSES, dtype=np.float32)[labels()[clips]] * (1 - self.smoothing) + self.smoothing / CLASSES
            ).astype(np.float32),
        )

    def lone(self, utterances: int, emotion: int, modalities: Sequence[str], actor: str) -> Conversation:
        """An actor's neutral clips with their words, one of them with the emotion instead."""
        clips = np.array([self.draw(actor, NEUTRAL) for _ in range(utterances)])
        clips[self.random.integers(utterances)] = self.draw(actor, emotion)
        return self.of_clips(clips, np.zeros(utterances, dtype=int), modalities)

    def inserted(
        self, texts: Texts, dialogue: int, emotion: int, modalities: Sequence[str], actor: str
    ) -> Conversation:
        """A dialogue of MELD as text, in which one of its speakers says an acted clip, too."""
        plain = plain_text(texts, dialogue)
        place = int(self.random.integers(len(plain) + 1))
        speaker = self.random.choice(plain.speakers)
        clip = self.of_clips(np.array([self.draw(actor, emotion)]), np.array([speaker]), modalities)
        return Conversation(
            *(
                np.concatenate([getattr(plain, name)[:place], getattr(clip, name), getattr(plain, name)[place:]])
                for name in ("text", "sound", "faces", "speakers", "target")
            )
        )

    def pair(
        self,
        texts: Texts,
        dialogue: int,
        confusion: np.ndarray,
        modalities: Sequence[str] = ("text", "sound", "faces"),
        gold: float = 0.5,
        missing: float = 0.0,
    ) -> Conversation:
        """A dialogue of MELD in actors' voices.

        Each utterance has an emotion e, its label with the probability `gold` or else drawn by the teacher's
        probabilities; its clip one drawn from `confusion[e]` among those that the actor has. The target is what follows
        for e from the teacher's probabilities and that clip's emotion (Bayes), and half the label where it is the
        label's. Sound and faces are `missing` with that probability.
        """
        rows = texts.rows(dialogue)
        people = texts.speakers[rows]
        names = list(self.actors)
        cast = self.random.choice(names, size=people.max() + 1, replace=people.max() + 1 > len(names))
        sound, faces = np.full(len(rows), ABSENT), np.full(len(rows), ABSENT)
        target = texts.teacher_probabilities[rows].copy()
        heard = "sound" in modalities or "faces" in modalities
        for place, row in enumerate(rows):
            given, is_gold = texts.teacher_probabilities[row], self.random.random() < gold
            emotion = texts.labels[row] if is_gold else self.random.choice(CLASSES, p=given / given.sum())
            if heard and (not missing or self.random.random() >= missing):
                table = confusion * self.available(cast[people[place]])
                table = table / table.sum(1, keepdims=True)
                said = int(self.random.choice(CLASSES, p=table[emotion]))
                clip = self.draw(cast[people[place]], said)
                sound[place] = self.sound(clip) if "sound" in modalities else ABSENT
                faces[place] = self.faces(clip) if "faces" in modalities else ABSENT
                if sound[place] >= 0 or faces[place] >= 0:
                    target[place] = given * table[:, said]
                    target[place] /= target[place].sum()
            if is_gold:
                target[place] = 0.5 * target[place] + 0.5 * np.eye(CLASSES)[emotion]
        return Conversation(
            text=texts.first + rows if "text" in modalities else np.full(len(rows), ABSENT),
            sound=sound,
            faces=faces,
            speakers=people,
            target=target.astype(np.float32),
        )


def plain_text(texts: Texts, dialogue: int, read_aloud: dict[int, int] | None = None) -> Conversation:
    """A dialogue of MELD as text, or text and synthetic speech; the teacher's probabilities are the target."""
    rows = texts.rows(dialogue)
    absent = np.full(len(rows), ABSENT)
    sound = absent if read_aloud is None else np.array([read_aloud.get(int(row), ABSENT) for row in rows])
    target = texts.teacher_probabilities[rows].astype(np.float32)
    return Conversation(texts.first + rows, sound, absent, texts.speakers[rows], target, distilled=True)


def batches(conversations: Sequence[Conversation], size: int, random: np.random.Generator) -> Iterable[list]:
    """All conversations in batches of about `size` utterances, of like length, in random order."""
    noise = random.random(len(conversations)) * 3
    order = sorted(range(len(conversations)), key=lambda n: len(conversations[n]) + noise[n])
    groups: list[list[Conversation]] = [[]]
    for number in order:
        if sum(map(len, groups[-1])) >= size:
            groups.append([])
        groups[-1].append(conversations[number])
    return [groups[n] for n in random.permutation(len(groups))]


def random_shares(random: np.random.Generator) -> np.ndarray:
    """MELD's shares of emotions, nearly always neutral, or ones around MELD's or equal ones."""
    kind = random.random()
    if kind < 0.35:
        return SHARES
    if kind < 0.5:
        return 0.8 * np.eye(CLASSES)[0] + 0.2 / CLASSES
    base = SHARES if kind < 0.75 else np.full(CLASSES, 1 / CLASSES)
    return random.dirichlet(base * 12 + 0.1)
