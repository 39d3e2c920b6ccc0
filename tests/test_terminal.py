"""What reaches the terminal: nothing that it would obey, and no trace after Ctrl-C."""

import ast
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

import m2fnet_hf
from m2fnet_hf.cli import main
from m2fnet_hf.reports.console_tables import ablation_table, metrics_table

HOSTILE = "\x1b[2J\x1b]0;title\x07[bold]joy\x9b31m\u202e"
# Sends SIGINT to itself when a module is looked for, or at the end.
INTERRUPTED = """
import atexit, os, runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # which is ignored in the background of a shell
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == moment:
            os.kill(os.getpid(), signal.SIGINT)
moment = sys.argv.pop(1)
if moment == "the end":
    atexit.register(os.kill, os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
runpy.run_module("m2fnet_hf", run_name="__main__")
"""


@pytest.mark.parametrize(
    "moment",
    ["m2fnet_hf.cli", "argparse", "m2fnet_hf.commands.push", "m2fnet_hf.data.transcripts", "the end"],
)
def test_ctrl_c_leaves_no_trace(tmp_path: Path, moment: str) -> None:
    (tmp_path / "empty.srt").write_text("")
    command = [sys.executable, "-c", INTERRUPTED, moment, "predict", str(tmp_path / "empty.srt")]
    ended = subprocess.run(command, capture_output=True, text=True)
    said = {"the end": "m2fnet: ", "m2fnet_hf.data.transcripts": "m2fnet: interrupted.\n"}.get(moment, "")
    assert ended.stderr.startswith(said)
    assert "Traceback" not in ended.stderr
    assert ended.returncode == (128 + signal.SIGINT if said.endswith("\n") else -signal.SIGINT)


def test_tables_show_what_a_terminal_would_obey_as_text() -> None:
    of_class = {"precision": 0.5, "recall": 0.5, "f1": 0.5}
    metrics = {
        **{"per_class": {HOSTILE: of_class}, "support": {HOSTILE: 2}, "calibration": {"ece": 0.1}, "intervals": None},
        **dict.fromkeys(("weighted_f1", "macro_f1", "accuracy"), 0.5),
    }
    scores = {"dev": {name: {"mean": 0.5, "std": None} for name in ("weighted_f1", "accuracy", "macro_f1")}}
    rows = [{"overrides": {"model.labels": HOSTILE}, "metrics": scores, "difference": {}}]
    for table in (metrics_table(metrics), ablation_table({"tables": {HOSTILE: rows}})):
        with (console := Console(width=200)).capture() as captured:
            console.print(table)
        assert "[bold]joy" in captured.get()
        assert not set("\x1b\x07\x9b\u202e") & set(captured.get())


def test_a_path_is_shown_as_text(tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["push", str(tiny_checkpoint), "org/tiny", "--output", str(tmp_path / HOSTILE.replace("/", ""))]) == 0
    shown = capsys.readouterr().out
    assert shown.endswith("[bold]joy31m\n")
    assert not set("\x1b\x07\x9b\u202e") & set(shown)


def test_commands_write_through_that_filter_alone() -> None:
    for path in (Path(m2fnet_hf.__file__).parent / "commands").glob("*.py"):
        calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        assert "print" not in {call.id for call in calls if isinstance(call, ast.Name)}, path
