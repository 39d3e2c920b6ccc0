"""Appearance features of faces: histograms of oriented gradients, and the geometry of the landmarks.

They describe how a face looks, and are no Action Units.
"""

from typing import Any

import numpy as np

from ..face_arrays_m2fnet import GEOMETRY_SIZE
from .types import Faces

PATCH = 112
_ORIENTATIONS, _CELL, _BLOCK = 9, 8, 2
HOG_SIZE = (PATCH // _CELL - _BLOCK + 1) ** 2 * _BLOCK**2 * _ORIENTATIONS

# Where the eyes and the corners of the mouth go in the patch, x + iy: below the forehead, above the chin.
_LEFT_EYE, _RIGHT_EYE, _MOUTH = slice(36, 42), slice(42, 48), [48, 54]
_ANCHORS = PATCH * np.array([0.3 + 0.4j, 0.7 + 0.4j, 0.5 + 0.8j])


def describe(image: np.ndarray, faces: Faces, geometry: bool) -> np.ndarray:
    """What the faces of an image look like.

    A face is put upright into a patch of 112 x 112 pixels: by its eyes and mouth where there are landmarks, else by its
    box made square.

    Args:
        image: RGB, uint8 [height, width, 3].
        faces: with boxes and landmarks in its pixels.
        geometry: append where the landmarks are in the patch, in its width: x and y of each.

    Returns:
        [P, E] float32: `HOG_SIZE` values of 9 orientations in cells of 8 x 8 pixels and blocks of 2 x 2 cells, and
        136 of the geometry; NaN for a face without box and landmarks, or without landmarks where geometry is asked.

    Raises:
        ImportError: without scikit-image.
    """
    features = np.full((len(faces), HOG_SIZE + GEOMETRY_SIZE * geometry), np.nan, dtype=np.float32)
    if not len(faces):
        return features
    grey = _skimage().color.rgb2gray(image)
    for row, box in enumerate(faces.boxes):
        points = _points(faces, row)
        if points is None and (geometry or np.isnan(box).any()):
            continue
        scale, origin = _square(box) if points is None else _upright(points)
        features[row, :HOG_SIZE] = _hog(_patch(grey, scale, origin))
        if geometry and points is not None:
            places = (points - origin) / (scale * PATCH)
            features[row, HOG_SIZE:] = np.stack([places.real, places.imag], axis=-1).ravel()
    return features


def _points(faces: Faces, row: int) -> np.ndarray | None:
    """The landmarks of a face as x + iy, `None` where they are not known."""
    if faces.landmarks is None or np.isnan(faces.landmarks[row]).any():
        return None
    return faces.landmarks[row] @ np.array([1, 1j])


def _square(box: np.ndarray) -> tuple[complex, complex]:
    """Scale and origin of the patch in the image: around the box."""
    side = max(box[2] - box[0], box[3] - box[1])
    corner = (box[:2] + box[2:] - side) / 2
    return side / PATCH, complex(*corner)


def _upright(points: np.ndarray) -> tuple[complex, complex]:
    """Scale (with the rotation) and origin of the patch in the image that best put eyes and mouth in their places."""
    found = np.array([points[part].mean() for part in (_LEFT_EYE, _RIGHT_EYE, _MOUTH)])
    (scale, origin), *_ = np.linalg.lstsq(np.stack([_ANCHORS, np.ones(3)], axis=1), found, rcond=None)
    return scale, origin


def _patch(grey: np.ndarray, scale: complex, origin: complex) -> np.ndarray:
    """The patch [112, 112], each pixel the mean of those that it covers."""
    finer = max(1, round(abs(scale)))
    step = scale / finer
    # Pixel n is centred at n + 0.5.
    start = origin + step * (0.5 + 0.5j) - (0.5 + 0.5j)
    to_image = np.array([[step.real, -step.imag, start.real], [step.imag, step.real, start.imag], [0, 0, 1]])
    fine = _skimage().transform.warp(grey, to_image, output_shape=(PATCH * finer, PATCH * finer), mode="edge")
    return fine.reshape(PATCH, finer, PATCH, finer).mean((1, 3))


def _hog(patch: np.ndarray) -> np.ndarray:
    return _skimage().feature.hog(
        patch,
        orientations=_ORIENTATIONS,
        pixels_per_cell=(_CELL, _CELL),
        cells_per_block=(_BLOCK, _BLOCK),
        block_norm="L2-Hys",
    )


def _skimage() -> Any:
    try:
        import skimage
    except ImportError as error:
        raise ImportError(
            "Appearance features need scikit-image, found none; run: pip install 'm2fnet-hf[appearance]'."
        ) from error
    return skimage
