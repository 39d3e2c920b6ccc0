"""The reader of recordings that fits a model: it reads what the model reads, and no more."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..faces.registry import load_face_backend
from ..faces.types import FaceBackend, Faces
from .cache import Cache
from .reader import RecordingReader

if TYPE_CHECKING:
    from ..configuration_m2fnet import M2FNetVisualConfig
    from ..feature_extraction_m2fnet import AppearanceFeatureExtractor
    from ..modeling_m2fnet import M2FNetForEmotionClassification
    from ..processing_m2fnet import M2FNetProcessor

NO_FACES = "none"


def build_reader(
    model: "M2FNetForEmotionClassification",
    processor: "M2FNetProcessor",
    faces: str | Path | FaceBackend | None = None,
    frame_rate: float = 2.0,
    cache: Cache | None = None,
    progress: Callable[..., Iterable[Any]] | None = None,
    encode_sound: bool = True,
    audio_track: int | None = None,
) -> RecordingReader:
    """A reader of what the model reads.

    Args:
        model: torch's, or an exported one.
        processor: of the model.
        faces: name of a face backend, one of its objects, a csv or npz file of faces, or `none`. Default: the one that
            the model names; where it does not work, faces are masked. One that is given is asked even for a model that
            does not read faces, so that they can be drawn.
        frame_rate: frames of each second of an utterance in which faces are looked for.
        cache: where results are kept.
        progress: wraps the pass over a recording, as `rich.progress.track` does.
        encode_sound: run the sound encoder on each batch of utterances, so that their sound need not stay in memory.
        audio_track: which sound track of a recording, from 1. Default: the first that is not silent.

    Raises:
        ValueError, ImportError, OSError: where the face backend that was named does not work.
    """
    config = model.config
    reader = RecordingReader(
        frame_rate=frame_rate,
        max_faces=processor.au_feature_extractor.max_faces,
        faces_required=faces is not None,
        reads_audio=config.audio_config is not None,
        audio_track=audio_track,
        cache=cache or Cache(None),
        progress=progress,
    )
    if reader.reads_audio and encode_sound:
        if hasattr(model, "sound_encoder"):  # an exported one, which brings what needs no torch
            exported: Any = model
            reader.encode_audio, reader.settings["audio"] = exported.sound_encoder(processor)
        else:
            from .sound_encoder import sound_encoder

            reader.encode_audio, reader.settings["audio"] = sound_encoder(model, processor)
    if faces is not None and str(faces) != NO_FACES:
        reader.faces = load_face_backend(faces) if isinstance(faces, (str, Path)) else faces
        if not hasattr(reader.faces, "action_units"):
            raise TypeError(f"`faces` must be a face backend or the name of one, found {type(faces).__name__}.")
    elif config.visual_config is not None and faces is None:
        try:
            reader.faces = load_face_backend(config.visual_config.face_backend)
        except (ImportError, OSError, ValueError) as error:
            reader.unreported.append(str(error))
    if config.visual_config is not None:
        _choose_face_features(reader, config.visual_config, processor)
    return reader


def _choose_face_features(reader: RecordingReader, config: "M2FNetVisualConfig", processor: "M2FNetProcessor") -> None:
    """Choose what of each face the model reads."""
    if reader.faces is None:
        reader.visual_unavailable_reason = "faces were not looked for"
        return
    if config.visual_features in ("action_units", "both"):
        extractor, offered = processor.au_feature_extractor, list(reader.faces.action_units)
        wanted = list(config.action_units or offered)
        lacking = extractor.lacking(offered, wanted)
        # Without weights of its own the visual encoder masks single units, else it masks the face.
        is_unreadable = len(lacking) == len(wanted) if config.hidden_size is None else bool(lacking)
        if is_unreadable or len(wanted) != config.num_action_units:
            reader.visual_unavailable_reason = (
                f"the faces come without {', '.join(lacking) or 'the Action Units that the model reads'}"
            )
            return
        reader.units = partial(extractor.arrange, offered=offered, wanted=wanted)
        if not set(wanted) - set(lacking) <= set(offered):
            reader.settings["openface_units"] = extractor.openface_units
    if config.visual_features in ("appearance", "both"):
        reader.describe = _AppearanceDescriber(processor.appearance_feature_extractor)
        reader.settings["appearance"] = processor.appearance_feature_extractor.fingerprint


class _AppearanceDescriber:
    """The appearance features of faces, as the processor reduces them."""

    def __init__(self, extractor: "AppearanceFeatureExtractor") -> None:
        self.extractor = extractor

    def __call__(self, image: np.ndarray, faces: Faces) -> np.ndarray:
        from ..faces.appearance import describe

        return self.extractor.project(describe(image, faces, geometry=self.extractor.geometry))
