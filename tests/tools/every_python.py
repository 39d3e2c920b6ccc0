"""Run the tests that need no torch on every Python that setup.cfg promises and that is found on this machine.

`python every_python.py FOLDER` makes an environment for each in FOLDER, with the newest releases of what these tests
need. Where pip finds no newer one, an environment of the last run is used again.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from configparser import ConfigParser
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = (
    "tests/media",
    "tests/data/test_transcripts.py",
    "tests/data/test_transcript_cases.py",
    "tests/data/test_transcript_formats.py",
    "tests/faces/test_precomputed.py",
    "tests/faces/test_tracker.py",
    "tests/reports",
    "tests/test_dialogue_m2fnet.py",
    "tests/test_torchless.py",
)
# Whoever installs these gets torch, or needs it to use them.
WITH_TORCH = ("huggingface-hub", "safetensors", "torch", "transformers")
# `tests/reports/test_plots.py` makes its numbers with a model.
EXCEPT = ("--ignore=tests/reports/test_plots.py",)
PIP = ("-m", "pip", "install", "--quiet", "--no-compile")


def main(folder: Path) -> int:
    settings = ConfigParser()
    settings.read(ROOT / "setup.cfg")
    found = {version: _find(version) for version in _versions(settings)}
    absent = [version for version, python in found.items() if python is None]
    environments = {version: _environment(folder, python) for version, python in found.items() if python is not None}
    with ThreadPoolExecutor() as threads:  # half of the time something is downloaded or unpacked
        passed = list(threads.map(partial(_passes, _requirements(settings)), environments.values()))
    failed = [version for version, has_passed in zip(environments, passed, strict=True) if not has_passed]
    if absent:
        print(f"Not found, and so not tested: Python {', '.join(absent)}.")
    if failed:
        print(f"Failed on Python {', '.join(failed)}.")
    return 1 if failed else 0


def _versions(settings: ConfigParser) -> list[str]:
    """The Pythons of the classifiers, without the one that all tests run on."""
    label = "Programming Language :: Python :: "
    lines = settings["metadata"]["classifiers"].split("\n")
    versions = [line.removeprefix(label) for line in lines if line.startswith(label)]
    return [version for version in versions if version != f"{sys.version_info.major}.{sys.version_info.minor}"]


def _find(version: str) -> Path | None:
    """A Python that starts: on the path or among pyenv's, whose stand-ins on the path may start none."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    on_path = shutil.which(f"python{version}")
    candidates = [*([] if on_path is None else [Path(on_path)]), *pyenv.glob(f"versions/{version}.*/bin/python")]
    return next(
        (one for one in candidates if not subprocess.run([one, "-c", ""], capture_output=True).returncode), None
    )


def _environment(folder: Path, python: Path) -> Path:
    """The Python of an environment with the package, without what it needs."""
    environment = folder / python.resolve().name
    subprocess.run([python, "-m", "venv", environment], check=True)
    own = environment / "bin" / "python"
    subprocess.run([own, *PIP, "--no-deps", "--editable", ROOT], check=True)
    return own


def _passes(requirements: Sequence[str], python: Path) -> bool:
    subprocess.run([python, *PIP, "--upgrade", *requirements, "pytest", "pytest-xdist"], check=True)
    command = [python, "-m", "pytest", "--numprocesses", "logical", "-p", "no:cacheprovider", *TESTS, *EXCEPT]
    ran = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(ran.stdout, flush=True)
    return ran.returncode == 0


def _requirements(settings: ConfigParser) -> list[str]:
    texts = settings["options"]["install_requires"], settings["options.extras_require"]["reports"]
    lines = [line for text in texts for line in text.split("\n") if line]
    return [line for line in lines if not line.startswith(WITH_TORCH)]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
