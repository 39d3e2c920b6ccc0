import os
import re
import subprocess
import sys
import wave
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from sample_recordings import SIZE, TEN_A_SECOND, chirp, lag_of, number_of, numbered_image, record

from m2fnet_hf.media.clip import Clip, Frame, Sound, sample_times

H264 = {"video_codec": "libx264", "audio_codec": "aac"}
WEBM = {"video_codec": "libvpx", "audio_codec": "libopus", "sampling_rate": 48_000}
MPEG2 = {"video_codec": "mpeg2video", "audio_codec": "mp2", "sampling_rate": 48_000}
ONLY_SOUND = {"frame_times": ()}
ONLY_VIDEO = {"seconds": 0}
MIDDLES = [k / 10 + 0.05 for k in range(20)]


def numbers(clip: Clip, times: list[float]) -> list[int]:
    """The numbers of the pictures at the times."""
    return [number_of(piece.image) for piece in clip.read(times) if isinstance(piece, Frame)]


def sounds(clip: Clip, spans: list[Any], rate: int = 16_000) -> dict[int, np.ndarray]:
    return {piece.span: piece.samples for piece in clip.read(spans=spans, sampling_rate=rate)}


@pytest.mark.parametrize(
    ("name", "settings", "late"),
    [
        ("talk.mp4", H264, 0.0),
        ("talk.mp4", {**H264, "sampling_rate": 44_100, "layout": "5.1"}, 0.0),
        ("talk.mov", {}, 0.0),
        ("talk.mkv", {**H264, "sampling_rate": 48_000, "layout": "stereo"}, 0.0),
        ("talk.webm", WEBM, 0.0),
        ("talk.avi", {}, 0.0),
        ("talk.avi", {"video_codec": "libx264"}, 0.0),
        # The encoder's first packet is silent, and these formats do not say so: a player starts with it.
        ("talk.ts", {**H264, "sampling_rate": 48_000}, 1024 / 48_000),
        ("talk.flv", {**H264, "sampling_rate": 44_100}, 1024 / 44_100),
    ],
)
def test_frames_and_sound_of_many_formats(tmp_path: Path, name: str, settings: dict[str, Any], late: float) -> None:
    clip = Clip(record(tmp_path / name, **settings))
    assert (clip.has_video, clip.has_audio, clip.width, clip.height) == (True, True, *SIZE)
    assert clip.duration == pytest.approx(2.0, abs=0.05)
    assert numbers(clip, MIDDLES) == list(range(20))
    samples = sounds(clip, [(0.5, 1.5)])[0]
    assert samples.shape == (16_000,)
    assert samples.dtype == np.float32
    assert lag_of(samples, 0.5, 16_000) == pytest.approx(late, abs=0.001)
    assert np.sqrt(np.mean(samples**2)) == pytest.approx(0.5 / np.sqrt(2), abs=0.03)
    assert clip.problems == []


@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [
        ("talk.wav", "pcm_u8", 8_000),
        ("talk.wav", "pcm_s24le", 96_000),
        ("talk.wav", "pcm_f32le", 22_050),
        ("talk.flac", "flac", 44_100),
        ("talk.mp3", "libmp3lame", 44_100),
        ("talk.m4a", "aac", 48_000),
        ("talk.ogg", "libopus", 48_000),
    ],
)
def test_recordings_of_sound_alone(tmp_path: Path, name: str, codec: str, rate: int) -> None:
    clip = Clip(record(tmp_path / name, **ONLY_SOUND, audio_codec=codec, sampling_rate=rate))
    assert (clip.has_video, clip.has_audio, clip.width, clip.height) == (False, True, None, None)
    assert list(clip.frames(5)) == []
    samples = clip.sound()
    assert samples is not None
    assert len(samples) == pytest.approx(32_000, abs=800)
    assert lag_of(samples, 0.0, 16_000) == pytest.approx(0.0, abs=0.0002)
    assert clip.problems == []


def test_recordings_without_sound(tmp_path: Path) -> None:
    clip = Clip(record(tmp_path / "talk.mp4", **ONLY_VIDEO))
    assert clip.has_video
    assert not clip.has_audio
    assert clip.sound() is None
    assert [type(piece) for piece in clip.read([0.0], [(0.0, 1.0)])] == [Frame]


