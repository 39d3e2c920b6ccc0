"""The command line, in this process but for one; no error may show a stack trace."""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny

from m2fnet_hf.cli import _parser, main
from m2fnet_hf.embedded_models import embedded

SRT = "1\n00:00:01,000 --> 00:00:02,500\nANN: You came!\n\n2\n00:00:03,000 --> 00:00:04,000\nBEN: Never again.\n"
MELD_HEADER = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime"
MELD_ROWS = (
    '1,You came!,Ann,joy,positive,0,0,1,1,"00:00:01,000","00:00:02,000"',
    '2,Never again.,Ben,anger,negative,0,2,1,1,"00:00:02,000","00:00:03,000"',
    '3,Fine.,Ann,neutral,neutral,1,0,1,1,"00:00:02,000","00:00:03,000"',
)
RUN = (
    "model:\n"
    "  text_config: {model_type: bert, vocab_size: 400, hidden_size: 16, num_hidden_layers: 1,"
    " num_attention_heads: 2, intermediate_size: 24}\n"
    "  hidden_size: 16\n  num_hidden_layers: 1\n  num_attention_heads: 2\n  intermediate_size: 24\n"
    "training: {num_train_epochs: 9, bf16: true, disable_tqdm: true, save_strategy: no}\n"
)


@pytest.fixture
def transcript(tmp_path: Path) -> Path:
    path = tmp_path / "talk.srt"
    path.write_text(SRT)
    return path


@pytest.fixture
def meld(tmp_path: Path) -> Path:
    for split in ("train", "dev", "test"):
        (tmp_path / f"{split}_sent_emo.csv").write_text("\n".join([MELD_HEADER, *MELD_ROWS]))
    return tmp_path


