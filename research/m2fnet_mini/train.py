"""Stage 5: one training of m2fnet-mini on cached features.

    python -m research.m2fnet_mini.train RUN SEED [--settings '{"epochs": 2}'] [--output FOLDER]

RUN says who is heard: `fold-F` all speakers but those of fold F, `all` everybody; `ravdess` and `emodb` one corpus
alone, its sound only, for the strangers (`ravdess-not-F` without the speakers of fold F).
Writes `model.safetensors`, `settings.json` and `training.json` into `FOLDER` (default `runs/RUN-sSEED`); a run that is
there is not made again. Nothing is chosen here: the last epoch's weights, averaged over steps, are kept.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from m2fnet_hf import M2FNetForEmotionClassification

from .common import CLASSES, RUNS, TEACHER, TEACHER_TEMPERATURE, acted_clips, fold_speakers
from .epoch import conversations_of
from .model import M2FNetMini
from .simulate import Stage, Tables, batches

SETTINGS: dict[str, Any] = {
    "epochs": 6,
    "batch": 128,  # utterances
    "learning_rate": 1.5e-3,
    "weight_decay": 0.05,
    "smoothing": 0.05,  # of the targets of acted conversations
    "hint": 0.1,  # weight of the squared distance to the teacher's logits
    "mixed": 0.3,  # share of the texts whose features are mixed with other utterances', for distillation
    "input_dropout": 0.2,  # of normalised sound
    "units_dropout": 0.15,
    "clean": 0.1,  # share of the identity in the confusion that pairs are drawn from
    "gold": 0.5,
    "pairs": 500,  # dialogues an epoch
    "texts": 1038,
    "read_aloud": 700,
    "acted": 450,
    "short": 1200,  # acted conversations of one or two utterances
    "lone": 1500,  # conversations in which one voice has an emotion
    "blended": 0.6,  # share of acted clips that are mixed with another of the same voice and emotion
    "own_words": 0.5,  # acted conversations that have their words, where these are English
    "normalize": True,
    "speaker_strength": 4.0,
    "dialogue_strength": 0.5,
    "model": {
        "hidden_size": 128,
        "num_hidden_layers": 1,
        "num_fusion_layers": 1,
        "num_attention_heads": 4,
        "intermediate_size": 256,
        "hidden_dropout": 0.0,
        "attention_dropout": 0.0,
        "classifier_dropout": 0.0,
        "fusion": "attention",
    },
}
STRANGERS = ("ravdess", "emodb")
STRANGER_SETTINGS: dict[str, Any] = {
    "epochs": 8,
    "batch": 256,
    "texts": 0,
    "pairs": 0,
    "read_aloud": 0,
    "acted": 450,
    "short": 50,
    "lone": 0,
    "blended": 0.0,
    "own_words": 0.0,
    "model": {"hidden_dropout": 0.05, "attention_dropout": 0.1, "classifier_dropout": 0.05},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("seed", type=int)
    parser.add_argument("--settings", type=json.loads, default={})
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    train(options.run, options.seed, options.settings, options.output)


def train(run: str, seed: int, changes: dict[str, Any] | None = None, output: Path | None = None) -> Path:
    """Train, and give the folder of what came of it."""
    output = output or RUNS / "runs" / f"{run}-s{seed}"
    if (output / "training.json").is_file():
        return output
    alone = STRANGER_SETTINGS if run.startswith(STRANGERS) else {}
    settings = {**SETTINGS, **alone, **(changes or {})}
    settings["model"] = {**SETTINGS["model"], **settings["model"]}
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    start = time.process_time()
    tables, stage, confusion = prepare(run, random)
    stage = replace(stage, smoothing=settings["smoothing"])
    eye = np.eye(len(confusion))
    confusion = settings["clean"] * eye + (1 - settings["clean"]) * confusion

    model = M2FNetMini(
        settings["model"], settings["speaker_strength"], settings["dialogue_strength"], settings["normalize"]
    )
    fit_scales(model, stage)
    average = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995))
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": settings["weight_decay"]}, {"params": others, "weight_decay": 0.0}],
        lr=settings["learning_rate"],
        fused=True,
    )
    teacher = M2FNetForEmotionClassification.from_pretrained(TEACHER, dtype=torch.float32).eval()
    history = []
    for epoch in range(settings["epochs"]):
        steps = batches(conversations_of(stage, settings, confusion), settings["batch"], random)
        total = count = 0.0
        model.train()
        for number, group in enumerate(steps):
            progress = (epoch + number / len(steps)) / settings["epochs"]
            for part in optimizer.param_groups:
                part["lr"] = settings["learning_rate"] * min(1.0, progress * 20) * (1 + np.cos(np.pi * progress)) / 2
            batch = tables.collate(group, settings["units_dropout"], settings["blended"], random)
            target = batch.pop("target")
            distilled = batch.pop("distilled")
            teacher_logits = teach(batch, target, distilled, teacher, settings["mixed"])
            batch["sound"] = disturb(batch["sound"], model, settings["input_dropout"])
            logits = model(**batch)
            real = batch["utterance_mask"]
            loss = nn.functional.cross_entropy(logits[real], target[real])
            distance = (logits[distilled] - logits[distilled].mean(-1, keepdim=True) - teacher_logits).square().mean(-1)
            loss = loss + settings["hint"] * (distance * real[distilled]).sum() / real.sum()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            average.update_parameters(model)
            total, count = total + float(loss.detach()) * len(target), count + len(target)
        history.append(total / count)
        print(f"{output.name} {epoch}: {history[-1]:.4f}, {time.process_time() - start:.0f} s", flush=True)
    average.module.save(output)
    report = {
        "run": run,
        "seed": seed,
        "settings": settings,
        "loss": history,
        "cpu_seconds": round(time.process_time() - start),
        "speakers": sorted(stage.actors),
        "action_unit_lines": tables.lines,
    }
    (output / "training.json").write_text(json.dumps(report, indent=1))
    return output


def prepare(run: str, random: np.random.Generator) -> tuple[Tables, Stage, np.ndarray]:
    """Tables, actors and the strangers' confusion of a run."""
    clips = acted_clips()
    corpus, _, fold = run.partition("-not-") if run.startswith(STRANGERS) else ("", "", run.removeprefix("fold-"))
    without = set() if fold in ("", "all") else fold_speakers(int(fold))
    if corpus:
        # How strangers are misheard is measured with these runs, so they cannot know it.
        confusion = np.eye(CLASSES)
        kept = np.array([n for n, c in enumerate(clips) if c.corpus == corpus and c.speaker not in without])
        tables = Tables(without)
        return tables, Stage(tables, kept, random), confusion
    confusion = np.array(json.loads((RUNS / "confusion.json").read_text())[fold]["table"])
    kept = np.array([n for n, clip in enumerate(clips) if clip.speaker not in without])
    tables = Tables(without)
    return tables, Stage(tables, kept, random), confusion


