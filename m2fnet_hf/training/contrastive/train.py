"""Train the encoder of one modality on single utterances, before the fusion: features in which emotions lie apart."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from transformers import set_seed

from ...dialogue_m2fnet import Dialogue
from ...modeling_m2fnet import M2FNetForEmotionClassification
from ...processing_m2fnet import MODALITIES, M2FNetProcessor
from ...recordings.dataset import with_recordings
from ...utils.console import Progress
from ...utils.files import move_files, scratch_folder, write_json
from ..settings import EmotionTrainingArguments, RunConfig
from ..trainer import build_model, build_processor, last_checkpoint, run_folder
from .embedder import UtteranceEmbedder, save_encoder
from .examples import Example, labelled_examples
from .neighbours import neighbour_metrics, share_equal
from .settings import ExtractorConfig
from .trainer import ExtractorTrainer

# Of a run's `model`, what an encoder without a fusion behind it still needs.
_MODEL_ARGUMENTS = ("num_blocks", "labels", "id2label", "label2id", "num_labels")


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
        training the [`neighbour_metrics`] of dev and `nearest_neighbour_accuracy`, the share of dev whose nearest
        neighbour in train has its label.

    Raises:
        ValueError: for another modality, unusable settings, or data with less than two labels.
    """
    if modality not in MODALITIES:
        raise ValueError(f"The modality must be one of {', '.join(MODALITIES)}, found {modality!r}.")
    args = run.training_arguments(output)
    with run_folder(args, {"modality": modality, **asdict(run)}, [train, dev]):
        return _train_extractor(run, modality, train, dev, args, progress)


def _train_extractor(
    run: ExtractorConfig,
    modality: str,
    train: Sequence[Dialogue],
    dev: Sequence[Dialogue],
    args: EmotionTrainingArguments,
    progress: Progress | None,
) -> dict[str, Any]:
    settings, output = run.settings(), Path(str(args.output_dir))
    set_seed(args.seed)
    alone = _of_modality(run, modality)
    processor = build_processor(alone)
    fusion = build_model(alone, processor)
    encoder = getattr(fusion.model, f"{modality}_encoder")
    if encoder is not None and encoder.config.hidden_size is None:
        raise ValueError(
            "A visual encoder must have weights to be trained, found `hidden_size: null`; give its config a width."
        )
    splits = {}
    for split, dialogues in (("train", train), ("dev", dev)):
        if modality == "visual":
            dialogues = _with_faces(dialogues, fusion, processor, run.media, progress)
        splits[split] = labelled_examples(dialogues, fusion.config)
    model = UtteranceEmbedder(fusion.config, encoder, settings)
    trainer = ExtractorTrainer(model, args, processor, splits["train"], splits["dev"], settings)

    before, read = _measure(trainer, splits, progress)
    trainer.train(resume_from_checkpoint=last_checkpoint(output, args.save_total_limit))
    after, _ = _measure(trainer, splits, progress)
    results = {
        "modality": modality,
        "utterances": {split: len(examples) for split, examples in splits.items()},
        "skipped": {split: len(examples) - read[split] for split, examples in splits.items()},
        "before": before,
        "after": after,
    }
    if trainer.is_world_process_zero():
        with scratch_folder(output / "encoder") as part:
            save_encoder(encoder, part)
            processor.save_pretrained(part)
            move_files(part, output)
        write_json(results, output / "results.json")
    return results


def _measure(
    trainer: ExtractorTrainer, splits: Mapping[str, Sequence[Example]], progress: Progress | None
) -> tuple[dict[str, float], dict[str, int]]:
    """The metrics of dev, and how many utterances of each split could be read."""
    train, train_labels = trainer.embed(splits["train"], progress)
    dev, dev_labels = trainer.embed(splits["dev"], progress)
    nearest = torch.cdist(dev, train).argmin(1)
    accuracy = {"nearest_neighbour_accuracy": share_equal(train_labels[nearest], dev_labels)}
    return accuracy | neighbour_metrics(dev, dev_labels), {"train": len(train), "dev": len(dev)}


def _of_modality(run: RunConfig, modality: str) -> RunConfig:
    """The run of a model that reads this modality alone, with a trainable encoder and next to nothing behind it."""
    own = {"audio": ("audio_pooling", "audio_final_norm"), "visual": ("face_pooling",)}
    wanted = (f"{modality}_config", *_MODEL_ARGUMENTS, *own.get(modality, ()))
    model = {name: run.model[name] for name in wanted if name in run.model}
    model |= {"freeze_text_encoder": False, "freeze_audio_encoder": False}
    model |= {"num_hidden_layers": 0, "num_fusion_layers": 0}
    encoders = {name: source for name, source in run.encoders.items() if name == modality}
    return RunConfig(encoders=encoders, model=model, processor=run.processor, training=run.training)


def _with_faces(
    dialogues: Sequence[Dialogue],
    model: M2FNetForEmotionClassification,
    processor: M2FNetProcessor,
    media: dict[str, Any],
    progress: Progress | None,
) -> Sequence[Dialogue]:
    """The dialogues, with the faces of their recordings where they have some."""
    (read,) = with_recordings([list(dialogues)], model, processor, media)
    every = (read[number] for number in range(len(read)))
    return list(every if progress is None else progress(every, description="Faces", total=len(read)))
