import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the extra reports is not installed")
pytest.importorskip("PIL", reason="the extra reports is not installed")

from PIL import ImageColor

from m2fnet_hf.media.clip import Clip
from m2fnet_hf.reports.annotate import annotate_recording
from m2fnet_hf.reports.overlay import draw_caption
from m2fnet_hf.reports.palette import palette
from m2fnet_hf.reports.result import is_whole

LABELS = ["neutral", "joy", "anger"]
COLORS = palette(LABELS)
EVERY_TENTH = tuple(k / 10 for k in range(20))
GREY = 128
RATE = 16_000


def record(
    path: Path,
    times: Sequence[float] = EVERY_TENTH,
    *,
    size: tuple[int, int] = (320, 240),
    sound: str | None = "aac",
    sound_start: float = 0.0,
    rotation: int = 0,
    pixels: str = "yuv420p",
) -> Path:
    """A grey recording with a lighter stored left half, and two seconds of a tone."""
    with av.open(str(path), "w", options={"movflags": "+faststart"} if path.suffix == ".mp4" else {}) as container:
        if times:
            video = container.add_stream("libx264", rate=10)
            video.width, video.height = size
            video.pix_fmt = pixels
            video.codec_context.time_base = Fraction(1, 10 if path.suffix == ".avi" else 1000)
            if rotation:
                video.set_display_rotation(rotation)
        if sound:
            audio = container.add_stream(sound, rate=RATE, layout="mono")
        image = np.full((size[1], size[0], 3), GREY, dtype=np.uint8)
        image[:, : size[0] // 2] = 160
        for time in times:
            picture = av.VideoFrame.from_ndarray(image, "rgb24")
            picture.pts, picture.time_base = round(time * 1000), Fraction(1, 1000)
            container.mux(video.encode(picture))
        if sound:
            tone = (8000 * np.sin(np.arange(2 * RATE) / 20)).astype(np.int16)
            for first in range(0, len(tone), 1600):
                samples = av.AudioFrame.from_ndarray(tone[None, first : first + 1600], "s16", "mono")
                samples.sample_rate, samples.pts = RATE, first + round(sound_start * RATE)
                samples.time_base = Fraction(1, RATE)
                container.mux(audio.encode(samples))
            container.mux(audio.encode(None))
        if times:
            container.mux(video.encode(None))
    return path


def said(start: float | None, end: float | None, label: str = "joy", **more: Any) -> dict[str, Any]:
    return {"start": start, "end": end, "speaker": "ANN", "text": "You came!", "label": label, "score": 0.5, **more}


def face(time: float, *box: float, track: int = 0) -> dict[str, Any]:
    return {"time": time, "track": track, "box": list(box)}


def result(*utterances: dict[str, Any]) -> dict[str, Any]:
    return {"labels": LABELS, "utterances": list(utterances)}


def frames(path: Path) -> dict[float, np.ndarray]:
    """RGB [height, width, 3] by time."""
    with av.open(str(path)) as container:
        return {round(frame.time, 3): frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)}


def packets(path: Path) -> list[tuple[float, bytes]]:
    """Time and content of the packets of sound."""
    with av.open(str(path)) as container:
        return [(float(p.pts * p.time_base), bytes(p)) for p in container.demux(audio=0) if p.size]


def is_colored(pixel: np.ndarray, color: str) -> bool:
    return bool(np.abs(pixel.astype(int) - ImageColor.getrgb(color)).max() < 40)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "copy" / "annotated.mp4"


@pytest.fixture(autouse=True)
def _folder(output: Path) -> None:
    output.parent.mkdir()


IRREGULAR = (0.0, 0.033, 0.5, 0.54, 1.3, 1.301, 1.9)


