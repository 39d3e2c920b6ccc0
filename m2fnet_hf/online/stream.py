"""The emotion of each utterance as soon as it is said."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ..attention_m2fnet import M2FNetCache
from ..dialogue_m2fnet import EmotionPrediction, Utterance
from ..normalization_m2fnet import PastSpeakers
from ..pipeline_m2fnet import MultimodalEmotionPipeline
from ..recordings.sound_encoder import fingerprint
from ..utils.files import write_whole
from ..utils.paths import check_file

if TYPE_CHECKING:
    from ..modeling_m2fnet import M2FNetForEmotionClassification
    from ..processing_m2fnet import M2FNetProcessor

# Utterances over which a person's resting face is the median: a stream does not know the whole recording.
RESTING_UTTERANCES = 64
FACES = ("action_units", "appearance", "face_ids")
SAID_BEFORE = {"text": "it was said before"}


class EmotionStream:
    """A causal model that is given a dialogue utterance by utterance.

    It predicts what the model predicts for the whole dialogue, and keeps of the past what the model can still see: with
    `attention_window` neither memory nor time grow. One thing differs: where faces come with the person they belong to
    (`face_ids`), the resting face that is subtracted is the median over the last 64 utterances with faces, and not over
    the whole recording (unless the extractor of faces has `person_normalization` off). The past is kept of all
    modalities together, so `return_modalities` is left out of its predictions.

    Args:
        model: the pipeline, or with a `processor` an [`M2FNetForEmotionClassification`].
        processor: of the model.

    Raises:
        ValueError: for a model that is not causal.
    """

    def __init__(
        self,
        model: "MultimodalEmotionPipeline | M2FNetForEmotionClassification",
        processor: "M2FNetProcessor | None" = None,
    ) -> None:
        if not isinstance(model, MultimodalEmotionPipeline):
            model = MultimodalEmotionPipeline(model=model, processor=processor, device=model.device)
        self.pipe = model
        if not self.pipe.model.config.causal:
            raise ValueError(
                "A stream needs a causal model, found one that sees the future; train one with `causal: true` in its "
                "model settings and `context: past` in its processor's."
            )
        self._cache = M2FNetCache(self.pipe.model.config)
        self._speakers: list[str] = []
        self._words: list[Utterance] = []
        self._faces: list[Utterance] = []

    def __len__(self) -> int:
        """Utterances so far."""
        return self._cache.past_length

    def add(self, utterance: Utterance | Mapping[str, Any]) -> EmotionPrediction:
        """The prediction for the next utterance, as the pipeline gives it.

        Raises:
            TypeError, ValueError: for what is no utterance.
        """
        utterance = Utterance.from_dict(utterance)
        if utterance.speaker is not None and utterance.speaker not in self._speakers:
            self._speakers.append(utterance.speaker)
        # Speakers without words stand in front: each keeps the number of their first appearance.
        speakers = [Utterance(speaker=speaker, missing=SAID_BEFORE) for speaker in self._speakers]
        dialogue = [*speakers, *self._faces, *self._words, utterance]
        batch = self.pipe.preprocess([dialogue], **self.pipe._preprocess_params)
        batch["utterances"] = [[batch["utterances"][0][-1]]]
        batch["tensors"] = {name: values[:, -1:] for name, values in batch["tensors"].items()}
        batch["tensors"]["cache"] = self._cache
        settings = {**self.pipe._forward_params, "return_modalities": False}
        output = self.pipe.forward(batch, **settings)
        ((prediction,),) = self.pipe.postprocess(output, **self.pipe._postprocess_params)
        self._remember(utterance)
        return prediction

    def save(self, path: str | os.PathLike) -> None:
        """Write what the stream needs to go on, with words and faces of the past, to one safetensors file."""
        tensors: dict[str, torch.Tensor] = {}
        for number, (keys, values) in self._cache.states.items():
            tensors |= {f"keys.{number}": keys, f"values.{number}": values}
        for modality, past in self._cache.speakers.items():
            tensors |= {f"speakers.{modality}.{name}": value for name, value in vars(past).items()}
        for number, face in enumerate(self._faces):
            tensors |= {f"{name}.{number}": torch.as_tensor(array) for name, array in _faces(face).items()}
        state = {
            "seen": self._cache.past_length,
            "speakers": self._speakers,
            "words": [{"text": one.text, "speaker": one.speaker} for one in self._words],
            "faces": len(self._faces),
        }
        with write_whole(path) as part:
            save_file(tensors, part, {"stream": json.dumps(state), "model": self._fingerprint()})

    @classmethod
    def load(
        cls,
        path: str | os.PathLike,
        model: "MultimodalEmotionPipeline | M2FNetForEmotionClassification",
        processor: "M2FNetProcessor | None" = None,
    ) -> "EmotionStream":
        """The stream that [`save`] wrote, with the model and processor that it had.

        Raises:
            FileNotFoundError: without the file.
            ValueError: for another file, or the stream of another model.
        """
        stream = cls(model, processor)
        check_file(Path(path), "A stream")
        try:
            with safe_open(path, "pt", device=str(stream.pipe.device)) as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise _no_stream(path) from error
        if metadata.get("model") != stream._fingerprint():
            raise ValueError(
                f"{path} must be the stream of this model and processor, found another's; load it with its own."
            )
        try:
            stream._restore(json.loads(metadata["stream"]), tensors)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise _no_stream(path) from error
        return stream

    def _restore(self, state: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        """What [`save`] wrote.

        Raises:
            AttributeError, LookupError, TypeError, ValueError: for something else.
        """
        self._speakers = [str(Utterance(speaker=one, missing=SAID_BEFORE).speaker) for one in state["speakers"]]
        self._words = [_words(**words) for words in state["words"]]
        for number in range(state["faces"]):
            found = {name: tensors.get(f"{name}.{number}") for name in FACES}
            arrays: dict[str, Any] = {name: one.cpu().numpy() for name, one in found.items() if one is not None}
            self._faces.append(Utterance(**arrays))
        self._cache.past_length = state["seen"]
        for modality in {name.split(".")[1] for name in tensors if name.startswith("speakers.")}:
            ids, sums = tensors[f"speakers.{modality}.ids"], tensors[f"speakers.{modality}.sums"]
            self._cache.speakers[modality] = PastSpeakers(ids, sums)
        numbers = range(sum(name.startswith("keys.") for name in tensors))
        self._cache.states = {number: (tensors[f"keys.{number}"], tensors[f"values.{number}"]) for number in numbers}
        sizes = {(part.ndim, len(part)) for pair in self._cache.states.values() for part in pair}
        if sizes - {(2, self._cache.kept)} or (self._cache.kept and not sizes):
            raise ValueError(f"What was kept must be of {self._cache.kept} utterances, found {sizes}.")

    def _remember(self, utterance: Utterance) -> None:
        extractors = (self.pipe.processor.au_feature_extractor, self.pipe.processor.appearance_feature_extractor)
        if utterance.face_ids is not None and any(one.person_normalization for one in extractors):
            self._faces = [*self._faces, Utterance(**_faces(utterance))][-RESTING_UTTERANCES:]
        processor = self.pipe.processor
        limit = 0 if processor.context == "none" else processor.past_utterances
        if limit is None and utterance.text is None:  # it takes no room in any context
            return
        self._words.append(_words(utterance.text, utterance.speaker))
        if limit is None:
            limit = self._how_many_fit(processor.max_length)
        del self._words[: len(self._words) - limit]

    def _how_many_fit(self, room: int) -> int:
        """The last utterances that can stand beside another one, or some more."""
        for count, words in enumerate(reversed(self._words)):
            room -= self._fewest_tokens(words.text or "")
            if room < 0:
                return count
        return len(self._words)

    def _fewest_tokens(self, text: str) -> int:
        """Of a text, at the start or behind the speaker's name."""
        tokens = self.pipe.processor.tokenizer([text, f" {text}"], add_special_tokens=False, verbose=False)
        return min(map(len, tokens["input_ids"]))

    def _fingerprint(self) -> str:
        processor = self.pipe.processor
        context = [processor.context, processor.past_utterances, processor.max_length, processor.speaker_prefix]
        return fingerprint(self.pipe.model.classifier, context)


def _no_stream(path: str | os.PathLike) -> ValueError:
    return ValueError(f"{path} must be a file that `EmotionStream.save` wrote, found another; save it again.")


def _words(text: str | None, speaker: str | None) -> Utterance:
    return Utterance(text=text, speaker=speaker, missing={} if text else SAID_BEFORE)


def _faces(utterance: Utterance) -> dict[str, Any]:
    return {name: getattr(utterance, name) for name in FACES if getattr(utterance, name) is not None}
