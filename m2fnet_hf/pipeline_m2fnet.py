"""`pipeline("multimodal-emotion")`: recordings and dialogues in, the emotion of every utterance out."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info
from transformers import Pipeline

from .hub_m2fnet import PACKAGE, M2FNetHubMixin
from .processing_m2fnet import MODALITIES, check_causal

SHOWN_FIELDS = ("start", "end", "speaker", "text")
NOT_GIVEN = {"text": "no words were given", "audio": "no sound was given", "visual": "no faces were given"}
WITHHELD = "withheld by `modalities`"
# The options of each step.
READING = ("asr", "faces", "frame_rate", "modalities", "cache", "progress")
FORWARD = ("return_attentions",)
SHOWING = ("top_k", "return_faces")


class MultimodalEmotionPipeline(M2FNetHubMixin, Pipeline):
    """The emotion of every utterance of a conversation, or of many conversations.

    ```python
    pipe = pipeline("multimodal-emotion")
    pipe("interview.mp4", transcript="interview.srt")
    pipe([{"speaker": "Ann", "text": "You came!"}, {"speaker": "Ben", "text": "I nearly missed the train."}])
    ```

    Args:
        inputs: a recording (video or sound, path or URL) with `transcript` or `asr`; or one dialogue (a `Dialogue`, a
            list of utterances, which may each have a clip as `video`, a dictionary with `utterances` and perhaps their
            `recording`, or the path of a transcript: SRT, VTT, csv or JSON); or a list, data set or generator of
            either, where a recording and its transcript are a dictionary of `video` and `transcript`.
        transcript: path or URL of the recording's transcript; a list for a list of recordings.
        asr: name of a speech recognition model, or the library's pipeline with one, for recordings without transcript.
        faces: what finds the faces: `pyfeat`, `pyfeat-v2`, `opencv`, another registered backend or its object, a csv or
            npz file of faces, or `none`. Default: the one that the model was trained with.
        frame_rate: frames of each second of an utterance in which faces are looked for. Default: 2.
        modalities: those of `text`, `audio` and `visual` that the model may use; the others are withheld, as if absent.
            Default: all that it reads.
        cache: folder that keeps what was measured of recordings, so that a second run is fast and a killed one goes on;
            `True` (default) is `$M2FNET_CACHE` or `m2fnet` in the Hub's cache folder, `False` keeps nothing.
        batch_size: dialogues per forward pass; it changes no prediction.
        num_workers: processes that read recordings and prepare the batches.
        top_k: how many of the most probable emotions `scores` holds; default: all.
        return_attentions: also give `attentions`: by modality, how much the utterance's text looked at each utterance
            of the dialogue for its sound (`audio`) and faces (`visual`), the mean over fusion modules and heads; with
            gated fusion `weights`, by modality.
        return_faces: also give `faces`, a list of `time` (seconds), `track` (person) and `box` (left, top, right,
            bottom as shares of the frame).
        progress: wraps the pass over a recording, as `rich.progress.track` does.

    Returns:
        Per utterance a dictionary of `start`, `end` (seconds), `speaker`, `text`, `label`, `score` (probability of the
        label), `scores` (probability by label, highest first), `modalities` (those that the prediction used) and
        `missing` (why it did not use the others that the model reads). A list of these for one dialogue, a list of
        lists for several, an iterator for a data set or a generator.
    """

    _load_processor = True
    _load_tokenizer = False
    _load_feature_extractor = False
    _load_image_processor = False
    _load_video_processor = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.model: Any
        self.processor: Any
        if self.processor is None:
            raise ValueError("The pipeline needs the model's processor, found None; give `processor=`.")
        check_causal(self.model.config, self.processor)

    def __call__(self, inputs: Any, transcript: Any = None, **kwargs: Any) -> Any:
        """See the class."""
        if transcript is not None:
            inputs = _with_transcript(inputs, transcript)
        if isinstance(inputs, (str, Path)) or _is_dialogue(inputs):
            return super().__call__([inputs], **kwargs)[0]
        if isinstance(inputs, (list, tuple)):
            if not inputs:
                raise ValueError("The pipeline takes one utterance at least, found an empty list.")
            return super().__call__(list(inputs), **kwargs)
        if not isinstance(inputs, Iterable):
            raise TypeError(f"The pipeline takes recordings or dialogues, found {type(inputs).__name__}.")
        return super().__call__(inputs, **kwargs)

    def _sanitize_parameters(self, **given: Any) -> tuple[dict, dict, dict]:
        known = (*READING, *FORWARD, *SHOWING)
        unknown = [name for name in given if name not in known]
        if unknown:
            name = type(self).__name__
            raise TypeError(f"The pipeline takes what `help({name})` lists, found {', '.join(unknown)}.")
        if given.get("top_k") is not None and given["top_k"] < 1:
            raise ValueError(f"`top_k` must be at least 1, found {given['top_k']}.")
        if not given.get("frame_rate", 1) > 0:
            raise ValueError(f"`frame_rate` must be above 0 frames per second, found {given['frame_rate']}.")
        if given.get("modalities") is not None:
            _check_modalities(given["modalities"], self.model.config.modalities)
        # What is not given stays out, because the library puts it in the place of what the pipeline was made with.
        reading, forward, showing = (
            {name: given[name] for name in names if name in given} for names in (READING, FORWARD, SHOWING)
        )
        return reading, forward, showing

    def get_iterator(
        self,
        inputs: Iterable[Any],
        num_workers: int,
        batch_size: int,
        preprocess_params: dict[str, Any],
        forward_params: dict[str, Any],
        postprocess_params: dict[str, Any],
    ) -> Iterator[list[dict[str, Any]]]:
        """Predictions dialogue by dialogue; the library's own batching cannot pad dialogues."""
        dialogues: Any = inputs if isinstance(inputs, (Dataset, list)) else _Stream(inputs, batch_size)
        modalities = preprocess_params.pop("modalities", None)
        collate = partial(self.preprocess, modalities=modalities, reader=_Reader(self, **preprocess_params))
        for batch in DataLoader(dialogues, batch_size=batch_size, num_workers=num_workers, collate_fn=collate):
            yield from self.postprocess(self.forward(batch, **forward_params), **postprocess_params)

    def preprocess(
        self,
        dialogues: Sequence[Any],
        modalities: Sequence[str] | None = None,
        reader: "_Reader | None" = None,
        **reading: Any,
    ) -> dict[str, Any]:
        """Dialogues to the model's inputs, with their utterances beside them."""
        reader = reader or _Reader(self, **reading)
        utterances = [reader(one) for one in dialogues]
        modalities = modalities or self.model.config.modalities
        tensors = self.processor(utterances, modalities=modalities)
        return {"utterances": utterances, "modalities": modalities, "tensors": dict(tensors)}

    def _forward(self, batch: dict[str, Any], return_attentions: bool = False) -> dict[str, Any]:
        output = self.model(**batch["tensors"], output_attentions=return_attentions)
        return {
            "utterances": batch["utterances"],
            "modalities": batch["modalities"],
            "probabilities": (output.logits.float() / self.model.config.softmax_temperature).softmax(-1),
            "modality_mask": output.modality_mask,
            "attentions": _attentions(output) if return_attentions else None,
            "weights": output.modality_weights if return_attentions else None,
        }

    def postprocess(
        self, output: dict[str, Any], top_k: int | None = None, return_faces: bool = False
    ) -> list[list[dict[str, Any]]]:
        """Probabilities to one dictionary per utterance."""
        answers = []
        for b, utterances in enumerate(output["utterances"]):
            answers.append([self._prediction(output, b, u, utterance, top_k) for u, utterance in enumerate(utterances)])
            if return_faces:
                for answer, utterance in zip(answers[-1], utterances, strict=True):
                    answer["faces"] = _faces(utterance)
        return answers

    def _prediction(self, output: dict[str, Any], b: int, u: int, utterance: Any, top_k: int | None) -> dict[str, Any]:
        config, probabilities = self.model.config, output["probabilities"][b, u]
        order = probabilities.argsort(descending=True).tolist()[:top_k]
        scores = {config.label_names[index]: probabilities[index].item() for index in order}
        label = next(iter(scores))
        used = [name for name, used in zip(MODALITIES, output["modality_mask"][b, u].tolist(), strict=True) if used]
        withheld = {name: WITHHELD for name in config.modalities if name not in output["modalities"]}
        reasons = {**NOT_GIVEN, **(_get(utterance, "missing") or {}), **withheld}
        prediction = {
            **{field: _get(utterance, field) for field in SHOWN_FIELDS},
            "label": label,
            "score": scores[label],
            "scores": scores,
            "modalities": used,
            "missing": {name: reasons[name] for name in config.modalities if name not in used},
        }
        if output["attentions"] is not None:
            seen = len(output["utterances"][b])
            prediction["attentions"] = {name: mean[b, u, :seen].tolist() for name, mean in output["attentions"].items()}
        if output["weights"] is not None:
            prediction["weights"] = dict(zip(config.modalities, output["weights"][b, u].tolist(), strict=True))
        return prediction

    def save_pretrained(self, save_directory: str | os.PathLike, **kwargs: Any) -> None:
        """Save model and processor, and no code: the library would ask for `trust_remote_code` from then on."""
        self.model.save_pretrained(save_directory, **kwargs)
        self.processor.save_pretrained(save_directory, **kwargs)


