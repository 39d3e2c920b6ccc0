"""The house: imports point one way and lead somewhere, without a circle, and no file is too long.

The graph is drawn from the source, with imports inside functions, for type checkers, and by name.
"""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import m2fnet_hf

PACKAGE = m2fnet_hf.__name__
FOLDER = Path(m2fnet_hf.__file__).parent
LONGEST = 500  # lines
# Each room stands on its own rank and those above it in this table.
RANKS = (
    (
        *("_version", "utils", "hub_m2fnet", "json_files_m2fnet", "weight_files_m2fnet", "embedded_models"),
        *("names_m2fnet", "label_checks_m2fnet"),
    ),
    ("configuration_m2fnet", "strict_config_m2fnet", "config_checks_m2fnet"),
    ("dialogue_m2fnet", "losses"),
    (
        *("face_arrays_m2fnet", "feature_extraction_m2fnet", "spectrogram_layout_m2fnet", "spectrogram_m2fnet"),
        *("resampling_m2fnet", "context_m2fnet", "packing_m2fnet", "pooling_m2fnet", "outputs_m2fnet"),
        *("micro_batches_m2fnet", "saved_config", "weights_m2fnet"),
        *("answers_m2fnet", "options_m2fnet", "data", "media"),
    ),
    (
        *("action_units_m2fnet", "normalization_m2fnet", "gate_m2fnet", "modality_scores_m2fnet"),
        *("attention_m2fnet", "packed_text_m2fnet", "spectrogram_encoders_m2fnet", "encoders_m2fnet"),
        *("features_m2fnet", "modeling_m2fnet", "faces"),
    ),
    ("processing_m2fnet", "processor_checks_m2fnet", "recordings"),
    ("inputs_m2fnet",),
    ("pipeline_m2fnet",),
    ("features", "evaluation", "online", "reports"),
    ("training", "export", "hub", "app"),
    ("commands",),
    ("cli", "__main__"),
)
RANK = {room: rank for rank, rooms in enumerate(RANKS) for room in rooms}
# They name the rooms without loading them.
WIRING = ("", "registration")

Arrow = tuple[str, int, str, str | None]


def module_name(path: Path) -> str:
    """`training.trainer` of its file; `training` of the `__init__` of a folder."""
    return ".".join(path.relative_to(FOLDER).with_suffix("").parts).removesuffix("__init__").removesuffix(".")


MODULES = {module_name(path): path for path in sorted(FOLDER.rglob("*.py"))}


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def arrows(module: str) -> Iterator[Arrow]:
    """What a module imports of the package: itself, the line, the other module, and the name in it."""
    is_folder = MODULES[module].name == "__init__.py"
    here = [PACKAGE, *filter(None, module.split("."))]
    here = here if is_folder else here[:-1]
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.ImportFrom):
            start = here[: len(here) - node.level + 1] if node.level else []
            base = [*start, *(node.module or "").split(".")] if node.module else start
            if base[:1] == [PACKAGE]:
                for alias in node.names:
                    inner = ".".join([*base[1:], alias.name])
                    if inner in MODULES:
                        yield module, node.lineno, inner, None
                    else:
                        yield module, node.lineno, ".".join(base[1:]), alias.name
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] == PACKAGE:
                    yield module, node.lineno, alias.name.removeprefix(PACKAGE).removeprefix("."), None
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = node.value.removeprefix(PACKAGE).lstrip(".")
            if "." in name and name in MODULES:  # for `import_module`
                yield module, node.lineno, name, None


ARROWS = [arrow for module in MODULES for arrow in arrows(module)]
INSIDE = [arrow for arrow in ARROWS if arrow[0] not in WIRING and arrow[2] not in WIRING]


def room(module: str) -> str:
    return module.partition(".")[0]


def defined(module: str) -> set[str]:
    """Names at the top of a module, those in its branches too."""
    names: set[str] = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def shown(arrow: Arrow) -> str:
    module, line, other, name = arrow
    return f"{MODULES[module].relative_to(FOLDER)}:{line} imports {other}{f' ({name})' if name else ''}"


def test_every_room_has_a_rank() -> None:
    assert {room(module) for module in MODULES} - set(WIRING) == set(RANK) & {room(module) for module in MODULES}


def test_no_arrow_points_upward() -> None:
    assert [shown(arrow) for arrow in INSIDE if RANK[room(arrow[2])] > RANK[room(arrow[0])]] == []


@pytest.mark.parametrize("level", ["rooms", "files"])
def test_there_is_no_circle(level: str) -> None:
    place = room if level == "rooms" else str
    graph: dict[str, set[str]] = {}
    for module, _, other, _ in INSIDE:
        if place(module) != place(other):
            graph.setdefault(place(module), set()).add(place(other))
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_what_is_imported_is_there() -> None:
    missing = [
        shown(arrow)
        for arrow in ARROWS
        if arrow[2] not in MODULES or (arrow[3] not in (None, "*") and arrow[3] not in defined(arrow[2]))
    ]
    assert missing == []


def test_imports_are_found_wherever_they_are_written() -> None:
    """The graph is not empty for want of a case: one arrow of each kind that the package has."""
    found = {(module, other) for module, _, other, _ in ARROWS}
    assert ("training.trainer", "evaluation.metrics") in found, "at the top"
    assert ("commands.prediction", "reports.writers") in found, "in a function"
    assert ("hub.load", "pipeline_m2fnet") in found, "for type checkers"
    assert ("commands.train", "training.search") in found, "by name"


def test_no_file_is_too_long() -> None:
    lengths = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in MODULES.items()}
    assert {module: length for module, length in lengths.items() if length > LONGEST} == {}
