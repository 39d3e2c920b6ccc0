"""From a recording to emotions: the whole road, with the real py-feat on random weights and with OpenCV's faces."""

import functools
import http.server
import json
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from conftest import Conversation
from killing import killed
from transformers import pipeline

from m2fnet_hf import (
    AppearanceFeatureExtractor,
    Dialogue,
    M2FNetForEmotionClassification,
    M2FNetProcessor,
    MultimodalEmotionPipeline,
)
from m2fnet_hf.cli import main
from m2fnet_hf.data.transcripts import open_transcript, read_transcript
from m2fnet_hf.faces.registry import load_face_backend
from m2fnet_hf.faces.types import Faces
from m2fnet_hf.media.clip import Clip, Frame
from m2fnet_hf.recordings import reader as reader_module
from m2fnet_hf.recordings.build_reader import build_reader
from m2fnet_hf.recordings.cache import Cache
from m2fnet_hf.recordings.reader import RecordingReader
from m2fnet_hf.recordings.streaming_reader import StreamingReader
from m2fnet_hf.registration import TASK

ALL = ["text", "audio", "visual"]


@pytest.fixture(scope="module")
def pipe(seeing_checkpoint: Path) -> MultimodalEmotionPipeline:
    return pipeline(TASK, model=str(seeing_checkpoint), device="cpu")


@pytest.fixture(scope="module")
def appearance_checkpoint(tmp_path_factory: pytest.TempPathFactory, conversation: Conversation) -> Path:
    """A tiny model of sound and of how faces look, whose components are fitted to the faces of the recording."""
    pytest.importorskip("cv2", reason="opencv is not installed")
    from m2fnet_hf.faces.appearance import describe

    frames = [item for item in Clip(conversation.video).frames(2.0) if isinstance(item, Frame)]
    found = load_face_backend("opencv").detect(frames)
    descriptors = [describe(frame.image, faces, False) for frame, faces in zip(frames, found, strict=True)]
    extractor = AppearanceFeatureExtractor(num_components=4).fit(np.concatenate(descriptors))
    folder = tmp_path_factory.mktemp("appearance")
    torch.manual_seed(0)
    visual = {"visual_features": "appearance", "num_appearance_features": 4, "hidden_size": 8}
    M2FNetForEmotionClassification(tiny.config(text=None, visual_config=visual)).save_pretrained(folder)
    processor = M2FNetProcessor(tiny.tokenizer(), appearance_feature_extractor=extractor)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def looking(appearance_checkpoint: Path) -> MultimodalEmotionPipeline:
    return pipeline(TASK, model=str(appearance_checkpoint), device="cpu")


def scores(answers: list[dict[str, Any]]) -> list[list[float]]:
    return [[answer["scores"][label] for label in sorted(answer["scores"])] for answer in answers]


class Counting:
    """A backend that counts what it is asked."""

    def __init__(self, name: str) -> None:
        self.backend = load_face_backend(name)
        self.action_units, self.settings = self.backend.action_units, self.backend.settings
        self.frames = 0

    def detect(self, frames: list[Frame]) -> list[Faces]:
        self.frames += len(frames)
        return self.backend.detect(frames)


