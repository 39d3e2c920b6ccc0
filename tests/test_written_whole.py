"""Every file is written by way of `utils/files`: inside one of its blocks, or by a function that is given the path."""

import ast
from collections.abc import Iterator
from pathlib import Path

import m2fnet_hf

FOLDER = Path(m2fnet_hf.__file__).parent
BLOCKS = {"write_whole", "new_folder", "scratch_folder"}
WRITERS = {
    *("write_text", "write_bytes", "savefig", "save_file", "save_pretrained", "save", "copyfile", "copytree", "to_csv"),
    *("dump", "tofile", "savez", "touch", "replace", "rename", "move", "mkdtemp", "mkstemp", "TemporaryDirectory"),
    *("NamedTemporaryFile", "symlink_to", "quantize_dynamic"),
}
# By file, the functions that are given a temporary file or folder, and why others may write.
GIVEN = {
    "utils/files.py": {"write_whole", "new_folder", "move_files"},
    "reports/page.py": {"write_page"},
    "reports/subtitles.py": {"write_srt", "write_vtt"},
    "reports/spreadsheet.py": {"write_csv"},
    "reports/timeline.py": {"write_timeline"},
    "features/index.py": {"_seal"},
    "export/onnx.py": {"_write", "_write_filters"},
    "hub/code.py": {"add_code"},
    "hub/license.py": {"copy_license", "copy_license_files"},
    "hub/push.py": {"prepare_run"},
    "training/contrastive/embedder.py": {"save_encoder"},
    # As the library's own methods, which users call for a folder of theirs.
    "feature_extraction_m2fnet.py": {"save_weights"},
    "hub_m2fnet.py": {"save_pretrained"},
    "pipeline_m2fnet.py": {"save_pretrained"},
    "processing_m2fnet.py": {"save_pretrained"},
    # Of visitors and of what they say, for as long as it is of use.
    "app/handlers.py": {"new_folder"},
    "online/listener.py": {"_utterance", "write_clip"},
    "commands/app.py": {"_app"},
}


def written(tree: ast.AST) -> Iterator[tuple[str, str, int]]:
    """Function, call and line of what writes outside of a block."""

    def walk(node: ast.AST, function: str, safe: bool) -> Iterator[tuple[str, str, int]]:
        if isinstance(node, ast.FunctionDef):
            function, safe = node.name, False
        if isinstance(node, ast.With):
            safe = safe or any(name(item.context_expr) in BLOCKS for item in node.items)
        if isinstance(node, ast.Call) and not safe and is_writer(node):
            yield function, name(node), node.lineno
        for child in ast.iter_child_nodes(node):
            yield from walk(child, function, safe)

    yield from walk(tree, "", False)


def name(node: ast.AST) -> str:
    if isinstance(node, ast.Call):
        node = node.func
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def is_writer(call: ast.Call) -> bool:
    if name(call) == "open":
        modes = [one.value for one in [*call.args, *(k.value for k in call.keywords)] if isinstance(one, ast.Constant)]
        return any(isinstance(mode, str) and len(mode) <= 3 and set(mode) & set("wxa+") for mode in modes)
    owner = name(call.func.value) if isinstance(call.func, ast.Attribute) else None
    if name(call) == "replace":  # of texts, too
        return owner == "os"
    # By a function of ours, to bytes, or to a cache.
    is_known = owner is None or owner.endswith("cache")
    return name(call) in WRITERS - ({"write_text", "save"} if is_known else set())


def test_nothing_goes_round_the_one_way_to_write() -> None:
    for path in sorted(FOLDER.rglob("*.py")):
        file = path.relative_to(FOLDER).as_posix()
        others = [
            f"{file}:{line}: {call} in {function}"
            for function, call, line in written(ast.parse(path.read_text(encoding="utf-8")))
            if function not in GIVEN.get(file, set())
        ]
        assert others == []


def test_every_exception_is_needed() -> None:
    for file, functions in GIVEN.items():
        tree = ast.parse((FOLDER / file).read_text(encoding="utf-8"))
        assert functions == {function for function, *_ in written(tree) if function in functions}, file