@pytest.mark.parametrize("times", [EVERY_TENTH, IRREGULAR, tuple(time + 0.7 for time in EVERY_TENTH)])
@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
def test_frames_and_sound_keep_their_times(
    times: tuple[float, ...], container: str, tmp_path: Path, output: Path
) -> None:
    recording = record(tmp_path / f"talk.{container}", times)
    annotate_recording(recording, result(said(0.0, 1.0)), output)
    with av.open(str(recording)) as source:
        origin = float(min(stream.start_time * stream.time_base for stream in source.streams))
    expected = [time - origin for time in frames(recording)]
    assert len(expected) == len(times)
    np.testing.assert_allclose(list(frames(output)), expected, atol=0.0011)
    given, copied = packets(recording), packets(output)
    np.testing.assert_allclose([time for time, _ in copied], [time - origin for time, _ in given], atol=0.0011)
    if container != "ts":  # whose packets carry headers that mp4 keeps elsewhere
        assert [content for _, content in copied] == [content for _, content in given]


def test_sound_may_start_later_than_the_picture(tmp_path: Path, output: Path) -> None:
    recording = record(tmp_path / "talk.mp4", sound_start=0.4)
    annotate_recording(recording, result(said(0.0, 1.0)), output)
    assert packets(output) == packets(recording)
    assert packets(output)[0][0] == pytest.approx(0.4 - 1024 / RATE)
    assert next(iter(frames(output))) == 0.0


def test_sound_that_mp4_cannot_hold_becomes_aac(tmp_path: Path, output: Path) -> None:
    recording = record(tmp_path / "talk.mkv", sound="pcm_s16le")
    annotate_recording(recording, result(said(0.0, 1.0)), output)
    heard = []
    for path in (recording, output):
        with av.open(str(path)) as container:
            heard.append(np.concatenate([f.to_ndarray().astype(np.float32)[0] for f in container.decode(audio=0)]))
    with av.open(str(output)) as container:
        assert container.streams.audio[0].codec.canonical_name == "aac"
    given, copied = heard[0] / 2**15, heard[1][: len(heard[0])]
    assert np.corrcoef(given[1600:-1600], copied[1600:-1600])[0, 1] > 0.99


@pytest.mark.parametrize("channels", [6, 9, 60])
def test_sound_of_many_channels_is_mixed(channels: int, tmp_path: Path, output: Path) -> None:
    path = tmp_path / "array.mkv"
    with av.open(str(path), "w") as container:
        picture, sound = container.add_stream("mpeg4", rate=10), container.add_stream("pcm_s16le", rate=16_000)
        picture.width, picture.height, picture.pix_fmt, sound.layout = 64, 48, "yuv420p", f"{channels} channels"
        for _ in range(10):
            container.mux(picture.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
        samples = np.zeros((16_000, channels), np.int16)
        samples[:, -1] = 16_000 * np.sin(np.arange(16_000) / 20)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), "s16", f"{channels} channels")
        frame.sample_rate, frame.pts = 16_000, 0
        container.mux([*picture.encode(None), *sound.encode(frame), *sound.encode(None)])
    annotate_recording(path, result(), output)
    heard = Clip(output).sound()
    assert heard.std() * channels == pytest.approx(16_000 / 32_768 / np.sqrt(2), rel=0.05)


def test_a_recording_without_sound_gets_none(tmp_path: Path, output: Path) -> None:
    annotate_recording(record(tmp_path / "talk.mp4", sound=None), result(said(0.0, 1.0)), output)
    with av.open(str(output)) as container:
        assert [stream.type for stream in container.streams] == ["video"]
    assert list(frames(output)) == list(EVERY_TENTH)


def test_a_box_moves_between_its_samples_in_the_emotions_colour(tmp_path: Path, output: Path) -> None:
    faces = [face(0.0, 0.1, 0.1, 0.3, 0.4), face(1.0, 0.5, 0.1, 0.7, 0.4), face(1.0, 0.5, 0.1, 0.7, 0.4)]
    annotate_recording(
        record(tmp_path / "talk.mp4"), result(said(0.0, 0.2), said(0.2, 1.9, "anger", faces=faces)), output
    )
    shown = frames(output)
    for time, left, color in ((0.1, 44, "joy"), (0.5, 96, "anger"), (1.0, 160, "anger"), (1.5, 160, "anger")):
        assert is_colored(shown[time][60, left : left + 2].mean(0), COLORS[color]), time
        assert is_colored(shown[time][24:26, left + 32].mean(0), COLORS[color]), time
        assert np.ptp(shown[time][60, left + 6 : left + 56]) < 60, "the inside stays as it was"
    for time in (1.6, 1.9):  # half an interval after the last sample
        assert not is_colored(shown[time][60, 160:162].mean(0), COLORS["anger"])


