"""Trainer of one encoder by the triplet loss."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader
from transformers import EvalPrediction

from ...losses import emotion_loss
from ...processing_m2fnet import M2FNetProcessor
from ...utils.console import Progress
from ..settings import EmotionTrainingArguments
from ..trainer import EmotionTrainer
from .embedder import UtteranceEmbedder
from .examples import Example, UtteranceCollator
from .losses import TripletLoss, triplet_loss
from .neighbours import neighbour_metrics
from .sampler import BalancedSampler
from .settings import ExtractorSettings


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
        return neighbour_metrics(embeddings, torch.as_tensor(output.label_ids))
