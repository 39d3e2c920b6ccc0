"""Run the encoders and find the faces of a data set once, so that training does neither.

Under `torchrun` the processes of all nodes share the dialogues; each writes shards of its own (see `store`). A
run that was killed goes on where it was, with any number of processes.
"""

import os
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate import PartialState

from .._version import __version__
from ..answers_m2fnet import NOT_GIVEN
from ..dialogue_m2fnet import Dialogue, Utterance
from ..face_arrays_m2fnet import APPEARANCE_WEIGHTS, GEOMETRY_SIZE
from ..faces.appearance import HOG_SIZE, describe
from ..faces.registry import load_face_backend
from ..faces.types import FaceBackend
from ..processing_m2fnet import AUDIO_TENSORS
from ..recordings.build_reader import NO_FACES, build_reader
from ..recordings.cache import open_cache
from ..recordings.reader import RecordingReader
from ..recordings.sound_encoder import audio_pooling, fingerprint
from ..utils.files import move_files, scratch_folder, sweep
from ..utils.run_folders import locked
from .index import FeatureIndex, KeysMet, is_spoilt, open_index, shard_names, write_index
from .store import FIELDS, FeatureWriter, StoredDialogues, check_words, claim, keyed

if TYPE_CHECKING:
    from ..configuration_m2fnet import M2FNetConfig
    from ..modeling_m2fnet import M2FNetForEmotionClassification
    from ..processing_m2fnet import M2FNetProcessor

# Dialogues, or rows with an `id` as the pipeline takes them or a table of `datasets` has them.
Dialogues = Iterable[Dialogue | Mapping[str, Any]]
# A process that is done waits for the slowest.
LONGEST_WAIT = timedelta(weeks=1)
# The time of the fit grows with the square: one core takes ten seconds for these.
FACES_TO_FIT = 2_000
TEXT_SETTINGS = ("context", "past_utterances", "future_utterances", "max_length", "speaker_prefix")
MODALITY_FIELDS = {
    "text": {"text_features"},
    "audio": {"audio_features"},
    "visual": {"visual_features", "action_units", "appearance"},
}


@dataclass(frozen=True)
class Summary:
    """What a folder of features holds after a run.

    Args:
        folder: of the features.
        processes: that worked on it.
        splits: by split, how many `dialogues` and `utterances`, how many of these with `text`, `audio` and `visual`,
            and `bytes`.
        problems: a sentence for each recording that could not be read as a whole, and each shard that was spoilt.
    """

    folder: Path
    processes: int
    splits: dict[str, dict[str, int]]
    problems: list[str]


