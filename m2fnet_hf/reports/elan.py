"""Annotations for ELAN."""

import mimetypes
import os
import warnings
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote
from xml.etree import ElementTree

from pympi import Eaf
from pympi.Elan import to_adocument

from .formatting import MARK, one_line, speaker_name
from .timeline_layout import by_start, free_lanes, milliseconds

VOCABULARY = "emotions"
KINDS = ("emotion", "probability")
# A file must have a date, and the same result gives the same file.
_DATE = "1970-01-01T00:00:00+00:00"
# The elements that are added, in the order of a file, and the attribute that tells one from another.
_ORDER = {
    "TIER": "TIER_ID",
    "LINGUISTIC_TYPE": "LINGUISTIC_TYPE_ID",
    "LOCALE": "LANGUAGE_CODE",
    "LANGUAGE": "LANG_ID",
    "CONSTRAINT": "STEREOTYPE",
    "CONTROLLED_VOCABULARY": "CV_ID",
}


class _Place(NamedTuple):
    """An annotation of the file that was predicted.

    Args:
        tier, annotation: name and key.
    """

    tier: str
    annotation: str


def write_elan(
    result: Mapping[str, Any], path: Path, recording: Path | None = None, transcript: Path | None = None
) -> None:
    """EAF: a tier per speaker with the words, and under it one with the emotion and one with its probability.

    ELAN allows no overlap within a tier: what overlaps an utterance of the same speaker goes to a further tier,
    `ANN 2`. Utterances without both times are left out; those without length last a millisecond.

    Args:
        recording: linked relative to `path`.
        transcript: the ELAN file that was predicted. All of it stays as it is, and what is said on its tiers has the
            emotion and its probability under these.
    """
    annotations = _Annotations(result["labels"], None if transcript is None else _opened(transcript))
    if recording is not None:
        annotations.link(recording, path.parent)
    by_speaker: dict[str, list[Mapping[str, Any]]] = {}
    for utterance in by_start(result["utterances"]):
        if not annotations.refer_to_own(utterance):
            by_speaker.setdefault(speaker_name(utterance), []).append(utterance)
    for name, utterances in by_speaker.items():
        lanes = free_lanes([milliseconds(utterance) for utterance in utterances])
        tiers: list[list[Mapping[str, Any]]] = [[] for _ in range(max(lanes) + 1)]
        for utterance, lane in zip(utterances, lanes, strict=True):
            tiers[lane].append(utterance)
        for of_tier in tiers:
            annotations.add_tier(name, of_tier)
    document = to_adocument(annotations.added)
    if transcript is not None:
        document = _grafted(document, transcript, annotations.added.maxaid)
    ElementTree.ElementTree(document).write(path, xml_declaration=True, encoding="UTF-8")


def _new() -> Eaf:
    eaf = Eaf(author=MARK)
    eaf.adocument["DATE"] = _DATE
    eaf.remove_tier("default")
    return eaf


def _opened(transcript: Path) -> Eaf:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of versions of the format
        return Eaf(str(transcript))