def test_a_cover_is_not_a_video(tmp_path: Path) -> None:
    sound = record(tmp_path / "plain.mp3", **ONLY_SOUND, audio_codec="libmp3lame")
    path = tmp_path / "song.mp3"
    with av.open(str(sound)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.audio[0])
        cover = target.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = *SIZE, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic.value
        target.mux(cover.encode(av.VideoFrame.from_ndarray(numbered_image(3), format="rgb24")))
        target.mux(cover.encode(None))
        for packet in source.demux(audio=0):
            if packet.pts is not None:
                packet.stream = stream
                target.mux(packet)
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 1
    clip = Clip(path)
    assert not clip.has_video
    assert list(clip.read([0.0])) == []
    assert clip.sound(0.5, 1.0) is not None


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_frames_are_upright(tmp_path: Path, rotation: int) -> None:
    clip = Clip(record(tmp_path / "phone.mp4", **ONLY_VIDEO, rotation=rotation))
    assert (clip.width, clip.height) == SIZE
    assert numbers(clip, MIDDLES) == list(range(20))
    (frame,) = clip.read([0.0], longest_side=64)
    assert frame.image.shape == (32, 64, 3)


def test_frames_of_a_variable_rate(tmp_path: Path) -> None:
    starts = [0.0, 0.033, 0.05, 0.4, 1.0, 1.017]
    clip = Clip(record(tmp_path / "phone.mp4", **ONLY_VIDEO, frame_times=starts, ticks=30_000))
    assert numbers(clip, starts) == [0, 1, 2, 3, 4, 5]
    assert numbers(clip, [0.032, 0.39, 0.41, 0.99, 1.016]) == [0, 2, 3, 3, 4]


@pytest.mark.parametrize("name", ["talk.mp4", "talk.mkv", "talk.webm"])
@pytest.mark.parametrize("rate", [30, 30_000 / 1001, 25])
def test_a_frame_is_due_at_its_own_time_in_any_time_base(tmp_path: Path, name: str, rate: float) -> None:
    starts = [k / rate for k in range(40)]
    codec = "libvpx" if name.endswith("webm") else "mpeg4"
    clip = Clip(record(tmp_path / name, **ONLY_VIDEO, frame_times=starts, video_codec=codec, ticks=30_000))
    assert numbers(clip, starts) == list(range(40))


def test_times_outside_the_video(tmp_path: Path) -> None:
    clip = Clip(record(tmp_path / "talk.mkv", frame_times=TEN_A_SECOND[5:10], seconds=2.0))
    frames = [piece for piece in clip.read([1.05, -1.0, 0.0, 0.55, 0.95, 0.95, 1.9, 50.0]) if isinstance(piece, Frame)]
    assert [frame.time for frame in frames] == [-1.0, 0.0, 0.55, 0.95]
    assert [number_of(frame.image) for frame in frames] == [0, 0, 0, 4]


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("talk.mkv", 5.0),
        ("talk.mov", 5.0),
        ("talk.mp4", 5.0),
        ("talk.webm", 5.0),
        ("talk.ts", 1.4),
        # The 33 bits of its time stamps wrap around after a second.
        ("talk.ts", 2**33 / 90_000 - 1),
    ],
)
def test_a_recording_starts_at_zero_whatever_its_time_stamps(tmp_path: Path, name: str, start: float) -> None:
    settings = {".webm": WEBM, ".mp4": H264, ".ts": MPEG2}.get(Path(name).suffix, {})
    times = [start + k / 25 for k in range(50)]
    clip = Clip(record(tmp_path / name, frame_times=times, sound_start=start, **settings))
    assert clip.duration == pytest.approx(2.0, abs=0.1)
    read = numbers(clip, [1.0, 1.5])
    assert read[1] - read[0] == pytest.approx(12.5, abs=0.5)
    # Sound that its encoder delayed comes first, and the picture stays with the sound.
    lag = lag_of(clip.sound(0.5, 1.5), start + 0.5, 16_000)
    assert 0.0 <= lag < 0.07
    assert read[0] == pytest.approx((1.0 - lag) * 25, abs=1)


