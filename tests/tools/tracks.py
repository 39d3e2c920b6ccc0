"""Recordings with several sound tracks."""

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np


def write_tracks(path: Path, tracks: Sequence[np.ndarray], rate: int = 16_000) -> Path:
    """Samples from -1 to 1 [S] of each track, without loss."""
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("pcm_s16le", rate=rate, layout="mono") for _ in tracks]
        for stream, samples in zip(streams, tracks, strict=True):
            frame = av.AudioFrame.from_ndarray(np.round(samples * 32_767).astype(np.int16)[None], "s16", "mono")
            frame.sample_rate, frame.pts = rate, 0
            container.mux(stream.encode(frame))
    return path
