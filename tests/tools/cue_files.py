"""Files of cues for tests, and what was read of them."""

from m2fnet_hf.data.transcripts import Transcript


def rows(transcript: Transcript) -> list[tuple]:
    return [(one.speaker, one.text, one.start, one.end) for one in transcript.dialogue]


def said(transcript: Transcript) -> list[tuple]:
    return [(one.speaker, one.text) for one in transcript.dialogue]


def vtt(*texts: str) -> str:
    cues = (f"{n}\n00:00:{n:02d}.000 --> 00:00:{n:02d}.900\n{text}\n" for n, text in enumerate(texts, start=1))
    return "WEBVTT\n\n" + "\n".join(cues)


def srt(*texts: str) -> str:
    return "\n".join(f"{n}\n00:00:{n:02d},000 --> 00:00:{n:02d},900\n{text}\n" for n, text in enumerate(texts, start=1))