def failure(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line on standard error of a command that must fail."""
    assert main([str(argument) for argument in arguments]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("m2fnet: ")
    assert captured.err.count("\n") == 1, captured.err
    return captured.err


def test_predict_shows_and_writes(
    capsys: pytest.CaptureFixture[str], tiny_checkpoint: Path, transcript: Path, tmp_path: Path
) -> None:
    assert main(["predict", str(transcript), "--model", str(tiny_checkpoint), "--output", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr().out
    for word in ("ANN", "You came!", "0:01.0-0:02.5", "Never again.", "%"):
        assert word in shown
    written = json.loads((tmp_path / "out" / "talk.json").read_text())
    assert written["source"] == "talk.srt"
    assert [utterance["text"] for utterance in written["utterances"]] == ["You came!", "Never again."]


def test_evaluate_writes_what_it_shows(
    capsys: pytest.CaptureFixture[str], tiny_checkpoint: Path, meld: Path, tmp_path: Path
) -> None:
    output = tmp_path / "figures" / "results.json"
    assert main(["evaluate", "--meld", str(meld), "--model", str(tiny_checkpoint), "--output", str(output)]) == 0
    results = json.loads(output.read_text())
    shown = capsys.readouterr().out
    assert set(results) >= {"accuracy", "weighted_f1", "macro_f1", "per_class", "support", "model", "modalities"}
    assert f"{100 * results['weighted_f1']:.2f}" in shown
    assert results["support"] == {**dict.fromkeys(results["support"], 0), "joy": 1, "anger": 1, "neutral": 1}
    assert results["modalities"] == {"text": 3, "audio": 0, "visual": 0}


def test_help_and_usage(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, status in ((["--help"], 0), (["--version"], 0), ([], 2), (["predict"], 2), (["paint"], 2)):
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == status
    assert "Traceback" not in capsys.readouterr().err


def commands() -> dict[str, argparse.ArgumentParser]:
    parser = _parser()
    (action,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return dict(action.choices)


@pytest.mark.parametrize("command", commands())
def test_every_command_and_option_is_explained(capsys: pytest.CaptureFixture[str], command: str) -> None:
    parser = commands()[command]
    assert parser.description
    assert parser.description.endswith(".")
    assert [action.dest for action in parser._actions if not action.help] == []
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert "{'" not in capsys.readouterr().out, "argparse reads a bare % as a format"


def test_a_preset_is_named_without_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = _parser().parse_args(["train", "internship", "--data", "x"])
    assert options.config.read_text().startswith("#")
    options = _parser().parse_args(["search", "my/run.yaml", "--space", "search", "--data", "x"])
    assert (options.config, options.space.name) == (Path("my/run.yaml"), "search.yaml")
    Path("internship").write_text("training: {}")
    assert _parser().parse_args(["train", "internship", "--data", "x"]).config == Path("internship")


def test_an_unknown_preset_lists_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["ablate", "meld-mini", "--grid", "melt-mini", "--data", "x"])
    assert stopped.value.code == 2
    message = capsys.readouterr().err
    assert "argument --grid: must be a YAML file or a preset (ablation, extractor-audio, internship, " in message
    assert message.endswith("found melt-mini\n")


def test_an_ablation_is_drawn_on_request(meld: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    run, grid = tmp_path / "run.yaml", tmp_path / "grid.yaml"
    tiny.tokenizer().save_pretrained(tmp_path / "tokenizer")
    run.write_text(RUN.replace("save_strategy: no", "save_strategy: epoch"))
    grid.write_text("fusion:\n  - {model.hidden_dropout: 0.1}\n")
    settings = [f"processor.tokenizer={tmp_path / 'tokenizer'}", "training.num_train_epochs=1"]
    words = [
        "ablate",
        run,
        *settings,
        "--meld",
        meld,
        "--grid",
        grid,
        "--seeds",
        1,
        "--output",
        tmp_path / "out",
        "--figures",
    ]
    assert main([str(word) for word in words]) == 0
    assert (tmp_path / "out" / "ablation.png").read_bytes().startswith(b"\x89PNG")
    written = ", ".join(str(tmp_path / "out" / f"ablation.{kind}") for kind in ("json", "png"))
    assert f"Written to {written}\n" in capsys.readouterr().out


def test_the_app_needs_its_extra(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    for name in [name for name in sys.modules if name.startswith("m2fnet_hf.app")]:
        monkeypatch.delitem(sys.modules, name)
    assert "pip install 'm2fnet-hf[demo,live,reports]'" in failure(capsys, "app")


@pytest.mark.parametrize("port", [-1, 0, 65_536, 10**20])
def test_a_port_that_cannot_be_is_wrong_usage(capsys: pytest.CaptureFixture[str], port: int) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["app", f"--port={port}"])
    assert stopped.value.code == 2
    assert f"--port must be from 1 to 65535, found {port}" in capsys.readouterr().err


def test_train_then_evaluate(capsys: pytest.CaptureFixture[str], meld: Path, tmp_path: Path) -> None:
    tiny.tokenizer().save_pretrained(tmp_path / "tokenizer")
    config, output = tmp_path / "run.yaml", tmp_path / "runs"
    config.write_text(RUN)
    arguments = [config, "processor.speaker_prefix=index", "--meld", meld, "--output", output]
    overrides = [f"processor.tokenizer={tmp_path / 'tokenizer'}", "training.num_train_epochs=1"]
    assert main([str(argument) for argument in ("train", *arguments, *overrides)]) == 0
    assert json.loads((output / "run.json").read_text())["training"]["num_train_epochs"] == 1
    assert json.loads((output / "processor_config.json").read_text())["speaker_prefix"] == "index"
    assert main(["evaluate", "--meld", str(meld), "--model", str(output)]) == 0
    assert "weighted f1" in capsys.readouterr().out
    for wrong in (["--epochs=3"], ["seed"]):
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in ("train", *arguments, *wrong)])
        assert stopped.value.code == 2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("talk.srt", "", "holds no utterance"),
        ("talk.csv", "speaker,start\nAnn,1\n", "text"),
        ("talk.csv", "text,start,end\nHi,3,2\n", "end after it starts"),
        ("talk.json", "{", "JSON"),
        ("talk.json", '[{"text": "a", "start": 3, "end": 2}]', "end after it starts"),
        ("talk.docx", "Hi", "docx"),
        ("talk.srt", None, "talk.srt"),
    ],
)
def test_a_bad_transcript_is_one_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    error = failure(capsys, "predict", tmp_path / name)
    assert message in error
    assert name in error


def test_a_transcript_is_refused_before_a_model_is_looked_for(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "talk.srt").write_text("")
    for command in ("predict", "live"):
        assert "holds no utterance" in failure(capsys, command, tmp_path / "talk.srt", "--model", "nobody/nothing")


def test_what_a_model_reads_and_knows_is_said_before_its_weights_are_loaded(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    shutil.copytree(embedded("meld-mini"), tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").write_text("nonsense")
    german = SRT.replace("You came!", "Ich hätte beinahe den Zug verpasst.")
    (tmp_path / "talk.srt").write_text(german.replace("Never again.", "I will never do that again, you know."))
    for command in ("predict", "live"):
        assert main([command, str(tmp_path / "talk.srt"), "--model", str(tmp_path / "model")]) == 1
        captured = capsys.readouterr()
        assert captured.out.startswith("This model reads text only: ")
        assert "Some of what is said is in German, and the model was trained on English" in captured.out + captured.err
        assert "model.safetensors must be a file of weights (safetensors), found one that is cut off" in captured.err


@pytest.mark.parametrize(
    "missing", ["config.json", "model.safetensors", "processor_config.json", "tokenizer_config.json"]
)
def test_a_folder_with_a_file_missing_is_one_sentence(
    capsys: pytest.CaptureFixture[str], tiny_checkpoint: Path, transcript: Path, tmp_path: Path, missing: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_checkpoint, folder)
    (folder / missing).unlink()
    assert "A checkpoint must hold its" in failure(capsys, "predict", transcript, "--model", folder)


@pytest.mark.parametrize("broken", ["config.json", "model.safetensors", "processor_config.json", "tokenizer.json"])
def test_a_folder_with_a_broken_file_is_one_sentence(
    capsys: pytest.CaptureFixture[str], tiny_checkpoint: Path, transcript: Path, tmp_path: Path, broken: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_checkpoint, folder)
    (folder / broken).write_text("nonsense")
    failure(capsys, "predict", transcript, "--model", folder)


def test_an_unknown_model_is_one_sentence(capsys: pytest.CaptureFixture[str], transcript: Path) -> None:
    assert "nobody/nothing" in failure(capsys, "predict", transcript, "--model", "nobody/nothing")


def test_bad_data_sets_are_one_sentence(
    capsys: pytest.CaptureFixture[str], tiny_checkpoint: Path, meld: Path, tmp_path: Path
) -> None:
    model = ("--model", tiny_checkpoint)
    assert "must hold test_sent_emo.csv" in failure(capsys, "evaluate", "--meld", tmp_path / "nowhere", *model)
    test = meld / "test_sent_emo.csv"
    test.write_text("\n".join([MELD_HEADER, MELD_ROWS[0].replace("joy", "bored")]))
    assert "found 'bored'" in failure(capsys, "evaluate", "--meld", meld, *model)
    test.write_text("Utterance,Speaker\nHi,Ann\n")
    assert "found no Emotion" in failure(capsys, "evaluate", "--meld", meld, *model)
    assert "found no" in failure(capsys, "train", tmp_path / "no.yaml", "--meld", meld)


def test_the_console_script_shows_no_stack_trace(tmp_path: Path) -> None:
    script = Path(sys.executable).parent / "m2fnet"
    result = subprocess.run(
        [script, "predict", tmp_path / "no.srt"], capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 1
    assert result.stderr.startswith("m2fnet: ")
    assert "Traceback" not in result.stderr
