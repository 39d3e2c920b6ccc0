"""m2fnet-mini in plain torch around the package's M2FNet: normalisation per speaker, and the config.

The sound tower is in `sound.py`. What is here works on its features, on Action Units averaged over an utterance, and on
the text encoder's features; `m2fnet` is the package's own class, whose weights are saved as it saves them.

Shapes: B dialogues, U utterances, D features, C classes. Masks are true where real.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from m2fnet_hf import M2FNetConfig, M2FNetForEmotionClassification

TEXT_SIZE, SOUND_SIZE, NUM_UNITS = 384, 768, 20


class SpeakerNormalization(nn.Module):
    """Features less what is usual for their speaker in this conversation, and how many utterances that rests on.

    With z the standardised features, N utterances in the dialogue that have them and n of the speaker's:

        dialogue's mean  d = sum over all z / (N + dialogue_strength)
        speaker's mean   m = (sum over the speaker's z + speaker_strength * d) / (n + speaker_strength)
        result           z - m, and log(1 + n)

    so the mean of few is drawn towards that of all, and that of a short dialogue towards the training data's (0). An
    unknown speaker has the mean d and n = 0. `causal` sums over an utterance and those before it.

    Args:
        size: D.
        speaker_strength, dialogue_strength: k and k0, in utterances.
        masked: whether single features may be unknown; the result then holds the mask, too.

    Attributes:
        mean, scale: [D], over the clips trained with, `scale` the standard deviation within speakers.
    """

    def __init__(self, size: int, speaker_strength: float, dialogue_strength: float, masked: bool = False) -> None:
        super().__init__()
        self.speaker_strength = speaker_strength
        self.dialogue_strength = dialogue_strength
        self.masked = masked
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))

    @property
    def size(self) -> int:
        """Features of the result: D, as many masks where `masked`, and one count."""
        return len(self.mean) * (1 + self.masked) + 1

    def fit(self, values: torch.Tensor, speakers: Sequence[str]) -> None:
        """Take `mean` and `scale` from features [N, D] of clips of these speakers; NaN where unknown."""
        known = ~values.isnan()
        values = values.nan_to_num()
        self.mean = values.sum(0) / known.sum(0).clamp(min=1)
        residual = torch.zeros_like(values)
        for speaker in sorted(set(speakers)):
            own = torch.tensor([name == speaker for name in speakers])
            mean = values[own].sum(0) / known[own].sum(0).clamp(min=1)
            residual[own] = (values[own] - mean) * known[own]
        self.scale = (residual.square().sum(0) / known.sum(0).clamp(min=1)).sqrt().clamp(min=1e-3)

    def forward(
        self, values: torch.Tensor, known: torch.Tensor, speaker_ids: torch.Tensor, causal: bool = False
    ) -> torch.Tensor:
        """Features [B, U, D], which are known [B, U, D], speakers [B, U] (-1 where unknown), to [B, U, size]."""
        weight = known.to(values.dtype)
        z = (values.nan_to_num() - self.mean) / self.scale * weight
        everyone = torch.ones(*speaker_ids.shape, speaker_ids.shape[1], dtype=values.dtype, device=values.device)
        if causal:
            everyone = everyone.tril()
        same = (speaker_ids.unsqueeze(2) == speaker_ids.unsqueeze(1)) & (speaker_ids >= 0).unsqueeze(2)
        same = same * everyone
        dialogue = everyone @ z / (everyone @ weight + self.dialogue_strength)
        own = same @ weight
        mean = (same @ z + self.speaker_strength * dialogue) / (own + self.speaker_strength)
        count = (same @ known.any(-1, keepdim=True).to(values.dtype)).log1p()
        return torch.cat([(z - mean) * weight, *([weight] if self.masked else []), count], dim=-1)


class M2FNetMini(nn.Module):
    """Normalisation of sound and faces per speaker, then M2FNet on features.

    Args:
        config: of M2FNet, without feature sizes, which are set here.
        speaker_strength, dialogue_strength: of [`SpeakerNormalization`].
        normalize: without it features are standardised only, for comparison.
    """

    def __init__(
        self,
        config: dict[str, Any],
        speaker_strength: float = 2.0,
        dialogue_strength: float = 4.0,
        normalize: bool = True,
    ) -> None:
        super().__init__()
        self.settings = {
            "config": config,
            "speaker_strength": speaker_strength,
            "dialogue_strength": dialogue_strength,
            "normalize": normalize,
        }
        strengths = (speaker_strength, dialogue_strength) if normalize else (1.0, 1e9)
        self.sound = SpeakerNormalization(SOUND_SIZE, *strengths)
        self.faces = SpeakerNormalization(NUM_UNITS, *strengths, masked=True)
        self.m2fnet = M2FNetForEmotionClassification(
            M2FNetConfig(
                text_feature_size=TEXT_SIZE,
                audio_feature_size=self.sound.size,
                visual_feature_size=self.faces.size,
                **config,
            )
        )
        # A layer norm would take from these how far they are from what is usual; they have a scale already.
        for modality in ("audio", "visual"):
            self.m2fnet.model.modalities[modality].norm = nn.Identity()

    def forward(
        self,
        text: torch.Tensor,
        has_text: torch.Tensor,
        sound: torch.Tensor,
        has_sound: torch.Tensor,
        units: torch.Tensor,
        units_known: torch.Tensor,
        speaker_ids: torch.Tensor,
        utterance_mask: torch.Tensor,
    ) -> torch.Tensor:
        """Text [B, U, 384], sound [B, U, 768], Action Units [B, U, 20] and their masks, to logits [B, U, C]."""
        # Without normalisation per speaker all speakers are unknown, and the dialogue's mean weighs nothing.
        speakers = speaker_ids if self.settings["normalize"] else torch.full_like(speaker_ids, -1)
        causal = self.m2fnet.config.causal
        return self.m2fnet(
            text_features=text,
            text_features_mask=has_text,
            audio_features=self.sound(sound, has_sound.unsqueeze(-1).expand_as(sound), speakers, causal),
            audio_features_mask=has_sound,
            visual_features=self.faces(units, units_known, speakers, causal),
            visual_features_mask=units_known.any(-1),
            utterance_mask=utterance_mask,
            speaker_ids=speaker_ids,
        ).logits

    def save(self, folder: Path) -> None:
        """`model.safetensors` (single precision) and `settings.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: value.contiguous() for name, value in self.state_dict().items()}, folder / "model.safetensors")
        (folder / "settings.json").write_text(json.dumps(self.settings, indent=2))

    @classmethod
    def load(cls, folder: Path) -> "M2FNetMini":
        """What [`save`] wrote, in evaluation mode."""
        model = cls(**json.loads((folder / "settings.json").read_text()))
        model.load_state_dict(load_file(folder / "model.safetensors"))
        return model.eval()