@pytest.mark.slow
def test_video_sound_and_subtitles_with_the_real_pyfeat(
    pipe: MultimodalEmotionPipeline, conversation: Conversation, pyfeat: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = Counting("pyfeat")
    ask = functools.partial(pipe, conversation.video, transcript=conversation.transcript, faces=backend)
    answers = ask(return_faces=True, return_attentions=True)
    assert [answer["modalities"] for answer in answers] == [ALL] * 3
    assert [answer["missing"] for answer in answers] == [{}] * 3
    assert [(answer["speaker"], answer["text"]) for answer in answers] == conversation.turns
    assert all(answer["faces"] for answer in answers)
    for answer in answers:
        for modality in ("audio", "visual"):
            assert sum(answer["attentions"][modality]) == pytest.approx(1, abs=1e-4)
            assert len(answer["attentions"][modality]) == 3
    assert backend.frames > 6

    monkeypatch.setattr(Clip, "read", None)  # the second run does not open the recording
    looked = backend.frames
    assert ask(return_faces=True, return_attentions=True) == answers
    assert backend.frames == looked


@pytest.mark.slow
def test_withheld_faces_change_the_answer_and_are_named(
    pipe: MultimodalEmotionPipeline, conversation: Conversation, pyfeat: Path
) -> None:
    seeing, blind = (pipe(conversation.video, transcript=conversation.transcript, faces=f) for f in (None, "none"))
    assert [answer["modalities"] for answer in blind] == [["text", "audio"]] * 3
    assert [answer["missing"] for answer in blind] == [{"visual": "faces were not looked for"}] * 3
    assert scores(blind) != scores(seeing)


def test_missing_weights_mask_the_faces_where_nobody_asked_for_them(
    pipe: MultimodalEmotionPipeline, conversation: Conversation, tmp_path: Path
) -> None:
    pytest.importorskip("xgboost", reason="py-feat is not installed")
    import feat_weights

    with feat_weights.use(tmp_path):
        with pytest.warns(UserWarning, match="py-feat must have the weights"):
            answers = pipe(conversation.video, transcript=conversation.transcript)
        with pytest.raises(OSError, match="py-feat must have the weights"):
            pipe(conversation.video, transcript=conversation.transcript, faces="pyfeat")
    assert [answer["missing"] for answer in answers] == [{"visual": "faces could not be looked for"}] * 3


def test_appearance_goes_the_whole_road(looking: MultimodalEmotionPipeline, conversation: Conversation) -> None:
    answers = looking(conversation.video, transcript=conversation.transcript, faces="opencv")
    assert [answer["modalities"] for answer in answers] == [["audio", "visual"]] * 3


def test_a_file_of_faces_takes_the_place_of_looking(
    pipe: MultimodalEmotionPipeline, conversation: Conversation, tmp_path: Path
) -> None:
    end = conversation.times[0][1]
    times = np.arange(0, end, 0.5)
    random = np.random.default_rng(0)
    np.savez(
        tmp_path / "faces.npz",
        times=times,
        boxes=np.tile([0.1, 0.1, 0.4, 0.5], (len(times), 1)),
        action_units=random.random((len(times), 20)),
        names=np.array(pipe.model.config.visual_config.action_units),
    )
    answers = pipe(conversation.video, transcript=conversation.transcript, faces=tmp_path / "faces.npz")
    assert answers[0]["modalities"] == ALL
    assert answers[2]["missing"] == {"visual": "no face was found"}
    other = pipe(conversation.video, transcript=conversation.transcript, faces="none")
    assert scores(other)[0] != pytest.approx(scores(answers)[0], abs=1e-6)


def test_openfaces_units_are_read_and_the_lacking_ones_masked(
    seeing_checkpoint: Path, conversation: Conversation, tmp_path: Path
) -> None:
    times = np.arange(0, conversation.times[-1][1], 0.5)
    units = {f"AU{unit}_r": 5 * np.random.default_rng(0).random(len(times)) for unit in ("01", "12", "17", "45")}
    rows = np.stack([np.arange(1, len(times) + 1), times, np.ones(len(times)), *units.values()], axis=1)
    header = ",".join(["frame", "timestamp", "success", *units])
    np.savetxt(tmp_path / "openface.csv", rows, delimiter=",", header=header, comments="")
    processor = M2FNetProcessor.from_pretrained(seeing_checkpoint)
    processor.au_feature_extractor.person_normalization = False
    torch.manual_seed(0)
    settings = {"hidden_size": None, "face_pooling": "area"}
    model = M2FNetForEmotionClassification(tiny.config(audio=None, visual_config=settings)).eval()
    reader = build_reader(model, processor, faces=tmp_path / "openface.csv")
    dialogue, problems = reader(read_transcript(conversation.transcript), conversation.video)
    assert not problems
    found = dialogue[0].action_units
    assert found is not None
    names = model.config.visual_config.action_units
    known = [name for column, name in enumerate(names) if not np.isnan(found[..., column]).any()]
    assert known == ["AU01", "AU12", "AU43"], "17 is another thing in OpenFace"
    line = processor.au_feature_extractor.openface_units["AU12"]
    expected = np.clip(line["slope"] * units["AU12_r"] + line["intercept"], 0, 1)
    assert np.isin(found[..., names.index("AU12")].round(5), expected.astype(np.float32).round(5)).all()
    given = processor(dialogue)
    features = model.model.get_visual_features(**{n: given[n] for n in given if "units" in n}).pooler_output[0]
    assert features[0, 20:].tolist() == [float(name in known) for name in names]
    learned = M2FNetForEmotionClassification(tiny.config(audio=None, visual_config={"hidden_size": 8}))
    reader = build_reader(learned, processor, faces=tmp_path / "openface.csv")
    assert str(reader.visual_unavailable_reason).startswith("the faces come without AU02, AU04"), "it needs all of them"


def test_faces_without_the_models_action_units_are_named(
    pipe: MultimodalEmotionPipeline, conversation: Conversation
) -> None:
    pytest.importorskip("cv2", reason="opencv is not installed")
    answers = pipe(conversation.video, transcript=conversation.transcript, faces="opencv", return_faces=True)
    assert all(answer["missing"]["visual"].startswith("the faces come without AU01") for answer in answers)
    assert all(answer["faces"] for answer in answers), "they can still be drawn"


def test_every_form_of_input_gives_the_same(
    looking: MultimodalEmotionPipeline, conversation: Conversation, tmp_path: Path
) -> None:
    video, transcript = str(conversation.video), conversation.transcript
    expected = looking(video, transcript=transcript)
    utterances = [
        {"speaker": u.speaker, "text": u.text, "start": u.start, "end": u.end} for u in read_transcript(transcript)
    ]
    both = {"recording": video, "transcript": transcript}
    assert looking(both) == looking({"recording": video, "utterances": utterances}) == expected
    assert looking(Dialogue(utterances, recording=video)) == expected
    assert looking([both, {"recording": Path(video), "utterances": utterances}]) == [expected, expected]
    assert looking([video, Path(video)], transcript=[transcript, str(transcript)]) == [expected, expected]
    streamed = list(looking((one for one in [both] * 3), batch_size=2))
    in_workers = list(looking((one for one in [both] * 3), batch_size=1, num_workers=2))
    for answers in (*streamed, *in_workers):
        for row, other in zip(scores(answers), scores(expected), strict=True):
            assert row == pytest.approx(other, abs=1e-5)
    with pytest.raises(ValueError, match="expected 2, found 1"):
        looking([video, video], transcript=transcript)


def test_clips_of_single_utterances(looking: MultimodalEmotionPipeline, conversation: Conversation) -> None:
    """As MELD has them: a clip each, and times that count in something else."""
    clips = [{"video": str(conversation.video), "text": "Hi.", "start": 900.0, "end": 901.0}, {"text": "Oh."}]
    first, second = looking(clips)
    assert first["modalities"] == ["audio", "visual"]
    assert second["missing"] == {"audio": "no sound was given", "visual": "no faces were given"}


def test_a_clip_that_is_not_there_is_missed_by_its_utterance_alone(recording: Path, tmp_path: Path) -> None:
    clips = [tmp_path / "gone.mp4", recording, tmp_path]
    talk = tmp_path / "talk.json"
    talk.write_text(json.dumps([{"text": "Hi.", "video": str(clip)} for clip in clips]))
    read, problems = RecordingReader(reads_audio=True)(open_transcript(talk).dialogue)
    assert [sentence.partition(",")[0] for sentence in problems] == ["A recording must be a file"] * 2
    assert [str(clip) in sentence for clip, sentence in zip(clips[::2], problems, strict=True)] == [True, True]
    assert [one.missing for one in read][::2] == [{"audio": f"{clip.name} could not be opened"} for clip in clips[::2]]
    assert read[1].audio is not None


def test_people_of_different_clips_are_different_people(conversation: Conversation) -> None:
    pytest.importorskip("cv2", reason="opencv is not installed")
    read = RecordingReader(faces=load_face_backend("opencv"))
    dialogue, _ = read(Dialogue([{"video": conversation.video}, {"video": conversation.video}]))
    first, second = ({int(i) for i in np.unique(u.face_ids) if i >= 0} for u in dialogue)
    assert first
    assert not first & second


class Failing:
    """A backend that never worked."""

    action_units: tuple[str, ...] = ()
    settings: dict[str, Any] = {}

    def detect(self, frames: list[Frame]) -> list[Faces]:
        raise OSError("the detector has no weights")


def test_a_backend_that_does_not_work_costs_the_faces_only(recording: Path) -> None:
    dialogue = Dialogue([{"text": "a", "start": 0.0, "end": 1.0}, {"text": "b", "start": 2.0, "end": 3.0}])
    read, problems = RecordingReader(faces=Failing(), reads_audio=True)(dialogue, recording)
    assert problems == ["the detector has no weights"]
    assert [utterance.missing for utterance in read] == [{"visual": "faces could not be looked for"}] * 2
    assert all(utterance.audio is not None for utterance in read)
    with pytest.raises(OSError, match="no weights"):
        RecordingReader(faces=Failing(), faces_required=True)(dialogue, recording)
    streaming = StreamingReader(RecordingReader(faces=Failing(), reads_audio=True), dialogue, recording)
    (first, told), (second, nothing) = map(streaming, dialogue)
    assert (told, nothing) == (["the detector has no weights"], [])
    assert first.missing == second.missing == {"visual": "faces could not be looked for"}


def test_other_errors_are_not_taken_for_the_backends(recording: Path) -> None:
    def encode(_: list[np.ndarray]) -> np.ndarray:
        raise OSError("the encoder broke")

    dialogue = Dialogue([{"text": "a", "start": 0.0, "end": 1.0}])
    with pytest.raises(OSError, match="the encoder broke"):
        RecordingReader(faces=Failing(), reads_audio=True, encode_audio=encode)(dialogue, recording)
    reader = RecordingReader(reads_audio=True, encode_audio=encode)
    with pytest.raises(OSError, match="the encoder broke"):
        reader(dialogue, recording)


def test_what_cannot_be_kept_is_reported_once(recording: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    reader = RecordingReader(reads_audio=True, cache=Cache(tmp_path / "file" / "cache"))
    dialogue = Dialogue([{"text": "a", "start": 0.0, "end": 1.0}])
    (problem,) = reader(dialogue, recording)[1]
    assert problem.startswith("Nothing can be kept in")
    assert reader(dialogue, recording)[1] == []


def test_a_url_is_fetched(looking: MultimodalEmotionPipeline, conversation: Conversation, tmp_path: Path) -> None:
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(conversation.video.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        answers = looking(f"{url}/talk.mp4", transcript=f"{url}/talk.srt", cache=tmp_path / "cache")
        with pytest.raises(OSError, match=r"nowhere\.mp4 must be a file that can be fetched"):
            looking(f"{url}/nowhere.mp4", transcript=f"{url}/talk.srt")
        server.shutdown()
    assert answers == looking(conversation.video, transcript=conversation.transcript)


def test_a_recording_needs_words(looking: MultimodalEmotionPipeline, conversation: Conversation) -> None:
    with pytest.raises(ValueError, match=r"talk\.mp4 needs the words .* give `transcript` .* or `asr`"):
        looking(conversation.video)
    with pytest.raises(FileNotFoundError, match=r"none at nowhere\.mp4"):
        looking("nowhere.mp4", transcript=conversation.transcript)


def damaged(kind: str, conversation: Conversation, folder: Path) -> Path:
    path = folder / "talk.mp4"
    data = conversation.video.read_bytes()
    path.write_bytes({"empty": b"", "text": b"I am no video.\n" * 9, "cut": data[: len(data) // 2]}[kind])
    return path


@pytest.mark.parametrize("kind", ["empty", "text", "cut"])
def test_a_broken_recording_costs_its_modalities_only(
    pipe: MultimodalEmotionPipeline, conversation: Conversation, tmp_path: Path, kind: str
) -> None:
    video = damaged(kind, conversation, tmp_path)
    with pytest.warns(UserWarning, match=r"talk\.mp4"):
        answers = pipe(video, transcript=conversation.transcript, faces="none")
    with pytest.warns(UserWarning, match=r"talk\.mp4"):  # the second run says it again, out of the cache
        assert pipe(video, transcript=conversation.transcript, faces="none") == answers
    assert all("text" in answer["modalities"] for answer in answers)
    assert all(answer["missing"]["audio"].startswith("talk.mp4") for answer in answers if "audio" in answer["missing"])
    assert "audio" in answers[-1]["missing"]
    json.dumps(answers)


def test_a_transcript_without_times(looking: MultimodalEmotionPipeline, conversation: Conversation) -> None:
    unknown = dict.fromkeys(("audio", "visual"), "the transcript does not say when it is said")
    for answer in looking({"recording": conversation.video, "utterances": [{"text": "a"}, {"text": "b"}]}):
        assert answer["missing"] == unknown
    (lone,) = looking({"recording": conversation.video, "utterances": [{"text": "a"}]})
    assert lone["modalities"] == ["audio", "visual"], "one utterance lasts as long as the recording"


def test_a_transcript_longer_than_the_recording(looking: MultimodalEmotionPipeline, conversation: Conversation) -> None:
    end = Clip(conversation.video).duration
    assert end is not None
    *_, over, beyond = looking(
        {
            "recording": conversation.video,
            "utterances": [
                {"text": "a", "start": 0.0, "end": 0.0},
                {"text": "b", "start": 0.0, "end": end},
                {"text": "c", "start": end - 1, "end": end + 5},
                {"text": "d", "start": end + 5, "end": end + 6},
            ],
        }
    )
    assert over["modalities"] == ["audio", "visual"]
    assert beyond["modalities"] == []
    assert beyond["missing"]["audio"] == f"talk.mp4 ends at {end:.1f} s, before it"


def predict(*arguments: object) -> int:
    return main(["predict", *map(str, arguments)])


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_the_same(
    looking: MultimodalEmotionPipeline,
    appearance_checkpoint: Path,
    conversation: Conversation,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def arguments(name: str) -> list[str]:
        places = {"--output": tmp_path / name, "--cache": tmp_path / "cache" / name, "--model": appearance_checkpoint}
        options = [str(word) for pair in places.items() for word in pair]
        return [str(conversation.video), "--transcript", str(conversation.transcript), *options, "--frame-rate", "8"]

    torch.set_num_threads(1)  # OpenMP does not survive a fork
    monkeypatch.setattr(reader_module, "SOUNDS_AT_ONCE", 1)
    assert predict(*arguments("whole")) == 0
    entries = len(list((tmp_path / "cache" / "whole").rglob("*.safetensors")))
    assert entries > 8
    counts = (0, 1, 2, entries // 2, entries)
    statuses = [killed(predict, arguments("often"), tmp_path / "cache" / "often", count) for count in counts]
    assert -signal.SIGKILL in statuses
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache" / "often").rglob("*.safetensors")}
    assert predict(*arguments("often")) == 0
    assert all(path.stat().st_mtime_ns == written for path, written in kept.items()), "nothing is measured twice"
    result, undisturbed = ((tmp_path / name / "talk.json").read_bytes() for name in ("often", "whole"))
    assert result == undisturbed


@pytest.mark.slow
def test_memory_does_not_grow_with_length(
    appearance_checkpoint: Path, conversation: Conversation, tmp_path: Path
) -> None:
    """The peak of the whole road for 60 s is at most 1.05 times that for 5 s."""
    code = (
        "import re, sys; from m2fnet_hf.cli import main; assert main(sys.argv[1:]) == 0;"
        "print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])"
    )
    peaks = []
    for seconds in (5, 60):
        video, transcript = tmp_path / f"{seconds}.mp4", tmp_path / f"{seconds}.json"
        loop(conversation.video, video, seconds)
        turns = [{"text": "Hi.", "start": start, "end": start + 2.4} for start in np.arange(0, seconds, 2.5)]
        transcript.write_text(json.dumps(turns))
        arguments = ["predict", video, "--transcript", transcript, "--model", appearance_checkpoint, "--no-cache"]
        ran = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        peaks.append(int(ran.stdout.split()[-1]))
    assert peaks[1] <= 1.05 * peaks[0]


def loop(source: Path, target: Path, seconds: float) -> None:
    """A recording over and over."""
    import av

    with av.open(str(target), "w") as output:
        with av.open(str(source)) as clip:
            streams = {stream.index: output.add_stream_from_template(stream) for stream in clip.streams}
            length = clip.duration / av.time_base
        last = dict.fromkeys(streams, -1.0)
        for turn in range(int(seconds / length) + 1):
            with av.open(str(source)) as clip:
                for packet in clip.demux():
                    if packet.dts is None:
                        continue
                    shift = round(turn * length / packet.time_base)
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    time = float(packet.dts * packet.time_base)
                    if last[packet.stream_index] < time < seconds:
                        last[packet.stream_index] = time
                        packet.stream = streams[packet.stream_index]
                        output.mux(packet)


def test_the_command_line_writes_every_report(
    capsys: pytest.CaptureFixture[str], conversation: Conversation, tmp_path: Path
) -> None:
    """With the model that reads text alone, and OpenCV's faces to draw."""
    pytest.importorskip("cv2", reason="opencv is not installed")
    arguments = [conversation.video, "--transcript", conversation.transcript, "--output", tmp_path / "out"]
    options = ["--report", "all", "--faces", "opencv", "--annotate", "--model", "meld-mini"]
    assert predict(*arguments, *options) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "This model reads text only" in captured.out
    names = {path.name for path in (tmp_path / "out").iterdir()}
    kinds = ("json", "csv", "emotions.srt", "emotions.vtt", "eaf", "png", "html", "annotated.mp4")
    assert names == {f"talk.{kind}" for kind in kinds}
    result = json.loads((tmp_path / "out" / "talk.json").read_text())
    assert (tmp_path / "out" / result["recording"]).resolve() == conversation.video.resolve()
    assert [len(utterance["faces"]) > 0 for utterance in result["utterances"]] == [True] * 3
    drawn = Clip(tmp_path / "out" / "talk.annotated.mp4")
    assert drawn.has_audio
    assert drawn.duration == pytest.approx(Clip(conversation.video).duration, abs=0.2)

    (tmp_path / "out" / "talk.annotated.mp4").unlink()
    assert main(["annotate", str(tmp_path / "out" / "talk.json")]) == 0
    assert (tmp_path / "out" / "talk.annotated.mp4").exists()


def test_what_is_masked_is_listed_and_the_status_is_0(
    capsys: pytest.CaptureFixture[str], seeing_checkpoint: Path, conversation: Conversation, tmp_path: Path
) -> None:
    sound = tmp_path / "talk.wav"
    extract_sound(conversation.video, sound)
    arguments = [sound, "--transcript", conversation.transcript, "--model", seeing_checkpoint]
    assert predict(*arguments, "--output", tmp_path, "--annotate", "--faces", "none") == 0
    errors = capsys.readouterr().err
    assert "3 of 3 utterances were predicted without faces: faces were not looked for (3)." in errors
    assert "talk.wav shows no picture" in errors
    written = json.loads((tmp_path / "talk.json").read_text())
    assert written["missing"] == {"visual": {"faces were not looked for": 3}}


def extract_sound(video: Path, target: Path) -> None:
    import wave

    sound = Clip(video).sound()
    assert sound is not None
    with wave.open(str(target), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes((sound * 32_000).astype("<i2").tobytes())


def failure(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert predict(*arguments) == 1
    error = capsys.readouterr().err
    assert "Traceback" not in error
    return error


def test_no_prediction_at_all_is_status_1(
    capsys: pytest.CaptureFixture[str], appearance_checkpoint: Path, conversation: Conversation, tmp_path: Path
) -> None:
    video = damaged("text", conversation, tmp_path)
    error = failure(capsys, video, "--transcript", conversation.transcript, "--model", appearance_checkpoint)
    assert "needs sound and faces of one utterance at least" in error
    assert "needs the words" in failure(capsys, conversation.video)
    assert "none at" in failure(capsys, tmp_path / "nowhere.mp4", "--transcript", conversation.transcript)
    assert "none at" in failure(capsys, conversation.video, "--transcript", tmp_path / "nowhere.srt")
    shutil.copy(conversation.transcript, tmp_path / "faces.csv")
    wrong = [conversation.video, "--transcript", conversation.transcript, "--faces"]
    assert "must be one of" in failure(capsys, *wrong, "nobody")
    assert "faces.csv" in failure(capsys, *wrong, tmp_path / "faces.csv")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["talk.mp4", "--report", "all"], "need --output"),
        (["talk.mp4", "--annotate"], "need --output"),
        (["talk.mp4", "--output", "out", "--report", "docx"], "--report takes json"),
        (["talk.srt", "--transcript", "talk.srt"], "--transcript needs a recording"),
        (["talk.srt", "--output", "out", "--annotate"], "--annotate needs a recording"),
        (["talk.mp4", "--frame-rate", "many"], "invalid float"),
    ],
)
def test_wrong_usage_is_status_2(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        predict(*arguments)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_annotate_says_what_is_wrong_with_its_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    one = {"start": 0, "end": 1, "speaker": None, "text": "Hi.", "label": "joy", "score": 0.9, "scores": {"joy": 0.9}}
    whole = {"labels": ["joy"], "utterances": [one]}
    for content, message in (
        (None, "must be a file, found none"),
        ("{", "JSON file that"),
        ({"utterances": []}, "one that lacks something"),
        ({**whole, "utterances": [{"text": "Hi."}]}, "one that lacks something"),
        ({**whole, "utterances": []}, "one that lacks something"),
        ({**whole, "recording": None}, "name it with --recording"),
        ({**whole, "recording": "gone.mp4"}, "gone.mp4"),
        ({**whole, "video": None}, "name it with --recording"),
        ({**whole, "video": "gone.mp4"}, "gone.mp4"),  # as it was called before
    ):
        path = tmp_path / ("nowhere.json" if content is None else "talk.json")
        if content is not None:
            path.write_text(content if isinstance(content, str) else json.dumps(content))
        assert main(["annotate", str(path)]) == 1
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
