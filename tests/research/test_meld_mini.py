"""The folder that says how the embedded model was made: its settings load, its links lead somewhere."""

import re
from pathlib import Path

import pytest

from m2fnet_hf import M2FNetConfig
from m2fnet_hf.training.settings import RunConfig

ROOT = Path(__file__).parents[2]
RESEARCH = ROOT / "research"
PAGES = [
    RESEARCH / "README.md",
    RESEARCH / "meld_mini" / "README.md",
    ROOT / "m2fnet_hf" / "checkpoints" / "meld-mini" / "README.md",
    ROOT / "m2fnet_hf" / "checkpoints" / "m2fnet-mini" / "README.md",
]


@pytest.mark.parametrize("name", ["distill", "windows"])
def test_its_runs_load(name: str) -> None:
    run = RunConfig.load(RESEARCH / "meld_mini" / f"{name}.yaml")
    config = M2FNetConfig(**run.model)
    assert config.modalities == ("text",)
    assert config.num_labels == 7
    assert run.training_arguments("runs").seed == 0


def test_the_readme_names_every_file() -> None:
    text = (RESEARCH / "meld_mini" / "README.md").read_text(encoding="utf-8")
    files = {path.name for path in (RESEARCH / "meld_mini").iterdir() if path.suffix in (".py", ".yaml")}
    linked = set(re.findall(r"\]\(([\w.]+\.(?:py|yaml))\)", text))
    assert linked == files


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (page.parent / link).exists()] == []
