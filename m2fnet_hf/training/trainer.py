"""Train M2FNet on dialogues with the library's Trainer."""

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoTokenizer,
    EarlyStoppingCallback,
    EvalPrediction,
    PreTrainedTokenizerBase,
    Trainer,
    set_seed,
)
from transformers.trainer import TRAINER_STATE_NAME, TRAINING_ARGS_NAME
from transformers.trainer_utils import rotate_checkpoints, sort_checkpoints

from ..configuration_m2fnet import M2FNetConfig, M2FNetVisualConfig
from ..data.labels import check_labels, label_id
from ..dialogue_m2fnet import IGNORED, Dialogue
from ..embedded_models import embedded, embedded_names
from ..evaluation.metrics import HEADLINE, emotion_metrics
from ..face_arrays_m2fnet import GEOMETRY_SIZE
from ..feature_extraction_m2fnet import AppearanceFeatureExtractor, AUFeatureExtractor
from ..features.extract import check_features
from ..modeling_m2fnet import M2FNetForEmotionClassification
from ..names_m2fnet import SPECTROGRAM_ENCODERS
from ..processing_m2fnet import M2FNetProcessor, check_causal
from ..processor_checks_m2fnet import check_fits
from ..recordings.dataset import RecordedDialogues, with_recordings
from ..spectrogram_m2fnet import default_extractor
from ..utils.files import move_files, scratch_folder, write_json
from ..utils.run_folders import claim, locked
from ..weights_m2fnet import loading
from .collator import DialogueCollator
from .distillation import distillation_loss, with_teacher_probabilities
from .normalization import fit_normalization
from .overrides import data_hash
from .settings import EmotionTrainingArguments, RunConfig

_LAYER = re.compile(r"(?:^|\.)(?:layers?|h|blocks?)\.(\d+)\.")
# Ends of the names of what the library measures of a run, which tell nothing of the model.
_OF_TIME = ("_runtime", "_per_second")
_BELOW_LAYERS = ("embed", "feature_extractor", "feature_projection")


class EmotionTrainer(Trainer):
    """Trainer with a learning rate of its own for the encoders, judged by weighted F1.

    Args:
        model, args, train_dataset, eval_dataset: as of Trainer; the data sets are sequences of [`Dialogue`].
        processor: [`M2FNetProcessor`], saved with every checkpoint.
    """

    def __init__(
        self,
        model: M2FNetForEmotionClassification,
        args: EmotionTrainingArguments,
        processor: M2FNetProcessor,
        train_dataset: Sequence[Dialogue] | RecordedDialogues,
        eval_dataset: Sequence[Dialogue] | RecordedDialogues,
        **kwargs: Any,
    ) -> None:
        self.args: EmotionTrainingArguments
        self.names = model.config.label_names
        if args.early_stopping_patience is not None:
            stop = EarlyStoppingCallback(args.early_stopping_patience)
            kwargs["callbacks"] = [*(kwargs.get("callbacks") or ()), stop]
        super().__init__(
            model=model,
            args=args,
            processing_class=processor,
            data_collator=DialogueCollator(processor, model.config.modalities, model.config.label_ids),
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            compute_metrics=self._metrics,
            preprocess_logits_for_metrics=lambda outputs, labels: outputs[0].argmax(-1),
            **kwargs,
        )

    def create_optimizer(self, *args: Any, **kwargs: Any) -> torch.optim.Optimizer:
        """Trainer's optimiser, with the encoders' own learning rates."""
        optimizer = super().create_optimizer(*args, **kwargs)
        model: Any = self.model
        names = {parameter: name for name, parameter in model.named_parameters()}
        depths = encoder_depths(names.values())
        groups: dict[tuple[int, float], dict[str, Any]] = {}
        for number, group in enumerate(optimizer.param_groups):
            for parameter in group["params"]:
                rate = self._learning_rate(depths.get(names[parameter]))
                groups.setdefault((number, rate), {**group, "lr": rate, "params": []})["params"].append(parameter)
        optimizer.param_groups[:] = groups.values()
        return optimizer

    def _learning_rate(self, depth: int | None) -> float:
        """Of a parameter that many layers below its encoder's last one; `None` is outside of encoders."""
        rate = self.args.learning_rate
        if depth is None:
            return rate
        rate = rate if self.args.encoder_learning_rate is None else self.args.encoder_learning_rate
        return rate if self.args.layer_decay is None else rate * self.args.layer_decay**depth

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """The model's loss on the labels, mixed with that on teachers' probabilities where there are any: a scalar."""
        teacher_probabilities = inputs.pop("label_probabilities", None)
        loss, outputs = super().compute_loss(model, inputs, True, num_items_in_batch)
        if teacher_probabilities is not None:
            share = self.args.teachers_share
            learned = distillation_loss(outputs["logits"], teacher_probabilities, inputs["labels"], num_items_in_batch)
            loss = (1 - share) * loss + share * learned
        return (loss, outputs) if return_outputs else loss

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """Each file takes its place only when all are whole."""
        folder = Path(output_dir or str(self.args.output_dir))
        with scratch_folder(folder / "model") as part:
            super()._save(str(part), state_dict)
            (part / TRAINING_ARGS_NAME).unlink(missing_ok=True)  # a pickle of what `run.json` says
            move_files(part, folder)

    def _metrics(self, output: EvalPrediction) -> dict[str, float]:
        labels, predictions = np.asarray(output.label_ids), np.asarray(output.predictions)
        labelled = labels != IGNORED
        metrics = emotion_metrics(labels[labelled], predictions[labelled], self.names)
        return {name: metrics[name] for name in HEADLINE}


