"""How parts of a model reach the Hub."""

import ast
from pathlib import Path

import pytest
import tiny
from transformers.dynamic_module_utils import get_relative_import_files

import m2fnet_hf
from m2fnet_hf import hub_m2fnet
from m2fnet_hf.hub.code import code_files
from m2fnet_hf.hub_m2fnet import M2FNetHubMixin

LEAF = Path(str(hub_m2fnet.__file__))


def test_it_is_a_leaf() -> None:
    imports = [node for node in ast.walk(ast.parse(LEAF.read_text())) if isinstance(node, ast.ImportFrom | ast.Import)]
    names = [alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in imports if isinstance(node, ast.ImportFrom)]
    assert not any(node.level for node in imports if isinstance(node, ast.ImportFrom))
    assert not any(name.startswith("m2fnet_hf") for name in names)


@pytest.mark.parametrize("part", ["modeling_m2fnet", "processing_m2fnet", "configuration_m2fnet", "pipeline_m2fnet"])
def test_any_part_brings_the_code_of_all(part: str) -> None:
    folder = Path(str(m2fnet_hf.__file__)).parent
    needed = {Path(path).name for path in get_relative_import_files(folder / f"{part}.py")} | {f"{part}.py"}
    everything = {path.name for path in code_files()}
    assert {"dialogue_m2fnet.py", "context_m2fnet.py", "inputs_m2fnet.py", "hub_m2fnet.py"} <= everything
    assert needed == everything if part != "configuration_m2fnet" else needed <= everything
    assert not [path for path in code_files() if path.parent != folder]


def test_the_package_hands_over_how_to_upload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pushed = []
    assert M2FNetHubMixin.upload_part is not None
    monkeypatch.setattr("m2fnet_hf.hub.push.push_part", lambda part, *args, **kwargs: pushed.append((part, kwargs)))
    processor = tiny.processor()
    processor.push_to_hub("org/one", commit_message="A processor")
    processor.save_pretrained(tmp_path / "two", push_to_hub=True, private=True)
    assert [part for part, _ in pushed] == [processor] * 2
    assert pushed[1][1] == {"repo_id": "two", "private": True}
