"""Dialogues to what exported encoders read, without the library: tokens, sound, faces.

Shapes: U utterances, T tokens, F frames, P faces, E values of a face.
"""

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..context_m2fnet import ContextSettings, Row, TextContext
from ..dialogue_m2fnet import Dialogue, Utterance
from ..face_arrays_m2fnet import APPEARANCE_WEIGHTS, ActionUnitArrays, AppearanceArrays
from ..resampling_m2fnet import at_rate, check_rate
from ..saved_config import SavedConfig, damaged, read_settings
from .sound import sound_reader

if TYPE_CHECKING:
    from tokenizers import Encoding

Arrays = dict[str, np.ndarray]
TOKENIZER = "tokenizer.json"


class ExportedProcessor:
    """What [`M2FNetProcessor`] does, for an exported model.

    Args:
        folder: of the exported model.
        config: of the model.

    Raises:
        FileNotFoundError, ValueError: where a file of it is not there or not one.
    """

    def __init__(self, folder: Path, config: SavedConfig) -> None:
        path = folder / "processor_config.json"
        settings = read_settings(path)
        try:
            self._build(settings, folder, config)
        except (AttributeError, LookupError, TypeError) as error:
            raise damaged(path) from error

    def _build(self, settings: dict[str, Any], folder: Path, config: SavedConfig) -> None:
        self.visual_config: Any = config.visual_config
        self.context = None
        if config.text_config is not None:
            names = [setting.name for setting in fields(ContextSettings)]
            context = ContextSettings(**{name: settings[name] for name in names})
            self.context = TextContext(Tokenize(folder / TOKENIZER), context)  # type: ignore[arg-type]
        self.sound_settings: dict[str, Any] = settings["feature_extractor"]
        if config.audio_config is not None:
            check_rate(self.sound_settings["sampling_rate"])
        self._read_sound = None if config.audio_config is None else sound_reader(self.sound_settings, folder)
        self.au_feature_extractor = ActionUnitArrays(**_own(settings["au_feature_extractor"]))
        self.appearance_feature_extractor = AppearanceArrays(**_own(settings["appearance_feature_extractor"]))
        if (folder / APPEARANCE_WEIGHTS).is_file():
            self.appearance_feature_extractor.read_weights(folder / APPEARANCE_WEIGHTS)

    def text(self, dialogue: Dialogue) -> list[Row]:
        """Tokens and which are the utterance's own, of each utterance; empty ones where it has no words."""
        assert self.context is not None
        texts = [(utterance.text or "").strip() for utterance in dialogue]
        return self.context.rows(texts, [utterance.speaker for utterance in dialogue], dialogue.speaker_ids)

    def sound(self, utterance: Utterance) -> np.ndarray | None:
        """What the sound encoder reads of an utterance, [S] or [S, bands], `None` where it has no sound."""
        if utterance.audio is None or self._read_sound is None:
            return None
        rate = self.sound_settings["sampling_rate"]
        return self._read_sound(at_rate(utterance.audio, utterance.sampling_rate, rate))

    def faces(self, dialogue: Dialogue) -> Arrays | None:
        """`faces` [U, F, P, E], `faces_mask` [U, F, P] and, where any is known, `face_areas` [U, F, P].

        `None` where no utterance has what the visual encoder reads.
        """
        config = self.visual_config
        areas, ids = [one.face_areas for one in dialogue], [one.face_ids for one in dialogue]
        values, masks, known_areas = [], [], None
        extractors = {"action_units": self.au_feature_extractor, "appearance": self.appearance_feature_extractor}
        for name, extractor in extractors.items():
            if config.visual_features not in (name, "both"):
                continue
            given = [getattr(one, name) for one in dialogue]
            if all(value is None for value in given):
                return None
            found = extractor.padded(name, given, areas, ids)
            real, faces = found[f"{name}_mask"], found[name]
            known = found.get(f"known_{name}") if name == "action_units" else None
            if config.hidden_size is None:
                known = real[..., None] & (np.ones(faces.shape, dtype=bool) if known is None else known)
                real, faces = known.any(-1), np.concatenate([np.where(known, faces, 0), known], axis=-1)
            elif known is not None:
                real = real & known.all(-1)
            values.append(np.where(real[..., None], faces, 0))
            masks.append(real)
            known_areas = found.get("face_areas", known_areas)
        result = {"faces": np.concatenate(values, axis=-1).astype(np.float32), "faces_mask": np.all(masks, axis=0)}
        return result if known_areas is None else {**result, "face_areas": known_areas.astype(np.float32)}


class Tokenize:
    """A saved tokenizer, called as the library's.

    Raises:
        FileNotFoundError: without its file.
        ValueError: for another file.
    """

    def __init__(self, path: Path) -> None:
        from tokenizers import Tokenizer

        if not path.is_file():
            raise FileNotFoundError(
                f"An exported model that reads text must hold {path.name}, found none in {path.parent}; export a model "
                "with a fast tokenizer."
            )
        try:
            self.tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # it knows no other class
            raise damaged(path) from error
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()

    def __call__(
        self, text: str, pair: str | None = None, add_special_tokens: bool = True, verbose: bool = True
    ) -> "Tokens":
        """The tokens of a text, or of two."""
        return Tokens(self.tokenizer.encode(text, pair, add_special_tokens=add_special_tokens))


class Tokens(dict[str, list[int]]):
    """`input_ids`, and of which text each is."""

    def __init__(self, encoding: "Encoding") -> None:
        super().__init__(input_ids=encoding.ids)
        self.encoding = encoding

    def sequence_ids(self, row: int) -> list[int | None]:
        """0 and 1 for the two texts, `None` for what is of neither; there is one row."""
        return self.encoding.sequence_ids


def _own(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name != "feature_extractor_type"}