def test_boxes_are_white_where_the_emotion_is_not_known(tmp_path: Path, output: Path) -> None:
    faces = [face(time, 0.1, 0.1, 0.3, 0.4) for time in (0.1, 0.5, 0.9, 1.3)]
    spoken = result(said(0.0, 1.0, faces=faces), said(0.4, 0.6, "anger"), said(1.2, 1.9, faces=faces))
    annotate_recording(record(tmp_path / "talk.mp4"), spoken, output)
    shown = frames(output)
    for time, color in ((0.2, COLORS["joy"]), (0.5, "white"), (0.8, COLORS["joy"]), (1.1, "white")):
        assert is_colored(shown[time][60, 32:34].mean(0), color), time


def test_samples_further_apart_are_not_joined(tmp_path: Path, output: Path) -> None:
    faces = [face(0.0, 0.1, 0.1, 0.3, 0.4), face(0.2, 0.1, 0.1, 0.3, 0.4), face(2.5, 0.5, 0.1, 0.7, 0.4)]
    annotate_recording(record(tmp_path / "talk.mp4", sound=None), result(said(0.0, 1.9, faces=faces)), output)
    shown = frames(output)
    assert is_colored(shown[0.3][60, 32:34].mean(0), COLORS["joy"])
    assert np.ptp(shown[0.5][20:110, :150]) < 20


def test_captions_show_during_their_utterances_only(tmp_path: Path, output: Path) -> None:
    other = said(0.8, 1.3, "anger", speaker=None, text="Go away, all of you. " * 20, score=0.97)
    annotate_recording(
        record(tmp_path / "talk.mp4"), result(said(0.1, 0.5), other, said(1.0, 1.3), said(None, None)), output
    )
    shown = {time: frame[120:].astype(int) for time, frame in frames(output).items()}
    plain = shown[0.0]
    assert np.ptp(plain[:, 170:]) < 10
    for time in (0.5, 0.6, 0.7, 1.3, 1.9):
        np.testing.assert_allclose(shown[time], plain, atol=16)
    heights = {time: int((shown[time].mean((1, 2)) < 100).sum()) for time in (0.1, 0.4, 0.9, 1.2)}
    assert 0 < heights[0.1] == heights[0.4] < heights[0.9]
    assert heights[1.2] > heights[0.1]
    assert np.abs(shown[0.4] - shown[0.9]).mean() > 5