class _Stream(IterableDataset):
    """Dialogues of any iterable; each worker takes every n-th batch of them."""

    def __init__(self, dialogues: Iterable[Any], batch_size: int) -> None:
        self.dialogues = dialogues
        self.batch_size = batch_size

    def __iter__(self) -> Iterator[Any]:
        worker = get_worker_info()
        for number, dialogue in enumerate(self.dialogues):
            if worker is None or number // self.batch_size % worker.num_workers == worker.id:
                yield dialogue


class _Reader:
    """Whatever the pipeline is given to a list of utterances, with what their recordings show and sound like."""

    def __init__(
        self,
        pipe: MultimodalEmotionPipeline,
        asr: Any = None,
        faces: Any = None,
        frame_rate: float = 2.0,
        cache: str | os.PathLike | bool = True,
        progress: Callable[..., Iterable[Any]] | None = None,
    ) -> None:
        self.pipe = pipe
        self.asr = asr
        self.faces = faces
        self.frame_rate = frame_rate
        self.cache = cache
        self.progress = progress
        self._observer: Any = None

    def __call__(self, source: Any) -> list[Any]:
        recording = _get(source, "recording") if _is_dialogue(source) else None
        if isinstance(source, (str, Path)) or (isinstance(source, Mapping) and "video" in source):
            open_source = _needs_package("recordings.open", f"Reading {_name(source)}").open_source
            source, recording = open_source(source, self.asr, self._cache(), self.progress)
        utterances = _utterances(source)
        if recording is None and all(_get(utterance, "video") is None for utterance in utterances):
            return utterances
        if self._observer is None:
            self._observer = self._build_observer()
        dialogue = _needs_package("dialogue_m2fnet", "Reading recordings").Dialogue(utterances)
        return list(self._observer(dialogue, recording))

    def _build_observer(self) -> Any:
        senses = _needs_package("recordings.build_reader", "Reading recordings")
        return senses.observer_for(
            self.pipe.model,
            self.pipe.processor,
            faces=self.faces,
            frame_rate=self.frame_rate,
            cache=self._cache(),
            progress=self.progress,
            # A process that was forked cannot use the accelerator; the sound is then encoded with the batch.
            encode_sound=get_worker_info() is None or self.pipe.device.type == "cpu",
        )

    def _cache(self) -> Any:
        return _needs_package("recordings.cache", "Reading recordings").open_cache(self.cache)


