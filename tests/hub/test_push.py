"""`m2fnet push`, and that what the documentation and cards tell people to paste runs in both environments."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from hub_server import Hub, Repository

from m2fnet_hf.registration import CHECKPOINTS

pytest_plugins = ["environments"]
pytestmark = pytest.mark.slow

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "hub.md"
MAIN = """
import contextlib, io, json, os, shlex
from huggingface_hub import constants
from m2fnet_hf.cli import main

def m2fnet(line):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(shlex.split(line))
    return [status, out.getvalue(), err.getvalue()]
"""
RUN = """
for block in {code!r}:
    exec(block, {{}})
print(len({code!r}))
"""
SHARDED = """
from m2fnet_hf import M2FNetForEmotionClassification
model = M2FNetForEmotionClassification.from_pretrained("tiny")
model.save_pretrained("sharded", max_shard_size="60KB")
"""


@pytest.fixture(scope="module")
def work(tiny_checkpoint: Path, recording: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs, a recording and its transcript."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "runs").mkdir()
    (folder / "runs" / "meld-mini").symlink_to(CHECKPOINTS / "meld-mini")
    shutil.copytree(tiny_checkpoint, folder / "tiny")
    shutil.copytree(tiny_checkpoint, folder / "sharded")
    (folder / "sharded" / "model.safetensors").unlink()
    shutil.copyfile(recording, folder / "interview.mp4")
    (folder / "interview.srt").write_text("1\n00:00:01,000 --> 00:00:02,500\nANN: You came!\n")
    return folder


@pytest.fixture(scope="module")
def pushed(work: Path, with_package: Any) -> dict[str, Any]:
    (work / "tiny" / "results.json").write_text(json.dumps({"model": "tiny", "weighted_f1": 0.5}))
    lines = [*commands(GUIDE), "push tiny org/tiny --private --message Tiny", "push tiny org/tiny"]
    lines += ["push sharded org/tiny --revision sharded", "push tiny org/tiny --output out"]
    code = f"os.chdir({str(work)!r}){SHARDED}print(json.dumps([m2fnet(line) for line in {lines!r}]))"
    return dict(zip(lines, with_package(MAIN + code), strict=True))


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


def commands(guide: Path) -> list[str]:
    lines = "".join(blocks(guide.read_text(), "sh")).splitlines()
    return [line.removeprefix("m2fnet ") for line in lines if line.startswith("m2fnet ")]


def test_push_says_where_it_went(pushed: dict[str, Any], hub: Hub, work: Path) -> None:
    assert "push runs/meld-mini org/m2fnet-meld" in {line.partition("  ")[0] for line in pushed}
    for line, (status, out, err) in pushed.items():
        assert (status, err) == (0, ""), line
        target = re.search(r"org/[\w-]+", line)[0]
        branch = "/tree/sharded" if "--revision" in line else ""
        expected = "What would be uploaded is in out" if "--output" in line else f"{hub.url}/{target}{branch}"
        assert out.strip() == expected
    tiny = hub.repositories["org/tiny"]
    assert tiny.private
    assert tiny.messages == ["initial commit", "Tiny", "Upload tiny", "Upload sharded"]
    assert {path.name for path in (work / "out").iterdir()} == set(tiny.files()) - {".gitattributes"}


def test_push_removes_what_it_makes_stale(pushed: dict[str, Any], hub: Hub) -> None:
    tiny = hub.repositories["org/tiny"]
    assert {"model.safetensors", "results.json"} <= set(tiny.files("main"))
    sharded = set(tiny.files("sharded"))
    assert {"model.safetensors.index.json", "model-00001-of-00003.safetensors"} <= sharded
    assert not {"model.safetensors", "results.json"} & sharded


def test_guide_and_card_run_as_pasted_with_transformers_alone(
    pushed: dict[str, Any], hub: Hub, with_transformers: Any
) -> None:
    guide = [code for code in blocks(GUIDE.read_text(), "python") if "m2fnet_hf" not in code]
    assert any("trust_remote_code=True" in code for code in guide)
    cards = blocks(hub.text("org/m2fnet-meld", "README.md").partition("## Use")[2], "python")
    tiny = blocks(hub.text("org/tiny", "README.md"), "python")
    assert len(cards) == len(tiny) == 2
    code = [*guide, *cards, *tiny]
    assert with_transformers(RUN.format(code=code)) == len(code)


def test_guide_and_card_run_as_pasted_with_the_package(
    pushed: dict[str, Any], hub: Hub, with_package: Any, work: Path
) -> None:
    guide = blocks(GUIDE.read_text(), "python")
    assert any("M2FNetForEmotionClassification" in code for code in guide)
    card = hub.text("org/m2fnet-meld", "README.md")
    code = [*guide, *blocks(card, "python"), *blocks(hub.text("org/tiny", "README.md"), "python")]
    untrusting = [block.replace(", trust_remote_code=True", "") for block in code]
    (predict,) = re.findall("^m2fnet (.*)", "".join(blocks(card, "sh")), re.M)
    shown = f"{MAIN}os.chdir({str(work)!r})\n{RUN.format(code=code + untrusting)}print(json.dumps(m2fnet({predict!r})))"
    status, out, _ = with_package(shown)
    assert status == 0
    assert "You came!" in out


def test_remote_code_reads_recordings_where_the_package_is_installed(
    pushed: dict[str, Any], with_package: Any, work: Path
) -> None:
    code = f"""
