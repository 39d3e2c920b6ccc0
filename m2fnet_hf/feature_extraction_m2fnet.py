"""The library's feature extractors of faces: Action Units and appearance."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from transformers import BatchFeature, FeatureExtractionMixin
from transformers.utils import TensorType, cached_file

from .face_arrays_m2fnet import APPEARANCE_WEIGHTS, OPENFACE_UNITS, ActionUnitArrays, AppearanceArrays, FaceArrays
from .names_m2fnet import LARGEST_SIZE
from .strict_config_m2fnet import check_range, check_type
from .weight_files_m2fnet import damage_of

# What the library and the Hub add to saved settings.
_ADDED_ON_SAVING = {"auto_map", "feature_extractor_type", "image_processor_type", "processor_class"}
_HUB_ARGUMENTS = {"cache_dir", "force_download", "local_files_only", "revision", "subfolder", "token"}


class AUFeatureExtractor(ActionUnitArrays, FeatureExtractionMixin):
    """Pads and masks Action Units, and takes each person's resting face from them.

    Args:
        num_action_units: Action Units per face (A).
        max_faces: faces kept per frame, the largest first where their areas are known, else the first.
        person_normalization: subtract from each Action Unit its median over all frames of the dialogue that show the
            same person (`face_ids`), as in the report: people differ at rest. Faces without an id are left as they are.
        openface_units: OpenFace's Action Units on py-feat's scale: by py-feat's name the column of OpenFace (`from`),
            `slope` and `intercept`. Units of py-feat without a line are unknown in OpenFace's files.

    Raises:
        ValueError: for a setting of a wrong type or out of its range.
    """

    model_input_names = ["action_units", "action_units_mask", "known_action_units", "face_areas"]

    def __init__(
        self,
        num_action_units: int = 20,
        max_faces: int = 4,
        person_normalization: bool = True,
        openface_units: Mapping[str, Mapping[str, Any]] = OPENFACE_UNITS,
        **kwargs: Any,
    ) -> None:
        _start(self, max_faces, person_normalization, kwargs)
        check_type("num_action_units", num_action_units, int)
        units = _checked_units(openface_units)
        ActionUnitArrays.__init__(self, num_action_units, max_faces, person_normalization, units)
        check_range(self, 1, LARGEST_SIZE, "max_faces", "num_action_units")

    def __call__(
        self,
        action_units: Sequence[np.ndarray | None],
        face_areas: Sequence[np.ndarray | None] | None = None,
        face_ids: Sequence[np.ndarray | None] | None = None,
        return_tensors: str | TensorType | None = None,
    ) -> BatchFeature:
        """One dialogue.

        Args:
            action_units: per utterance [F, P, A], NaN where there is no face or a unit is unknown, or `None`.
            face_areas: per utterance share of the frame [F, P].
            face_ids: per utterance the track of each face through the dialogue [F, P], -1 where there is none.
            return_tensors: `np` (default) or `pt`.

        Returns:
            `action_units` [U, F, P, A] (0 where masked), `action_units_mask` [U, F, P] and, where any area is known,
            `face_areas` [U, F, P]; where a unit of some face is unknown, `known_action_units` [U, F, P, A]. F and P are
            at least 1.

        Raises:
            ValueError: for another number of Action Units, or infinite ones.
        """
        features = self.padded("action_units", action_units, face_areas, face_ids)
        return BatchFeature(features, tensor_type=return_tensors)


class AppearanceFeatureExtractor(AppearanceArrays, FeatureExtractionMixin):
    """Reduces descriptions of faces (`m2fnet_hf.faces.appearance`) by principal components, and pads and masks them.

    The components are fitted to training data and saved beside the settings, in `appearance_pca.safetensors`.

    Args:
        num_components: principal components of the histograms of oriented gradients.
        geometry: append the landmarks' geometry, standardised, to the components; it ends each description.
        max_faces: faces kept per frame, the largest first where their areas are known, else the first.
        person_normalization: subtract each person's median, as [`AUFeatureExtractor`] does.

    Raises:
        ValueError: for a setting of a wrong type or out of its range.
    """

    model_input_names = ["appearance", "appearance_mask", "face_areas"]

    def __init__(
        self,
        num_components: int = 64,
        geometry: bool = False,
        max_faces: int = 4,
        person_normalization: bool = True,
        **kwargs: Any,
    ) -> None:
        _start(self, max_faces, person_normalization, kwargs)
        check_type("num_components", num_components, int)
        check_type("geometry", geometry, bool)
        AppearanceArrays.__init__(self, num_components, geometry, max_faces, person_normalization)
        check_range(self, 1, LARGEST_SIZE, "max_faces", "num_components")

    def __call__(
        self,
        appearance: Sequence[np.ndarray | None],
        face_areas: Sequence[np.ndarray | None] | None = None,
        face_ids: Sequence[np.ndarray | None] | None = None,
        return_tensors: str | TensorType | None = None,
    ) -> BatchFeature:
        """One dialogue.

        Args:
            appearance: per utterance what [`project`] gave [F, P, D], NaN where there is no face, or `None`.
            face_areas, face_ids, return_tensors: as for [`AUFeatureExtractor`].

        Returns:
            `appearance` [U, F, P, D] (0 where masked), `appearance_mask` [U, F, P] and, where any area is known,
            `face_areas` [U, F, P]. F and P are at least 1.

        Raises:
            ValueError: for another number of features, or infinite ones.
        """
        features = self.padded("appearance", appearance, face_areas, face_ids)
        return BatchFeature(features, tensor_type=return_tensors)

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls, pretrained_model_name_or_path: str | os.PathLike, **kwargs: Any
    ) -> Any:
        """See the library."""
        loaded: Any = super().from_pretrained(pretrained_model_name_or_path, **kwargs)
        extractor = loaded[0] if kwargs.get("return_unused_kwargs") else loaded
        extractor.load_weights(pretrained_model_name_or_path, **kwargs)
        return loaded

    def to_json_file(self, json_file_path: str | os.PathLike) -> None:
        """See the library, which saves through it; the weights go beside the settings."""
        super().to_json_file(json_file_path)
        self.save_weights(Path(json_file_path).parent)

    def to_dict(self) -> dict[str, Any]:
        """The settings, without the weights."""
        settings = super().to_dict()
        del settings["_weights"]
        return settings

    def save_weights(self, folder: str | os.PathLike) -> None:
        """Write what was fitted to `appearance_pca.safetensors`; nothing before [`fit`]."""
        if self._weights:
            save_file(self._weights, Path(folder) / APPEARANCE_WEIGHTS)

    def load_weights(self, name_or_path: str | os.PathLike, **kwargs: Any) -> None:
        """Read what [`save_weights`] wrote, from a folder or the Hub; nothing where it wrote nothing.

        Raises:
            ValueError: for a damaged file, or arrays of wrong shapes.
        """
        where = {name: kwargs[name] for name in _HUB_ARGUMENTS & kwargs.keys()}
        # Offline the library cannot tell a file that is not there from one that was never fetched.
        lenient = {"_raise_exceptions_for_missing_entries": False, "_raise_exceptions_for_connection_errors": False}
        path = cached_file(name_or_path, APPEARANCE_WEIGHTS, **lenient, **where)
        if path is not None:
            damage = damage_of(Path(path))
            if damage is not None:
                raise ValueError(f"{path} must be what was fitted to the faces (safetensors), found {damage}.")
            self.read_weights(path)


def _start(extractor: FaceArrays, max_faces: Any, person_normalization: Any, more: dict[str, Any]) -> None:
    """What both extractors begin with."""
    unknown = sorted(more.keys() - _ADDED_ON_SAVING)
    if unknown:
        raise ValueError(f"{type(extractor).__name__} has no setting {', '.join(unknown)}; see its documentation.")
    FeatureExtractionMixin.__init__(extractor, **more)  # type: ignore[arg-type]
    check_type("max_faces", max_faces, int)
    check_type("person_normalization", person_normalization, bool)


def _checked_units(units: Any) -> dict[str, dict[str, Any]]:
    check_type("openface_units", units, dict)
    for unit, line in units.items():
        try:
            check_type("from", line["from"], str)
            check_type("slope", line["slope"], float | int)
            check_type("intercept", line["intercept"], float | int)
        except (KeyError, TypeError, ValueError):
            raise ValueError(
                f"`openface_units` must give {unit} a column of OpenFace (`from`) and two numbers (`slope` and "
                f"`intercept`), found {line!r}."
            ) from None
    return {unit: dict(line) for unit, line in units.items()}


__all__ = ["AUFeatureExtractor", "AppearanceFeatureExtractor"]
