"""Presets by name: the files of `m2fnet_hf/configs`."""

import argparse
from importlib.resources import files
from pathlib import Path

FOLDER = Path(str(files("m2fnet_hf") / "configs"))


def preset(text: str) -> Path:
    """The file that a command line names: a path, or a preset by its name alone.

    Raises:
        argparse.ArgumentTypeError: for what is neither.
    """
    path = Path(text)
    if path.suffix or path.exists() or path.name != text:
        return path
    named = FOLDER / f"{text}.yaml"
    if not named.is_file():
        names = ", ".join(sorted(file.stem for file in FOLDER.glob("*.yaml")))
        raise argparse.ArgumentTypeError(f"must be a YAML file or a preset ({names}), found {text}")
    return named