@pytest.mark.parametrize("name", ["talk.mkv", "talk.mov"])
def test_sound_that_starts_after_the_video_keeps_its_place(tmp_path: Path, name: str) -> None:
    clip = Clip(record(tmp_path / name, sound_start=0.5))
    spans = sounds(clip, [(0.0, 1.0), (0.1, 0.4)])
    assert list(spans) == [0], "a span before the sound has none"
    assert len(spans[0]) == 16_000
    assert not spans[0][:8_000].any()
    np.testing.assert_allclose(spans[0][8_000:], chirp(np.arange(8_000, 16_000) / 16_000), atol=1e-4)
    assert numbers(clip, [0.05, 0.55]) == [0, 5]


def test_video_that_starts_after_the_sound_keeps_its_place(tmp_path: Path) -> None:
    clip = Clip(record(tmp_path / "talk.mp4", **H264, frame_times=TEN_A_SECOND[5:]))
    assert numbers(clip, [0.0, 0.55, 0.65]) == [0, 0, 1]
    assert lag_of(clip.sound(0.5, 1.5), 0.5, 16_000) == pytest.approx(0.0, abs=0.0002)


def test_spans_are_exact_to_the_sample(tmp_path: Path) -> None:
    spans = [
        (1.0, 1.5),
        (-1.0, 0.5),
        (0.25, 0.75),
        (0.3, 0.3),
        (1.75, 9.0),
        (5.0, 6.0),
        (0.50003, 0.50009),
        (1.9, None),
    ]
    read = list(Clip(record(tmp_path / "talk.wav", **ONLY_SOUND)).read(spans=spans))
    assert [piece.span for piece in read] == [1, 6, 2, 0, 4, 7], "each as soon as it is complete"
    whole = chirp(np.arange(32_000) / 16_000)
    edges = {0: (16_000, 24_000), 1: (0, 8_000), 2: (4_000, 12_000), 4: (28_000, 32_000), 6: (8_000, 8_001)}
    for piece in read:
        first, last = edges.get(piece.span, (30_400, 32_000))
        assert len(piece.samples) == last - first
        np.testing.assert_allclose(piece.samples, whole[first:last], atol=1e-4)


@pytest.mark.parametrize("layout", ["stereo", "5.1"])
def test_channels_alike_sound_as_loud_as_one(tmp_path: Path, layout: str) -> None:
    clip = Clip(record(tmp_path / "talk.wav", **ONLY_SOUND, layout=layout))
    np.testing.assert_allclose(clip.sound(), chirp(np.arange(32_000) / 16_000), atol=1e-3)


@pytest.mark.parametrize("channels", [3, 10])
def test_channels_without_places(tmp_path: Path, channels: int) -> None:
    path = tmp_path / "array.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, 2, 16_000, 0, "NONE", ""))
        file.writeframes(np.full((16_000, channels), 1 << 13, dtype="<i2").tobytes())
    np.testing.assert_allclose(Clip(path).sound(), np.full(16_000, 0.25), atol=1e-3)


def test_a_gap_in_the_sound_is_silent_and_what_follows_keeps_its_place(tmp_path: Path) -> None:
    path = record(tmp_path / "talk.mkv", silence=(0.7, 1.2))
    spans = sounds(Clip(path), [(0.0, None), (0.8, 1.1), (0.5, 1.0)])
    assert sorted(spans) == [0, 2], "a span within the gap has no sample"
    gap = slice(round(0.704 * 16_000), round(1.216 * 16_000))
    expected = chirp(np.arange(32_000) / 16_000)
    expected[gap] = 0.0
    np.testing.assert_allclose(spans[0], expected, atol=1e-4)
    np.testing.assert_allclose(spans[2], expected[8_000:16_000], atol=1e-4)


def test_rounded_time_stamps_leave_no_gaps(tmp_path: Path) -> None:
    path = record(tmp_path / "talk.mkv", sampling_rate=44_100)
    np.testing.assert_allclose(
        Clip(path).sound(0.1, 1.9, sampling_rate=44_100), chirp(np.arange(4_410, 83_790) / 44_100), atol=1e-4
    )


