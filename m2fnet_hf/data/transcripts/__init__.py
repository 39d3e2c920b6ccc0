"""Transcripts: what tools export, to a dialogue."""

from .formats import FORMATS, Transcript, open_transcript, read_transcript

__all__ = ["FORMATS", "Transcript", "open_transcript", "read_transcript"]
