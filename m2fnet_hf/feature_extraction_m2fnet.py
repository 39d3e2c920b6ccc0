"""Action Units of the faces of a dialogue to normalised, padded, masked arrays."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from transformers import BatchFeature, FeatureExtractionMixin
from transformers.utils import TensorType


class AUFeatureExtractor(FeatureExtractionMixin):
    """Pads and masks Action Units, and takes each person's resting face from them.

    Args:
        num_action_units: Action Units per face (A).
        max_faces: faces kept per frame, the largest first where their areas are known, else the first.
        person_normalization: subtract from each Action Unit its median over all frames of the dialogue that show the
            same person (`face_ids`), as in the report: people differ at rest. Faces without an id are left as they are.
    """

    model_input_names = ["action_units", "action_units_mask", "face_areas"]

    def __init__(
        self, num_action_units: int = 20, max_faces: int = 4, person_normalization: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.num_action_units = num_action_units
        self.max_faces = max_faces
        self.person_normalization = person_normalization

    def __call__(
        self,
        action_units: Sequence[np.ndarray | None],
        face_areas: Sequence[np.ndarray | None] | None = None,
        face_ids: Sequence[np.ndarray | None] | None = None,
        return_tensors: str | TensorType | None = None,
    ) -> BatchFeature:
        """One dialogue.

        Args:
            action_units: per utterance [F, P, A], NaN where there is no face, or `None`.
            face_areas: per utterance share of the frame [F, P].
            face_ids: per utterance the track of each face through the dialogue [F, P], -1 where there is none.
            return_tensors: `np` (default) or `pt`.

        Returns:
            `action_units` [U, F, P, A] (0 where masked), `action_units_mask` [U, F, P] and, where any area is known,
            `face_areas` [U, F, P]. F and P are at least 1.

        Raises:
            ValueError: for another number of Action Units, or infinite ones.
        """
        count = len(action_units)
        areas = list(face_areas) if face_areas is not None else [None] * count
        ids: list[np.ndarray | None] = list(face_ids) if face_ids is not None else [None] * count
        units = [self._checked(array) for array in action_units]
        if self.person_normalization:
            units = _subtract_medians(units, ids)
        kept = [self._keep_largest(array, area) for array, area in zip(units, areas, strict=True)]

        frames = max([1, *(array.shape[0] for array, _ in kept)])
        faces = max([1, *(array.shape[1] for array, _ in kept)])
        padded = np.full((count, frames, faces, self.num_action_units), np.nan, dtype=np.float32)
        padded_areas = np.zeros((count, frames, faces), dtype=np.float32)
        for row, (array, area) in enumerate(kept):
            padded[row, : array.shape[0], : array.shape[1]] = array
            if area is not None:
                padded_areas[row, : array.shape[0], : array.shape[1]] = np.nan_to_num(area)
        mask = np.logical_not(np.isnan(padded).any(-1))
        features = {"action_units": np.where(mask[..., None], padded, 0.0), "action_units_mask": mask}
        if any(area is not None for area in areas):
            features["face_areas"] = np.where(mask, padded_areas, 0.0)
        return BatchFeature(features, tensor_type=return_tensors)

    def _checked(self, array: np.ndarray | None) -> np.ndarray:
        if array is None:
            return np.empty((0, 0, self.num_action_units), dtype=np.float32)
        array = np.asarray(array, dtype=np.float32)
        if array.ndim != 3 or array.shape[-1] != self.num_action_units:
            raise ValueError(
                f"Action Units must have the shape [F, P, {self.num_action_units}] (`num_action_units`), "
                f"found {list(array.shape)}."
            )
        if np.isinf(array).any():
            raise ValueError("Action Units must be finite, or NaN where there is no face, found infinite values.")
        return array

    def _keep_largest(self, array: np.ndarray, area: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
        """The real faces of each frame, in front and at most `max_faces` of them."""
        if array.shape[1] <= self.max_faces:
            return array, area
        real = ~np.isnan(array).any(-1)
        size = np.where(real, 0.0 if area is None else np.nan_to_num(area), -1.0)
        order = np.argsort(-size, axis=1, kind="stable")[:, : self.max_faces]
        kept = np.take_along_axis(array, order[..., None], axis=1)
        return kept, None if area is None else np.take_along_axis(np.asarray(area), order, axis=1)


def _subtract_medians(units: list[np.ndarray], ids: list[np.ndarray | None]) -> list[np.ndarray]:
    """Action Units less the median of the same person's over the dialogue."""
    known = [(array, np.asarray(track)) for array, track in zip(units, ids, strict=True) if track is not None]
    people = {int(person) for _, track in known for person in np.unique(track) if person >= 0}
    medians = {}
    for person in people:
        faces = np.concatenate([array[track == person] for array, track in known])
        faces = faces[~np.isnan(faces).any(-1)]
        if len(faces):
            medians[person] = np.median(faces, axis=0)
    normalised = []
    for array, track in zip(units, ids, strict=True):
        array = array.copy()
        for person, median in medians.items() if track is not None else ():
            array[np.asarray(track) == person] -= median
        normalised.append(array)
    return normalised


__all__ = ["AUFeatureExtractor"]
