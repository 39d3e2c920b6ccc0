"""The site's pages: the repository's own files where they lie, and a reference made of parsers and docstrings.

A page has the path that its file has in the repository, so a link leads to the same place in both.
"""

import argparse
import re
import shutil
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from m2fnet_hf.cli import _parser
from m2fnet_hf.hub.card import write_card

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "m2fnet_hf"
FOLDERS = ("docs", "examples", "benchmarks", "research", "m2fnet_hf/checkpoints", "m2fnet_hf/configs")
RELATIVE = re.compile(r"\[([^\]]+)\]\((?!https?:)[^)]+\)")
LEFT_OUT = (".safetensors", ".pyc", "tokenizer.json")
REFERENCE = "docs/reference"
# Their reference is that of the command line.
COMMAND_LINE = ("m2fnet_hf.commands", "m2fnet_hf.cli", "m2fnet_hf.__main__")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the reference to the navigation."""
    index, *modules = (f"{REFERENCE}/{name}" for name in _reference())
    config.nav.append({"Reference": [index, *({Path(path).stem: path} for path in modules)]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The files of the repository in place of those of `docs_dir`."""
    shown = [File.generated(config, str(path.relative_to(ROOT)), abs_src_path=str(path)) for path in _repository()]
    made = {f"{REFERENCE}/{name}": text for name, text in _reference().items()} | {"docs/card.md": _card()}
    theme = [file for file in files if not Path(file.abs_src_path or "/").is_relative_to(config.docs_dir)]
    return Files([*theme, *shown, *(File.generated(config, path, content=text) for path, text in made.items())])


def _repository() -> Iterator[Path]:
    yield from (*sorted(ROOT.glob("*.md")), ROOT / "LICENSE", ROOT / "requirements-onnx.txt")
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and not path.name.endswith(LEFT_OUT):
                yield path


def _card() -> str:
    """The card that a push of `meld-mini`'s last stage renders, of its own files."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("config.json", "processor_config.json", "results.json"):
            shutil.copy(PACKAGE / "checkpoints" / "meld-mini" / part, folder)
        write_card(folder, "org/m2fnet-meld", license="apache-2.0")
        _, metadata, text = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return CARD.format(metadata=metadata, text=RELATIVE.sub("\\1", text))


@cache
def _reference() -> dict[str, str]:
    """The pages of the reference by their names."""
    package = griffe.load("m2fnet_hf", search_paths=[ROOT])
    modules = {module.name: module for module in package.modules.values() if module.path not in COMMAND_LINE}
    return {
        "index.md": _index(package, modules),
        "command-line.md": _command_line(),
        **{f"{name}.md": _module_page(module) for name, module in sorted(modules.items()) if _has_names(module)},
    }


def _index(package: griffe.Module, modules: dict[str, griffe.Module]) -> str:
    names = "\n".join(_row(name, package[name].final_target) for name in package.exports if name != "__version__")
    pages = "\n".join(
        f"| [`{name}`]({name}.md) | {_first_line(module)} |"
        for name, module in sorted(modules.items())
        if _has_names(module)
    )
    return INDEX.format(names=names, pages=pages)


def _row(name: str, target: griffe.Object) -> str:
    return f"| [`{name}`][{target.path}] | {_first_line(target)} |"


def _first_line(named: griffe.Object) -> str:
    return named.docstring.value.partition("\n\n")[0].replace("\n", " ").replace("|", "\\|") if named.docstring else ""


def _has_names(module: griffe.Module) -> bool:
    return any(True for _ in _documented(module))


def _documented(module: griffe.Module) -> Iterator[griffe.Module]:
    """The module and those in it that define a public class, function or value."""
    if any(not name.startswith("_") and not (one.is_alias or one.is_module) for name, one in module.members.items()):
        yield module
    for inner in sorted(module.modules.values(), key=lambda one: one.name):
        yield from _documented(inner)


def _module_page(module: griffe.Module) -> str:
    if not module.is_init_module:
        return f"::: {module.path}\n    options: {{heading_level: 1}}\n"
    inner = (f"::: {one.path}" for one in _documented(module))
    return "\n\n".join([f"# {module.path}\n\n{_first_line(module)}", *inner]) + "\n"


def _command_line() -> str:
    (commands,) = (one for one in _parser()._actions if isinstance(one, argparse._SubParsersAction))
    parts = [COMMANDS]
    for name, parser in commands.choices.items():
        parser.formatter_class = _Wide
        parts.append(f"## m2fnet {name}\n\n{parser.description}\n\n```text\n{_without_description(parser)}```")
    return "\n\n".join(parts) + "\n"


class _Wide(argparse.HelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=100, max_help_position=28)


def _without_description(parser: argparse.ArgumentParser) -> str:
    parser.description = None
    return parser.format_help()


CARD = """!!! note
    This is what `m2fnet push runs/meld-mini org/m2fnet-meld --license apache-2.0` uploads as `README.md`, rendered from
    the files of the run; here those of the embedded `meld-mini`. Its metadata, which the Hub reads:

```yaml
{metadata}```

{text}
"""
INDEX = """# Python

Shapes are written with one alphabet: B dialogues, U utterances, T tokens, S samples, F frames, P faces, A Action Units,
D or H features, C emotions. Times are in seconds, sound is in Hz, and masks are true where something is real.

## What `m2fnet_hf` exports

| name | |
|---|---|
{names}

## Modules

| module | |
|---|---|
{pages}
"""
COMMANDS = """# Command line

The status is 0 when the work was done, 1 when it was not, and 2 for wrong usage. Errors are one sentence on standard
error; `m2fnet --debug COMMAND` shows where an error came from."""