def extract(
    model: "M2FNetForEmotionClassification",
    processor: "M2FNetProcessor",
    splits: Mapping[str, Dialogues],
    folder: str | os.PathLike,
    faces: str | Path | FaceBackend | None = None,
    frame_rate: float = 2.0,
    cache: str | os.PathLike | bool = False,
    dtype: str = "float32",
    progress: Callable[..., Iterable[Any]] | None = None,
    audio_track: int | None = None,
) -> Summary:
    """Write the features of all utterances to a folder, or what is missing there of them.

    Text and sound are stored as the model's encoders give them, faces as they are measured. The processor is saved
    beside them, and its appearance features, unless they were, are fitted to faces of the split `train`: of dialogues
    drawn by a fixed seed from a sequence, of the first ones from a stream, which is then read again, so shuffle it
    where its order means something.

    Dialogues are read one by one, once by each process, and none is kept: memory does not grow with their number.

    Args:
        model: [`M2FNetForEmotionClassification`]; it goes to this process's device and to evaluation mode.
        processor: [`M2FNetProcessor`].
        splits: dialogues by split, each with an id, as any iterable of [`Dialogue`]s or of rows such as the pipeline
            takes or `datasets` streams; every process must meet them in the same order. An utterance without an id
            goes by its position.
        folder: of the features, which all processes see.
        faces: what finds the faces, as for the pipeline. Default: the backend that the model names; unlike there it
            must work, `none` does without. Only a sequence is searched first for recordings: where it has none,
            no backend is needed.
        frame_rate: frames of each second of an utterance in which faces are looked for.
        cache: folder that keeps what was measured of recordings, `True` for the default one, `False` for none.
        dtype: in which features are stored, `float32` or `float16`.
        progress: wraps the dialogues of a split, as `rich.progress.track` does.
        audio_track: which sound track of a recording, from 1. Default: the first that is not silent.

    Raises:
        ValueError: for settings other than those that the folder was begun with, for a dialogue without an id or with
            that of another, or where dialogues were lost.
        ImportError, OSError: where the face backend does not work, or nothing can be written.
    """
    folder = Path(folder)
    state = _processes()
    # All processes of a run work on the folder; the first one keeps those of other runs away.
    with locked(folder) if state.is_main_process else nullcontext():
        model = model.to(state.device).eval()
        backend = _face_backend(faces, model.config, splits)
        build = partial(build_reader, model, processor, backend, frame_rate, open_cache(cache), audio_track=audio_track)
        with state.main_process_first():
            _fit_appearance(processor, folder, splits, build(encode_sound=False))
            reader = _checked(build(), backend)
            claim(folder, _settings(model, processor, reader, dtype))
            spoilt = _prepare(folder, processor, splits) if state.is_main_process else []
        shown = progress if progress is not None and state.is_main_process else _not_shown
        with KeysMet() as met:
            for split, dialogues in splits.items():
                total = len(dialogues) if isinstance(dialogues, Sized) else None
                sources = keyed(shown(dialogues, description=split, total=total), split, met)
                with FeatureWriter(folder / split, dtype) as writer:
                    for dialogue in _waiting(sources, FeatureIndex(folder / split), state, split):
                        read, problems = _read(dialogue, reader)
                        writer.add(_encoded(read, model, processor), problems)
            state.wait_for_everyone()
            return _merged(folder, splits, met, state, spoilt)


def _not_shown(items: Iterable[Any], **_: Any) -> Iterable[Any]:
    return items


def _processes() -> PartialState:
    # Without an accelerator the library makes every process a world of its own, unless it is told to use the CPU.
    state = PartialState(cpu=not torch.accelerator.is_available(), timeout=LONGEST_WAIT)
    launched = int(os.environ.get("WORLD_SIZE", 1))
    if state.num_processes != launched:
        raise RuntimeError(
            f"{launched} processes were launched to share the work, found a world of {state.num_processes}; launch "
            "them with torchrun."
        )
    return state


def _face_backend(
    faces: str | Path | FaceBackend | None, config: "M2FNetConfig", splits: Mapping[str, Dialogues]
) -> FaceBackend | str:
    """What finds faces, or `none` where there is no recording or the model reads no faces."""
    if config.visual_config is None or not any(map(_may_have_recording, splits.values())):
        return NO_FACES
    chosen = config.visual_config.face_backend if faces is None else faces
    if not isinstance(chosen, (str, Path)):
        return chosen
    return NO_FACES if str(chosen) == NO_FACES else load_face_backend(chosen)


def _may_have_recording(dialogues: Dialogues) -> bool:
    return not isinstance(dialogues, Sequence) or any(map(_has_recording, map(Dialogue.from_any, dialogues)))


def _has_recording(dialogue: Dialogue) -> bool:
    return dialogue.recording is not None or any(utterance.video is not None for utterance in dialogue)


def _checked(reader: RecordingReader, backend: FaceBackend | str) -> RecordingReader:
    if reader.visual_unavailable_reason is not None and backend != NO_FACES:
        raise ValueError(
            f"The model reads faces, found that {reader.visual_unavailable_reason}; choose another face backend, or "
            "`none` to do without."
        )
    return reader


