"""Stage 8: the checkpoint in half precision, as the package saves a model and its processor.

    python -m research.m2fnet_mini.export

Takes the seed of `all` with the lowest cross entropy on MELD's development split, text alone. Writes `m2fnet-mini/`:
model and processor, with `softmax_temperature` fitted on that split and OpenFace's units on py-feat's scale, and
`export.json` (sizes, and what rounding to half precision changes).
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import WhisperFeatureExtractor

from m2fnet_hf import (
    AUFeatureExtractor,
    M2FNetConfig,
    M2FNetForEmotionClassification,
    M2FNetProcessor,
    M2FNetVisualConfig,
)
from m2fnet_hf.encoders_m2fnet import load_encoder
from m2fnet_hf.evaluation.calibration import fit_temperature

from .common import OPENFACE_UNITS, RUNS, TEACHER, WHISPER
from .evaluate import MODALITIES, brief, predict, stage_of, text_alone
from .model import M2FNetMini
from .simulate import Tables, plain_text

OUTPUT = RUNS / "m2fnet-mini"
LIMIT = 65_000_000  # bytes
SOUND_LAYERS = 2


def main() -> None:
    torch.set_num_threads(1)
    tables = Tables()
    losses = {seed: dev_loss(RUNS / "runs" / f"all-s{seed}", tables) for seed in range(3)}
    seed = min(losses, key=losses.__getitem__)
    folder = RUNS / "runs" / f"all-s{seed}"
    single, half = M2FNetMini.load(folder), M2FNetMini.load(folder)
    half.load_state_dict({name: value.half().float() for name, value in half.state_dict().items()})
    found = text_alone(half, tables, "dev")
    model = assemble(single)
    model.config.softmax_temperature = found["temperature"]
    save_half(model, OUTPUT)
    build_processor(json.loads((folder / "training.json").read_text())["action_unit_lines"]).save_pretrained(OUTPUT)
    size = (OUTPUT / "model.safetensors").stat().st_size
    if size > LIMIT:
        raise ValueError(f"The checkpoint must have at most {LIMIT} bytes, found {size}; make the model narrower.")
    report = {
        "seed": seed,
        "dev_cross_entropy_to_teacher_and_label": losses,
        "bytes": size,
        "bytes_by_part": by_part(model.state_dict()),
        "dev_text_alone_half": brief(found),
        "same_labels_half_and_single": agreement(single, half, tables),
        "normalisation": {
            "speaker_strength": half.sound.speaker_strength,
            "dialogue_strength": half.sound.dialogue_strength,
        },
    }
    (OUTPUT / "export.json").write_text(json.dumps(report, indent=1))
    print(json.dumps(report, indent=1))


def dev_loss(folder: Path, tables: Tables) -> float:
    """Mean of the cross entropies to the labels (calibrated) and to the teacher's probabilities, dev, text alone."""
    texts = tables.splits["dev"]
    logits = predict(M2FNetMini.load(folder), tables, [plain_text(texts, n) for n in range(len(texts))])
    scores = torch.from_numpy(logits / fit_temperature(logits, texts.labels)).log_softmax(-1).numpy()
    to_labels = -scores[np.arange(len(scores)), texts.labels].mean()
    return float((to_labels - (texts.teacher_probabilities * scores).sum(1).mean()) / 2)


def save_half(model: M2FNetForEmotionClassification, folder: Path) -> None:
    """Weights in half precision under a config that loads them in single precision."""
    model.save_pretrained(folder)
    weights = {name: value.half().contiguous() for name, value in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def assemble(mini: M2FNetMini) -> M2FNetForEmotionClassification:
    """The package's model with the weights of the prototype, meld-mini's text encoder and Whisper's first layers."""
    teacher = M2FNetForEmotionClassification.from_pretrained(TEACHER, dtype=torch.float32)
    tower = load_encoder(str(WHISPER), {"num_hidden_layers": SOUND_LAYERS}, final_norm=False, dtype=torch.float32)
    own = mini.m2fnet.config
    config = M2FNetConfig(
        text_config=teacher.config.text_config,
        audio_config=tower.config,
        visual_config=M2FNetVisualConfig(hidden_size=None, face_pooling="area"),
        audio_pooling="mean_std",
        audio_final_norm=False,
        speaker_normalization=["audio", "visual"],
        speaker_strength=mini.sound.speaker_strength,
        dialogue_strength=mini.sound.dialogue_strength,
        languages=["en"],
        **{name: getattr(own, name) for name in mini.settings["config"]},
    )
    weights = dict(mini.m2fnet.state_dict())
    for modality, norm in (("audio", mini.sound), ("visual", mini.faces)):
        weights |= {f"model.modalities.{modality}.norm.{name}": value for name, value in norm.state_dict().items()}
    weights |= {f"model.audio_encoder.{name}": value for name, value in tower.state_dict().items()}
    encoder = teacher.model.text_encoder.state_dict()
    weights |= {f"model.text_encoder.{name}": value for name, value in encoder.items()}
    model = M2FNetForEmotionClassification(config)
    model.load_state_dict(weights)
    return model.eval()


def build_processor(lines: dict[str, list[float]]) -> M2FNetProcessor:
    """meld-mini's tokenizer and context, Whisper's spectrogram, and the lines of OpenFace's Action Units."""
    teacher = M2FNetProcessor.from_pretrained(TEACHER)
    units = {
        unit: {"from": OPENFACE_UNITS[unit], "slope": line[0], "intercept": line[1]} for unit, line in lines.items()
    }
    return M2FNetProcessor(
        teacher.tokenizer,
        WhisperFeatureExtractor.from_pretrained(WHISPER),
        AUFeatureExtractor(person_normalization=False, openface_units=units),
        context=teacher.context,
        max_length=teacher.max_length,
        speaker_prefix=teacher.speaker_prefix,
    )


def by_part(weights: dict[str, torch.Tensor]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for name, value in weights.items():
        part = next((p for p in ("text_encoder", "audio_encoder") if p in name), "m2fnet")
        sizes[part] = sizes.get(part, 0) + value.numel() * 2
    return sizes


def agreement(single: M2FNetMini, half: M2FNetMini, tables: Tables) -> dict[str, Any]:
    """Share of equal labels on dev's text and on recordings with all three modalities."""
    texts = tables.splits["dev"]
    talks = {"text": [plain_text(texts, n) for n in range(len(texts))]}
    stage = stage_of(tables, np.flatnonzero(tables.has_openface), 0)
    talks["all"] = [stage.acted([60], None, MODALITIES["all"], [actor]) for actor in stage.actors]
    labels = {name: [predict(m, tables, some).argmax(1) for m in (single, half)] for name, some in talks.items()}
    return {name: float((one == other).mean()) for name, (one, other) in labels.items()}


if __name__ == "__main__":
    main()
