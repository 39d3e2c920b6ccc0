"""What is opened as a recording, and what is not."""

import os
import re
import struct
from pathlib import Path

import av
import numpy as np
import pytest

import m2fnet_hf
from m2fnet_hf.media.clip import Clip

PLAYLISTS = {
    "talk.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{name}\n#EXT-X-ENDLIST\n",
    "talk.mp4": "ffconcat version 1.0\nfile {name}\n",
    "talk.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=talk\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 4 RTP/AVP 0\n",
    "talk.mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet>'
    '<Representation id="1" bandwidth="1"><BaseURL>{name}</BaseURL></Representation></AdaptationSet></Period></MPD>',
    "talk.srt": "1\n00:00:01,000 --> 00:00:02,000\nHello\n",
}


def sound(path: Path, seconds: float = 1.0, rate: int = 16_000) -> Path:
    with av.open(str(path.absolute()), "w") as container:
        stream = container.add_stream("aac" if path.suffix in (".ts", ".mp4") else "pcm_s16le", rate=rate)
        samples = (3000 * np.sin(np.arange(round(seconds * rate)))).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples[None], "s16", "mono")
        frame.sample_rate = rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("name", PLAYLISTS)
def test_no_file_leads_to_another(tmp_path: Path, name: str) -> None:
    secret = sound(tmp_path / "secret.ts")
    assert Clip(secret).has_audio
    path = tmp_path / name
    path.write_text(PLAYLISTS[name].replace("{name}", secret.name))
    clip = Clip(path)
    assert not clip.has_audio
    (problem,) = clip.problems
    assert problem.startswith(f"{name} is not a recording that can be decoded (")


def test_a_track_in_another_file_is_not_read(tmp_path: Path) -> None:
    """QuickTime's tracks may name a file that holds their samples."""
    (tmp_path / "secret").write_bytes(np.full(20_000, 7_000, "<i2").tobytes())
    path = tmp_path / "talk.mov"
    content = bytearray(sound(path).read_bytes())
    inside, outside = b"\0\0\0\x0curl \0\0\0\x01", alias("secret")
    place = content.index(inside)
    content[place : place + len(inside)] = outside
    for box in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        start = content.rindex(box, 0, place) - 4
        (size,) = struct.unpack_from(">I", content, start)
        struct.pack_into(">I", content, start, size + len(outside) - len(inside))
    path.write_bytes(content)
    with av.open(str(path), container_options={"enable_drefs": "1"}) as container:
        assert next(container.decode(audio=0)).to_ndarray()[0, 0] == 7_000, "the name leads nowhere"
    assert list(Clip(path).read(spans=[(0.0, 1.0)])) == []


def alias(name: str) -> bytes:
    """A Macintosh alias of a file in the same folder: volume, name, levels up and down, path."""
    path = f"x:{name}".encode()
    fields = struct.pack(">10xB27s12xB63s16xHH16x", 1, b"x", len(name), name.encode(), 1, 1)
    entry = b"alis" + bytes(4) + fields + struct.pack(">HH", 2, len(path)) + path
    return struct.pack(">I", len(entry) + 4) + entry


def test_files_are_opened_in_one_place() -> None:
    """Elsewhere recordings are written."""
    package = Path(m2fnet_hf.__file__).parent
    sources = {path.name: path.read_text(encoding="utf-8") for path in package.rglob("*.py")}
    calls = {name: re.findall(r"\bav\.open\([^\n]*", source) for name, source in sources.items()}
    assert {name for name, found in calls.items() if any('"w"' not in call for call in found)} == {"container.py"}


@pytest.mark.parametrize(
    "name", ["http:talk.wav", "concat:a.wav|b.wav", "data:talk.wav", "-talk.wav", "%03d #?.wav", "~"]
)
def test_a_name_is_no_address(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sound(tmp_path / "talk.wav").rename(tmp_path / name)
    assert Clip(name).duration == 1.0


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "loop.mp4").symlink_to("loop.mp4")
    for path, found in {
        "pipe.mp4": "must be a file, found a pipe at",
        "/dev/zero": "must be a file, found a device at /dev/zero",
        ".": "must be a file, found a folder at",
        "nothing.mp4": "must be a file, found none at",
        "loop.mp4": "must be a file that can be read, found: Too many levels of symbolic links, at",
        "a" * 300: "must be a file that can be read, found: File name too long, at",
        "a\0.mp4": "must be a file, found none at",
    }.items():
        with pytest.raises((ValueError, OSError), match=re.escape(found)):
            Clip(tmp_path / path)


@pytest.mark.parametrize("rate", [1, 999, 10_000_000])
def test_sound_at_a_rate_that_no_recording_has_is_absent(tmp_path: Path, rate: int) -> None:
    path = sound(tmp_path / "talk.wav")
    content = bytearray(path.read_bytes())
    content[24:28] = rate.to_bytes(4, "little")
    path.write_bytes(content)
    assert not Clip(path).has_audio


def test_a_picture_that_is_too_large_is_absent(tmp_path: Path) -> None:
    path = tmp_path / "talk.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=5)
        stream.width = stream.height = 16
        stream.pix_fmt = "yuvj420p"
        for number in range(5):
            frame = av.VideoFrame(16, 16, "yuvj420p")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert len([*Clip(path).read([0.0])]) == 1
    size = b"\xff\xc0\x00\x11\x08" + 2 * (16).to_bytes(2)
    assert size in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(size, size[:5] + 2 * (30_000).to_bytes(2)))
    assert [*Clip(path).read([0.0])] == []