def encoder_depths(names: Iterable[str]) -> dict[str, int]:
    """For the parameters of encoders, how many layers they lie below their encoder's last one.

    Embeddings and convolutions lie below all layers, a last norm lies with the last layer.
    """
    places: dict[str, dict[str, int | None]] = {}
    for name in names:
        encoder, inside, rest = name.partition("_encoder.")
        if inside:
            layer = _LAYER.search(rest)
            below = 0 if rest.startswith("conv") or any(word in rest for word in _BELOW_LAYERS) else None
            places.setdefault(encoder, {})[name] = int(layer[1]) + 1 if layer and below is None else below
    depths: dict[str, int] = {}
    for layers in places.values():
        top = max((place for place in layers.values() if place is not None), default=0)
        depths |= {name: top - (top if place is None else place) for name, place in layers.items()}
    return depths


def train(
    run: RunConfig,
    train_dialogues: Sequence[Dialogue],
    dev_dialogues: Sequence[Dialogue],
    output_dir: str | Path,
    dataset: str | None = None,
    trainer_type: Callable[..., EmotionTrainer] = EmotionTrainer,
) -> EmotionTrainer:
    """Train a model and save the best epoch on dev to `output_dir`, with its processor, settings and metrics.

    Weights that start from random ones take `SpeakerNormalization`'s mean and scale from the training data first. A run
    that was interrupted goes on from its last checkpoint in `output_dir`. `dataset` is the name of the data, for the
    run's record; `trainer_type` makes the trainer.

    Raises:
        ValueError: for a folder of other settings or data, or to which another process writes.
    """
    args = run.training_arguments(output_dir)
    # Features are read from disk as they are needed, and were checked when they were extracted.
    in_memory = {"train": train_dialogues, "dev": dev_dialogues} if isinstance(train_dialogues, list) else {}
    check_labels(in_memory, run.label_names)
    with run_folder(args, {"dataset": dataset, **asdict(run)}, [train_dialogues, dev_dialogues]):
        return _train(run, args, train_dialogues, dev_dialogues, trainer_type)


@contextmanager
def run_folder(
    args: EmotionTrainingArguments, settings: Mapping[str, Any], splits: Iterable[Iterable[Any]]
) -> Iterator[None]:
    """The folder of a run for this run alone, with its settings in `run.json`.

    Raises:
        ValueError: for a folder of other settings or data, or to which another process writes.
    """
    if args.process_index:  # the first of several processes does it
        yield
        return
    folder = Path(str(args.output_dir))
    with locked(folder):
        claim(folder, "run.json", {**settings, "data": data_hash(splits)})
        yield


