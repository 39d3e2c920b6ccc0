"""Train the encoder of one modality on single utterances, before the fusion: features in which emotions lie apart."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Sampler
from transformers import AutoModel, EvalPrediction, PreTrainedModel, set_seed

from ...configuration_m2fnet import M2FNetConfig
from ...data.labels import label_id
from ...dialogue_m2fnet import Dialogue, Utterance
from ...encoders_m2fnet import encode_audio, encode_faces, encode_text
from ...losses import IGNORED, TripletLoss, emotion_loss, triplet_loss
from ...media.clip import Clip
from ...modeling_m2fnet import M2FNetPreTrainedModel
from ...processing_m2fnet import MODALITIES, M2FNetProcessor
from ...recordings.dataset import with_recordings
from ..settings import EmotionTrainingArguments, RunConfig
from ..trainer import EmotionTrainer, build_model, build_processor, last_checkpoint

Progress = Callable[..., Iterable[Any]]

# Of a run's `model`, what an encoder without a fusion behind it still needs.
_MODEL_ARGUMENTS = ("num_blocks", "labels", "id2label", "label2id", "num_labels")


@dataclass
class ExtractorSettings:
    """What an extractor run has that others have not.

    Args:
        embedding_size: of the linear layer behind the encoder, which is trained with it and then dropped.
        utterances_per_label: of a batch; the batch size must be a multiple of it, and twice as large at least.
        variance_weight: of that term of the triplet loss. With the paper's 1, the hardest negatives drew all embeddings
            of small encoders onto one point; with 100 they stayed apart.
        cross_entropy_weight: of a classifier's cross entropy beside the triplet loss.
    """

    embedding_size: int = 300
    utterances_per_label: int = 4
    variance_weight: float = 100.0
    cross_entropy_weight: float = 0.0


@dataclass
class ExtractorConfig(RunConfig):
    """What an extractor run is made of: [`RunConfig`], of which it reads the part of its modality.

    `balance_classes` changes nothing here, since every batch is balanced.

    Args:
        extractor: arguments of [`ExtractorSettings`].
    """

    extractor: dict[str, Any] = field(default_factory=dict)

    def settings(self) -> ExtractorSettings:
        """The section `extractor`.

        Raises:
            ValueError: for an argument that it does not have.
        """
        known = [setting.name for setting in fields(ExtractorSettings)]
        unknown = sorted(set(self.extractor) - set(known))
        if unknown:
            raise ValueError(f"`extractor` must have arguments among {', '.join(known)}, found {', '.join(unknown)}.")
        return ExtractorSettings(**self.extractor)


@dataclass(frozen=True, eq=False)
class Example:
    """A labelled utterance and where it stands: faces are normalised over their dialogue, text may have context."""

    dialogue: Dialogue
    index: int
    label: int


class UtteranceEmbedder(M2FNetPreTrainedModel):
    """An encoder, its output pooled, and a linear layer: one embedding per utterance.

    Args:
        config: of a model with this modality alone.
        encoder: of the modality.
        settings: [`ExtractorSettings`].
    """

    accepts_loss_kwargs = False  # its loss is a mean over each batch

    def __init__(self, config: M2FNetConfig, encoder: PreTrainedModel, settings: ExtractorSettings) -> None:
        super().__init__(config)
        (self.modality,) = config.modalities
        self.embedding = nn.Linear(config.feature_sizes[self.modality], settings.embedding_size)
        head = settings.cross_entropy_weight > 0
        self.classifier = nn.Linear(settings.embedding_size, config.num_labels or 0) if head else None
        self.post_init()
        self.utterance_encoder: Any = encoder  # only now: what it has learnt must not be initialised

    @property
    def text_encoder(self) -> Any:
        """The encoder, where it reads text."""
        return self.utterance_encoder if self.modality == "text" else None

    def forward(self, **inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        """What [`UtteranceCollator`] gives to `embeddings` [N, D] and, with a classifier, `logits` [N, C]."""
        embeddings = self.embedding(self.features(inputs))
        outputs = {"embeddings": embeddings}
        if self.classifier is not None:
            outputs["logits"] = self.classifier(embeddings)
        return outputs

    def features(self, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """What the fusion will read of each utterance [N, D]."""
        blocks = self.config.num_blocks
        if not inputs:
            return self.embedding.weight.new_empty(0, self.embedding.in_features)
        if self.modality == "text":
            tokens = inputs["input_ids"], inputs["attention_mask"], inputs["pooling_mask"]
            return encode_text(self.utterance_encoder, *tokens, blocks)
        if self.modality == "audio":
            return encode_audio(self.utterance_encoder, inputs["input_values"], inputs["audio_attention_mask"], blocks)
        faces = inputs["faces"], inputs["faces_mask"], inputs.get("face_areas")
        return encode_faces(self.utterance_encoder, *faces, blocks)


@dataclass
class UtteranceCollator:
    """Examples to a labelled batch of utterances; those that cannot be read, or show no face, are left out of it.

    Args:
        processor: [`M2FNetProcessor`].
        config: of a model with one modality.
    """

    processor: Any
    config: M2FNetConfig

    def __call__(self, examples: Sequence[Example]) -> dict[str, torch.Tensor]:
        if self.config.modalities == ("audio",):
            examples = [heard for example in examples if (heard := self._hear(example)) is not None]
        labels = torch.tensor([example.label for example in examples], dtype=torch.long)
        if not examples:
            return {"labels": labels}
        padded = self.processor([example.dialogue for example in examples], modalities=self.config.modalities)
        rows = torch.arange(len(examples)), torch.tensor([example.index for example in examples])
        batch = {name: values[rows] for name, values in padded.items()} | {"labels": labels}
        return self._see(batch) if self.config.modalities == ("visual",) else batch

    def _hear(self, example: Example) -> Example | None:
        """The example's sound alone, from its recording where it does not have it yet; `None` where there is none."""
        utterance = example.dialogue[example.index]
        sound, rate = utterance.audio, utterance.sampling_rate
        if sound is None:
            rate = self.processor.feature_extractor.sampling_rate
            sound = _recorded(example.dialogue, utterance, rate)
        if sound is None:
            return None
        return Example(Dialogue([Utterance(audio=sound, sampling_rate=rate)]), 0, example.label)

    def _see(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        names = _face_inputs(self.config)
        batch["faces"] = torch.cat([batch[name] for name in names], dim=-1)
        batch["faces_mask"] = torch.stack([batch[f"{name}_mask"] for name in names]).all(0)
        seen = batch["faces_mask"].flatten(1).any(1)
        return {name: values[seen] for name, values in batch.items()}


class BalancedSampler(Sampler[int]):
    """Indices in an order in which every batch holds several utterances each of several labels.

    Each batch draws its labels anew, each of them as often as the others; an utterance comes again only when all others
    of its label have come. An epoch has as many batches as there are utterances for.

    Args:
        labels: of all utterances.
        batch_size: utterances in a batch.
        utterances_per_label: utterances that are drawn of a label at a time.
        seed: of the draw, which is another in each epoch (`set_epoch`).

    Raises:
        ValueError: for less than two labels, or a batch that does not hold two full draws or a whole number of them.
    """

    def __init__(self, labels: Sequence[int], batch_size: int, utterances_per_label: int, seed: int) -> None:
        places = np.asarray(labels)
        self.members = [np.flatnonzero(places == label) for label in np.unique(places)]
        if len(self.members) < 2:
            raise ValueError(f"An extractor needs utterances of two labels at least, found {len(self.members)}.")
        self.draws, rest = divmod(batch_size, utterances_per_label)
        if self.draws < 2 or rest:
            raise ValueError(
                f"The batch size must be {utterances_per_label} (`utterances_per_label`) times 2 or more, "
                f"found {batch_size}; set `per_device_train_batch_size`."
            )
        self.utterances_per_label = utterances_per_label
        self.batches = max(1, len(labels) // batch_size)
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the draw."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.batches * self.draws * self.utterances_per_label

    def __iter__(self) -> Iterator[int]:
        random = np.random.default_rng([self.seed, self.epoch])
        queues = [_endless(members, random) for members in self.members]
        for _ in range(self.batches):
            for label in np.resize(random.permutation(len(queues)), self.draws):
                yield from islice(queues[label], self.utterances_per_label)


class ExtractorTrainer(EmotionTrainer):
    """Trainer on balanced batches of utterances, judged by how many have a nearest neighbour with their label.

    Args:
        model: [`UtteranceEmbedder`].
        args, processor: as of [`EmotionTrainer`].
        train_dataset, eval_dataset: [`Example`]s.
        settings: [`ExtractorSettings`].
    """

    def __init__(
        self,
        model: UtteranceEmbedder,
        args: EmotionTrainingArguments,
        processor: M2FNetProcessor,
        train_dataset: Sequence[Example],
        eval_dataset: Sequence[Example],
        settings: ExtractorSettings,
    ) -> None:
        super().__init__(model, args, processor, train_dataset, eval_dataset)  # type: ignore[arg-type]
        self.data_collator = UtteranceCollator(processor, model.config)
        self.preprocess_logits_for_metrics = None
        self.settings = settings
        self.losses: list[TripletLoss] = []

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The triplet loss, and the classifier's where it has one."""
        labels = inputs["labels"]
        outputs = model(**{name: values for name, values in inputs.items() if name != "labels"})
        parts = triplet_loss(outputs["embeddings"], labels, variance_weight=self.settings.variance_weight)
        loss = parts.total
        if "logits" in outputs:
            loss = loss + self.settings.cross_entropy_weight * emotion_loss(outputs["logits"], labels)
        if model.training:
            self.losses.append(TripletLoss(*(part.detach() for part in parts)))
        return (loss, {"loss": loss, "embeddings": outputs["embeddings"]}) if return_outputs else loss

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """The loss, with its terms since the last time."""
        if "loss" in logs:
            for name, values in zip(TripletLoss._fields[1:], list(zip(*self.losses, strict=True))[1:], strict=True):
                logs[f"{name}_loss"] = torch.stack(values).mean().item()
            self.losses.clear()
        super().log(logs, *args, **kwargs)

    def embed(self, examples: Sequence[Example], progress: Progress | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings [N, D] on the unit sphere and labels [N] of the examples that can be read, in their order.

        Raises:
            ValueError: where there is none.
        """
        model: Any = self.model
        model.eval()
        loader: DataLoader = DataLoader(
            list(examples),  # type: ignore[arg-type]
            self.args.eval_batch_size,
            collate_fn=self.data_collator,
            num_workers=self.args.dataloader_num_workers,
        )
        batches = loader if progress is None else progress(loader, description="Embeddings", total=len(loader))
        embeddings, labels = [], []
        for batch in batches:
            labels.append(batch.pop("labels"))
            with torch.no_grad():
                embeddings.append(model(**self._prepare_inputs(batch))["embeddings"].float().cpu())
        if not sum(map(len, labels)):
            raise ValueError(
                f"An extractor needs labelled utterances with {model.modality} in train and dev, found none that can "
                "be read; check the data."
            )
        return nn.functional.normalize(torch.cat(embeddings), dim=-1), torch.cat(labels)

    def _get_train_sampler(self, train_dataset: Any = None) -> BalancedSampler:
        examples: Any = self.train_dataset if train_dataset is None else train_dataset
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
        labels = [example.label for example in examples]
        return BalancedSampler(labels, self._train_batch_size, self.settings.utterances_per_label, seed)

    def _metrics(self, output: EvalPrediction) -> dict[str, float]:
        embeddings = nn.functional.normalize(torch.as_tensor(output.predictions).float(), dim=-1)
        return neighbour_figures(embeddings, torch.as_tensor(output.label_ids))


def train_extractor(
    run: ExtractorConfig,
    modality: str,
    train: Sequence[Dialogue],
    dev: Sequence[Dialogue],
    output: str | Path,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train an encoder so that utterances of one emotion lie together, and save it as the library saves a model.

    The folder serves a fusion run as `encoders: {<modality>: <output>}`. A run that was interrupted goes on from its
    last checkpoint in it.

    Args:
        run: its `encoders.<modality>`, or else its `model.<modality>_config`, is trained.
        modality: `text`, `audio` or `visual`.
        train, dev: utterances with a label and the modality are used. Sound and faces may be those of an utterance's
            `video`, or of its time in the dialogue's `recording`.
        output: folder for the encoder, its processor, `run.json`, and `results.json` with what is returned.
        progress: wraps the passes before and after training, as `rich.progress.track` does.

    Returns:
        `modality`, `utterances` and `skipped` (those of them that could not be read) by split, and `before` and `after`
        training the [`neighbour_figures`] of dev and `nearest_neighbour_accuracy`, the share of dev whose nearest
        neighbour in train has its label.

    Raises:
        ValueError: for another modality, unusable settings, or data with less than two labels.
    """
    if modality not in MODALITIES:
        raise ValueError(f"The modality must be one of {', '.join(MODALITIES)}, found {modality!r}.")
    settings, args = run.settings(), run.training_arguments(output)
    set_seed(args.seed)
    alone = _of_modality(run, modality)
    processor = build_processor(alone)
    fusion = build_model(alone, processor)
    encoder = getattr(fusion.model, f"{modality}_encoder")
    splits = {}
    for split, dialogues in (("train", train), ("dev", dev)):
        if modality == "visual":
            dialogues = _with_faces(dialogues, fusion, processor, run.media, progress)
        splits[split] = _examples(dialogues, fusion.config)
    model = UtteranceEmbedder(fusion.config, encoder, settings)
    trainer = ExtractorTrainer(model, args, processor, splits["train"], splits["dev"], settings)

    before, read = _measure(trainer, splits, progress)
    trainer.train(resume_from_checkpoint=last_checkpoint(output))
    after, _ = _measure(trainer, splits, progress)
    results = {
        "modality": modality,
        "utterances": {split: len(examples) for split, examples in splits.items()},
        "skipped": {split: len(examples) - read[split] for split, examples in splits.items()},
        "before": before,
        "after": after,
    }
    if trainer.is_world_process_zero():
        save_encoder(encoder, output)
        processor.save_pretrained(output)
        for name, content in (("run.json", asdict(run)), ("results.json", results)):
            (Path(output) / name).write_text(json.dumps(content, indent=2, default=str) + "\n")
    return results


def save_encoder(encoder: Any, folder: str | Path) -> None:
    """Save an encoder for `AutoModel.from_pretrained`."""
    if encoder.config.is_encoder_decoder:  # AutoModel loads both halves
        whole = AutoModel.from_config(encoder.config)
        whole.get_encoder().load_state_dict(encoder.state_dict())
        encoder = whole
    encoder.save_pretrained(folder)


def neighbour_figures(embeddings: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """How well labels lie apart in embeddings [N, D].

    Returns:
        `leave_one_out_accuracy`, the share whose nearest neighbour has their label, and the mean Euclidean distances
        of two utterances of one label (`positive_distance`) and of different ones (`negative_distance`).
    """
    distances = torch.cdist(embeddings, embeddings)
    itself = torch.eye(len(labels), dtype=torch.bool)
    same = labels.unsqueeze(1) == labels
    nearest = distances.masked_fill(itself, float("inf")).argmin(1)
    return {
        "leave_one_out_accuracy": _share_equal(labels[nearest], labels),
        "positive_distance": distances[same & ~itself].mean().item(),
        "negative_distance": distances[~same].mean().item(),
    }


def _measure(
    trainer: ExtractorTrainer, splits: Mapping[str, Sequence[Example]], progress: Progress | None
) -> tuple[dict[str, float], dict[str, int]]:
    """The figures of dev, and how many utterances of each split could be read."""
    train, train_labels = trainer.embed(splits["train"], progress)
    dev, dev_labels = trainer.embed(splits["dev"], progress)
    nearest = torch.cdist(dev, train).argmin(1)
    accuracy = {"nearest_neighbour_accuracy": _share_equal(train_labels[nearest], dev_labels)}
    return accuracy | neighbour_figures(dev, dev_labels), {"train": len(train), "dev": len(dev)}


def _share_equal(predictions: torch.Tensor, labels: torch.Tensor) -> float:
    return (predictions == labels).float().mean().item()


def _of_modality(run: RunConfig, modality: str) -> RunConfig:
    """The run of a model that reads this modality alone, with a trainable encoder and next to nothing behind it."""
    wanted = (f"{modality}_config", *_MODEL_ARGUMENTS, *(("face_pooling",) if modality == "visual" else ()))
    model = {name: run.model[name] for name in wanted if name in run.model}
    model |= {"freeze_text_encoder": False, "freeze_audio_encoder": False}
    model |= {"num_hidden_layers": 0, "num_fusion_layers": 0}
    encoders = {name: source for name, source in run.encoders.items() if name == modality}
    return RunConfig(encoders=encoders, model=model, processor=run.processor, training=run.training)


def _with_faces(
    dialogues: Sequence[Dialogue], model: Any, processor: Any, media: dict[str, Any], progress: Progress | None
) -> Sequence[Dialogue]:
    """The dialogues, with the faces of their recordings where they have some."""
    (seen,) = with_recordings([list(dialogues)], model, processor, media)
    every = (seen[number] for number in range(len(seen)))
    return list(every if progress is None else progress(every, description="Faces", total=len(seen)))


def _examples(dialogues: Sequence[Dialogue], config: M2FNetConfig) -> list[Example]:
    """The labelled utterances that have the modality."""
    return [
        Example(dialogue, index, label)
        for dialogue in dialogues
        for index, utterance in enumerate(dialogue)
        if (label := label_id(utterance.label, config.label_ids)) != IGNORED and _has(dialogue, utterance, config)
    ]


def _has(dialogue: Dialogue, utterance: Utterance, config: M2FNetConfig) -> bool:
    if config.modalities == ("audio",):
        return utterance.audio is not None or _span(dialogue, utterance) is not None
    names = ("text",) if config.modalities == ("text",) else _face_inputs(config)
    return all(getattr(utterance, name) is not None for name in names)


def _span(dialogue: Dialogue, utterance: Utterance) -> tuple[str | Path, float, float | None] | None:
    """Where its sound can be read: its own clip, or a part of the dialogue's recording."""
    if utterance.video is not None:
        return utterance.video, 0.0, None
    if dialogue.recording is not None and utterance.start is not None and utterance.end is not None:
        return dialogue.recording, utterance.start, utterance.end
    return None


def _recorded(dialogue: Dialogue, utterance: Utterance, rate: int) -> np.ndarray | None:
    span = _span(dialogue, utterance)
    if span is None:
        return None
    recording, start, end = span
    try:
        return Clip(recording).sound(start, end, rate)
    except (OSError, ValueError):
        return None


def _face_inputs(config: M2FNetConfig) -> tuple[str, ...]:
    """What the visual encoder reads of a face."""
    assert config.visual_config is not None
    chosen = config.visual_config.visual_features
    return ("action_units", "appearance") if chosen == "both" else (chosen,)


def _endless(members: np.ndarray, random: np.random.Generator) -> Iterator[int]:
    while True:
        yield from random.permutation(members).tolist()
