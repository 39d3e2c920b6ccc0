"""Recordings, transcripts, reports and faces from files need no torch, and do not load it."""

import subprocess
import sys
from pathlib import Path

import pytest

MODULES = (
    "dialogue_m2fnet",
    "data.labels",
    "data.transcripts",
    "media.clip",
    "faces.registry",
    "faces.precomputed",
    "faces.tracker",
    "reports.writers",
    "reports.annotate",
    "reports.page",
    "reports.timeline",
    "reports.elan",
    "cli",
)


@pytest.mark.parametrize("module", MODULES)
def test_it_is_imported_without_torch(module: str) -> None:
    code = f"import sys, m2fnet_hf.{module}; print({{'torch', 'transformers'}} & {{*sys.modules}})"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.stdout.strip() == "set()", ran.stderr


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        (["--help"], 0, "COMMAND"),
        (["predict", "--help"], 0, "--model"),
        (["predict", "{folder}/none.srt"], 1, "must be a file, found none"),
        (["predict", "{folder}/empty.srt"], 1, "holds no utterance"),
        (["live", "{folder}/empty.srt"], 1, "holds no utterance"),
        (["annotate", "{folder}/none.json"], 1, "must be a file, found none"),
        (["evaluate", "--meld", "{folder}"], 1, "test_sent_emo.csv"),
        (["calibrate", "--model", "{folder}", "--data", "{folder}"], 1, "{folder}"),
        (["extract", "meld-mini", "--meld", "{folder}"], 1, "sent_emo.csv"),
        (["train", "meld-mini", "--data", "{folder}"], 1, "{folder}"),
        (["search", "meld-mini", "--meld", "{folder}"], 1, "sent_emo.csv"),
    ],
)
def test_help_and_refused_files_come_without_torch(tmp_path: Path, command: list[str], status: int, said: str) -> None:
    if status == 1:  # what the command needs before it can refuse a file
        pytest.importorskip("huggingface_hub", reason="huggingface-hub is not installed")
    (tmp_path / "empty.srt").write_text("")
    code = """if True:
        import sys
        from m2fnet_hf.cli import main
        try:
            status = main(sys.argv[1:])
        except SystemExit as end:
            status = end.code
        print(sorted({"torch", "transformers"} & {*sys.modules}))
        sys.exit(status)
    """
    arguments = [word.format(folder=tmp_path) for word in command]
    ran = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout.splitlines()[-1:]) == (status, ["[]"]), ran.stderr
    assert said.format(folder=tmp_path) in ran.stdout + ran.stderr


@pytest.mark.parametrize("command", [["--help"], ["predict", "--help"], ["train", "--help"]])
def test_help_loads_next_to_nothing(command: list[str]) -> None:
    code = """if True:
        import sys
        from m2fnet_hf.cli import main
        try:
            main(sys.argv[1:])
        finally:
            heavy = {"asyncio", "av", "huggingface_hub", "numpy", "rich", "torch", "transformers"}
            print(sorted(heavy & {*sys.modules}))
    """
    ran = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True)
    assert ran.stdout.splitlines()[-1:] == ["[]"], ran.stderr
