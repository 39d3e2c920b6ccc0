"""`pipeline("multimodal-emotion")`: dialogues in, the emotion of every utterance out."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset
from transformers import Pipeline

from .processing_m2fnet import check_causal

SHOWN_FIELDS = ("start", "end", "speaker", "text")


class MultimodalEmotionPipeline(Pipeline):
    """The emotion of every utterance of a dialogue, or of many dialogues.

    ```python
    pipe = pipeline("multimodal-emotion")
    pipe([{"speaker": "Ann", "text": "You came!"}, {"speaker": "Ben", "text": "I nearly missed the train."}])
    ```

    Args:
        inputs: one dialogue (a `Dialogue`, a list of utterances, a dictionary with `utterances`, or the path of a
            transcript: SRT, VTT, csv or JSON), or a list, data set or generator of dialogues.
        batch_size: dialogues per forward pass; it changes no prediction.
        num_workers: processes that prepare the batches.
        top_k: how many of the most probable emotions `scores` holds; default: all.

    Returns:
        Per utterance a dictionary of `start`, `end` (seconds), `speaker`, `text`, `label`, `score` (probability of the
        label), `scores` (probability by label, highest first) and `modalities` (those that the prediction used). A
        list of these for one dialogue, a list of lists for several, an iterator for a data set or a generator.
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

    def __call__(self, inputs: Any, **kwargs: Any) -> Any:
        """See the class."""
        if isinstance(inputs, (str, Path)) or _is_dialogue(inputs):
            return super().__call__([_dialogue(inputs)], **kwargs)[0]
        if isinstance(inputs, (list, tuple)):
            if not inputs:
                raise ValueError("The pipeline takes one utterance at least, found an empty list.")
            return super().__call__([_dialogue(one) for one in inputs], **kwargs)
        if not isinstance(inputs, Iterable):
            raise TypeError(f"The pipeline takes dialogues or the path of a transcript, found {type(inputs).__name__}.")
        return super().__call__(inputs, **kwargs)

    def _sanitize_parameters(self, top_k: int | None = None, **unknown: Any) -> tuple[dict, dict, dict]:
        if unknown:
            raise TypeError(f"The pipeline takes `top_k`, `batch_size` and `num_workers`, found {', '.join(unknown)}.")
        if top_k is not None and top_k < 1:
            raise ValueError(f"`top_k` must be at least 1, found {top_k}.")
        return {}, {}, {} if top_k is None else {"top_k": top_k}

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
        dialogues: Any = inputs if isinstance(inputs, (Dataset, list)) else _Stream(inputs)
        collate = partial(self.preprocess, **preprocess_params)
        for batch in DataLoader(dialogues, batch_size=batch_size, num_workers=num_workers, collate_fn=collate):
            yield from self.postprocess(self.forward(batch, **forward_params), **postprocess_params)

    def preprocess(self, dialogues: Sequence[Any]) -> dict[str, Any]:
        """Dialogues to the model's inputs, with their utterances beside them."""
        utterances = [list(_dialogue(one)) for one in dialogues]
        tensors = self.processor(utterances, modalities=self.model.config.modalities)
        return {"utterances": utterances, "tensors": dict(tensors)}

    def _forward(self, batch: dict[str, Any]) -> dict[str, Any]:
        output = self.model(**batch["tensors"])
        return {
            "utterances": batch["utterances"],
            "probabilities": output.logits.float().softmax(-1),
            "modality_mask": output.modality_mask,
        }

    def postprocess(self, output: dict[str, Any], top_k: int | None = None) -> list[list[dict[str, Any]]]:
        """Probabilities to one dictionary per utterance."""
        return [
            [
                self._prediction(*row, top_k=top_k)
                for row in zip(utterances, probabilities, modalities, strict=False)  # ends where padding begins
            ]
            for utterances, probabilities, modalities in zip(
                output["utterances"], output["probabilities"], output["modality_mask"], strict=True
            )
        ]

    def _prediction(
        self, utterance: Any, probabilities: torch.Tensor, modalities: torch.Tensor, top_k: int | None
    ) -> dict[str, Any]:
        get = utterance.get if isinstance(utterance, Mapping) else partial(getattr, utterance)
        order = probabilities.argsort(descending=True).tolist()[:top_k]
        names = self.model.config.label_names
        scores = {names[index]: probabilities[index].item() for index in order}
        label = next(iter(scores))
        return {
            **{field: get(field, None) for field in SHOWN_FIELDS},
            "label": label,
            "score": scores[label],
            "scores": scores,
            "modalities": [
                name for name, used in zip(("text", "audio", "visual"), modalities.tolist(), strict=True) if used
            ],
        }

    def save_pretrained(self, save_directory: str | os.PathLike, **kwargs: Any) -> None:
        """Save model and processor, and no code: the library would ask for `trust_remote_code` from then on."""
        self.model.save_pretrained(save_directory, **kwargs)
        self.processor.save_pretrained(save_directory, **kwargs)


class _Stream(IterableDataset):
    def __init__(self, dialogues: Iterable[Any]) -> None:
        self.dialogues = dialogues

    def __iter__(self) -> Iterator[Any]:
        return iter(self.dialogues)


def _is_dialogue(inputs: Any) -> bool:
    """Whether this is one dialogue and not several."""
    if hasattr(inputs, "utterances") or isinstance(inputs, Mapping):
        return True
    return isinstance(inputs, (list, tuple)) and any(_is_utterance(one) for one in inputs)


def _is_utterance(source: Any) -> bool:
    return hasattr(source, "speaker") or (isinstance(source, Mapping) and "utterances" not in source)


def _dialogue(source: Any) -> Sequence[Any]:
    """The utterances of any accepted form of a dialogue."""
    if isinstance(source, (str, Path)):
        return _read(source)
    if hasattr(source, "utterances"):
        return list(source.utterances)
    try:
        from .data.dialogue import Dialogue
    except ImportError:  # as remote code, beside transformers alone; the processor checks what it is given
        return source["utterances"] if isinstance(source, Mapping) else source
    return list(Dialogue.from_any(source).utterances)


def _read(path: str | Path) -> Sequence[Any]:
    try:
        from .data.transcripts import read_transcript
    except ImportError:
        raise ImportError(f"Reading {path} needs the package: pip install m2fnet-hf") from None
    return list(read_transcript(path).utterances)


__all__ = ["MultimodalEmotionPipeline"]