@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_sound_at_the_asked_rate(tmp_path: Path, rate: int) -> None:
    samples = Clip(record(tmp_path / "talk.wav", **ONLY_SOUND, sampling_rate=48_000)).sound(0.5, 1.5, rate)
    np.testing.assert_allclose(samples, chirp(0.5 + np.arange(rate) / rate), atol=1e-3)


def test_frames_are_shrunk_and_never_enlarged(tmp_path: Path) -> None:
    clip = Clip(record(tmp_path / "talk.mkv", **ONLY_VIDEO))
    for longest_side, shape in ((None, (64, 128, 3)), (500, (64, 128, 3)), (100, (50, 100, 3)), (32, (16, 32, 3))):
        frames = list(clip.read(MIDDLES[7:9], longest_side=longest_side))
        assert [frame.image.shape for frame in frames] == [shape] * 2
        assert [number_of(frame.image) for frame in frames] == [7, 8]
        assert frames[0].image.dtype == np.uint8
        assert frames[0].image.flags.c_contiguous


def test_shrinking_does_not_alias(tmp_path: Path) -> None:
    path = tmp_path / "stripes.mkv"
    stripes = np.zeros((64, 128, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 128, 64, "bgr0"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(stripes, format="rgb24").reformat(format="bgr0")))
        container.mux(stream.encode(None))
    (frame,) = Clip(path).read([0.0], longest_side=32)
    np.testing.assert_allclose(frame.image[:, 2:-2], 128, atol=3)


def test_colours_are_in_the_order_red_green_blue(tmp_path: Path) -> None:
    path = tmp_path / "red.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 128, 64, "yuv420p"
        red = np.full((64, 128, 3), (220, 30, 10), dtype=np.uint8)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(red, format="rgb24")))
        container.mux(stream.encode(None))
    (frame,) = Clip(path).read([0.0])
    np.testing.assert_allclose(frame.image.mean((0, 1)), (220, 30, 10), atol=6)


def test_one_pass_gives_frames_and_sound_in_the_order_of_time(tmp_path: Path) -> None:
    clip = Clip(record(tmp_path / "talk.mkv"))
    pieces = list(clip.read([0.1, 1.0, 1.9], [(0.0, 0.5), (1.2, 1.5)]))
    assert [piece.span if isinstance(piece, Sound) else piece.time for piece in pieces] == [0.1, 0, 1.0, 1, 1.9]
    assert [type(piece) for piece in pieces] == [Frame, Sound, Frame, Sound, Frame]


def test_a_clip_can_be_read_again_and_left_early(tmp_path: Path) -> None:
    path = record(tmp_path / "talk.mkv")
    clip = Clip(path)

    def is_open() -> bool:
        return str(path) in {os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()}

    for _ in range(2):
        pieces = clip.read(MIDDLES, [(0.0, None)])
        assert number_of(next(pieces).image) == 0
        assert is_open()
        pieces.close()
        assert not is_open()
    assert numbers(clip, MIDDLES) == list(range(20))
    assert not is_open()


def test_frames_by_rate(tmp_path: Path) -> None:
    clip = Clip(record(tmp_path / "talk.mkv", **ONLY_VIDEO))
    assert [frame.time for frame in clip.frames(2)] == [0.0, 0.5, 1.0, 1.5]
    assert [frame.time for frame in clip.frames(10, spans=[(1.71, None), (0.0, 0.25)])] == [0.0, 0.1, 0.2, 1.8, 1.9]
    assert [frame.image.shape for frame in clip.frames(1, longest_side=64)] == [(32, 64, 3)] * 2


@pytest.mark.parametrize(
    ("rate", "spans", "times"),
    [
        (5, [(0.0, 1.0)], [0.0, 0.2, 0.4, 0.6, 0.8]),
        (10, [(0.7, 0.9)], [0.7, 0.8]),
        (10, [(0.3, 0.6)], [0.3, 0.4, 0.5]),
        (1, [(0.25, 0.75)], [0.5]),
        (1, [(2.5, 2.5)], [2.5]),
        (2, [(3.0, 4.0), (0.0, 1.0), (0.5, 1.5)], [0.0, 0.5, 1.0, 3.0, 3.5]),
        (2, [], []),
    ],
)
def test_sample_times(rate: float, spans: list[tuple[float, float]], times: list[float]) -> None:
    assert sample_times(rate, spans) == times


