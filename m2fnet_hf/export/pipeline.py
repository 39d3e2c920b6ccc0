"""The pipeline of an exported model: onnxruntime and tokenizers, neither torch nor transformers."""

import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..answers_m2fnet import modality_scores, prediction, subsets, tracked_faces
from ..dialogue_m2fnet import Dialogue, EmotionPrediction
from ..inputs_m2fnet import DialogueReader, is_one_dialogue, with_transcript
from ..options_m2fnet import by_step
from .model import ExportedModel, used, without
from .processor import ExportedProcessor

# What changes how the library's pipeline is fed, and no prediction.
_BATCHING = ("batch_size", "num_workers")


class ExportedPipeline:
    """[`MultimodalEmotionPipeline`] for a model that `m2fnet export onnx` wrote: the same calls and predictions.

    ```python
    pipe = load_exported("exported/")
    pipe("interview.mp4", transcript="interview.srt")
    ```

    It has no attentions to return, and takes one dialogue at a time whatever `batch_size` says.

    Args:
        folder: of the exported model.
        options: of its calls; each call may set others.

    Raises:
        FileNotFoundError, ValueError: where a part of the model is not there or not readable.
        ImportError: without onnxruntime.
    """

    def __init__(self, folder: str | os.PathLike[str], **options: Any) -> None:
        self.model = ExportedModel(Path(folder))
        self.processor = ExportedProcessor(Path(folder), self.model.config)
        self.options = options

    def __call__(self, inputs: Any, **options: Any) -> Any:
        """Predict one dialogue or several; see [`MultimodalEmotionPipeline`], which takes and gives the same.

        Returns:
            A list of [`EmotionPrediction`] for one dialogue, a list of lists for several, an iterator of lists for a
            data set or a generator.

        Raises:
            TypeError, ValueError: for what cannot be predicted.
        """
        options = {**self.options, **options}
        transcript = options.pop("transcript", None)
        if transcript is not None:
            inputs = with_transcript(inputs, transcript)
        if is_one_dialogue(inputs):
            return next(self._predict([inputs], options))
        if isinstance(inputs, (list, tuple)):
            if not inputs:
                raise ValueError("The pipeline takes one utterance at least, found an empty list.")
            return list(self._predict(inputs, options))
        if not isinstance(inputs, Iterable):
            if not hasattr(inputs, "__getitem__"):
                raise TypeError(f"The pipeline takes recordings or dialogues, found {type(inputs).__name__}.")
            inputs = (inputs[index] for index in range(len(inputs)))
        return self._predict(inputs, options)

    def _predict(self, sources: Iterable[Any], given: dict[str, Any]) -> Iterator[list[EmotionPrediction]]:
        given = {name: value for name, value in given.items() if name not in _BATCHING}
        reading, forward, showing = by_step(given, self.model.config.modalities, type(self).__name__)
        if forward.get("return_attentions"):
            raise ValueError("An exported model gives no attentions, found `return_attentions`; ask the torch model.")
        if forward.get("return_embeddings"):
            raise ValueError("An exported model gives no embeddings, found `return_embeddings`; ask the torch model.")
        modalities, on_problem = reading.pop("modalities", None), reading.pop("on_problem", None) or _warn
        reader = DialogueReader(self.model, self.processor, _always, **reading)  # type: ignore[arg-type]
        reported = set()
        for source in sources:
            dialogue = reader(source)
            for problem in reader.take_problems():
                if problem not in reported:
                    reported.add(problem)
                    on_problem(problem)
            asked = modalities or self.model.config.modalities
            yield self._answers(dialogue, asked, forward.get("return_modalities", False), **showing)

    def _answers(
        self,
        dialogue: Dialogue,
        asked: tuple[str, ...],
        return_modalities: bool,
        top_k: int | None = None,
        return_faces: bool = False,
    ) -> list[EmotionPrediction]:
        model, config = self.model, self.model.config
        features = model.features(dialogue, self.processor, asked)
        probabilities, masks = model.probabilities(features, dialogue.speaker_ids), used(features)
        by_modality: dict[str, Any] = {}
        if return_modalities:
            chosen = subsets([modality for modality, (_, present) in features.items() if present.any()])
            by_modality = {
                kind: {
                    modality: model.probabilities(without(features, kept), dialogue.speaker_ids)
                    for modality, kept in each.items()
                    if kept
                }
                for kind, each in chosen.items()
            }
        answers = []
        for u, utterance in enumerate(dialogue):
            answer = prediction(config, utterance, asked, probabilities[u], masks[u], top_k)
            if return_modalities:
                here = {kind: {name: rows[u] for name, rows in each.items()} for kind, each in by_modality.items()}
                answer["modality_scores"] = modality_scores(config, here, answer["modalities"], top_k)
            if return_faces:
                answer["faces"] = tracked_faces(utterance)
            answers.append(answer)
        return answers


def load_exported(folder: str | os.PathLike[str], **options: Any) -> ExportedPipeline:
    """The pipeline of a model that `m2fnet export onnx` wrote, run without torch and transformers.

    Args:
        folder: of the exported model.
        options: of its calls, as [`MultimodalEmotionPipeline`] lists them.

    Raises:
        FileNotFoundError, ValueError: where a part of the model is not there or not readable.
        ImportError: without onnxruntime.
    """
    return ExportedPipeline(folder, **options)


def _always() -> bool:
    return True


def _warn(problem: str) -> None:
    warnings.warn(problem, stacklevel=2)
