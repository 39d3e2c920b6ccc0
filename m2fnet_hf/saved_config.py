"""The settings of a saved model, read without the library that wrote them: what it reads and what it says."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from .dialogue_m2fnet import MODALITIES
from .json_files_m2fnet import read_object
from .label_checks_m2fnet import check_labels, check_languages
from .names_m2fnet import MELD_EMOTIONS, SPECTROGRAM_ENCODERS


class SavedConfig:
    """What [`M2FNetConfig`] says of a model, by the same names; without torch, and so at once.

    Args:
        folder: of the model.

    Raises:
        FileNotFoundError, ValueError: where its `config.json` is not there or not one.
    """

    def __init__(self, folder: str | Path) -> None:
        path = Path(folder) / "config.json"
        self.name_or_path = str(folder)
        values = read_settings(path)
        _check_names(path, values)
        try:
            self._read(values)
        except (AttributeError, TypeError, ValueError) as error:
            raise damaged(path) from error

    def _read(self, values: dict[str, Any]) -> None:
        labels = dict(enumerate(MELD_EMOTIONS)) if values.get("id2label") is None else values["id2label"]
        self.label_names = [name for _, name in sorted(labels.items(), key=lambda label: int(label[0]))]
        self.softmax_temperature = float(values.get("softmax_temperature", 1.0))
        self.languages: list[str] | None = values.get("languages")
        if self.languages is not None:
            check_languages(self.languages)
        self.causal: bool = values.get("causal", False)
        self.num_blocks: int = values.get("num_blocks", 1)
        self.audio_pooling: str = values.get("audio_pooling", "mean")
        self.text_config, self.audio_config, self.visual_config = (
            None if values.get(f"{modality}_config") is None else SimpleNamespace(**values[f"{modality}_config"])
            for modality in MODALITIES
        )
        if not all(isinstance(one.model_type, str) for one in (self.text_config, self.audio_config) if one is not None):
            raise ValueError
        self.modalities = tuple(
            modality
            for modality in MODALITIES
            if getattr(self, f"{modality}_config") is not None or values.get(f"{modality}_feature_size") is not None
        )

    @property
    def label_ids(self) -> dict[str, int]:
        """Index of each emotion."""
        return {name: index for index, name in enumerate(self.label_names)}

    @property
    def face_pooling(self) -> str | None:
        """How faces are pooled, or `None` without a visual encoder."""
        return None if self.visual_config is None else self.visual_config.face_pooling

    @property
    def reads_spectrograms(self) -> bool:
        """Whether the sound encoder reads them, and not samples."""
        return self.audio_config is not None and self.audio_config.model_type in SPECTROGRAM_ENCODERS

    @property
    def audio_input(self) -> str:
        """The input that the sound encoder reads, as `M2FNetConfig.audio_input`."""
        return "input_features" if self.reads_spectrograms else "input_values"


def _check_names(path: Path, values: dict[str, Any]) -> None:
    try:
        if isinstance(values.get("id2label"), dict):
            check_labels(values["id2label"], None)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def read_settings(path: Path) -> dict[str, Any]:
    """The dictionary in a JSON file of a model.

    Raises:
        FileNotFoundError, ValueError: where there is none.
    """
    if not path.is_file():
        raise FileNotFoundError(f"A model must hold {path.name}, found none in {path.parent}; save it there again.")
    return read_object(path)


def damaged(path: Path) -> ValueError:
    """The error for a file that holds something else."""
    return ValueError(f"{path} must be the settings of a model in JSON, found something else; save the model again.")