def test_sample_times_lie_on_one_grid_for_all_spans() -> None:
    rate = 29.97
    edges = [k * 0.37 for k in range(200)]
    times = sample_times(rate, pairwise(edges))
    assert times == [k / rate for k in range(round(edges[-1] * rate) + 1) if k / rate < edges[-1]]


def test_a_duration_that_nobody_wrote_down_is_found(tmp_path: Path) -> None:
    path = record(tmp_path / "browser.webm", **WEBM, options={"live": "1"})
    with av.open(str(path)) as container:
        assert container.duration is None
    clip = Clip(path)
    assert clip.duration == pytest.approx(2.0, abs=0.02)
    assert len(list(clip.frames(10))) == 20
    assert clip.problems == []


def test_odd_names_and_tags_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = record(tmp_path / "12:30 take.avi", tags={"title": "Xavier"})
    path.write_bytes(path.read_bytes().replace(b"Xavier", "Zo\xeb \xe9t\xe9"[:6].encode("cp1252")))
    monkeypatch.chdir(tmp_path)
    assert numbers(Clip(path.name), [0.35]) == [3]


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"must be a file, found none at .*gone\.mp4; check the path"):
        Clip(tmp_path / "gone.mp4")
    with pytest.raises(ValueError, match="must be a file, found a folder at"):
        Clip(tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "Invalid data"),
        (b"These are only words.\n" * 50, "Invalid data"),
        (b"1\n00:00:01,000 --> 00:00:02,000\nHello\n\n" * 5, "of no format that is read"),
    ],
)
def test_what_is_no_recording_is_absent(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "talk.mp4"
    path.write_bytes(content)
    assert_absent(Clip(path), reason)


def test_a_recording_without_its_index_is_absent(tmp_path: Path) -> None:
    path = record(tmp_path / "talk.mp4", **H264)
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"moov") - 4])
    assert_absent(Clip(path), "Invalid data")


def assert_absent(clip: Clip, reason: str) -> None:
    assert (clip.has_video, clip.has_audio, clip.duration, clip.width) == (False, False, None, None)
    assert list(clip.read([0.0], [(0.0, None)])) == []
    assert list(clip.frames(5)) == []
    (problem,) = clip.problems
    assert problem.startswith("talk.mp4 is not a recording that can be decoded (")
    assert reason in problem
    assert problem.endswith("); its sound and faces are treated as absent.")


LONG = {"frame_times": tuple(k / 10 for k in range(100)), "seconds": 10.0}


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("talk.mp4", {**H264, "options": {"movflags": "faststart"}}),
        ("talk.mkv", H264),
        ("talk.webm", WEBM),
        ("talk.flac", {**ONLY_SOUND, "audio_codec": "flac"}),
    ],
)
@pytest.mark.parametrize("rest", [b"", bytes(100_000)], ids=["cut", "zeroed"])
def test_what_is_left_of_a_cut_recording_is_read(
    tmp_path: Path, name: str, settings: dict[str, Any], rest: bytes
) -> None:
    path = record(tmp_path / name, **{**LONG, **settings})
    content = path.read_bytes()
    kept = len(content) * 6 // 10
    path.write_bytes(content[:kept] + rest[: len(content) - kept])
    clip = Clip(path)
    for _ in range(2):
        pieces = list(clip.read([k / 10 + 0.05 for k in range(100)], [(0.0, None), (2.0, 3.0), (9.0, 10.0)]))
        frames = [number_of(piece.image) for piece in pieces if isinstance(piece, Frame)]
        samples = {piece.span: piece.samples for piece in pieces if isinstance(piece, Sound)}
        assert frames[:40] == list(range(40)) * clip.has_video
        assert len(frames) < 80
        assert sorted(samples) == [0, 1]
        assert 4.0 < len(samples[0]) / 16_000 < 8.0
        assert lag_of(samples[1], 2.0, 16_000) == pytest.approx(0.0, abs=0.001)
    (problem,) = clip.problems
    assert problem.startswith(f"{name} could be read up to 0:0")
    assert problem.endswith(" only; the rest is treated as absent.")
    assert " of 0:10." in problem


