"""Sound encoders that read mel spectrograms, at any length: the library's own read one length alone.

Shapes: N utterances, L frames, M values of a frame, P places of a row (two frames of Whisper's, else one), H the
encoder's hidden size. Masks are true where real.
"""

from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from transformers import ASTModel, PreTrainedConfig, PreTrainedModel
from transformers.masking_utils import create_bidirectional_mask
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.whisper.modeling_whisper import WhisperEncoder
from transformers.utils.generic import merge_with_config_defaults
from transformers.utils.output_capturing import capture_outputs

from .packing_m2fnet import length_mask, split_rows
from .spectrogram_layout_m2fnet import spectrogram_layout

# Where the last norm of an encoder is. The layers of the others end in one of their own.
_FINAL_NORMS = {"whisper": "layer_norm", "audio-spectrogram-transformer": "layernorm"}


def spectrogram_rows(config: PreTrainedConfig, values: torch.Tensor, mask: torch.Tensor) -> list[torch.Tensor]:
    """Spectrograms [N, L, M] to N rows of places [P, M * frames] of their real length.

    Raises:
        ValueError: for a spectrogram that is too short.
    """
    layout = spectrogram_layout(config)
    rows = split_rows(values, mask)
    shortest = min(map(len, rows))
    if shortest < layout.shortest:
        raise ValueError(
            f"`input_features` must hold {layout.shortest} frames of an utterance at least ({config.model_type} reads "
            f"{layout.behind * layout.frames} frames of silence behind it), found {shortest}; M2FNetProcessor gives "
            "both."
        )
    return [
        nn.functional.pad(row, (0, 0, 0, len(row) % layout.frames)).unflatten(0, (-1, layout.frames)).flatten(1)
        for row in rows
    ]


def fill_patches(config: Any, row: torch.Tensor) -> torch.Tensor:
    """A row [L, M] whose last patch is filled up with its last frame, where the encoder reads patches."""
    if config.model_type != "audio-spectrogram-transformer":
        return row
    missing = -max(0, len(row) - config.patch_size) % config.time_stride + max(0, config.patch_size - len(row))
    return torch.cat([row, row[-1:].expand(missing, -1)])


def spectrogram_states(encoder: Any, rows: list[torch.Tensor], **options: Any) -> tuple[Any, torch.Tensor]:
    """Rows [P, M * frames] of one piece each, to the encoder's output and which of its positions are pooled [n, L]."""
    rows = [fill_patches(encoder.config, row) for row in rows]
    values = pad_sequence(rows, batch_first=True)
    lengths = torch.tensor([len(row) for row in rows], device=values.device)
    output = read_spectrograms(encoder, values, lengths if len(rows) > 1 else None, **options)
    return output, sound_positions(encoder, lengths, output.last_hidden_state.shape[1])


def read_spectrograms(encoder: Any, values: torch.Tensor, lengths: torch.Tensor | None, **options: Any) -> Any:
    """Padded places [n, P, M * frames] and how many are real [n] to the encoder's output; without, all are."""
    mask = None if lengths is None else length_mask(lengths, values.shape[1]).long()
    frames = values.unflatten(2, (spectrogram_layout(encoder.config).frames, -1)).flatten(1, 2)
    if encoder.config.model_type == "whisper":
        frames = frames.transpose(1, 2)
    return encoder(frames, attention_mask=mask, **options)


def sound_positions(encoder: Any, lengths: torch.Tensor, size: int) -> torch.Tensor:
    """Which of the `size` positions of an encoder's output are the sound's own [n, size], of rows of `lengths`."""
    layout = spectrogram_layout(encoder.config)
    ends = num_positions(encoder, lengths) - layout.behind
    return length_mask(ends, size) & ~length_mask(torch.full_like(ends, layout.before), size)


