"""The code that travels with a model, and how a repository tells the library of it."""

import json
import shutil
from pathlib import Path
from typing import Any

from transformers.dynamic_module_utils import get_relative_import_files

from .. import pipeline_m2fnet
from ..registration import TASK
from ..utils.files import write_json

AUTO_MAP = {
    "AutoConfig": "configuration_m2fnet.M2FNetConfig",
    "AutoModel": "modeling_m2fnet.M2FNetModel",
    "AutoModelForTokenClassification": "modeling_m2fnet.M2FNetForEmotionClassification",
}
PROCESSOR_AUTO_MAP = {"AutoProcessor": "processing_m2fnet.M2FNetProcessor"}
CUSTOM_PIPELINES = {
    TASK: {
        "impl": "pipeline_m2fnet.MultimodalEmotionPipeline",
        "pt": ["AutoModelForTokenClassification"],
        "type": "multimodal",
    }
}


def add_code(folder: Path) -> None:
    """Copy the code to a folder with a saved model, processor or both, and name it in their configs."""
    for module in code_files():
        shutil.copyfile(module, folder / module.name)
    _update(folder / "config.json", {"auto_map": AUTO_MAP, "custom_pipelines": CUSTOM_PIPELINES})
    _update(folder / "processor_config.json", {"auto_map": PROCESSOR_AUTO_MAP})


def code_files() -> list[Path]:
    """The pipeline's module and all that it needs, which lie beside each other."""
    pipeline = Path(str(pipeline_m2fnet.__file__))
    return sorted({pipeline, *map(Path, get_relative_import_files(pipeline))})


def _update(path: Path, entries: dict[str, Any]) -> None:
    if path.is_file():
        content = json.loads(path.read_text(encoding="utf-8"))
        write_json({**content, **entries}, path, sort_keys=True)
