"""How much of what the layers of a model are given is padding."""

from collections.abc import Callable
from typing import Any
from unittest import mock

import torch
from torch import nn

from m2fnet_hf import M2FNetForEmotionClassification

from . import workload
from .measurements import at_most

DIALOGUES = 8
LONGEST_SOUND = 1.0  # seconds; it changes no share and saves minutes


def measure(quick: bool = False) -> dict[str, Any]:
    """Rows of all linear layers and positions of all attention, in one batch of dialogues."""
    torch.manual_seed(0)
    model = M2FNetForEmotionClassification(workload.config(quick=True)).eval()
    counts = workload.utterance_counts(2 if quick else DIALOGUES)
    inputs = workload.inputs(counts, model.config, LONGEST_SOUND)
    together = _Seen(model, inputs)
    alone = [_Seen(model, utterance) for utterance in workload.one_by_one(inputs)]
    rows = 1 - sum(one.encoder_rows for one in alone) / together.encoder_rows
    dialogues = [_Seen(model, workload.one_dialogue(inputs, b, count)) for b, count in enumerate(counts)]
    core = 1 - sum(one.core_rows for one in dialogues) / together.core_rows
    pairs = 1 - sum(one.core_pairs for one in dialogues) / together.core_pairs
    encoder_pairs = 1 - sum(one.encoder_pairs for one in alone) / together.encoder_pairs
    return {
        "ran": f"a small model of the report's shape on {len(counts)} dialogues, {sum(counts)} utterances",
        "measurements": {
            "share of padding in the rows of linear layers": at_most(0, [max(rows, core)]),
            "share of padding in what attention compares": at_most(0.05, [max(pairs, encoder_pairs)]),
        },
    }


class _Seen:
    """Rows that the linear layers of a model were given, and pairs that its attention compared, in one forward pass."""

    def __init__(self, model: nn.Module, inputs: dict[str, torch.Tensor]) -> None:
        self.encoder_rows = self.core_rows = 0
        self.encoder_pairs = self.core_pairs = 0
        self.in_encoder = False
        attend = nn.functional.scaled_dot_product_attention
        hooks = [
            module.register_forward_pre_hook(self._rows(name))
            for name, module in model.named_modules()
            if isinstance(module, nn.Linear) and "visual" not in name
        ]
        with (
            torch.inference_mode(),
            mock.patch.object(nn.functional, "scaled_dot_product_attention", self._pairs(attend)),
        ):
            model(**inputs)
        for hook in hooks:
            hook.remove()

    def _rows(self, name: str) -> Callable[..., None]:
        in_encoder = "_encoder." in name

        def count(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            self.in_encoder = in_encoder  # the attention that follows belongs to the same part
            rows = inputs[0].shape[:-1].numel()
            if in_encoder:
                self.encoder_rows += rows
            else:
                self.core_rows += rows

        return count

    def _pairs(self, attend: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def count(query: torch.Tensor, key: torch.Tensor, *rest: Any, **options: Any) -> torch.Tensor:
            pairs = query.shape[:-1].numel() * key.shape[-2]
            if self.in_encoder:
                self.encoder_pairs += pairs
            else:
                self.core_pairs += pairs
            return attend(query, key, *rest, **options)

        return count
