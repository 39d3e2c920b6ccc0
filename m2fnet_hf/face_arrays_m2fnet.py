"""Action Units and appearance features of the faces of a dialogue to normalised, padded, masked arrays.

Shapes: U utterances, F frames, P faces, A Action Units, D values of a face, E values of a description.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

import numpy as np
from safetensors.numpy import load_file

APPEARANCE_WEIGHTS = "appearance_pca.safetensors"
# x and y of 68 landmarks, at the end of a descriptor.
GEOMETRY_SIZE = 136

# OpenFace's intensities, 0 to 5, on py-feat's scale, 0 to 1: the line that gives RAVDESS's 360 clips which both have
# measured the same mean and standard deviation. 11 and 24 are not in OpenFace; 17, 20, 23 and 28 are other things in
# the two (their means over clips correlate by less than 0.4), and so unknown.
OPENFACE_UNITS = {
    unit: {"from": "AU45_r" if unit == "AU43" else f"{unit}_r", "slope": slope, "intercept": intercept}
    for unit, slope, intercept in (
        ("AU01", 0.2798, 0.2647),
        ("AU02", 0.2105, 0.1516),
        ("AU04", 0.3410, 0.2073),
        ("AU05", 0.1604, 0.3034),
        ("AU06", 0.3532, 0.2160),
        ("AU07", 0.3831, 0.0596),
        ("AU09", 0.2445, 0.1215),
        ("AU10", 0.3634, 0.1374),
        ("AU12", 0.3501, 0.1240),
        ("AU14", 0.3512, 0.2169),
        ("AU15", 0.3512, 0.1978),
        ("AU25", 0.2407, 0.4117),
        ("AU26", 0.3241, 0.1600),
        ("AU43", 0.2847, -0.0172),
    )
}


class FaceArrays:
    """Pads and masks what is known of faces, and takes each person's resting face from it.

    A subclass gives `size`, the values per face, and the setting that tells it.
    """

    _values: str
    _size_setting: str

    def __init__(self, max_faces: int, person_normalization: bool) -> None:
        self.max_faces = max_faces
        self.person_normalization = person_normalization

    @property
    def size(self) -> int:
        """Values of a face."""
        raise NotImplementedError

    def padded(
        self,
        name: str,
        arrays: Sequence[np.ndarray | None],
        face_areas: Sequence[np.ndarray | None] | None,
        face_ids: Sequence[np.ndarray | None] | None,
    ) -> dict[str, np.ndarray]:
        """`name` [U, F, P, D], its mask, and the areas where any is known.

        Raises:
            ValueError: for an array of another shape.
        """
        count = len(arrays)
        areas = list(face_areas) if face_areas is not None else [None] * count
        ids: list[np.ndarray | None] = list(face_ids) if face_ids is not None else [None] * count
        faces = [self._checked(array) for array in arrays]
        if self.person_normalization:
            faces = self._subtract_medians(faces, ids)
        kept = [self._keep_largest(array, area) for array, area in zip(faces, areas, strict=True)]

        most_frames = max([1, *(array.shape[0] for array, _ in kept)])
        most_faces = max([1, *(array.shape[1] for array, _ in kept)])
        padded = np.full((count, most_frames, most_faces, self.size), np.nan, dtype=np.float32)
        padded_areas = np.zeros((count, most_frames, most_faces), dtype=np.float32)
        for row, (array, area) in enumerate(kept):
            padded[row, : array.shape[0], : array.shape[1]] = array
            if area is not None:
                padded_areas[row, : array.shape[0], : array.shape[1]] = np.nan_to_num(area)
        mask = self._is_real(padded)
        features = {name: np.where(mask[..., None], np.nan_to_num(padded), 0.0), f"{name}_mask": mask}
        known = ~np.isnan(padded)
        if not known[mask].all():
            features[f"known_{name}"] = known
        if any(area is not None for area in areas):
            features["face_areas"] = np.where(mask, padded_areas, 0.0)
        return features

    def _is_real(self, faces: np.ndarray) -> np.ndarray:
        """Which faces [..., D] are there to be read [...]."""
        return ~np.isnan(faces).any(-1)

    def _subtract_medians(self, arrays: list[np.ndarray], ids: list[np.ndarray | None]) -> list[np.ndarray]:
        """Faces less the median of the same person's over the dialogue."""
        known = [(array, np.asarray(track)) for array, track in zip(arrays, ids, strict=True) if track is not None]
        people = {int(person) for _, track in known for person in np.unique(track) if person >= 0}
        medians = {}
        for person in people:
            faces = np.concatenate([array[track == person] for array, track in known])
            faces = np.ma.masked_invalid(faces[self._is_real(faces)])
            if len(faces):
                medians[person] = np.ma.median(faces, axis=0).filled(np.nan)
        normalised = []
        for array, track in zip(arrays, ids, strict=True):
            array = array.copy()
            for person, median in medians.items() if track is not None else ():
                array[np.asarray(track) == person] -= median
            normalised.append(array)
        return normalised

    def _checked(self, array: np.ndarray | None) -> np.ndarray:
        if array is None:
            return np.empty((0, 0, self.size), dtype=np.float32)
        array = np.asarray(array, dtype=np.float32)
        if array.ndim != 3 or array.shape[-1] != self.size:
            raise ValueError(
                f"{self._values} must have the shape [F, P, {self.size}] ({self._size_setting}), "
                f"found {list(array.shape)}."
            )
        if np.isinf(array).any():
            raise ValueError(f"{self._values} must be finite, or NaN where there is no face, found infinite values.")
        return array

    def _keep_largest(self, array: np.ndarray, area: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
        """The real faces of each frame, in front and at most `max_faces` of them."""
        if array.shape[1] <= self.max_faces:
            return array, area
        real = self._is_real(array)
        size = np.where(real, 0.0 if area is None else np.nan_to_num(area), -1.0)
        order = np.argsort(-size, axis=1, kind="stable")[:, : self.max_faces]
        kept = np.take_along_axis(array, order[..., None], axis=1)
        return kept, None if area is None else np.take_along_axis(np.asarray(area), order, axis=1)


class ActionUnitArrays(FaceArrays):
    """Action Units; see [`AUFeatureExtractor`], which has the same settings."""

    _values = "Action Units"
    _size_setting = "`num_action_units`"

    def __init__(
        self,
        num_action_units: int = 20,
        max_faces: int = 4,
        person_normalization: bool = True,
        openface_units: Mapping[str, Mapping[str, Any]] = OPENFACE_UNITS,
    ) -> None:
        super().__init__(max_faces, person_normalization)
        self.num_action_units = num_action_units
        self.openface_units = {unit: dict(line) for unit, line in openface_units.items()}

    @property
    def size(self) -> int:
        """Action Units per face (A)."""
        return self.num_action_units

    def lacking(self, offered: Sequence[str], wanted: Sequence[str]) -> list[str]:
        """Those of the wanted Action Units that neither are offered nor have a line from one that is."""
        return [unit for unit in wanted if self._source(unit, offered) is None]

    def arrange(self, units: np.ndarray, offered: Sequence[str], wanted: Sequence[str]) -> np.ndarray:
        """What a face backend found, in the order and on the scale that a model reads.

        Args:
            units: [..., A'] float32, NaN where unknown.
            offered: their names; OpenFace's, such as `AU01_r`, tell its scale.
            wanted: names of the model's Action Units.

        Returns:
            [..., A] float32, NaN where unknown.
        """
        arranged = np.full((*units.shape[:-1], len(wanted)), np.nan, dtype=np.float32)
        for column, unit in enumerate(wanted):
            source = self._source(unit, offered)
            if source == unit:
                arranged[..., column] = units[..., offered.index(unit)]
            elif source is not None:
                line, values = self.openface_units[unit], units[..., offered.index(source)]
                arranged[..., column] = np.clip(line["slope"] * values + line["intercept"], 0, 1)
        return arranged

    def _source(self, unit: str, offered: Sequence[str]) -> str | None:
        """The offered unit that a wanted one is made of."""
        names = (unit, self.openface_units.get(unit, {}).get("from"))
        return next((name for name in names if name in offered), None)

    def _is_real(self, faces: np.ndarray) -> np.ndarray:
        """Faces of which a unit is known."""
        return ~np.isnan(faces).all(-1)


class AppearanceArrays(FaceArrays):
    """Descriptions of faces by their principal components; see [`AppearanceFeatureExtractor`]."""

    _values = "Appearance features"
    _size_setting = "`num_components`, and 136 more with `geometry`"

    def __init__(
        self, num_components: int = 64, geometry: bool = False, max_faces: int = 4, person_normalization: bool = True
    ) -> None:
        super().__init__(max_faces, person_normalization)
        self.num_components = num_components
        self.geometry = geometry
        self._weights: dict[str, np.ndarray] = {}

    @property
    def size(self) -> int:
        """Values per face after [`project`] (D)."""
        return self.num_components + GEOMETRY_SIZE * self.geometry

    @property
    def fingerprint(self) -> str:
        """A hash of all that changes what [`project`] gives."""
        digest = sha256(f"{self.num_components} {self.geometry}".encode())
        for name in sorted(self._weights):
            digest.update(self._weights[name].tobytes())
        return digest.hexdigest()

    def fit(self, descriptors: np.ndarray) -> Self:
        """Learn mean, components and the geometry's scale from training data.

        Args:
            descriptors: [N, E]; rows with NaN are left out. Some thousands are enough; time grows with their square.

        Raises:
            ValueError: with fewer faces or values than components.
        """
        faces = np.asarray(descriptors, dtype=np.float32)
        faces = faces[~np.isnan(faces).any(-1)]
        mean = faces.mean(0)
        gradients, geometry = self._parts(faces - mean)
        if min(gradients.shape) < self.num_components:
            raise ValueError(
                f"{self.num_components} components need as many faces and values of each, found {gradients.shape[0]} "
                f"faces of {gradients.shape[1]} values; give more, or set `num_components`."
            )
        components = np.linalg.svd(gradients, full_matrices=False)[2][: self.num_components]
        spread = geometry.std(0)
        self._weights = {"mean": mean, "components": components, "scale": np.where(spread > 0, spread, 1)}
        return self

    def project(self, descriptors: np.ndarray) -> np.ndarray:
        """Descriptions [..., E] to features [..., D] float32; a row with NaN stays NaN.

        Raises:
            ValueError: before [`fit`], and for another E than was fitted.
        """
        if not self._weights:
            raise ValueError(
                "Appearance features must be fitted before they are reduced, found no components; call "
                "`fit(descriptors)` with those of the training data, or load a fitted extractor."
            )
        descriptors = np.asarray(descriptors, dtype=np.float32)
        mean = self._weights["mean"]
        if descriptors.shape[-1] != len(mean):
            raise ValueError(
                f"Descriptions of faces must have {len(mean)} values as those that were fitted, found "
                f"{descriptors.shape[-1]}; describe them with the same `geometry`."
            )
        gradients, geometry = self._parts(descriptors - mean)
        features = [gradients @ self._weights["components"].T, geometry / self._weights["scale"]]
        projected = np.concatenate(features, axis=-1)
        projected[np.isnan(descriptors).any(-1)] = np.nan
        return projected

    def read_weights(self, path: str | Path) -> None:
        """Read what was fitted from its file.

        Raises:
            ValueError: for a file that holds something else.
        """
        self._weights = self._checked_weights(load_file(path), path)

    def _checked_weights(self, weights: dict[str, np.ndarray], path: str | Path) -> dict[str, np.ndarray]:
        size = weights["mean"].size if "mean" in weights else 0
        geometry = GEOMETRY_SIZE * self.geometry
        shapes = {"mean": (size,), "components": (self.num_components, size - geometry), "scale": (geometry,)}
        for name, shape in shapes.items():
            found = weights.get(name)
            if found is None or found.shape != shape or not np.isfinite(found).all():
                described = "none" if found is None else f"{list(found.shape)}, or values that are not finite"
                raise ValueError(
                    f"{path} must hold `{name}` {list(shape)} (`num_components` and `geometry`), found {described}; "
                    "fit the extractor again."
                )
        return weights

    def _parts(self, descriptors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Gradients and geometry (empty without)."""
        end = descriptors.shape[-1] - GEOMETRY_SIZE * self.geometry
        return descriptors[..., :end], descriptors[..., end:]


__all__ = ["ActionUnitArrays", "AppearanceArrays", "FaceArrays"]
