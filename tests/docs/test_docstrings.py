"""Every public name says what it is, and of arrays the shape, of times and rates the unit, of errors when they come."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "m2fnet_hf"
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
ARRAY = re.compile(r"ndarray|Tensor\b")
SHAPE = re.compile(r"\[(\.\.\.|[A-Za-z0-9]+)(, [^\]]+)?\]|\bscalars?\b|shape")
TIME = re.compile(r"(^|_)(start|end|times?|duration)$")
SECONDS = re.compile(r"second|\btimes?\b")
RATE = re.compile(r"sampling_rate$|frame_rate$")
HERTZ = re.compile(r"Hz|(?:a|per|each) second")
# A docstring that sends its reader to another one, where all is said.
ELSEWHERE = re.compile(r"See the library|; see \[`|as (?:of|in|for) (?:\[`|the library|Trainer)|See \[`")
# Not for the caller to see: a subclass's duty, and what Python's own protocols ask for.
UNSAID = {"NotImplementedError", "StopIteration", "AttributeError", "SystemExit"}
# What a class is made for is said in its docstring.
SAID_BY_CLASS = ("__init__", "__post_init__", "__call__", "forward")


class Public(NamedTuple):
    """A public function or class, with what its readers find: its own docstring, and its class's."""

    place: str
    node: ast.AST
    own: str
    context: str
    raises: frozenset[str]


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if "commands" not in path.parts)


def public(path: Path) -> Iterator[Public]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    helpers = {node.name: node for node in ast.walk(tree) if isinstance(node, FUNCTION) and node.name.startswith("_")}
    place = path.relative_to(ROOT).as_posix()
    for node in tree.body:
        if isinstance(node, FUNCTION) and not node.name.startswith("_") and "overload" not in decorators(node):
            own = ast.get_docstring(node) or ""
            yield Public(f"{place}: {node.name}", node, own, own, raised(node, helpers))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from methods(node, place, helpers)


def methods(of: ast.ClassDef, place: str, helpers: dict[str, ast.AST]) -> Iterator[Public]:
    """A class with its making, and its public methods."""
    about = ast.get_docstring(of) or ""
    yield Public(f"{place}: {of.name}", of, about, about, frozenset())
    for node in (node for node in of.body if isinstance(node, FUNCTION) and "overload" not in decorators(node)):
        if node.name in SAID_BY_CLASS or not node.name.startswith("_"):
            own = ast.get_docstring(node) or (about if node.name in SAID_BY_CLASS else inherited(of, node.name))
            yield Public(f"{place}: {of.name}.{node.name}", node, own, about + own, raised(node, helpers))


def decorators(node: ast.AST) -> set[str]:
    return {name for decorator in node.decorator_list for name in named(decorator)}


def inherited(of: ast.ClassDef, method: str) -> str:
    """What a base class of the package says of a method."""
    bases = (documented_methods().get(name) for base in of.bases for name in named(base))
    return next((base[method] for base in bases if base is not None and method in base), "")


@cache
def documented_methods() -> dict[str, dict[str, str]]:
    """Of every class its methods with their docstrings."""
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in modules())
    classes = (node for tree in trees for node in tree.body if isinstance(node, ast.ClassDef))
    return {
        of.name: {node.name: ast.get_docstring(node) or "" for node in of.body if isinstance(node, FUNCTION)}
        for of in classes
    }


def raised(node: ast.AST, helpers: dict[str, ast.AST], met: frozenset[str] = frozenset()) -> frozenset[str]:
    """The errors that a function raises by itself and by the private helpers of its module."""
    caught = {
        name for handler in ast.walk(node) if isinstance(handler, ast.ExceptHandler) for name in named(handler.type)
    }
    found = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Raise) and inner.exc is not None:
            found |= named(inner.exc) - UNSAID
        if isinstance(inner, ast.Call):
            for name in named(inner.func) & helpers.keys() - met - {"__init__"}:
                found |= raised(helpers[name], helpers, met | {name}) - caught
    return frozenset(name for name in found if name[0].isupper())


def named(node: ast.AST | None) -> set[str]:
    if isinstance(node, ast.Call):
        return named(node.func)
    if isinstance(node, ast.Tuple):
        return {name for element in node.elts for name in named(element)}
    if isinstance(node, ast.Attribute):
        return {node.attr}
    return {node.id} if isinstance(node, ast.Name) else set()


def annotations(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Names and types of arguments, and `return`."""
    if isinstance(node, FUNCTION):
        for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
            if argument.annotation is not None and not argument.arg.startswith("_"):
                yield argument.arg, ast.unparse(argument.annotation)
        if node.returns is not None:
            yield "return", ast.unparse(node.returns)
    if isinstance(node, ast.ClassDef):
        for field in node.body:
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                yield field.target.id, ast.unparse(field.annotation)


def unsaid(one: Public) -> Iterator[str]:
    """What the docstring leaves out."""
    if not one.own:
        yield "what it is"
        return
    if ELSEWHERE.search(one.own):
        return
    typed = list(annotations(one.node))
    if any(ARRAY.search(kind) for _, kind in typed) and not SHAPE.search(one.context):
        yield "the shape of an array"
    numbers = [name for name, kind in typed if "float" in kind or "int" in kind]
    if any(TIME.search(name) for name in numbers) and not SECONDS.search(one.context):
        yield "the unit of a time (seconds)"
    if any(RATE.search(name) for name in numbers) and not HERTZ.search(one.context):
        yield "the unit of a rate (Hz)"
    if one.raises and "Raises:" not in one.context:
        yield f"that it raises {', '.join(sorted(one.raises))}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_docstring_says_shapes_units_and_errors(path: Path) -> None:
    found = [f"{one.place} does not say {what}" for one in public(path) for what in unsaid(one)]
    assert not found, "\n".join(found)
