import shutil
from pathlib import Path
from typing import Any

import pytest

from m2fnet_hf.reports.writers import KINDS

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def notebook() -> Any:
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    return nbformat.read(EXAMPLES / "quickstart.ipynb", as_version=4)


def test_the_notebook_runs_from_top_to_bottom(notebook: Any, tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel, which runs notebooks, is not installed")
    pytest.importorskip("matplotlib", reason="matplotlib, which draws the timeline, is not installed")
    shutil.copytree(EXAMPLES / "sample_dialogue", tmp_path / "sample_dialogue")
    ran = nbclient.NotebookClient(
        notebook.copy(), timeout=120, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    outputs = [output for cell in ran.cells for output in cell.get("outputs", ())]
    printed = "".join(output.get("text", "") for output in outputs)
    assert "Maya  surprise" in printed
    shown = "".join(output.get("data", {}).get("text/plain", "") for output in outputs)
    assert "['text', 'audio']" in shown
    assert any("image/png" in output.get("data", {}) for output in outputs)
    written = {path.name for path in (tmp_path / "reports").iterdir()}
    assert {path.rpartition(".")[2] for path in written} == set(KINDS)
    assert all(f"reports/{name}" in printed for name in written)


def test_no_output_is_kept(notebook: Any) -> None:
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
