"""`pipeline("multimodal-emotion")`: recordings and dialogues in, the emotion of every utterance out."""

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Self, Unpack, overload

import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info
from transformers import Pipeline, pipeline

from .answers_m2fnet import damaged, modality_scores, prediction, subsets, tracked_faces
from .dialogue_m2fnet import Dialogue, EmotionPrediction, Utterance
from .hub_m2fnet import M2FNetHubMixin
from .inputs_m2fnet import DialogueReader, RecordingSource, Source, UtteranceFields, is_one_dialogue, with_transcript
from .modality_scores_m2fnet import encode_once, given_modalities, keep
from .options_m2fnet import PipelineOptions, by_step
from .processing_m2fnet import M2FNetProcessor, check_causal
from .processor_checks_m2fnet import check_fits

if TYPE_CHECKING:
    from .modeling_m2fnet import M2FNetEmotionOutput, M2FNetForEmotionClassification


class MultimodalEmotionPipeline(M2FNetHubMixin, Pipeline):
    """The emotion of every utterance of a conversation, or of many conversations.

    ```python
    pipe = pipeline("multimodal-emotion")
    pipe("interview.mp4", transcript="interview.srt")
    pipe([{"speaker": "Ann", "text": "You came!"}, {"speaker": "Ben", "text": "I nearly missed the train."}])
    pipe("You came!")
    pipe(["You came!", "I nearly missed the train."])
    ```

    Args:
        inputs: one dialogue, which is one of

            - a recording (video or sound, path or URL) with `transcript` or `asr`, also as a dictionary of `recording`
              with `transcript` or `utterances`;
            - a transcript (path or URL: subtitles, csv, text, JSON, ELAN, Praat);
            - a `Dialogue`, or a dictionary with `utterances`;
            - a list of utterances: dictionaries of their fields, which may each have a clip as `video`, or their words;
            - a string with the words of one utterance: one that is no URL, no absolute path, does not end like a
              recording or transcript, and is not the name of a file that is there;

            or several: a list, data set or generator of these. So `[{"recording": ...}, {"recording": ...}]` is two
            dialogues and `[{"video": ...}, {"video": ...}]` or `["You came!", "I did."]` one of two utterances; a list
            that holds both kinds is refused.
        transcript: path or URL of the recording's transcript; a list for a list of recordings.
        asr: name of a speech recognition model, or the library's pipeline with one, for recordings without transcript.
        faces: what finds the faces: `pyfeat`, `pyfeat-v2`, `opencv`, another registered backend or its object, a csv or
            npz file of faces, or `none`. Default: the one that the model was trained with.
        frame_rate: frames of each second of an utterance in which faces are looked for. Default: 2.
        audio_track: which sound track of a recording, from 1. Default: the first that is not digital silence.
        modalities: those of `text`, `audio` and `visual` that the model may use; the others are withheld, as if absent.
            Default: all that it reads.
        cache: folder that keeps what was measured of recordings, so that a second run is fast and a killed one goes on;
            `True` (default) is `$M2FNET_CACHE` or `m2fnet` in the Hub's cache folder, `False` keeps nothing.
        batch_size: dialogues per forward pass; it changes no prediction.
        num_workers: processes that read recordings and prepare the batches.
        top_k: how many of the most probable emotions `scores` holds; default: all.
        return_attentions: also give `attentions`: by modality, how much the utterance's text attends to the sound
            (`audio`) and the faces (`visual`) of each utterance of the dialogue, the mean over fusion modules and
            heads; with gated fusion `weights`, by modality.
        return_embeddings: also give `embeddings`: of each modality that the utterance has, its state [H] behind the
            dialogue encoders, and `fused`, what the classifier reads ([M * H], with gated fusion [H]). Not of an
            exported model.
        return_modalities: also give `modality_scores`: `alone`, by modality the probabilities from this one, with the
            others withheld from the whole dialogue, and `without`, those with this one withheld. Of the modalities that
            the utterance has, and in `without` only where it has others. What was encoded is used again, so it costs
            little.
        return_faces: also give `faces`, a list of `time` (seconds), `track` (person) and `box` (left, top, right,
            bottom as shares of the frame).
        progress: wraps the pass over a recording, as `rich.progress.track` does.
        on_problem: is called with a sentence for each thing that could not be read of a recording. Default: it becomes
            a warning.

    Returns:
        Per utterance an [`EmotionPrediction`], a dictionary of `start`, `end` (seconds), `speaker`, `text`, `label`,
        `score` (probability of the label), `scores` (probability by label, highest first), `modalities` (those that the
        prediction used) and `missing` (why it did not use the others that the model reads). A list of these for one
        dialogue, a list of lists for several, an iterator of lists for a data set or a generator.

    Raises:
        TypeError: for an option that is not listed here, or what is no dialogue.
        ValueError: for an option out of its range, an empty list, a transcript that cannot be read, or a recording
            with neither transcript nor `asr`. What is broken in a recording raises nothing: it is masked and reported.
    """

    _load_processor = True
    _load_tokenizer = False
    _load_feature_extractor = False
    _load_image_processor = False
    _load_video_processor = False

    model: "M2FNetForEmotionClassification"
    processor: M2FNetProcessor

    def __init__(self, model: "M2FNetForEmotionClassification", *args: Any, **kwargs: Any) -> None:
        if not isinstance(model, torch.nn.Module):  # an exported one in its place, which cannot be moved
            kwargs.setdefault("device", model.device)
        super().__init__(model, *args, **kwargs)
        if self.processor is None:
            raise ValueError("The pipeline needs the model's processor, found None; give `processor=`.")
        check_causal(self.model.config, self.processor)
        check_fits(self.model.config, self.processor)

    @classmethod
    def from_pretrained(cls, model: str | os.PathLike[str] | None = None, **options: Any) -> Self:
        """`pipeline("multimodal-emotion", model=model, **options)`, whose result a type checker knows.

        Args:
            model: folder or name on the Hub; default: the embedded one.
            options: of the library's `pipeline`, and of this class.
        """
        build: Any = pipeline
        return build("multimodal-emotion", model=None if model is None else str(model), pipeline_class=cls, **options)

    @overload
    def __call__(self, inputs: Source, **kwargs: Unpack[PipelineOptions]) -> list[EmotionPrediction]: ...

    @overload
    def __call__(
        self, inputs: Sequence[Utterance | UtteranceFields], **kwargs: Unpack[PipelineOptions]
    ) -> list[EmotionPrediction]: ...

    @overload
    def __call__(
        self,
        inputs: Sequence[Dialogue | RecordingSource | os.PathLike[str] | Sequence[Utterance | UtteranceFields]],
        **kwargs: Unpack[PipelineOptions],
    ) -> list[list[EmotionPrediction]]: ...

    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, inputs: Sequence[Any], **kwargs: Unpack[PipelineOptions]
    ) -> list[EmotionPrediction] | list[list[EmotionPrediction]]: ...

    @overload
    def __call__(
        self, inputs: Iterable[Any] | Dataset[Any], **kwargs: Unpack[PipelineOptions]
    ) -> Iterator[list[EmotionPrediction]]: ...

    def __call__(self, inputs: Any, **kwargs: Any) -> Any:
        """See the class."""
        transcript = kwargs.pop("transcript", None)
        if transcript is not None:
            inputs = with_transcript(inputs, transcript)
        if is_one_dialogue(inputs):
            return super().__call__([inputs], **kwargs)[0]
        if isinstance(inputs, (list, tuple)):
            if not inputs:
                raise ValueError("The pipeline takes one utterance at least, found an empty list.")
            return super().__call__(list(inputs), **kwargs)
        if not isinstance(inputs, (Iterable, Dataset)):
            raise TypeError(f"The pipeline takes recordings or dialogues, found {type(inputs).__name__}.")
        return super().__call__(inputs if isinstance(inputs, Dataset) else (one for one in inputs), **kwargs)

    def _sanitize_parameters(self, **given: Any) -> tuple[dict[str, Any], ...]:
        return by_step(given, self.model.config.modalities, type(self).__name__)

    def get_iterator(
        self,
        inputs: Iterable[Any],
        num_workers: int,
        batch_size: int,
        preprocess_params: dict[str, Any],
        forward_params: dict[str, Any],
        postprocess_params: dict[str, Any],
    ) -> Iterator[list[EmotionPrediction]]:
        """Predictions dialogue by dialogue; the library's own batching cannot pad dialogues."""
        dialogues: Any = inputs if isinstance(inputs, (Dataset, list)) else _Stream(inputs, batch_size)
        reading = dict(preprocess_params)
        modalities, on_problem = reading.pop("modalities", None), reading.pop("on_problem", None) or _warn
        collate = partial(self.preprocess, modalities=modalities, reader=self._reader(**reading))
        reported = set()
        for batch in DataLoader(dialogues, batch_size=batch_size, num_workers=num_workers, collate_fn=collate):
            for problem in batch.pop("problems"):
                if problem not in reported:
                    reported.add(problem)
                    on_problem(problem)
            yield from self.postprocess(self.forward(batch, **forward_params), **postprocess_params)

    def _reader(self, **reading: Any) -> DialogueReader:
        return DialogueReader(self.model, self.processor, partial(_encodes_sound, self.model.device.type), **reading)

    def preprocess(
        self,
        dialogues: Sequence[Any],
        modalities: Sequence[str] | None = None,
        reader: "DialogueReader | None" = None,
        on_problem: Callable[[str], Any] | None = None,
        **reading: Any,
    ) -> dict[str, Any]:
        """Dialogues to the model's inputs, with their utterances and the problems of reading them beside them."""
        reader = reader or self._reader(**reading)
        read = [reader(one) for one in dialogues]
        modalities = modalities or self.model.config.modalities
        tensors = self.processor(read, modalities=modalities)
        return {
            "utterances": [list(dialogue) for dialogue in read],
            "modalities": modalities,
            "tensors": dict(tensors),
            "problems": reader.take_problems(),
        }

    def _forward(
        self,
        batch: dict[str, Any],
        return_attentions: bool = False,
        return_embeddings: bool = False,
        return_modalities: bool = False,
    ) -> dict[str, Any]:
        tensors, by_modality = batch["tensors"], None
        if return_modalities:
            tensors = encode_once(self.model, tensors)
            by_modality = self._by_modality(tensors)
        output = self.model(**tensors, output_attentions=return_attentions, return_dict=True)
        return {
            "utterances": batch["utterances"],
            "modalities": batch["modalities"],
            "probabilities": self._probabilities(output),
            "by_modality": by_modality,
            "modality_mask": output.modality_mask,
            "attentions": _attentions(output) if return_attentions else None,
            "weights": output.modality_weights if return_attentions else None,
            "embeddings": self._embeddings(output) if return_embeddings else None,
        }

    def _embeddings(self, output: "M2FNetEmotionOutput") -> dict[str, torch.Tensor]:
        """[B, U, D] by modality, and fused."""
        if output.modality_states is None or output.last_hidden_state is None:
            raise ValueError(
                "`return_embeddings` needs a model of torch, found an exported one; load what it was made of."
            )
        states = dict(zip(self.model.config.modalities, output.modality_states, strict=True))
        return {**states, "fused": output.last_hidden_state}

    def _probabilities(self, output: "M2FNetEmotionOutput") -> torch.Tensor:
        """[B, U, C]."""
        assert output.logits is not None
        logits = output.logits.float()
        if not logits.isfinite().all():
            raise damaged(self.model.config.name_or_path)
        return (logits / self.model.config.softmax_temperature).softmax(-1)

    def _by_modality(self, encoded: dict[str, Any]) -> dict[str, dict[str, torch.Tensor]]:
        """Probabilities [B, U, C] with each modality alone and with each withheld."""
        chosen = subsets(given_modalities(encoded))
        found = {
            kept: self._probabilities(self.model(**keep(encoded, kept), return_dict=True))
            for kept in {kept for kind in chosen.values() for kept in kind.values() if kept}
        }
        return {
            kind: {modality: found[kept] for modality, kept in each.items() if kept} for kind, each in chosen.items()
        }

    def postprocess(
        self, output: dict[str, Any], top_k: int | None = None, return_faces: bool = False
    ) -> list[list[EmotionPrediction]]:
        """Probabilities to one dictionary per utterance."""
        answers = []
        for b, utterances in enumerate(output["utterances"]):
            answers.append([self._prediction(output, b, u, utterance, top_k) for u, utterance in enumerate(utterances)])
            if return_faces:
                for answer, utterance in zip(answers[-1], utterances, strict=True):
                    answer["faces"] = tracked_faces(utterance)
        return answers

    def _prediction(
        self, output: dict[str, Any], b: int, u: int, utterance: Utterance, top_k: int | None
    ) -> EmotionPrediction:
        config = self.model.config
        probabilities, used = output["probabilities"][b, u].cpu().numpy(), output["modality_mask"][b, u].tolist()
        answer = prediction(config, utterance, output["modalities"], probabilities, used, top_k)
        if output["attentions"] is not None:
            length = len(output["utterances"][b])
            answer["attentions"] = {name: mean[b, u, :length].tolist() for name, mean in output["attentions"].items()}
        if output["weights"] is not None:
            answer["weights"] = dict(zip(config.modalities, output["weights"][b, u].tolist(), strict=True))
        if output["embeddings"] is not None:
            kept = (*answer["modalities"], "fused")
            answer["embeddings"] = {
                name: states[b, u].tolist() for name, states in output["embeddings"].items() if name in kept
            }
        if output["by_modality"] is not None:
            here = {
                kind: {name: found[b, u].cpu().numpy() for name, found in each.items()}
                for kind, each in output["by_modality"].items()
            }
            answer["modality_scores"] = modality_scores(config, here, answer["modalities"], top_k)
        return answer

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


def _encodes_sound(device: str) -> bool:
    """Whether sound is encoded as it is read: not in a process that was forked, which cannot use the accelerator."""
    return get_worker_info() is None or device == "cpu"


def _warn(problem: str) -> None:
    warnings.warn(problem, stacklevel=2)


def _attentions(output: "M2FNetEmotionOutput") -> dict[str, torch.Tensor]:
    """The mean [B, U, U] over fusion modules and heads, by modality."""
    given = {"audio": output.audio_attentions, "visual": output.visual_attentions}
    return {name: torch.stack(layers).float().mean((0, 2)) for name, layers in given.items() if layers}


__all__ = ["MultimodalEmotionPipeline"]