@pytest.mark.parametrize(
    ("name", "settings"),
    [("talk.mp4", H264), ("talk.mkv", H264), ("talk.ts", H264), ("talk.mp3", {**ONLY_SOUND, "audio_codec": "mp3"})],
)
def test_damage_in_the_middle_is_skipped(tmp_path: Path, name: str, settings: dict[str, Any]) -> None:
    path = record(tmp_path / name, **{**LONG, **settings})
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2500] = np.random.default_rng(0).bytes(2500)
    path.write_bytes(content)
    clip = Clip(path)
    pieces = list(clip.read([0.55, 9.75], [(0.0, 1.0), (8.5, 9.5)]))
    frames = [number_of(piece.image) for piece in pieces if isinstance(piece, Frame)]
    if clip.has_video:
        assert frames[0] in (4, 5)
        assert frames[1] in (96, 97)
    assert [piece.span for piece in pieces if isinstance(piece, Sound)] == [0, 1]
    (problem,) = clip.problems
    assert re.match(rf"{name} is damaged (at|from) 0:0[456]\.\d( to 0:0[456]\.\d)?; what cannot be decoded", problem)


def test_a_wav_cut_within_a_sample_is_damaged_at_its_end(tmp_path: Path) -> None:
    path = record(tmp_path / "talk.wav", **ONLY_SOUND)
    path.write_bytes(path.read_bytes()[:40_001])
    clip = Clip(path)
    samples = clip.sound()
    assert 19_000 < len(samples) <= 20_000
    np.testing.assert_allclose(samples, chirp(np.arange(len(samples)) / 16_000), atol=1e-4)
    assert clip.problems == ["talk.wav is damaged at 0:01.2; what cannot be decoded there is treated as absent."]


def test_streams_of_different_lengths_are_no_damage(tmp_path: Path) -> None:
    for name, settings in (("video.mkv", {"seconds": 1.0}), ("sound.mkv", {"frame_times": TEN_A_SECOND[:5]})):
        clip = Clip(record(tmp_path / name, **settings))
        list(clip.frames(10))
        clip.sound()
        list(clip.read([0.0, 50.0], [(0.0, None)]))
        assert clip.problems == []


def test_a_read_that_stops_before_the_damage_finds_none(tmp_path: Path) -> None:
    path = record(tmp_path / "talk.mp4", **{**LONG, **H264, "options": {"movflags": "faststart"}})
    path.write_bytes(path.read_bytes()[:-10_000])
    clip = Clip(path)
    assert len(clip.sound(0.0, 1.0)) == 16_000
    assert clip.problems == []
    clip.sound(9.0, 10.0)
    assert len(clip.problems) == 1


def run(code: str, *arguments: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=True
    )


def test_ffmpeg_does_not_chatter(tmp_path: Path) -> None:
    path = record(tmp_path / "talk.mp4", **{**LONG, **H264})
    content = bytearray(path.read_bytes())
    content[5_000:8_000] = bytes(3_000)
    path.write_bytes(content)
    code = """
import sys
from m2fnet_hf.media.clip import Clip
clip = Clip(sys.argv[1])
for _ in clip.read([0.5, 9.0], [(0.0, None)]):
    pass
print(*clip.problems)
"""
    done = run(code, path)
    assert "talk.mp4 is damaged" in done.stdout
    assert done.stderr == ""


def test_memory_is_flat_with_length(tmp_path: Path) -> None:
    # Not `getrusage`, whose peak a child takes over from the process that starts it.
    code = r"""
import re, sys
from m2fnet_hf.media.clip import Clip
seconds = int(sys.argv[2])
pieces = Clip(sys.argv[1]).read([k / 5 for k in range(5 * seconds)], [(k, k + 3) for k in range(0, seconds, 3)])
count = sum(1 for _ in pieces)
print(count, re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1])
"""
    peaks = []
    for seconds in (5, 60):
        times = [k / 10 for k in range(10 * seconds)]
        path = record(
            tmp_path / f"{seconds}.mp4", frame_times=times, seconds=seconds, size=(320, 176), audio_codec="aac"
        )
        count, peak = map(int, run(code, path, seconds).stdout.split())
        assert count == 5 * seconds + -(-seconds // 3)
        peaks.append(peak)
    assert peaks[1] < 1.05 * peaks[0]
