"""RAVDESS's files through the package's pipeline: the models of the folds, exported like the checkpoint, seed 0.

    python -m research.m2fnet_mini.real_recordings

Each fold's held-out actors: the sound files with their own words, without and with OpenFace's Action Units; all clips
of an actor as one conversation, and each as a recording of its own. Writes `real_recordings.json`: by actor, clips and
right answers by what was given.
"""

import json
from collections.abc import Iterator

import torch

from m2fnet_hf import Dialogue, MultimodalEmotionPipeline, Utterance

from .common import FOLDS, RUNS, acted_clips, fold_speakers
from .export import assemble, build_processor
from .model import M2FNetMini
from .simulate import Tables

OUTPUT = RUNS / "real_recordings.json"


def main() -> None:
    torch.set_num_threads(1)
    found: dict[str, dict[str, int]] = json.loads(OUTPUT.read_text()) if OUTPUT.is_file() else {}
    for fold in range(FOLDS):
        tables = Tables(fold_speakers(fold))
        model = assemble(M2FNetMini.load(RUNS / "runs" / f"fold-{fold}-s0")).half().float()
        pipe = MultimodalEmotionPipeline(model, processor=build_processor(tables.lines), device="cpu")
        for actor in sorted(name for name in fold_speakers(fold) if name.startswith("ravdess")):
            if actor not in found:
                found[actor] = measure(pipe, actor, tables)
                OUTPUT.write_text(json.dumps(found, indent=1))
                print(actor, found[actor], flush=True)


def measure(pipe: MultimodalEmotionPipeline, actor: str, tables: Tables) -> dict[str, int]:
    """An actor's clips, and how many are answered right by what was given."""
    counts = {}
    for given, with_faces in (("text+sound", False), ("text+sound+faces", True)):
        said = list(utterances(actor, tables, with_faces))
        for how, talks in (("together", [Dialogue(said)]), ("alone", [Dialogue([one]) for one in said])):
            answers = [answer for talk in talks for answer in pipe(talk, faces="none", cache=False)]
            right = sum(answer["label"] == one.label for answer, one in zip(answers, said, strict=True))
            counts[f"{given}, {how}"] = right
    return {"clips": len(said), **counts}


def utterances(actor: str, tables: Tables, with_faces: bool) -> Iterator[Utterance]:
    """An actor's clips of RAVDESS, each with its file."""
    for number, clip in enumerate(acted_clips()):
        if clip.speaker == actor:
            units = tables.faces[number].numpy().reshape(1, 1, -1) if with_faces else None
            yield Utterance(text=clip.text, speaker=actor, label=clip.emotion, video=str(clip.path), action_units=units)


if __name__ == "__main__":
    main()
