"""Stage 8: the checkpoint in half precision, its parts under the names that the package's model gives them.

    python -m research.m2fnet_mini.export

Takes the seed of `all` with the lowest cross entropy on MELD's development split, text alone. Writes `m2fnet-mini/`:
`model.safetensors` (half precision: `model.text_encoder.*` is meld-mini's, `model.audio_encoder.*` the sound tower,
`model.modalities.{audio,visual}.norm.{mean,scale}` the normalisation per speaker, the rest M2FNet's own),
`config.json` (of M2FNet, with `softmax_temperature` fitted on dev, text alone), `action_units.json` (OpenFace's units
on py-feat's scale) and `export.json` (sizes, and what rounding to half precision changes).
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from m2fnet_hf.evaluation.calibration import fit_temperature

from .common import OPENFACE_UNITS, RUNS, TEACHER, WHISPER
from .evaluate import MODALITIES, brief, predict, stage_of, text_alone
from .model import M2FNetMini
from .simulate import Tables, plain_text
from .sound import SoundTower

OUTPUT = RUNS / "m2fnet-mini"
LIMIT = 65_000_000  # bytes


def main() -> None:
    torch.set_num_threads(1)
    tables = Tables()
    losses = {seed: dev_loss(RUNS / "runs" / f"all-s{seed}", tables) for seed in range(3)}
    seed = min(losses, key=losses.__getitem__)
    folder = RUNS / "runs" / f"all-s{seed}"
    weights = assemble(folder)
    OUTPUT.mkdir(exist_ok=True)
    save_file(weights, OUTPUT / "model.safetensors", metadata={"format": "pt"})
    size = (OUTPUT / "model.safetensors").stat().st_size
    if size > LIMIT:
        raise ValueError(f"The checkpoint must have at most {LIMIT} bytes, found {size}; make the model narrower.")

    single, half = M2FNetMini.load(folder), M2FNetMini.load(folder)
    half.load_state_dict({name: value.half().float() for name, value in half.state_dict().items()})
    found = text_alone(half, tables, "dev")
    config = json.loads(half.m2fnet.config.to_json_string())
    config["softmax_temperature"] = found["temperature"]
    (OUTPUT / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True))
    lines = json.loads((folder / "training.json").read_text())["action_unit_lines"]
    units = {
        unit: {"from": OPENFACE_UNITS[unit], "slope": line[0], "intercept": line[1]} for unit, line in lines.items()
    }
    (OUTPUT / "action_units.json").write_text(json.dumps(units, indent=1))
    report = {
        "seed": seed,
        "dev_cross_entropy_to_teacher_and_label": losses,
        "bytes": size,
        "bytes_by_part": by_part(weights),
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
    """Mean of the cross entropies to the labels (calibrated) and to the teacher's beliefs, dev, text alone."""
    texts = tables.splits["dev"]
    logits = predict(M2FNetMini.load(folder), tables, [plain_text(texts, n) for n in range(len(texts))])
    scores = torch.from_numpy(logits / fit_temperature(logits, texts.labels)).log_softmax(-1).numpy()
    to_labels = -scores[np.arange(len(scores)), texts.labels].mean()
    return float((to_labels - (texts.beliefs * scores).sum(1).mean()) / 2)


def assemble(folder: Path) -> dict[str, torch.Tensor]:
    """All weights of the checkpoint by name, half precision."""
    mini = M2FNetMini.load(folder)
    weights = dict(mini.m2fnet.state_dict())
    for modality, norm in (("audio", mini.sound), ("visual", mini.faces)):
        weights |= {f"model.modalities.{modality}.norm.{name}": value for name, value in norm.state_dict().items()}
    tower = SoundTower.from_whisper(WHISPER).state_dict()
    weights |= {f"model.audio_encoder.{name}": value for name, value in tower.items()}
    taught = load_file(TEACHER / "model.safetensors")
    weights |= {name: value for name, value in taught.items() if name.startswith("model.text_encoder.")}
    return {name: value.half().contiguous() for name, value in weights.items()}


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
