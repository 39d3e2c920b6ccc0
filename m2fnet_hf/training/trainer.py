"""Train M2FNet on dialogues with the library's Trainer."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer, EvalPrediction, PreTrainedTokenizerBase, Trainer, set_seed
from transformers.trainer_utils import get_last_checkpoint

from ..configuration_m2fnet import M2FNetConfig
from ..data.collator import DialogueCollator, label_id
from ..data.dialogue import Dialogue
from ..evaluation.metrics import emotion_metrics
from ..feature_extraction_m2fnet import AUFeatureExtractor
from ..losses import IGNORED
from ..modeling_m2fnet import M2FNetForEmotionClassification
from ..processing_m2fnet import M2FNetProcessor, check_causal
from .arguments import EmotionTrainingArguments, RunConfig


class EmotionTrainer(Trainer):
    """Trainer with a learning rate of its own for the encoders, judged by weighted F1.

    Args:
        model, args, train_dataset, eval_dataset: as of Trainer; the data sets are lists of [`Dialogue`].
        processor: [`M2FNetProcessor`], saved with every checkpoint.
    """

    def __init__(
        self,
        model: M2FNetForEmotionClassification,
        args: EmotionTrainingArguments,
        processor: M2FNetProcessor,
        train_dataset: Sequence[Dialogue],
        eval_dataset: Sequence[Dialogue],
        **kwargs: Any,
    ) -> None:
        self.names = model.config.label_names
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
        """Trainer's optimiser, with its parameter groups split into encoders and all else."""
        optimizer = super().create_optimizer(*args, **kwargs)
        rate = getattr(self.args, "encoder_learning_rate", None)
        model: Any = self.model
        if rate is not None:
            names = {parameter: name for name, parameter in model.named_parameters()}
            groups = []
            for group in optimizer.param_groups:
                inside = [p for p in group["params"] if "_encoder." in names[p]]
                outside = [p for p in group["params"] if "_encoder." not in names[p]]
                groups += [{**group, "params": outside}, {**group, "params": inside, "lr": rate}]
            optimizer.param_groups[:] = [group for group in groups if group["params"]]
        return optimizer

    def _metrics(self, output: EvalPrediction) -> dict[str, float]:
        labels, predictions = np.asarray(output.label_ids), np.asarray(output.predictions)
        labelled = labels != IGNORED
        figures = emotion_metrics(labels[labelled].tolist(), predictions[labelled].tolist(), self.names)
        return {name: figures[name] for name in ("accuracy", "weighted_f1", "macro_f1")}


def train(
    run: RunConfig, train_dialogues: Sequence[Dialogue], dev_dialogues: Sequence[Dialogue], output_dir: str | Path
) -> EmotionTrainer:
    """Train a model and save the best epoch on dev to `output_dir`, with its processor, settings and figures.

    A run that was interrupted goes on from its last checkpoint in `output_dir`.
    """
    args = run.training_arguments(output_dir)
    set_seed(args.seed)
    processor = build_processor(run)
    model = build_model(run, processor, train_dialogues if args.balance_classes else None)
    trainer = EmotionTrainer(model, args, processor, train_dialogues, dev_dialogues)
    trainer.train(resume_from_checkpoint=get_last_checkpoint(output_dir) if Path(output_dir).is_dir() else None)
    trainer.save_model()
    (Path(output_dir) / "run.json").write_text(json.dumps(asdict(run), indent=2, default=str) + "\n")
    figures = trainer.evaluate()
    trainer.log_metrics("dev", figures)
    trainer.save_metrics("dev", figures, combined=False)
    return trainer


def build_processor(run: RunConfig) -> M2FNetProcessor:
    """The processor of a run, with the text encoder's tokenizer."""
    settings = dict(run.processor)
    source = settings.pop("tokenizer", run.encoders.get("text"))
    if source is None:
        raise ValueError("A run needs a tokenizer, found no `encoders.text`; name one as `processor.tokenizer`.")
    tokenizer = source if isinstance(source, PreTrainedTokenizerBase) else AutoTokenizer.from_pretrained(source)
    visual = run.model.get("visual_config") or {}
    faces = {name: visual[name] for name in ("num_action_units", "max_faces") if name in visual}
    return M2FNetProcessor(tokenizer, au_feature_extractor=AUFeatureExtractor(**faces), **settings)


def build_model(
    run: RunConfig, processor: M2FNetProcessor, balance: Sequence[Dialogue] | None = None
) -> M2FNetForEmotionClassification:
    """The model of a run around its pretrained encoders, with class weights from the dialogues in `balance`.

    Raises:
        ValueError: where a causal model would read a context that holds future utterances.
    """
    settings = dict(run.model)
    if run.encoders:
        model = M2FNetForEmotionClassification.from_encoders(
            text=run.encoders.get("text"),
            audio=run.encoders.get("audio"),
            visual=settings.pop("visual_config", None),
            **settings,
        )
    else:
        model = M2FNetForEmotionClassification(M2FNetConfig(**settings))
    check_causal(model.config, processor)
    if balance is not None:
        model.config.class_weights = class_weights(balance, model.config)
    return model


def class_weights(dialogues: Sequence[Dialogue], config: M2FNetConfig) -> list[float]:
    """Inverse frequency of each label in a split; a label that never occurs weighs as much as one seen once."""
    labels = (label_id(u.label, config.label_ids) for dialogue in dialogues for u in dialogue)
    counts = Counter(index for index in labels if index >= 0)
    return [sum(counts.values()) / max(counts[index], 1) for index in config.label_ids.values()]