def _fit_appearance(
    processor: "M2FNetProcessor", folder: Path, splits: Mapping[str, Dialogues], reader: RecordingReader
) -> None:
    """Fit what reduces appearance features to faces of the split `train`, unless it is fitted or of no use."""
    extractor = processor.appearance_feature_extractor
    if (folder / APPEARANCE_WEIGHTS).is_file() and not extractor._weights:
        extractor.load_weights(folder)
    if reader.describe is None or extractor._weights:
        return
    if "train" not in splits:
        raise ValueError(
            "Appearance features must be fitted to the split `train`, found no such split; extract it first, or give a "
            "processor that is fitted."
        )
    width = HOG_SIZE + GEOMETRY_SIZE * extractor.geometry
    face_reader = replace(
        reader,
        describe=partial(describe, geometry=extractor.geometry),
        reads_audio=False,
        settings={"appearance": f"{width} values, not reduced"},
    )
    extractor.fit(_faces_to_fit(_order_to_fit(splits["train"]), face_reader, width))


def _order_to_fit(dialogues: Dialogues) -> Dialogues:
    """A sequence shuffled by a fixed seed, a stream from its front."""
    if isinstance(dialogues, Iterator):
        raise ValueError(
            "Appearance features must be fitted to the split `train` before it is extracted, found a generator, which "
            "can be read only once; give a list or an `IterableDataset`, or a processor that is fitted."
        )
    if not isinstance(dialogues, Sequence):
        return dialogues
    order = list(range(len(dialogues)))
    random.Random(0).shuffle(order)
    return map(dialogues.__getitem__, order)


def _faces_to_fit(dialogues: Dialogues, reader: RecordingReader, width: int) -> np.ndarray:
    """The descriptions of some faces [N, E]: of as many dialogues as have enough."""
    found = [np.empty((0, width), np.float32)]
    for dialogue in map(Dialogue.from_any, dialogues):
        read, _ = _read(dialogue, reader)
        faces = [one.appearance.reshape(-1, width) for one in read if one.appearance is not None]
        found += [some[~np.isnan(some).any(-1)] for some in faces]
        if sum(map(len, found)) >= FACES_TO_FIT:
            break
    return np.concatenate(found)


def check_features(
    splits: Iterable[Any], model: "M2FNetForEmotionClassification", processor: "M2FNetProcessor"
) -> None:
    """Refuse features that stand in for another encoder than the model's, or for one that is to be trained.

    Args:
        splits: dialogues of any kind; only [`StoredDialogues`] are checked.

    Raises:
        ValueError: naming the modality and what to do.
    """
    stored = [split.settings for split in splits if isinstance(split, StoredDialogues)]
    for modality, made in encoder_settings(model, processor).items() if stored else ():
        other = [
            name for name, value in made.items() if any(one.get(modality, {}).get(name) != value for one in stored)
        ]
        if other:
            raise ValueError(
                f"The features of {modality} must be made as the model reads it, found another {', '.join(other)}; "
                "extract them again, with this run."
            )
        if not getattr(model.config, f"freeze_{modality}_encoder"):
            raise ValueError(
                f"Features stand in for a frozen encoder, found `freeze_{modality}_encoder: false`; set it to true, or "
                "train on the data itself."
            )


def encoder_settings(
    model: "M2FNetForEmotionClassification", processor: "M2FNetProcessor"
) -> dict[str, dict[str, Any]]:
    """All that changes the features of text and of sound, for those that the model has an encoder for."""
    config = model.config
    base: Any = model.base_model
    settings: dict[str, dict[str, Any]] = {}
    pooling = [config.num_blocks, str(model.dtype)]
    if config.text_config is not None:
        words = processor.tokenizer.get_vocab()
        settings["text"] = {name: getattr(processor, name) for name in TEXT_SETTINGS}
        settings["text"]["encoder and tokenizer"] = fingerprint(base.text_encoder, [pooling, words])
    if config.audio_config is not None:
        extractor = processor.feature_extractor
        spectrogram = config.audio_input == "input_features"
        read = ("sampling_rate",) if spectrogram else ("sampling_rate", "do_normalize")
        settings["audio"] = {name: getattr(extractor, name) for name in read}
        made = [*audio_pooling(config, str(model.dtype)), *([extractor.to_dict()] if spectrogram else [])]
        settings["audio"]["encoder"] = fingerprint(base.audio_encoder, made)
    return settings


