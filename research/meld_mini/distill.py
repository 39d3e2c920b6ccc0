"""Train a small model on the outputs of larger ones, before `m2fnet train` goes on with it.

    python research/meld_mini/distill.py research/meld_mini/distill.yaml --teachers runs/out_of_fold \\
        --meld MELD.Raw --output runs/distilled

`out_of_fold.py` made `runs/out_of_fold`. The student learns its teachers' probabilities (Hinton et al., 2015; they have
`teachers_share` of the loss where there are labels, too) and, through a linear layer that is thrown away afterwards,
the components of their hidden layer (hints, Romero et al., 2015). Dev is read only to follow the training.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.utils.rnn import pad_sequence

from m2fnet_hf import Dialogue
from m2fnet_hf.data.folder import read_dialogues
from m2fnet_hf.data.meld import load_meld_split
from m2fnet_hf.training.collator import DialogueCollator
from m2fnet_hf.training.settings import RunConfig
from m2fnet_hf.training.trainer import EmotionTrainer, load_weights, train

HINT_BATCHES = 320


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="YAML file of the run, as of `m2fnet train`")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    parser.add_argument("--teachers", type=Path, required=True, help="folder that out_of_fold.py wrote")
    parser.add_argument("--meld", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    files = sorted((options.teachers / "teachers").glob("*.safetensors"))
    train(
        RunConfig.load(options.config, options.overrides),
        read_dialogues(options.teachers)["train"],
        load_meld_split(options.meld, "dev"),
        options.output,
        trainer_type=partial(DistillationTrainer, teachers=[load_file(file) for file in files]),
    )


@dataclass
class TeacherCollator(DialogueCollator):
    """A batch with `teacher_outputs` [B, U, C + K], NaN at padding, and the `teacher` of each dialogue [B].

    Dialogues that no teacher has read, such as those of dev, come without.
    """

    teachers: Sequence[Mapping[str, torch.Tensor]] = field(default_factory=list)

    def __call__(self, dialogues: Sequence[Dialogue]) -> dict[str, torch.Tensor]:
        batch = super().__call__(dialogues)
        known = [
            (number, teacher[str(dialogue.id)])
            for dialogue in dialogues
            for number, teacher in enumerate(self.teachers)
            if str(dialogue.id) in teacher
        ]
        if known:
            batch["teacher"] = torch.tensor([number for number, _ in known])
            batch["teacher_outputs"] = pad_sequence(
                [rows for _, rows in known], batch_first=True, padding_value=torch.nan
            )
        return batch


class DistillationTrainer(EmotionTrainer):
    """EmotionTrainer for dialogues that have teachers.

    Args:
        teachers: what each gave for its dialogues, by their id; the labels in alphabetical order.
    """

    def __init__(self, *args: Any, teachers: Sequence[Mapping[str, torch.Tensor]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        model: Any = self.model
        config = model.config
        self.data_collator = TeacherCollator(
            self.processing_class, config.modalities, config.label_ids, teachers=teachers
        )
        self.order = torch.tensor([sorted(self.names).index(name) for name in self.names])
        self.components = next(iter(teachers[0].values())).shape[1] - len(self.names)
        self.label_smoothing = config.label_smoothing
        self.hints = nn.Sequential(
            nn.LayerNorm(config.hidden_size), nn.Linear(config.hidden_size, len(teachers) * self.components)
        ).to(model.device)

    def create_optimizer(self, *args: Any, **kwargs: Any) -> torch.optim.Optimizer:
        optimizer = super().create_optimizer(*args, **kwargs)
        optimizer.add_param_group({"params": list(self.hints.parameters()), "lr": self.args.learning_rate})
        return optimizer

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """The mean over utterances of cross entropy to teachers and labels, and of the squared error of the hints."""
        if "teacher_outputs" not in inputs:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        targets, teacher, labels = (inputs.pop(name) for name in ("teacher_outputs", "teacher", "labels"))
        outputs = model(**inputs)
        real = inputs["utterance_mask"].bool()
        probabilities, components = targets[real].split([len(self.names), self.components], -1)
        logits, (states, *_) = outputs["logits"][real].float(), outputs["modality_states"]
        loss = nn.functional.cross_entropy(logits, probabilities[:, self.order], reduction="none")
        labels, share = labels[real], self.args.teachers_share
        own = nn.functional.cross_entropy(
            logits, labels.clamp(min=0), reduction="none", label_smoothing=self.label_smoothing
        )
        loss = torch.where(labels >= 0, share * loss + (1 - share) * own, loss)
        hints = self.hints(states[real].float()).unflatten(-1, (-1, self.components))
        whose = teacher.unsqueeze(-1).expand(real.shape)[real]
        hints = hints[torch.arange(len(whose), device=hints.device), whose]
        loss = (loss + (hints - components).square().mean(-1)).mean()
        return (loss, outputs) if return_outputs else loss

    def train(self, resume_from_checkpoint: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Trainer's, behind [`fit_hints`] on the weights that training goes on from."""
        if resume_from_checkpoint:
            load_weights(self.model, resume_from_checkpoint)
        self.fit_hints()
        return super().train(resume_from_checkpoint, *args, **kwargs)

    def fit_hints(self) -> None:
        """Let the hints begin where least squares puts them on a sample, so that the encoder learns from the start."""
        model: Any = self.model
        seen: list[list[tuple[torch.Tensor, torch.Tensor]]] = [[] for _ in self.data_collator.teachers]
        model.eval()
        for inputs in islice(self.get_train_dataloader(), HINT_BATCHES):
            targets, teacher, _ = (inputs.pop(name) for name in ("teacher_outputs", "teacher", "labels"))
            with torch.inference_mode(), self.compute_loss_context_manager():
                states = model(**inputs)["modality_states"][0].float()
            for row, rows, mask, number in zip(states, targets, inputs["utterance_mask"].bool(), teacher, strict=True):
                seen[number].append((self.hints[0](row[mask]), rows[mask, len(self.names) :]))
        model.train()
        layer: Any = self.hints[1]
        for number, pairs in enumerate(seen):
            if not pairs:
                continue
            own = slice(number * self.components, (number + 1) * self.components)
            states, components = (torch.cat(part) for part in zip(*pairs, strict=True))
            states = nn.functional.pad(states, (0, 1), value=1.0)
            ridge = torch.eye(states.shape[1], device=states.device)
            solved = torch.linalg.solve(states.T @ states + ridge, states.T @ components)
            layer.weight.data[own], layer.bias.data[own] = solved[:-1].T, solved[-1]


if __name__ == "__main__":
    main()
