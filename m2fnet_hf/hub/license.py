"""The licence of a model's weights, as its card states it."""

import shutil
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

CARD = "README.md"
LICENSE_FILES = ("LICENSE", "LICENSE.md", "LICENSE.txt")
CODE_LICENSE = "apache-2.0"


class ModelLicense(NamedTuple):
    """The Hub's name of a licence, and the data sets that the card names."""

    name: str
    datasets: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name} ({', '.join(self.datasets)})" if self.datasets else self.name


def read_license(model: str) -> ModelLicense | None:
    """The licence in the metadata of a model's card, `None` where there is no card, or none in it.

    Args:
        model: folder, or name on the Hub.
    """
    path = _card(model)
    data = None if path is None else _metadata(path)
    if data is None:
        return None
    license = data.get("license")
    name = data.get("license_name") if license == "other" else None
    datasets = data.get("datasets") or ()
    named = (datasets,) if isinstance(datasets, str) else tuple(map(str, datasets))
    return None if license is None else ModelLicense(str(name or license), named)


def copy_license(model: str, folder: Path) -> None:
    """Copy the card of a model, and the text of its licence where it is a folder, to what was made of the model."""
    path = _card(model)
    if path is not None:
        shutil.copyfile(path, folder / CARD)
    copy_license_files(Path(model), folder)


def copy_license_files(run: Path, folder: Path) -> None:
    """Copy the text of a licence that lies beside a model."""
    for path in (run / name for name in LICENSE_FILES):
        if path.is_file():
            shutil.copyfile(path, folder / path.name)


def _card(model: str) -> Path | None:
    path = Path(model) / CARD if Path(model).is_dir() else _download(model)
    return path if path is not None and path.is_file() else None


def _metadata(card: Path) -> dict[str, Any] | None:
    """The YAML between two lines of dashes at the head of a card."""
    try:
        _, start, rest = card.read_text(encoding="utf-8").lstrip().partition("---\n")
        block, end, _ = rest.partition("\n---")
        found = yaml.safe_load(block) if start and end else None
    except (OSError, ValueError, yaml.YAMLError):
        return None
    return found if isinstance(found, dict) else None


@cache
def _download(repo_id: str) -> Path | None:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        return Path(hf_hub_download(repo_id, CARD))
    except (OSError, ValueError, HfHubHTTPError, HFValidationError):
        return None
