"""The files of a run (settings, metrics), made fit to publish."""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..configuration_m2fnet import M2FNetConfig
from ..json_files_m2fnet import read_object
from ..utils.files import write_json
from ..utils.hashes import sha256_files

RESULTS, SETTINGS, DEV_RESULTS = "results.json", "run.json", "dev_results.json"
RUN_FILES = (RESULTS, SETTINGS, DEV_RESULTS)

# What is read of them as a mapping.
_SECTIONS = {"encoders", "training", "per_class", "support", "modalities", "dev"}
_LOCAL = re.compile(r"[/~]|\.{1,2}/|[A-Za-z]:[\\/]|\\\\")
_SECRET_NAME = re.compile(r"(?:hub|access|auth|api)_token$|password|passwd|secret|api_?key|credential", re.IGNORECASE)
_SECRET = re.compile(r"://[^/\s@]+@|\bhf_\w{16,}")  # in an address, and a token of the Hub
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


def weights_sha256(folder: Path) -> str:
    """A hash of a checkpoint's weights, by which its results know it."""
    return sha256_files(sorted(folder.glob("model*.safetensors")))


def read_run_file(folder: Path, name: str) -> dict[str, Any]:
    """One of the JSON files of a run, empty where there is none.

    Raises:
        ValueError: for what is not a JSON object, or has something else where it must have one.
    """
    path = folder / name
    if not path.is_file():
        return {}
    content = read_object(path)
    for section in _SECTIONS & content.keys():
        if not isinstance(content[section], dict):
            raise ValueError(f"{path} must have a mapping as its `{section}`, found another value; get the file again.")
    return content


def publish_run_files(run: Path, folder: Path, repo_id: str, config: M2FNetConfig) -> None:
    """Copy these files, without paths of this machine and with the hash of the weights that they are about.

    Raises:
        ValueError: for results of another model.
    """
    weights = weights_sha256(run)
    for name in RUN_FILES:
        content = read_run_file(run, name)
        if not content:
            continue
        if content.get("weights", weights) != weights:
            raise ValueError(_not_of_this_model(run, name, "its weights were others"))
        if name == RESULTS:
            check_results(content, config, run)
            content["model"] = repo_id.rpartition("/")[2]
        write_json({**without_paths(content), "weights": weights}, folder / name)


def check_results(results: Mapping[str, Any], config: M2FNetConfig, run: Path) -> None:
    """Refuse results that this model cannot have, and warn of those that name another.

    Raises:
        ValueError: where labels or modalities are others.
    """
    if list(results.get("per_class", config.label_names)) != config.label_names:
        raise ValueError(_not_of_this_model(run, RESULTS, f"its labels are {', '.join(results['per_class'])}"))
    used = [name for name, count in results.get("modalities", {}).items() if count]
    absent = [name for name in used if name not in config.modalities]
    if absent:
        raise ValueError(_not_of_this_model(run, RESULTS, f"it used {', '.join(absent)}"))
    measured = Path(str(results.get("model") or "")).name
    if "weights" not in results and measured not in ("", run.resolve().name):
        warnings.warn(
            f"{run / RESULTS} names the model {measured}, expected {run.resolve().name}; if they are not the same, "
            "evaluate again before you publish.",
            stacklevel=2,
        )


def without_paths(value: Any) -> Any:
    """A JSON value without the entries that are paths of this machine, or secrets."""
    if isinstance(value, dict):
        public = {name: item for name, item in value.items() if not _SECRET_NAME.search(name)}
        return {name: without_paths(item) for name, item in public.items() if not _is_private(item)}
    if isinstance(value, list):
        return [without_paths(item) for item in value if not _is_private(item)]
    return value


def _is_private(value: Any) -> bool:
    return is_local(value) or (isinstance(value, str) and bool(_SECRET.search(value)))


def is_local(value: Any) -> bool:
    """Whether this is a path and no name on the Hub."""
    if not isinstance(value, str):
        return False
    return bool(_LOCAL.match(value)) or ("/" in value and Path(value).exists())


def hub_names(*values: Any) -> list[str]:
    """Those of the values that can be names on the Hub."""
    return [value for value in values if isinstance(value, str) and not is_local(value) and _HUB_NAME.fullmatch(value)]


def _not_of_this_model(run: Path, name: str, found: str) -> str:
    return (
        f"{run / name} must be about the model in {run}, but {found}; write it again with "
        f"`m2fnet evaluate --model {run} --output {run / RESULTS}`, or remove it."
    )
