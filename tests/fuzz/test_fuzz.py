"""Files that are broken in any way: a right answer or one sentence, never another error and never a wait.

The examples are drawn from a fixed seed, in about half a minute of one core.
"""

import json
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from broken_files import ANYTHING, LONGEST_WAIT, broken, few, within_bounds
from hypothesis import given
from hypothesis import strategies as st

from m2fnet_hf.commands.predict import _read_result
from m2fnet_hf.data.transcripts import open_transcript
from m2fnet_hf.dialogue_m2fnet import LATEST
from m2fnet_hf.faces.precomputed import PrecomputedBackend
from m2fnet_hf.media.clip import LONGEST, Clip

HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?><ANNOTATION_DOCUMENT AUTHOR="" DATE="2000-01-01T00:00:00+00:00" '
    'FORMAT="3.0" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="e">'
)
TRANSCRIPTS = {
    "a.srt": "1\n00:00:01,000 --> 00:00:02,000\nANNA: <i>Hi.</i>\n\n2\n00:00:02,500 --> 00:00:03,000\n- Yo.\n- No.\n",
    "a.vtt": "WEBVTT\n\nNOTE x\n\n00:01.000 --> 00:02.000 align:start\n<v Anna>Hi &amp; yo.\n"
    "00:02.000 --> 00:03.000\n<u>A</u>",
    "a.ass": "[Script Info]\n\n[Events]\n"
    "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
    "Dialogue: 0,0:00:01.00,0:00:02.00,Default,Anna,0,0,0,,{\\i1}Hi\\Nyou\n",
    "a.csv": 'text,speaker,start,end\n"Hi, you",Anna,1.5,2.5\nYo,Ben,0:03,0:04\n',
    "a.tsv": "start\tend\ttext\n0\t1000\tHi you\n1500\t2500\tYo there\n",
    "a.txt": "[00:00:01] Anna: Hi.\n[00:00:02] Ben: Yo.\n\nAnna  0:04\nhello\n",
    "a.json": '{"id": 3, "utterances": [{"text": "Hi.", "speaker": "Anna", "start": 1, "end": 2.5}, {"text": "Yo."}]}',
    "a.jsonl": '{"text": "Hi.", "start": 0.5}\n{"text": "Yo.", "speaker": null}\n',
    "a.eaf": f'{HEAD}<HEADER MEDIA_FILE="" TIME_UNITS="milliseconds"/><TIME_ORDER><TIME_SLOT TIME_SLOT_ID="ts1" '
    'TIME_VALUE="100"/><TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="900"/></TIME_ORDER><TIER LINGUISTIC_TYPE_REF="d" '
    'TIER_ID="Anna"><ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">'
    "<ANNOTATION_VALUE>Hi.</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER><LINGUISTIC_TYPE "
    'LINGUISTIC_TYPE_ID="d"/></ANNOTATION_DOCUMENT>',
    "a.TextGrid": 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n9\n<exists>\n1\n"IntervalTier"\n"Anna"\n'
    '0\n9\n1\n0\n9\n"Hi."\n',
}
FACES = (
    "FaceRectX,FaceRectY,FaceRectWidth,FaceRectHeight,FaceScore,frame,approx_time,AU01,AU02\n"
    "10,10,50,50,0.9,0,00:00,0.1,0.2\n12,10,50,50,0.9,25,00:01,0.1,0.2\n"
)
RESULT = {
    "recording": None,
    "labels": ["joy"],
    "utterances": [{"start": 1, "end": 2, "speaker": "A", "text": "Hi.", "label": "joy", "score": 0.5, "scores": {}}],
}


def check_transcript(path: Path) -> None:
    with within_bounds():
        for utterance in open_transcript(path).dialogue:
            assert 0 <= (utterance.start or 0.0) <= LATEST
            assert f"{utterance.text}{utterance.speaker}".encode()


@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_transcripts(tmp_path: Path, name: str) -> None:
    path = tmp_path / name

    @few
    @given(broken(TRANSCRIPTS[name].encode()))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        check_transcript(path)

    check()


@few
@given(ANYTHING | st.lists(st.fixed_dictionaries({"text": ANYTHING, "start": ANYTHING, "speaker": ANYTHING})))
def test_json_of_any_types(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    check_transcript(path)


@few
@given(
    broken(json.dumps(RESULT).encode())
    | ANYTHING.map(lambda value: json.dumps(RESULT | {"utterances": value}).encode())
)
def test_results(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with within_bounds():
        assert _read_result(path)["utterances"]


@few
@given(broken(FACES.encode()))
def test_faces(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with within_bounds():
        assert PrecomputedBackend(path).action_units


def recording(path: Path) -> bytes:
    """A second of sound, and of pictures where the format has them."""
    with av.open(str(path), "w") as container:
        codec = {".wav": "pcm_s16le", ".ogg": "libopus", ".mkv": "libopus"}.get(path.suffix, "aac")
        sound = container.add_stream(codec, rate=48_000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 48_000), np.float32), "fltp", "mono")
        frame.sample_rate = 48_000
        if path.suffix in (".mp4", ".mkv", ".avi"):
            video = container.add_stream("mpeg4", rate=4)
            video.width = video.height = 32
            for number in range(4):
                picture = av.VideoFrame(32, 32, "yuv420p")
                picture.pts = number
                container.mux(video.encode(picture))
            container.mux(video.encode(None))
        for part in av.AudioResampler(sound.format, "mono", 48_000).resample(frame):
            container.mux(sound.encode(part))
        container.mux(sound.encode(None))
    return path.read_bytes()


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "wav", "ogg", "avi"])
def test_recordings(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    whole = recording(path)

    @few
    @given(broken(whole, within=600) | broken(whole))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        start = time.process_time()
        clip = Clip(path)
        assert clip.duration is None or 0 <= clip.duration <= LONGEST
        list(clip.read([0.0, 0.5], [(0.0, clip.reach(1e9))]))
        assert all(problem.startswith(path.name) for problem in clip.problems)
        assert time.process_time() - start < LONGEST_WAIT

    check()