def num_positions(encoder: Any, lengths: torch.Tensor) -> torch.Tensor:
    """Positions [N] that an encoder makes of each number of places [N]."""
    config = encoder.config
    if config.model_type == "audio-spectrogram-transformer":
        bands = (config.num_mel_bins - config.patch_size) // config.frequency_stride + 1
        return 2 + bands * ((lengths - config.patch_size) // config.time_stride + 1)
    return lengths if config.model_type == "whisper" else encoder._get_feat_extract_output_lengths(lengths)


def remove_final_norm(encoder: Any) -> None:
    """Let an encoder end before its last layer norm.

    Raises:
        ValueError: for one that does not end in a norm.
    """
    config = encoder.config
    if config.model_type in _FINAL_NORMS:
        setattr(encoder, _FINAL_NORMS[config.model_type], nn.Identity())
    elif getattr(config, "do_stable_layer_norm", False):
        encoder.encoder.layer_norm = nn.Identity()
    else:
        raise ValueError(
            f"`audio_final_norm=False` needs a sound encoder that ends in a layer norm, such as Whisper's, found "
            f"{config.model_type}; leave it true."
        )


def lacks_final_norm(encoder: Any) -> bool:
    """Whether its last layer norm was removed."""
    return isinstance(getattr(encoder, _FINAL_NORMS.get(encoder.config.model_type, ""), None), nn.Identity)


class AnyLengthWhisperEncoder(WhisperEncoder):
    """Whisper's encoder without its demand for 30 s; positions are cut to the length of the sound."""

    @merge_with_config_defaults
    @capture_outputs
    def forward(
        self, input_features: torch.Tensor, attention_mask: torch.Tensor | None = None, **kwargs: Any
    ) -> BaseModelOutput:
        """Spectrograms [N, M, 2 P] and which positions are real [N, P] to states [N, P, H]."""
        states = nn.functional.gelu(self.conv1(input_features))
        if attention_mask is not None:
            # The second convolution must see at the end of a row what it sees where a row ends a batch.
            real = attention_mask.unsqueeze(2).expand(-1, -1, 2).flatten(1)
            states = states * real.unsqueeze(1).to(states.dtype)
        states = nn.functional.gelu(self.conv2(states)).transpose(1, 2)
        states = states + self.embed_positions(torch.arange(states.shape[1], device=states.device))
        states = nn.functional.dropout(states, self.dropout, self.training)
        mask = create_bidirectional_mask(config=self.config, inputs_embeds=states, attention_mask=attention_mask)
        for layer in self.layers:
            if not (self.training and torch.rand([]) < self.layerdrop):
                states = layer(states, mask, **kwargs)
        return BaseModelOutput(last_hidden_state=self.layer_norm(states))


class AnyLengthASTModel(ASTModel):
    """AST with its grid of positions cut to the length of the sound, and patches in the order of time."""

    @merge_with_config_defaults
    @capture_outputs
    def forward(
        self, input_values: torch.Tensor, attention_mask: torch.Tensor | None = None, **kwargs: Any
    ) -> BaseModelOutput:
        """Spectrograms [N, L, M] and which frames are real [N, L] to states [N, 2 + P, H], two tokens first."""
        parts, config = self.embeddings, self.config
        patches = parts.patch_embeddings.projection(input_values.unsqueeze(1).transpose(2, 3))
        columns = patches.shape[3]
        grid = parts.position_embeddings[0, 2:].unflatten(0, parts.get_shape(config))
        grid = grid.index_select(1, torch.arange(columns, device=grid.device))
        states = (patches.permute(0, 3, 2, 1) + grid.transpose(0, 1)).flatten(1, 2)
        tokens = torch.cat([parts.cls_token, parts.distillation_token], dim=1) + parts.position_embeddings[:, :2]
        states = parts.dropout(torch.cat([tokens.expand(len(states), -1, -1), states], dim=1))
        if attention_mask is not None:
            attention_mask = length_mask(num_positions(self, attention_mask.sum(1)), states.shape[1])
        mask = create_bidirectional_mask(config=config, inputs_embeds=states, attention_mask=attention_mask)
        for layer in self.layers:
            states = layer(states, mask, **kwargs)
        return BaseModelOutput(last_hidden_state=self.layernorm(states))


# In the place of the library's.
ANY_LENGTH: dict[str, type[PreTrainedModel]] = {
    "whisper": AnyLengthWhisperEncoder,
    "audio-spectrogram-transformer": AnyLengthASTModel,
}
