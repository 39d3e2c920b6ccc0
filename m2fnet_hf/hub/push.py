"""Upload a run, or a part of a model, in one commit that leaves nothing stale behind."""

import json
import os
import shutil
import warnings
from pathlib import Path
from tempfile import gettempdir
from typing import Any, Protocol

from huggingface_hub import CommitInfo, CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import RemoteEntryNotFoundError

from ..configuration_m2fnet import M2FNetConfig
from ..face_arrays_m2fnet import APPEARANCE_WEIGHTS
from ..modeling_m2fnet import M2FNetForEmotionClassification
from ..processing_m2fnet import M2FNetProcessor
from ..utils.files import scratch_folder, write_json, write_text
from .card import CARD, check_card, parse_card, write_card
from .code import add_code
from .license import copy_license_files
from .run_files import RUN_FILES, SETTINGS, publish_run_files, read_run_file, weights_sha256, without_paths

CONFIG, PROCESSOR_CONFIG = "config.json", "processor_config.json"
WEIGHTS, WEIGHTS_INDEX = "model.safetensors", "model.safetensors.index.json"


def prepare_run(run: Path, folder: Path, repo_id: str, license: str | None = None, dataset: str | None = None) -> None:
    """Write to `folder` what a repository holds of a run: model, processor, code, settings, results and card.

    Args:
        run: folder that `m2fnet train` wrote, or a checkpoint.
        folder: made where it is not there.
        repo_id: where it will go; the card names it.
        license: the Hub's name of the licence of the weights; default: the one in the run's README.md.
        dataset: name of the data set, where the run and its results do not say.

    Raises:
        FileNotFoundError: for a run without model or processor.
        ValueError: for a file that is a link out of the run, results of another model, or a written card with other
            numbers.
    """
    _check_run(run)
    folder.mkdir(parents=True, exist_ok=True)
    config: M2FNetConfig = M2FNetForEmotionClassification.from_pretrained(run).config  # refuses damaged weights
    config.save_pretrained(folder)
    M2FNetProcessor.from_pretrained(run).save_pretrained(folder)
    for path in [*run.glob("model*.safetensors"), *run.glob(WEIGHTS_INDEX)]:
        shutil.copyfile(path, folder / path.name)
    for name in (CONFIG, PROCESSOR_CONFIG, "tokenizer_config.json"):
        write_json(without_paths(read_run_file(folder, name)), folder / name)
    copy_license_files(run, folder)
    publish_run_files(run, folder, repo_id, config)
    if dataset is not None:
        settings = {"weights": weights_sha256(folder), **read_run_file(folder, SETTINGS), "dataset": dataset}
        write_json(settings, folder / SETTINGS)
    add_code(folder)
    try:
        written = (run / CARD).read_text(encoding="utf-8") if (run / CARD).is_file() else ""
        parse_card(written)
    except Exception as error:  # of decoding, of YAML and of the library
        raise ValueError(
            f"{run / CARD} must be a card in UTF-8 whose metadata are a mapping in YAML, found another; correct it."
        ) from error
    check_card(folder, written)
    write_card(folder, repo_id, written, license)


def _check_run(run: Path) -> None:
    for path in run.glob("*"):
        if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(run.resolve()):
            raise ValueError(f"{path} must lie in the run, found a link to {path.resolve()}; copy or remove it.")
        if not (path.is_file() or path.is_dir()):
            raise ValueError(f"{path} must be a file, found a link that leads nowhere, or a pipe; remove it.")
    for pattern in (CONFIG, "model*.safetensors", PROCESSOR_CONFIG):
        if not any(run.glob(pattern)):
            last = max(run.glob("checkpoint-*"), key=lambda path: path.stat().st_mtime, default=None)
            hint = "name the folder of a finished run" if last is None else f"finish the run, or name {last}"
            raise FileNotFoundError(f"A run to push must hold {pattern}, found none in {run}; {hint}.")


class Savable(Protocol):
    """A model, processor or pipeline."""

    def save_pretrained(self, save_directory: Path, **kwargs: Any) -> Any:
        """Write its files to a folder."""


def push_part(
    part: Savable,
    repo_id: str,
    *,
    commit_message: str | None = None,
    commit_description: str | None = None,
    private: bool | None = None,
    token: bool | str | None = None,
    revision: str | None = None,
    create_pr: bool = False,
    tags: str | list[str] | None = None,
    **saving: Any,
) -> CommitInfo:
    """Upload a model, processor or pipeline with its code; a model with its card.

    Args:
        part: a model, processor or pipeline.
        repo_id, commit_message, commit_description, private, token, revision, create_pr, tags: as in the library.
        saving: for `save_pretrained`.
    """
    api = HfApi(token=token)
    repo_id = open_repository(api, repo_id, private, revision)
    with scratch_folder(Path(gettempdir()) / "push") as folder:
        part.save_pretrained(folder, **saving)
        add_code(folder)
        if (folder / CONFIG).is_file():
            _fetch_run_files(api, repo_id, revision, folder)
            written = _fetch(api, repo_id, CARD, revision) or ""
            _warn_of_metrics(folder, written)
            write_card(folder, repo_id, written, tags=[tags] if isinstance(tags, str) else tags)
        message = commit_message or f"Upload {type(part).__name__}"
        return upload(api, folder, repo_id, message, commit_description, revision, create_pr)


def open_repository(api: HfApi, repo_id: str, private: bool | None, revision: str | None) -> str:
    """Make repository and branch where they are not there; the full name of the repository."""
    name = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
    if revision is not None and not revision.startswith("refs/"):
        api.create_branch(name, branch=revision, exist_ok=True)
    return name


def upload(
    api: HfApi,
    folder: Path,
    repo_id: str,
    message: str,
    description: str | None = None,
    revision: str | None = None,
    create_pr: bool = False,
) -> CommitInfo:
    """All files of a folder in one commit, which also removes what they make stale."""
    added = [path for path in sorted(folder.iterdir()) if path.is_file()]
    operations: list[Any] = [CommitOperationAdd(path.name, path) for path in added]
    for name in _made_stale({path.name for path in added}):
        if api.file_exists(repo_id, name, revision=revision):
            operations.append(CommitOperationDelete(name))
    return api.create_commit(
        repo_id,
        operations,
        commit_message=message,
        commit_description=description,
        revision=revision,
        create_pr=create_pr,
    )


def _made_stale(added: set[str]) -> list[str]:
    """Names of files that would contradict the added ones, if the repository has them."""
    of_model = [WEIGHTS, WEIGHTS_INDEX, *RUN_FILES] if CONFIG in added else []
    of_processor = [APPEARANCE_WEIGHTS] if PROCESSOR_CONFIG in added else []
    return [name for name in (*of_model, *of_processor) if name not in added]


def _fetch_run_files(api: HfApi, repo_id: str, revision: str | None, folder: Path) -> None:
    """The repository's settings and results that are about the weights in the folder."""
    weights = weights_sha256(folder)
    for name in RUN_FILES:
        text = _fetch(api, repo_id, name, revision)
        if text is not None and json.loads(text).get("weights") == weights:
            write_text(text, folder / name)


def _fetch(api: HfApi, repo_id: str, name: str, revision: str | None) -> str | None:
    try:
        return Path(api.hf_hub_download(repo_id, name, revision=revision)).read_text(encoding="utf-8")
    except RemoteEntryNotFoundError:
        return None


def _warn_of_metrics(folder: Path, written: str) -> None:
    try:
        check_card(folder, written)
    except ValueError as error:
        warnings.warn(f"The written part of the card stays as it is, but: {error}", stacklevel=4)
