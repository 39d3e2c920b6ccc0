"""Frames a second of the face stage, against the library's detector called frame by frame on full frames."""

from functools import partial
from typing import Any

import numpy as np

from m2fnet_hf.faces.opencv import OpenCVBackend
from m2fnet_hf.media.clip import Frame

from .measurements import NotHereError, at_least
from .timing import in_turns, ratios

SIZE = (720, 1280)
FRAMES = 12


def measure(quick: bool = False, repetitions: int = 5) -> dict[str, Any]:
    """OpenCV's cascade as the backend runs it, and as OpenCV runs it unless it is told otherwise."""
    try:
        import cv2
        from skimage.data import astronaut

        ours = OpenCVBackend()
    except ImportError as error:
        raise NotHereError(f"{error.name or error}: pip install 'm2fnet-hf[appearance]'") from None
    photograph = cv2.resize(astronaut()[:288], SIZE[::-1])
    frames = [Frame(number / 2, np.roll(photograph, 10 * number, axis=1)) for number in range(2 if quick else FRAMES)]
    theirs = cv2.CascadeClassifier(cv2.data.haarcascades + ours.settings["cascade"])
    cv2.setNumThreads(1)

    def each() -> None:
        for frame in frames:
            theirs.detectMultiScale(cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY))

    times = in_turns({"ours": partial(ours.detect, frames), "theirs": each}, 1 if quick else repetitions)
    found = [float(len(faces) > 0) for faces in ours.detect(frames)]
    return {
        "ran": f"OpenCV's frontal face cascade on {len(frames)} frames of {SIZE[1]}x{SIZE[0]} with a face",
        "measurements": {
            "faces: share of the frames in which the face is found": at_least(1, [float(np.mean(found))]),
            "faces: frames a second, times the detector's on full frames": at_least(
                3, ratios(times["theirs"], times["ours"])
            ),
        },
    }
