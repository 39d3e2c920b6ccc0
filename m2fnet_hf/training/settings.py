"""A training run as data: a YAML file, with `key=value` on top."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

import torch
from transformers import TrainingArguments

from ..configuration_m2fnet import M2FNetConfig
from .section_checks import MEDIA_SETTINGS, PROCESSOR_SETTINGS, check_section, config_settings
from .yaml_files import read_mapping


@dataclass
class EmotionTrainingArguments(TrainingArguments):
    """The library's arguments, and those of M2FNet.

    Args:
        encoder_learning_rate: of the encoders that are not frozen; `learning_rate` is of all other layers.
        layer_decay: factor from each layer of an encoder to the one below it, on its learning rate (Howard and Ruder,
            2018; as in BERT's fine-tuning by Sun et al., 2019); the last layer has the full rate.
        early_stopping_patience: stop after that number of evaluations without a better `metric_for_best_model` on dev.
        start_from: folder or name of a trained model of the same sizes, whose weights training starts from; its last
            layer starts from random weights where the labels differ.
        teachers: folders or names of models, or files of predictions (`m2fnet evaluate --split train --predictions`),
            whose mean probabilities on the training data are targets as well.
        teachers_share: of the loss, 0 to 1; the labels have the rest.
        balance_classes: weigh each class by the inverse of its share of the training split, as the report does.
    """

    encoder_learning_rate: float | None = field(default=None, metadata={"help": "Learning rate of the encoders."})
    layer_decay: float | None = field(default=None, metadata={"help": "Factor from one layer to the one below."})
    early_stopping_patience: int | None = field(default=None, metadata={"help": "Evaluations without a better one."})
    start_from: str | None = field(default=None, metadata={"help": "Model whose weights training starts from."})
    teachers: list[str] | None = field(default=None, metadata={"help": "Models to learn from."})
    teachers_share: float = field(default=0.5, metadata={"help": "Share of the loss to the teachers' targets."})
    balance_classes: bool = field(default=False, metadata={"help": "Weigh classes by their inverse frequency."})


@dataclass
class RunConfig:
    """What a run is made of; the sections of its YAML file.

    Args:
        encoders: pretrained `text` and `audio` encoders, by name or directory, and a `visual` one by the directory that
            `m2fnet train-extractor` wrote.
        model: arguments of [`M2FNetConfig`]; `labels` is a list of the labels in place of `id2label`.
        processor: arguments of [`M2FNetProcessor`] (`au_feature_extractor` may hold single settings, such as
            `person_normalization: false`), `tokenizer` where it is not the text encoder's own, and for a model that
            reads appearance `geometry` and the folder with the fitted components (`appearance`).
        training: arguments of [`EmotionTrainingArguments`].
        media: how recordings are read, where the data has some: `faces`, `frame_rate`, `audio_track` and
            `cache` as for the pipeline.
    """

    encoders: dict[str, str] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    processor: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    media: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, path: str | Path, overrides: Sequence[str] = ()) -> Self:
        """Read a YAML file and put `section.key=value` overrides on top.

        Raises:
            FileNotFoundError: without the file.
            ValueError: for what is not YAML, an unknown section or setting, a value of another type, or an override
                that is not `section.key=value`.
        """
        for override in overrides:
            if "=" not in override or "." not in override.split("=")[0]:
                raise ValueError(f"An override must read section.key=value, found {override!r}.")
        sections = read_mapping(path, overrides)
        known = [section.name for section in fields(cls)]
        if set(sections) - set(known):
            found = ", ".join(map(str, sections))
            raise ValueError(f"{path} must have sections among {', '.join(known)}, found {found}.")
        run = cls(**{name: {} if values is None else values for name, values in sections.items()})
        try:
            run.check()
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        return run

    def check(self) -> None:
        """Look at the names and types of all settings.

        Raises:
            ValueError: naming the first setting that is unknown or of another type.
        """
        for section in fields(self):
            check_section(section.name, getattr(self, section.name), self.settings_of(section.name))

    def settings_of(self, section: str) -> dict[str, Any]:
        """The settings that a section may have, and their types."""
        if section == "encoders":
            return dict.fromkeys(("text", "audio", "visual"), str | None)
        if section == "model":
            return {**config_settings(M2FNetConfig), "labels": list[str | int | float | bool] | None}
        if section == "processor":
            return PROCESSOR_SETTINGS
        if section == "media":
            return MEDIA_SETTINGS
        return {argument.name: argument.type for argument in fields(EmotionTrainingArguments) if argument.init}

    @property
    def label_names(self) -> list[str]:
        """The labels that the model will have, in its order."""
        names = self.model.get("labels") or dict(self.model.get("id2label") or {}).values()
        return [str(name) for name in names] or M2FNetConfig().label_names

    def training_arguments(self, output_dir: str | Path) -> EmotionTrainingArguments:
        """The arguments for Trainer.

        Raises:
            ImportError: where one needs a package that is not installed.
            ValueError: for one that the library does not know or take.
        """
        check_section("training", self.training, self.settings_of("training"))
        # YAML reads a bare `no` as false, the library wants the word.
        values: dict[str, Any] = {
            name: "no" if name.endswith("_strategy") and value is False else value
            for name, value in self.training.items()
        }
        fixed: dict[str, Any] = {
            "output_dir": str(output_dir),
            "remove_unused_columns": False,
            "label_names": ["labels"],
        }
        # The library refuses bf16 on a CPU that it was not told to use.
        defaults: dict[str, Any] = {"report_to": "none", "use_cpu": not torch.accelerator.is_available()}
        try:
            arguments = EmotionTrainingArguments(**{**defaults, **values, **fixed})
        except ImportError:
            raise
        except Exception as error:  # of many kinds
            said = " ".join(str(error).split()).rstrip(".")
            raise ValueError(f"`training` must hold what transformers takes, found: {said}.") from error
        if arguments.early_stopping_patience is not None and arguments.metric_for_best_model is None:
            raise ValueError(
                "`training.early_stopping_patience` needs the metric that must get better, found no "
                "`training.metric_for_best_model`; name it, such as weighted_f1."
            )
        return arguments
