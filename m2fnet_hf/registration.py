"""M2FNet in the Auto classes and pipelines of transformers, so that none of its users needs `trust_remote_code`.

Those modules take seconds to import, and import each other half way. So a registration waits until its module is
there, and what it registers is loaded when somebody asks for it.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from .embedded_models import CHECKPOINTS

TASK = "multimodal-emotion"
# The graph that every exported model has.
EXPORTED = "fusion.onnx"
DEFAULT_CHECKPOINT = CHECKPOINTS / "m2fnet-mini"


# All that is registered with or registered begins with the import of one of these.
_FIRST = ("transformers", f"{__package__}.configuration_m2fnet", f"{__package__}.hub_m2fnet")


def register_when_imported() -> None:
    """Register with each part of transformers when it is first imported, or now where it was already."""
    if "transformers" in sys.modules:
        _register_hooks()
    else:
        sys.meta_path.insert(0, _AtFirstImport())


class _AtFirstImport(MetaPathFinder):
    """Registers the hooks when the first of `_FIRST` is imported: what needs none of them does without wrapt, too."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _FIRST:
            return None
        sys.meta_path.remove(self)
        _register_hooks()
        return find_spec(fullname)  # again from the first finder on, which is now that of the hooks


def _register_hooks() -> None:
    from wrapt import register_post_import_hook

    # Each of the two imports the other, so whichever is last finds both complete.
    register_post_import_hook(_load_configs, "transformers.models.auto.configuration_auto")
    register_post_import_hook(_register_configs, f"{__package__}.configuration_m2fnet")
    register_post_import_hook(_hand_over_upload, f"{__package__}.hub_m2fnet")
    register_post_import_hook(_register_models, "transformers.models.auto.modeling_auto")
    register_post_import_hook(_register_feature_extractor, "transformers.models.auto.feature_extraction_auto")
    register_post_import_hook(_register_processor, "transformers.models.auto.processing_auto")
    register_post_import_hook(_register_pipeline, "transformers.pipelines")


def _load_configs(_: ModuleType) -> None:
    _module("configuration_m2fnet")


def _register_configs(config: ModuleType) -> None:
    config.AutoConfig.register("m2fnet", config.M2FNetConfig, exist_ok=True)
    config.AutoConfig.register("m2fnet_visual", config.M2FNetVisualConfig, exist_ok=True)


def _hand_over_upload(hub: ModuleType) -> None:
    hub.M2FNetHubMixin.upload_part = lambda part, *args, **kwargs: _module("hub.push").push_part(part, *args, **kwargs)


def _register_models(auto: ModuleType) -> None:
    configs = _module("configuration_m2fnet")
    config = configs.M2FNetConfig
    # The mapping and not `AutoModel.register`, which would inspect the class and so load it too early.
    auto.MODEL_MAPPING.register(config, _lazy("modeling_m2fnet", "M2FNetModel"), exist_ok=True)
    faces = _lazy("encoders_m2fnet", "M2FNetVisualEncoder")
    auto.MODEL_MAPPING.register(configs.M2FNetVisualConfig, faces, exist_ok=True)
    head = _lazy("modeling_m2fnet", "M2FNetForEmotionClassification")
    auto.MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING.register(config, head, exist_ok=True)


def _register_feature_extractor(auto: ModuleType) -> None:
    config = _module("configuration_m2fnet").M2FNetVisualConfig
    extractor = _lazy("feature_extraction_m2fnet", "AUFeatureExtractor")
    auto.FEATURE_EXTRACTOR_MAPPING.register(config, extractor, exist_ok=True)


def _register_processor(auto: ModuleType) -> None:
    config = _module("configuration_m2fnet").M2FNetConfig
    auto.PROCESSOR_MAPPING.register(config, _lazy("processing_m2fnet", "M2FNetProcessor"), exist_ok=True)


def _register_pipeline(pipelines: ModuleType) -> None:
    # Again not `register_pipeline`, which would write into the class.
    pipelines.PIPELINE_REGISTRY.supported_tasks[TASK] = {
        "impl": _lazy("pipeline_m2fnet", "MultimodalEmotionPipeline"),
        "pt": (pipelines.AutoModelForTokenClassification, ExportedModel),
        "default": {"model": (str(DEFAULT_CHECKPOINT), "main")},
        "type": "multimodal",
    }


class ExportedModel:
    """What the library tries where its own class finds no weights: a model that `m2fnet export onnx` wrote."""

    @classmethod
    def from_pretrained(cls, name_or_path: str, **_: Any) -> Any:
        """The model in a folder.

        Raises:
            WeightsError: for another folder, a name on the Hub, or a part that is not there or not readable: of an
                `OSError` or a `ValueError` the library shows a stack trace.
            ImportError: without onnxruntime.
        """
        weights_error = _module("weight_files_m2fnet").WeightsError
        if not is_exported(name_or_path):
            raise weights_error(
                f"{name_or_path} must be an M2FNet model with its weights, or a folder with {EXPORTED}, found neither; "
                "name another."
            )
        try:
            return _module("export.runner").OnnxEmotionModel(name_or_path)
        except (OSError, ValueError) as error:
            raise weights_error(str(error)) from error


def is_exported(folder: str | Path) -> bool:
    """Whether `m2fnet export onnx` wrote it."""
    return (Path(folder) / EXPORTED).is_file()


def _lazy(module: str, name: str) -> Any:
    from wrapt import LazyObjectProxy

    return LazyObjectProxy(lambda: getattr(_module(module), name))


def _module(name: str) -> Any:
    return import_module(f".{name}", __package__)