class _Annotations:
    """What is added to an empty file, or to the one that was predicted.

    Args:
        labels: of the model; ELAN offers them where an emotion is corrected by hand.
        given: the file that was predicted.

    Attributes:
        added: what is new.
    """

    def __init__(self, labels: Sequence[str], given: Eaf | None) -> None:
        self.added = _new()
        self._given = given or _new()
        self.added.maxts, self.added.maxaid = self._given.maxts, self._given.maxaid
        self._places, self._taken_places = _places(self._given), set[_Place]()
        self._tier_names = _Names(self._given.tiers)
        self._referring: dict[str, tuple[str, str]] = {}
        self.added.add_language("und", lang_label="undetermined")
        vocabulary = _Names(self._given.controlled_vocabularies).free(VOCABULARY)
        self.added.add_controlled_vocabulary(vocabulary)
        for number, label in enumerate(labels):
            self.added.add_cv_entry(vocabulary, f"emotion{number}", [(one_line(label), "und", None)])
        self._types = {kind: _Names(self._given.linguistic_types).free(kind) for kind in KINDS}
        for name in self._types.values():
            self.added.add_linguistic_type(name, constraints="Symbolic_Association", timealignable=False)
        self.added.linguistic_types[self._types["emotion"]]["CONTROLLED_VOCABULARY_REF"] = vocabulary
        own = self._given.linguistic_types.items()
        self._type_of_words = next((name for name, kind in own if not kind.get("CONSTRAINTS")), "default-lt")
        if self._type_of_words != "default-lt":
            self.added.remove_linguistic_type("default-lt")

    def link(self, recording: Path, folder: Path) -> None:
        """Link the recording, unless the file does."""
        keys = ("MEDIA_URL", "RELATIVE_MEDIA_URL")
        linked = (str(media.get(key) or "") for media in self._given.media_descriptors for key in keys)
        if any(unquote(link).replace("\\", "/").rpartition("/")[2] == recording.name for link in linked):
            return
        link = Path(os.path.relpath(recording, folder)).as_posix()
        if link != one_line(link):  # XML cannot hold it as it is
            link = quote(os.fsencode(link))
        kind = mimetypes.guess_type(recording.name)[0] or "application/octet-stream"
        self.added.add_linked_file(link, relpath=link, mimetype=kind)

    def refer_to_own(self, utterance: Mapping[str, Any]) -> bool:
        """Annotate an utterance where it stands in the file that was predicted; tells whether it does."""
        places = self._places.get((*milliseconds(utterance), one_line(utterance["text"])), deque())
        while places and places[0] in self._taken_places:
            places.popleft()
        if not places:
            return False
        place = places.popleft()
        self._taken_places.add(place)
        if place.tier not in self._referring:
            participant = self._given.tiers[place.tier][2].get("PARTICIPANT")
            self._referring[place.tier] = self._add_referring(place.tier, participant)
        self._refer(self._referring[place.tier], place.annotation, utterance)
        return True

    def add_tier(self, speaker: str, utterances: Iterable[Mapping[str, Any]]) -> None:
        """A tier of utterances that do not overlap."""
        tier = self._add(speaker, self._type_of_words, participant=speaker)
        referring = self._add_referring(tier, speaker)
        for utterance in utterances:
            self.added.add_annotation(tier, *milliseconds(utterance), one_line(utterance["text"]))
            self._refer(referring, f"a{self.added.maxaid}", utterance)

    def _add_referring(self, tier: str, participant: str | None) -> tuple[str, str]:
        """The tiers of the emotion and of its probability under a tier."""
        emotion, probability = (self._add(f"{kind}@{tier}", self._types[kind], tier, participant) for kind in KINDS)
        return emotion, probability

    def _add(self, name: str, kind: str, parent: str | None = None, participant: str | None = None) -> str:
        tier = self._tier_names.free(name)
        given = {"TIER_ID": tier, "LINGUISTIC_TYPE_REF": kind, "PARENT_REF": parent, "PARTICIPANT": participant}
        self.added.add_tier(tier, tier_dict=given)
        return tier

    def _refer(self, tiers: tuple[str, str], annotation: str, utterance: Mapping[str, Any]) -> None:
        """An emotion and its probability; pympi's own method looks through a whole tier for the annotation."""
        for tier, value in zip(tiers, (one_line(utterance["label"]), f"{utterance['score']:.3f}"), strict=True):
            key = self.added.generate_annotation_id()
            self.added.annotations[key] = tier
            self.added.tiers[tier][1][key] = (annotation, value, None, None)


class _Names:
    """Names that are not taken: `ANN`, then `ANN 2`."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)
        self._next: Counter[str] = Counter()

    def free(self, name: str) -> str:
        free = name
        while free in self._taken:
            self._next[name] += 1
            free = f"{name} {self._next[name] + 1}"
        self._taken.add(free)
        return free


def _places(eaf: Eaf) -> dict[tuple[int, int, str], deque[_Place]]:
    """The annotations by start and end in milliseconds, and by each of the values that they have."""
    values: dict[str, set[str]] = {}
    for _, referring, *_ in eaf.tiers.values():
        for parent, value, *_ in referring.values():
            values.setdefault(parent, set()).add(one_line(value))
    places: dict[tuple[int, int, str], deque[_Place]] = {}
    for tier, (aligned, *_) in eaf.tiers.items():
        for key, (start, end, value, _) in aligned.items():
            for said in {one_line(value), *values.get(key, ())}:
                at = (eaf.timeslots[start], eaf.timeslots[end], said)
                places.setdefault(at, deque()).append(_Place(tier, key))
    return places


def _grafted(added: ElementTree.Element, transcript: Path, last_annotation: int) -> ElementTree.Element:
    """The file with what is added to it: pympi would drop what it does not know of, as links to vocabularies."""
    ElementTree.register_namespace("xsi", "http://www.w3.org/2001/XMLSchema-instance")
    root = ElementTree.parse(transcript).getroot()
    header, time_order = root.find("HEADER"), root.find("TIME_ORDER")
    assert header is not None
    assert time_order is not None
    for place, media in enumerate(added.iter("MEDIA_DESCRIPTOR"), start=len(header.findall("MEDIA_DESCRIPTOR"))):
        header.insert(place, media)
    time_order.extend(added.iter("TIME_SLOT"))
    before = {"TIME_ORDER"}
    for tag, key in _ORDER.items():
        before.add(tag)
        end = 1 + max(place for place, element in enumerate(root) if element.tag in before)
        there = {element.attrib[key] for element in root.iter(tag)}
        root[end:end] = [element for element in added.iter(tag) if element.attrib[key] not in there]
    for one in header.iter("PROPERTY"):
        if one.get("NAME") == "lastUsedAnnotationId":
            one.text = str(last_annotation)
    return root