def _settings(
    model: "M2FNetForEmotionClassification", processor: "M2FNetProcessor", reader: RecordingReader, dtype: str
) -> dict[str, Any]:
    """All that changes the features, by modality."""
    config = model.config
    settings: dict[str, Any] = {"version": __version__, "dtype": dtype}
    settings |= {modality: {"size": size} for modality, size in config.feature_sizes.items()}
    for modality, made in encoder_settings(model, processor).items():
        settings[modality] |= made
    if config.audio_config is not None and reader.audio_track is not None:
        settings["audio"]["track"] = reader.audio_track
    if config.visual_config is not None:
        visual = config.visual_config
        settings["visual"] = {
            "features": visual.visual_features,
            "num_action_units": visual.num_action_units,
            "num_appearance_features": visual.num_appearance_features,
        }
    if reader.faces is not None:
        settings["visual"] |= {
            "backend": dict(reader.faces.settings),
            "frame_rate": reader.frame_rate,
            "max_faces": reader.max_faces,
            "appearance": reader.settings.get("appearance"),
        }
        if "openface_units" in reader.settings:
            settings["visual"]["openface_units"] = reader.settings["openface_units"]
    return settings


def _prepare(folder: Path, processor: "M2FNetProcessor", splits: Iterable[str]) -> list[str]:
    """Save the processor, remove what was left half written or is spoilt, and index what is finished.

    Returns:
        A sentence for each spoilt shard.
    """
    with scratch_folder(folder / "processor") as part:
        processor.save_pretrained(part)
        move_files(part, folder)
    problems = []
    for split in splits:
        sweep(folder / split)
        spoilt = [name for name in shard_names(folder / split) if is_spoilt(folder / split / name)]
        for name in spoilt:
            (folder / split / name).unlink()
        problems += [f"{split}: the features in {name} were spoilt and are made again" for name in spoilt]
        write_index(folder / split)
    return problems


def _waiting(
    sources: Iterable[tuple[str, Any]], done: FeatureIndex, state: PartialState, split: str
) -> Iterator[Dialogue]:
    """This process's share of a split, less what any process has done."""
    for key, source in islice(sources, state.process_index, None, state.num_processes):
        dialogue, record = Dialogue.from_any(source), done.get(key)
        if record is None:
            yield dialogue
        else:
            check_words(record, dialogue, split)


def _read(dialogue: Dialogue, reader: RecordingReader) -> tuple[Dialogue, list[str]]:
    """The dialogue with the sound and faces of its recordings, and a sentence for each that could not be read."""
    if reader.faces is None and not reader.reads_audio:
        return dialogue, []
    dialogue, unreadable = _without_unreadable(dialogue)
    dialogue, problems = reader(dialogue, dialogue.recording)
    return dialogue, unreadable + problems


def _without_unreadable(dialogue: Dialogue) -> tuple[Dialogue, list[str]]:
    """The dialogue without the files that cannot be opened, and a sentence for each."""
    paths = [str(path) for path in (dialogue.recording, *(one.video for one in dialogue)) if path is not None]
    problems = {path: why for path in paths if (why := _why_unreadable(path)) is not None}
    lost = problems.get(str(dialogue.recording))
    utterances = [_masked(one, lost or problems.get(str(one.video))) for one in dialogue]
    recording = None if lost else dialogue.recording
    return Dialogue(utterances, id=dialogue.id, recording=recording), list(problems.values())


def _why_unreadable(path: str) -> str | None:
    try:
        with open(path, "rb"):
            return None
    except OSError as error:
        return f"{Path(path).name} could not be opened ({error.strerror})"