def _check_modalities(modalities: Any, read: tuple[str, ...]) -> None:
    if isinstance(modalities, str) or not modalities or not set(modalities) <= set(read):
        raise ValueError(
            f"`modalities` must list one or more of those that the model reads ({', '.join(read)}), found "
            f"{modalities!r}."
        )


def _attentions(output: Any) -> dict[str, torch.Tensor]:
    """The mean [B, U, U] over fusion modules and heads, by modality."""
    given = {"audio": output.audio_attentions, "visual": output.visual_attentions}
    return {name: torch.stack(layers).float().mean((0, 2)) for name, layers in given.items() if layers}


def _faces(utterance: Any) -> list[dict[str, Any]]:
    boxes, tracks, times = (_get(utterance, f"face_{name}") for name in ("boxes", "ids", "times"))
    if boxes is None:
        return []
    return [
        {"time": float(time), "track": int(tracks[f, p]), "box": [round(float(side), 4) for side in boxes[f, p]]}
        for f, time in enumerate(times)
        for p in range(boxes.shape[1])
        if tracks[f, p] >= 0
    ]


def _with_transcript(inputs: Any, transcript: Any) -> Any:
    """A recording, or several, with theirs."""
    if not isinstance(inputs, (list, tuple)):
        return {"video": inputs, "transcript": transcript}
    if not isinstance(transcript, (list, tuple)) or len(transcript) != len(inputs):
        found = len(transcript) if isinstance(transcript, (list, tuple)) else 1
        raise ValueError(f"`transcript` must name one file per recording, expected {len(inputs)}, found {found}.")
    return [_with_transcript(one, words) for one, words in zip(inputs, transcript, strict=True)]


def _is_dialogue(inputs: Any) -> bool:
    """Whether this is one dialogue and not several."""
    if hasattr(inputs, "utterances") or isinstance(inputs, Mapping):
        return True
    return isinstance(inputs, (list, tuple)) and any(_is_utterance(one) for one in inputs)


def _is_utterance(source: Any) -> bool:
    if isinstance(source, Mapping):
        return not {"utterances", "transcript"} & source.keys()
    return hasattr(source, "speaker")


def _utterances(source: Any) -> list[Any]:
    """The utterances of any accepted form of a dialogue."""
    if hasattr(source, "utterances"):
        return list(source.utterances)
    if __package__ != PACKAGE:  # remote code, which comes without the contract; the processor checks what it is given
        return list(source["utterances"] if isinstance(source, Mapping) else source)
    return list(import_module(".dialogue_m2fnet", PACKAGE).Dialogue.from_any(source).utterances)


def _get(utterance: Any, field: str) -> Any:
    return utterance.get(field) if isinstance(utterance, Mapping) else getattr(utterance, field, None)


def _name(source: Any) -> str:
    return str(source["video"] if isinstance(source, Mapping) else source)


def _needs_package(module: str, purpose: str) -> Any:
    """A module of the package, which remote code comes without."""
    try:
        return import_module(f"{PACKAGE}.{module}")
    except ImportError as error:
        raise ImportError(f"{purpose} needs {error.name}: pip install m2fnet-hf") from None


__all__ = ["MultimodalEmotionPipeline"]