def _train(
    run: RunConfig,
    args: EmotionTrainingArguments,
    train_dialogues: Sequence[Dialogue],
    dev_dialogues: Sequence[Dialogue],
    trainer_type: Callable[..., EmotionTrainer],
) -> EmotionTrainer:
    set_seed(args.seed)
    processor = build_processor(run)
    model = build_model(run, processor, train_dialogues if args.balance_classes else None)
    if args.start_from:
        load_weights(model, args.start_from)
    check_features([train_dialogues, dev_dialogues], model, processor)
    if args.teachers:
        train_dialogues = with_teacher_probabilities(train_dialogues, args.teachers, model.config)
    seen = with_recordings([train_dialogues, dev_dialogues], model, processor, run.media)
    trainer = trainer_type(model, args, processor, *seen)
    checkpoint = last_checkpoint(str(args.output_dir), args.save_total_limit)
    if checkpoint is None and not args.start_from:  # these bring what was fitted
        fit_normalization(model, processor, seen[0], args.seed)
    if checkpoint is not None:
        M2FNetForEmotionClassification.from_pretrained(checkpoint)  # Trainer would go on without weights that it lacks
    trainer.train(resume_from_checkpoint=checkpoint)
    trainer.save_model()
    metrics = trainer.evaluate()
    trainer.log_metrics("dev", metrics)
    if trainer.is_world_process_zero():
        timeless = {name: value for name, value in metrics.items() if not name.endswith(_OF_TIME)}
        write_json(timeless, Path(str(args.output_dir)) / "dev_results.json", sort_keys=True)
    return trainer


def last_checkpoint(folder: str | Path, limit: int | None = None) -> str | None:
    """The last whole checkpoint of an interrupted run; what was being saved or removed when it was killed goes.

    Args:
        limit: how many the run keeps, besides the best one.
    """
    last, best, files = None, None, {TRAINER_STATE_NAME}
    for checkpoint in reversed(sort_checkpoints(str(folder))):
        path = Path(checkpoint)
        try:
            state = json.loads((path / TRAINER_STATE_NAME).read_text())  # it is written last
            found = {file.name for file in path.iterdir()}
        except (OSError, ValueError):
            found = set()
        if not files <= found:
            shutil.rmtree(path, ignore_errors=True)
        elif last is None:
            last, best, files = checkpoint, state["best_model_checkpoint"], found
    # As the library did not come to do.
    rotate_checkpoints(str(folder), limit, None if best is None else str(Path(folder, Path(best).name)))
    return last


def build_processor(run: RunConfig) -> M2FNetProcessor:
    """The processor of a run, with the text encoder's tokenizer.

    Raises:
        ValueError: where a model reads text and no tokenizer is named.
    """
    settings = dict(run.processor)
    tokenizer = settings.pop("tokenizer", run.encoders.get("text"))
    if tokenizer is None and run.model.get("text_config") is not None:
        raise ValueError(
            "A run whose model reads text needs a tokenizer, found no `encoders.text`; name one as "
            "`processor.tokenizer`."
        )
    if tokenizer is not None and not isinstance(tokenizer, PreTrainedTokenizerBase):
        in_package = tokenizer in embedded_names()
        with loading("A tokenizer", tokenizer):
            tokenizer = AutoTokenizer.from_pretrained(embedded(tokenizer) if in_package else tokenizer)
    sound = settings.pop("feature_extractor", None) or _sound_extractor(run)
    appearance = settings.pop("appearance", None)
    visual = run.model.get("visual_config") or {}
    if "visual" in run.encoders:
        with loading("An encoder", run.encoders["visual"]):
            visual = M2FNetVisualConfig.from_pretrained(run.encoders["visual"]).to_dict()
    faces = {name: visual[name] for name in ("num_action_units", "max_faces") if name in visual}
    processor = M2FNetProcessor(
        tokenizer,
        sound,
        au_feature_extractor=AUFeatureExtractor(**{**faces, **settings.pop("au_feature_extractor", {})}),
        appearance_feature_extractor=_appearance(visual, settings.pop("geometry", False)),
        **settings,
    )
    if appearance is not None:
        processor.appearance_feature_extractor.load_weights(appearance)
    return processor