import json
from transformers import pipeline
pipe = pipeline("multimodal-emotion", model="org/m2fnet-meld", trust_remote_code=True)
answers = pipe({str(work / "interview.srt")!r})
print(json.dumps([type(pipe).__module__, [answer["text"] for answer in answers]]))
"""
    module, texts = with_package(code)
    assert module.startswith("transformers_modules.org.")
    assert texts == ["You came!"]


def test_one_sentence_for_every_refusal(pushed: dict[str, Any], hub: Hub, with_package: Any, work: Path) -> None:
    hub.repositories["org/gated"] = Repository(gated=True)
    code = f"""
os.chdir({str(work)!r})
said = {{}}
said["name"] = m2fnet("push tiny org/a/b")
said["output"] = m2fnet("push tiny org/tiny --output runs")
said["folder"] = m2fnet("push nowhere org/tiny")
os.environ["HF_TOKEN"] = "hf_wrong"
said["wrong token"] = m2fnet("push tiny org/tiny")
del os.environ["HF_TOKEN"]
said["no token"] = m2fnet("push tiny org/tiny")
said["private"] = m2fnet("predict interview.srt --model org/tiny")
said["gated"] = m2fnet("predict interview.srt --model org/gated")
said["missing"] = m2fnet("predict interview.srt --model org/nowhere")
constants.ENDPOINT = "http://127.0.0.1:9"
said["network"] = m2fnet("push tiny org/tiny")
constants.HF_HUB_OFFLINE = True
said["offline"] = m2fnet("push tiny org/tiny")
print(json.dumps(said))
"""
    words = {
        "name": "A model on the Hub is named organisation/name, found 'org/a/b'.",
        "output": "The output must be a new or empty folder, found runs",
        "folder": "A model must be a folder, one of the embedded models (m2fnet-mini, meld-mini) or organisation/name",
        "wrong token": "a token that it does not accept for this (status 401); log in with `hf auth login`",
        "no token": "a token that may use org/tiny, found no token (status 401); log in with",
        "private": "org/tiny",
        "gated": "org/gated",
        "missing": "org/nowhere",
        "network": "The Hub could not be reached at http://127.0.0.1:9; check the network",
        "offline": "HF_HUB_OFFLINE is set",
    }
    for case, (status, out, err) in with_package(MAIN + code).items():
        assert (status, out) == (1, ""), case
        assert err.startswith("m2fnet: ")
        assert err.count("\n") == 1
        assert words[case] in err, case
