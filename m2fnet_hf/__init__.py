"""M2FNet: from the video of a conversation to the emotion of every utterance.

Importing the package is cheap: its names are loaded on first use, and it enters transformers' Auto classes and
pipelines at the moment these are first imported (see `registration`).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__
from .registration import register_when_imported

if TYPE_CHECKING:
    from .configuration_m2fnet import M2FNetConfig, M2FNetVisualConfig
    from .data.acted_dialogues import load_acted
    from .data.folder import load_dialogues
    from .data.iemocap import load_iemocap
    from .data.meld import load_meld
    from .data.transcripts import read_transcript
    from .dialogue_m2fnet import Dialogue, EmotionPrediction, ModalityScores, TrackedFace, Utterance
    from .embedded_models import embedded
    from .export.pipeline import ExportedPipeline, load_exported
    from .faces.registry import register_face_backend
    from .faces.types import Faces
    from .feature_extraction_m2fnet import AppearanceFeatureExtractor, AUFeatureExtractor
    from .media.clip import Frame
    from .modeling_m2fnet import M2FNetForEmotionClassification, M2FNetModel
    from .online.stream import EmotionStream
    from .pipeline_m2fnet import MultimodalEmotionPipeline
    from .processing_m2fnet import M2FNetProcessor
    from .reports.data_frame import to_data_frame

_HOMES = {
    "AppearanceFeatureExtractor": "feature_extraction_m2fnet",
    "AUFeatureExtractor": "feature_extraction_m2fnet",
    "Dialogue": "dialogue_m2fnet",
    "EmotionPrediction": "dialogue_m2fnet",
    "EmotionStream": "online.stream",
    "ExportedPipeline": "export.pipeline",
    "Faces": "faces.types",
    "Frame": "media.clip",
    "M2FNetConfig": "configuration_m2fnet",
    "M2FNetForEmotionClassification": "modeling_m2fnet",
    "M2FNetModel": "modeling_m2fnet",
    "M2FNetProcessor": "processing_m2fnet",
    "M2FNetVisualConfig": "configuration_m2fnet",
    "ModalityScores": "dialogue_m2fnet",
    "MultimodalEmotionPipeline": "pipeline_m2fnet",
    "TrackedFace": "dialogue_m2fnet",
    "Utterance": "dialogue_m2fnet",
    "embedded": "embedded_models",
    "load_acted": "data.acted_dialogues",
    "load_dialogues": "data.folder",
    "load_exported": "export.pipeline",
    "load_iemocap": "data.iemocap",
    "load_meld": "data.meld",
    "read_transcript": "data.transcripts",
    "register_face_backend": "faces.registry",
    "to_data_frame": "reports.data_frame",
}

__all__ = [
    "AUFeatureExtractor",
    "AppearanceFeatureExtractor",
    "Dialogue",
    "EmotionPrediction",
    "EmotionStream",
    "ExportedPipeline",
    "Faces",
    "Frame",
    "M2FNetConfig",
    "M2FNetForEmotionClassification",
    "M2FNetModel",
    "M2FNetProcessor",
    "M2FNetVisualConfig",
    "ModalityScores",
    "MultimodalEmotionPipeline",
    "TrackedFace",
    "Utterance",
    "__version__",
    "embedded",
    "load_acted",
    "load_dialogues",
    "load_exported",
    "load_iemocap",
    "load_meld",
    "read_transcript",
    "register_face_backend",
    "to_data_frame",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


register_when_imported()