def fit_scales(model: M2FNetMini, stage: Stage) -> None:
    """Means and standard deviations of the speakers' features, all versions of their clips."""
    clips = stage.clips
    rows = np.concatenate([version * stage.tables.clips + clips for version in range(stage.versions)])
    names = [acted_clips()[clip].speaker for clip in clips]
    model.sound.fit(stage.tables.sound[rows], [f"{n}/{v}" for v in range(stage.versions) for n in names])
    seen = clips[stage.tables.has_openface[clips]]
    if len(seen):
        faces = torch.cat([stage.tables.faces[seen], stage.tables.faces[stage.tables.clips + seen]])
        own = [acted_clips()[clip].speaker for clip in seen]
        model.faces.fit(faces, [*own, *(f"{name}/py-feat" for name in own)])


def teach(
    batch: dict[str, torch.Tensor],
    target: torch.Tensor,
    distilled: torch.Tensor,
    teacher: M2FNetForEmotionClassification,
    share: float,
) -> torch.Tensor:
    """The teacher's logits, less their mean, on the words of the dialogues [B] that are `distilled`.

    In a share of them the features are mixed with other utterances' before, so that the student learns of more texts
    than MELD has. Features and `target` are changed in place.
    """
    real, features = batch["utterance_mask"][distilled], batch["text"][distilled]
    if not len(real):
        return target.new_zeros(0, target.shape[1], CLASSES)
    others = features[real]
    others = others[torch.randint(len(others), real.shape)]
    weight = 0.6 * torch.rand(*real.shape, 1) * (torch.rand(len(real), 1, 1) < share)
    features = features * (1 - weight) + others * weight
    with torch.no_grad():
        logits = teacher(text_features=features, utterance_mask=real).logits / TEACHER_TEMPERATURE
    batch["text"][distilled] = features
    target[distilled] = logits.softmax(-1) * real.unsqueeze(-1)
    return logits - logits.mean(-1, keepdim=True)


def disturb(sound: torch.Tensor, model: M2FNetMini, probability: float) -> torch.Tensor:
    """Sound features with single ones set to the training data's mean."""
    keep = torch.rand(sound.shape) >= probability
    return torch.where(keep, sound, model.sound.mean)


if __name__ == "__main__":
    main()