@pytest.mark.parametrize(("rotation", "lighter"), [(90, "bottom"), (180, "right"), (270, "top")])
def test_pictures_are_upright(rotation: int, lighter: str, tmp_path: Path, output: Path) -> None:
    faces = [face(0.0, 0.25, 0.1, 0.75, 0.6)]
    recording = record(tmp_path / "phone.mov", rotation=rotation)
    annotate_recording(recording, result(said(0.0, 1.9, faces=faces)), output)
    image = frames(output)[0.1]
    height, width = image.shape[:2]
    assert (width, height) == ((320, 240) if rotation == 180 else (240, 320))
    clear = image[: height * 3 // 4].astype(int)
    ends = {"right": clear[20, -9:], "bottom": clear[-9:, 20], "top": clear[:9, 20]}
    assert ends[lighter].mean() == pytest.approx(160, abs=6)
    assert is_colored(image[height // 4, width // 4 : width // 4 + 2].mean(0), COLORS["joy"])
    with av.open(str(output)) as container:
        assert next(container.decode(video=0)).rotation == 0


@pytest.mark.parametrize(
    ("size", "pixels", "expected"),
    [((321, 241), "yuv444p", (320, 240)), ((720, 1280), "yuv420p", (720, 1280)), ((64, 48), "yuv420p", (64, 48))],
)
def test_every_size_is_drawn_on(
    size: tuple[int, int], pixels: str, expected: tuple[int, int], tmp_path: Path, output: Path
) -> None:
    recording = record(tmp_path / "talk.mp4", (0.0, 0.1, 0.2), size=size, pixels=pixels, sound=None)
    many = [said(0.0, 0.2, text="A" * 500, faces=[face(0.0, -0.2, 0.1, 0.5, 1.4)]) for _ in range(3)]
    annotate_recording(recording, result(*many), output)
    shown = frames(output)
    assert shown[0.1].shape[:2] == expected[::-1]
    assert np.ptp(shown[0.1]) > 100
    assert np.ptp(shown[0.2][:, expected[0] // 2 + 8 :]) < 20


@pytest.mark.parametrize("space", [1, 5])
def test_colours_are_right_in_every_colour_space(space: int, tmp_path: Path, output: Path) -> None:
    recording = tmp_path / "talk.mp4"
    with av.open(str(recording), "w") as container:
        video = container.add_stream("libx264", rate=10)
        video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
        video.codec_context.colorspace = space
        for _ in range(3):
            picture = av.VideoFrame.from_ndarray(np.full((240, 320, 3), (200, 40, 40), np.uint8), "rgb24")
            container.mux(video.encode(picture.reformat(format="yuv420p", dst_colorspace=space)))
        container.mux(video.encode(None))
    annotate_recording(recording, result(said(0.0, 1.0, faces=[face(0.0, 0.1, 0.1, 0.3, 0.4)])), output)
    with av.open(str(output)) as container:
        frame = next(container.decode(video=0))
        assert frame.colorspace == space
        image = frame.reformat(format="rgb24", src_colorspace=space).to_ndarray()
    assert is_colored(image[60, 32:34].mean(0), COLORS["joy"])
    np.testing.assert_allclose(image[20:100, 200:].mean((0, 1)), (200, 40, 40), atol=6)


def test_mpeg4_is_written_without_an_h264_encoder(
    tmp_path: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = record(tmp_path / "talk.mp4", IRREGULAR)
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"libx264"})
    annotate_recording(recording, result(said(0.0, 1.0)), output)
    with av.open(str(output)) as container:
        assert container.streams.video[0].codec.canonical_name == "mpeg4"
    assert list(frames(output)) == list(IRREGULAR)


def test_a_recording_without_times_of_presentation_keeps_its_frames(tmp_path: Path, output: Path) -> None:
    recording = record(tmp_path / "talk.avi", sound=None)
    assert list(frames(recording)) != list(EVERY_TENTH), "the file tells the order of decoding"
    annotate_recording(recording, result(said(0.0, 1.0)), output)
    np.testing.assert_allclose(list(frames(output)), EVERY_TENTH, atol=0.0011)


def test_a_recording_that_is_cut_off_is_copied_up_to_there(tmp_path: Path, output: Path) -> None:
    times = tuple(k / 10 for k in range(60))
    recording = record(tmp_path / "talk.mp4", times, sound=None)
    with av.open(str(recording)) as container:
        middle = [packet.pos for packet in container.demux(video=0)][30]
    recording.write_bytes(recording.read_bytes()[:middle])
    with pytest.warns(UserWarning, match=r"^talk\.mp4 could be read up to 0:03\.\d of 0:06\.0 only"):
        annotate_recording(recording, result(said(0.0, 1.0)), output)
    read = list(frames(output))
    assert 25 <= len(read) <= 32
    assert read[:25] == list(times[:25])


def test_an_older_file_is_replaced_at_the_end(tmp_path: Path, output: Path) -> None:
    output.write_text("older")
    done = []

    def watch(seconds: Any) -> Iterator[float]:
        for second in seconds:
            assert output.read_text() == "older"
            done.append(second)
            yield second

    annotate_recording(record(tmp_path / "talk.mp4"), result(said(0.0, 1.0)), output, watch)
    assert done == sorted(done)
    assert done[-1] == pytest.approx(2.0, abs=0.1)
    assert os.listdir(output.parent) == [output.name]
    assert len(frames(output)) == len(EVERY_TENTH)


def interrupted(seconds: Any) -> Iterator[float]:
    yield next(seconds)
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("broken", "progress", "error"),
    [(said(1.0, 1.5, "boredom"), iter, KeyError), (said(1.0, 1.5), interrupted, KeyboardInterrupt)],
)
def test_a_failure_leaves_nothing_behind(
    broken: dict[str, Any], progress: Callable, error: type[BaseException], tmp_path: Path, output: Path
) -> None:
    recording = record(tmp_path / "talk.mp4")
    with pytest.raises(error):
        annotate_recording(recording, result(said(0.0, 0.5), broken), output, progress)
    assert os.listdir(output.parent) == []


def test_bad_files_are_refused(tmp_path: Path, output: Path) -> None:
    spoken = result(said(0.0, 1.0))
    recording = record(tmp_path / "talk.mp4")
    before = recording.read_bytes()
    with pytest.raises(ValueError, match=r"another file than the recording, found .*talk\.mp4 for both"):
        annotate_recording(recording, spoken, recording)
    assert recording.read_bytes() == before
    sound = record(tmp_path / "talk.wav", (), sound="pcm_s16le")
    with pytest.raises(ValueError, match=r"^talk\.wav shows no picture to draw in; give a recording with video"):
        annotate_recording(sound, spoken, output)
    (tmp_path / "words.mp4").write_text("no video")
    with pytest.raises(ValueError, match=r"^words\.mp4 shows no picture"):
        annotate_recording(tmp_path / "words.mp4", spoken, output)
    with pytest.raises(FileNotFoundError, match=r"found none at .*absent\.mp4; check the path"):
        annotate_recording(tmp_path / "absent.mp4", spoken, output)
    assert os.listdir(output.parent) == []


def test_a_caption_has_three_lines_of_text_at_most() -> None:
    heights = [
        draw_caption([said(0.0, 1.0, text=text)], COLORS, 320, 240).height
        for text in (None, "Short.", "Long enough for a second line of text, " * 2, "word " * 60, "word " * 600)
    ]
    assert heights[0] < heights[1] < heights[2] < heights[3] == heights[4]
    assert draw_caption([said(0.0, 1.0)] * 30, COLORS, 320, 240).size == (320, 240)


def test_a_bar_is_as_long_as_the_probability() -> None:
    lengths = []
    for score in (0.25, 0.5, 1.0):
        pixels = np.asarray(draw_caption([said(0.0, 1.0, "anger", score=score)], COLORS, 320, 240))
        colored = (pixels[..., :3] == ImageColor.getrgb(COLORS["anger"])).all(-1)
        lengths.append(int(colored.sum(1).max()))
    np.testing.assert_allclose(lengths, [20, 40, 80], atol=1)


@pytest.mark.slow
def test_memory_does_not_grow_with_length(tmp_path: Path, output: Path) -> None:
    peaks = []
    for seconds in (20, 120):
        recording = record(tmp_path / f"{seconds}.mp4", tuple(k / 10 for k in range(10 * seconds)), sound=None)
        code = (
            "import resource, sys\n"
            "from pathlib import Path\n"
            "from m2fnet_hf.reports.annotate import annotate_recording\n"
            "annotate_recording(Path(sys.argv[1]), {'labels': [], 'utterances': []}, Path(sys.argv[2]))\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        command = [sys.executable, "-c", code, str(recording), str(output)]
        peaks.append(int(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    assert peaks[1] < 1.1 * peaks[0]


FACE = {"time": 0.5, "track": 0, "box": [0.1, 0.1, 0.2, 0.2]}


@pytest.mark.parametrize(
    "change",
    [
        *({"score": -5}, {"score": True}, {"label": "wrath"}, {"start": -1}, {"start": 2}, {"start": math.nan}),
        *({"end": 10**400}, {"faces": 3}, {"faces": [{}]}),
        *({"faces": [FACE | one]} for one in ({"time": "x"}, {"track": [0]}, {"box": [0, 1]}, {"box": [math.nan] * 4})),
    ],
)
def test_what_no_prediction_can_be_is_not_drawn(change: dict[str, Any]) -> None:
    one = {"start": 0, "end": 1, "speaker": None, "text": "Hi.", "label": "joy", "score": 0.9, "faces": [FACE]}
    assert is_whole({"labels": ["joy"], "utterances": [one]})
    assert not is_whole({"labels": ["joy"], "utterances": [one | change]})