def _sound_extractor(run: RunConfig) -> Any:
    """That of a sound encoder which reads spectrograms, `None` for the default one."""
    source, settings = run.encoders.get("audio"), run.model.get("audio_config") or {}
    if source is None:
        known = settings.get("model_type") in SPECTROGRAM_ENCODERS
        return default_extractor(AutoConfig.for_model(**settings)) if known else None
    with loading("An encoder", source):
        config = AutoConfig.from_pretrained(source)
    if config.model_type not in SPECTROGRAM_ENCODERS:
        return None
    try:
        return AutoFeatureExtractor.from_pretrained(source)
    except OSError:  # a folder with an encoder alone
        return default_extractor(config)


def _appearance(visual: Mapping[str, Any], geometry: bool) -> AppearanceFeatureExtractor:
    """Of as many features as the model reads; the geometry of landmarks has a fixed number of them."""
    settings: dict[str, Any] = {"geometry": geometry}
    if "num_appearance_features" in visual:
        settings["num_components"] = visual["num_appearance_features"] - geometry * GEOMETRY_SIZE
    if "max_faces" in visual:
        settings["max_faces"] = visual["max_faces"]
    return AppearanceFeatureExtractor(**settings)


def build_model(
    run: RunConfig, processor: M2FNetProcessor, balance: Sequence[Dialogue] | None = None
) -> M2FNetForEmotionClassification:
    """The model of a run around its pretrained encoders, with class weights from the dialogues in `balance`.

    Raises:
        ValueError: where a causal model would read a context that holds future utterances.
    """
    settings = dict(run.model)
    labels = [str(label) for label in settings.pop("labels", ())]
    if labels:
        settings["id2label"] = dict(enumerate(labels))
        settings["label2id"] = {label: index for index, label in enumerate(labels)}
    if run.encoders:
        visual = settings.pop("visual_config", None)
        encoders = {"visual": visual, **run.encoders}
        model = M2FNetForEmotionClassification.from_encoders(**encoders, **settings)
    else:
        model = M2FNetForEmotionClassification(M2FNetConfig(**settings))
    check_causal(model.config, processor)
    check_fits(model.config, processor)
    if balance is not None:
        model.config.class_weights = class_weights(balance, model.config)
    return model


def load_weights(model: M2FNetForEmotionClassification, trained: str | Path) -> None:
    """Take the weights of a trained model, but not its last layer where the labels differ.

    Raises:
        ValueError: for a model of other sizes or modalities.
    """
    if str(trained) in embedded_names() and not Path(trained).is_dir():
        trained = embedded(str(trained))
    start = M2FNetForEmotionClassification.from_pretrained(trained, dtype=torch.float32)
    weights, own = start.state_dict(), model.state_dict()
    if start.config.label_names != model.config.label_names:
        weights |= {name: value for name, value in own.items() if name.startswith("classifier.output.")}
    shapes = [{name: value.shape for name, value in state.items()} for state in (own, weights)]
    unlike = sorted({name for name, _ in shapes[0].items() ^ shapes[1].items()})
    if unlike:
        raise ValueError(
            f"`start_from` must name a model of the same sizes and modalities, found {len(unlike)} weights that differ "
            f"in {trained}, such as {unlike[0]}; take its settings over into `model`."
        )
    model.load_state_dict(weights)


def class_weights(dialogues: Sequence[Dialogue], config: M2FNetConfig) -> list[float]:
    """Inverse frequency of each label in a split; a label that never occurs weighs as much as one seen once."""
    labels = (label_id(u.label, config.label_ids) for dialogue in dialogues for u in dialogue)
    counts = Counter(index for index in labels if index >= 0)
    return [sum(counts.values()) / max(counts[index], 1) for index in config.label_ids.values()]