def _masked(utterance: Utterance, why: str | None) -> Utterance:
    if why is None:
        return utterance
    return utterance.replace(video=None, missing={"audio": why, "visual": why, **utterance.missing})


def _encoded(dialogue: Dialogue, model: "M2FNetForEmotionClassification", processor: "M2FNetProcessor") -> Dialogue:
    """The dialogue with the encoders' outputs for its words and for sound that is not encoded yet."""
    base: Any = model.base_model
    encoders = {"text": base.text_encoder, "audio": base.audio_encoder}
    encoded = [modality for modality, encoder in encoders.items() if encoder is not None]
    inputs = processor([dialogue], modalities=encoded).to(model.device)
    found: list[dict[str, Any]] = [{} for _ in dialogue]
    with torch.inference_mode():
        if "input_ids" in inputs:
            tokens = inputs["input_ids"], inputs["attention_mask"], inputs["pooling_mask"]
            _fill(found, "text_features", base.get_text_features(*tokens).pooler_output, inputs["pooling_mask"])
        if "audio_attention_mask" in inputs:
            sound = {name: inputs[name] for name in AUDIO_TENSORS if name in inputs}
            output = base.get_audio_features(**sound).pooler_output
            _fill(found, "audio_features", output, inputs["audio_attention_mask"])
    return Dialogue([_completed(*pair, model.config) for pair in zip(dialogue, found, strict=True)], id=dialogue.id)


def _fill(found: list[dict[str, Any]], field: str, features: torch.Tensor, mask: torch.Tensor) -> None:
    """Give each utterance its features of [1, U, D], where the mask [1, U, ...] has anything."""
    for one, vector, real in zip(found, features[0].float().cpu().numpy(), mask[0].any(-1).tolist(), strict=True):
        if real:
            one[field] = vector


def _completed(utterance: Utterance, found: dict[str, Any], config: "M2FNetConfig") -> Utterance:
    """The utterance with its features, or why the model will lack them."""
    utterance = utterance.replace(**{name: value for name, value in found.items() if getattr(utterance, name) is None})
    has = _modalities(field for field in FIELDS if getattr(utterance, field) is not None)
    lacking = {modality: NOT_GIVEN[modality] for modality in config.modalities if modality not in has}
    return utterance.replace(missing={**lacking, **utterance.missing})


def _modalities(fields: Iterable[str]) -> set[str]:
    return {modality for field in fields for modality, its in MODALITY_FIELDS.items() if field in its}


def _merged(folder: Path, splits: Iterable[str], met: KeysMet, state: PartialState, spoilt: Sequence[str]) -> Summary:
    """What the shards of all processes hold, by one index per split, after a search for what was lost."""
    counts, problems = {}, list(spoilt)
    for split in splits:
        with state.main_process_first():
            records = open_index(folder / split)
        lost = met.lost(split, records)
        if lost:
            raise ValueError(
                f"{folder} must hold {met.count(split)} dialogues of {split}, found none of {', '.join(lost)}; extract "
                "again, which goes on where it was."
            )
        problems += [f"{split}, dialogue {key}: it was extracted twice, of which one is used" for key in records.again]
        problems += [
            f"{split}, dialogue {key}: {one}" for key, record in records.read_all() for one in record["problems"]
        ]
        counts[split] = _counts(folder / split, records)
    return Summary(folder, state.num_processes, counts, problems)


def _counts(folder: Path, records: FeatureIndex) -> dict[str, int]:
    counts = {"dialogues": len(records), "utterances": 0, **dict.fromkeys(MODALITY_FIELDS, 0)}
    for _, record in records.read_all():
        for utterance in record["utterances"]:
            counts["utterances"] += 1
            for modality in _modalities(utterance["fields"]):
                counts[modality] += 1
    return {**counts, "bytes": sum(path.stat().st_size for path in folder.glob("*.safetensors"))}
