"""A stranger's walk: the files of the package that one `m2fnet predict` passes through, in order, each once.

`python tests/tools/walk.py` writes the list into CONTRIBUTING.md, each file with the first line of its docstring;
`python tests/tools/walk.py FILE` writes the names alone into a file.
"""

import ast
import os
import re
import sys
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any
from unittest import mock

ROOT = Path(__file__).parents[2]
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
SAMPLE = ROOT / "examples" / "sample_dialogue" / "conversation"
# They register and forward names whenever a module is imported.
WIRING = ("__init__.py", "registration.py")
_STEP = re.compile(r"^\d+\. `(m2fnet_hf/[^`]+)`", re.MULTILINE)


def walk() -> list[str]:
    """The files by which functions are called, without what only adds options to the command line."""
    import m2fnet_hf
    from m2fnet_hf import cli

    package = Path(m2fnet_hf.__file__).parent
    entered: dict[str, None] = {}

    def note(frame: FrameType, event: str, _: Any) -> None:
        file = frame.f_code.co_filename
        if event == "call" and file.startswith(str(package)) and not file.endswith(WIRING):
            name = Path(file).relative_to(package.parent).as_posix()
            if name not in entered and not _is_import(frame):
                entered[name] = None

    with TemporaryDirectory() as folder, mock.patch.dict(os.environ, M2FNET_CACHE=folder):
        options = cli._parse(["predict", f"{SAMPLE}.mp4", "--transcript", f"{SAMPLE}.srt"])
        with mock.patch.object(cli, "_parse", return_value=options):
            threading.setprofile(note)
            sys.setprofile(note)
            try:
                status = cli.main()
            finally:
                sys.setprofile(None)
                threading.setprofile(None)  # type: ignore[arg-type]
    if status != 0:
        raise RuntimeError(f"m2fnet predict must succeed on the sample, found status {status}.")
    return list(entered)


def _is_import(frame: FrameType | None) -> bool:
    """Whether a call is part of an import, such as a class body."""
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_globals["__name__"] != "__main__":
            return True
        frame = frame.f_back
    return False


def written() -> list[str]:
    """The files that CONTRIBUTING.md lists."""
    return _STEP.findall(CONTRIBUTING.read_text(encoding="utf-8"))


def write(files: list[str]) -> None:
    """Replace the list of CONTRIBUTING.md."""
    lines = [f"{step}. `{file}`: {_purpose(ROOT / file)}" for step, file in enumerate(files, start=1)]
    old = CONTRIBUTING.read_text(encoding="utf-8")
    before, rest = old.split("<!-- walk -->\n", 1)
    _, after = rest.split("<!-- end of walk -->", 1)
    text = "\n".join([f"{before}<!-- walk -->", *lines, f"<!-- end of walk -->{after}"])
    CONTRIBUTING.write_text(text, encoding="utf-8")


def _purpose(path: Path) -> str:
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]


if __name__ == "__main__":
    files = walk()
    if len(sys.argv) == 2:
        Path(sys.argv[1]).write_text("\n".join(files), encoding="utf-8")
    else:
        write(files)
