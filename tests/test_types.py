"""What a user's type checker sees."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy", reason="mypy is not installed")

ROOT = Path(__file__).parents[1]
SNIPPET = """
from collections.abc import Iterator
from pathlib import Path

from m2fnet_hf import Dialogue, EmotionPrediction, EmotionStream, M2FNetProcessor, MultimodalEmotionPipeline
from m2fnet_hf import ModalityScores, TrackedFace

pipe = MultimodalEmotionPipeline.from_pretrained(device="cpu")
one: list[EmotionPrediction] = pipe("talk.mp4", transcript="talk.srt", return_faces=True)
one = pipe([{"speaker": "Ann", "text": "You came!"}, {"text": "I did."}])
one = pipe({"recording": "talk.mp4", "transcript": "talk.srt"})
one = pipe(Dialogue([{"text": "You came!"}]), top_k=2)
several: list[list[EmotionPrediction]] = pipe([Path("a.mp4"), Path("b.mp4")], transcript=["a.srt", "b.srt"])
several = pipe([{"recording": "a.mp4", "transcript": "a.srt"}])
streamed: Iterator[list[EmotionPrediction]] = pipe(one for one in ["You came!", "I did."])
label: str = one[0]["label"]
score: float = one[0]["scores"]["joy"]
faces: list[TrackedFace] = one[0].get("faces", [])
scores: ModalityScores = pipe("You came!", return_modalities=True)[0]["modality_scores"]
alone: float = scores["alone"]["text"]["joy"]
processor: M2FNetProcessor = pipe.processor
names: list[str] = pipe.model.config.label_names
answer: EmotionPrediction = EmotionStream(pipe).add({"text": "Hi."})
wrong: int = one[0]["label"]
pipe("You came!", topk=2)
"""


@pytest.mark.slow
def test_results_are_typed_and_mistakes_are_found(tmp_path: Path) -> None:
    snippet = tmp_path / "snippet.py"
    snippet.write_text(SNIPPET)
    lines = SNIPPET.splitlines()
    mistakes = [lines.index(line) + 1 for line in lines if line.startswith("wrong") or "topk" in line]
    command = [sys.executable, "-m", "mypy", "--no-pretty", "--hide-error-context", str(snippet)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    found = [line for line in ran.stdout.splitlines() if "snippet.py:" in line and ": error: " in line]
    assert {line.split(": error: ")[0].rpartition(":")[2] for line in found} == {str(line) for line in mistakes}, ran
    assert "topk" in ran.stdout
