"""Whether a processor's files are all there, and whether it makes what a model reads."""

import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformers import PreTrainedConfig
from transformers.utils import cached_file, logging

from .json_files_m2fnet import read_object
from .label_checks_m2fnet import shown
from .resampling_m2fnet import check_rate
from .spectrogram_m2fnet import reads_spectrograms
from .strict_config_m2fnet import check_finite, check_type

PROCESSOR_CONFIG, TOKENIZER_CONFIG, TOKENIZER = "processor_config.json", "tokenizer_config.json", "tokenizer.json"
_ADDED_ON_SAVING = ("processor_class", "auto_map")
_HUB_ARGUMENTS = {"cache_dir", "force_download", "local_files_only", "revision", "subfolder", "token"}

logger = logging.get_logger(__name__)


class ProcessorFiles:
    """The files of a saved processor, in a folder or on the Hub."""

    def __init__(self, name_or_path: str | os.PathLike, options: dict[str, Any]) -> None:
        self.name = name_or_path
        self.trusted = bool(options.get("trust_remote_code"))
        self.options = {name: options[name] for name in _HUB_ARGUMENTS & options.keys()}

    def find(self, file: str) -> Path | None:
        """A file, `None` where there is none."""
        path = cached_file(self.name, file, _raise_exceptions_for_missing_entries=False, **self.options)
        return None if path is None else Path(path)

    def check_settings(self, build: Callable[..., Any]) -> None:
        """The files that hold settings, and what the processor's own tell.

        Args:
            build: the processor's constructor, which has an argument for each setting.

        Raises:
            FileNotFoundError: without one of the files.
            ValueError: for a file that is no JSON object, NaN, and settings that are none.
        """
        path, settings = self._read(PROCESSOR_CONFIG)
        with naming(path):
            check_finite(settings)
            check_type("processor_class", settings.get("processor_class"), str | None)
            _check_sound(settings.get("feature_extractor"))
            self._refuse_code(settings["feature_extractor"])
        unknown = [*settings.keys() - {*inspect.signature(build).parameters, *_ADDED_ON_SAVING}]
        if unknown:
            logger.warning(f"A processor has no use for {', '.join(sorted(unknown))} in {path}.")
        path, settings = self._read(TOKENIZER_CONFIG)
        with naming(path):
            check_type("tokenizer_class", settings.get("tokenizer_class"), str)
            check_type("model_max_length", settings.get("model_max_length"), int | float | None)
            self._refuse_code(settings)

    def _read(self, file: str) -> tuple[Path, dict[str, Any]]:
        path = self.find(file)
        if path is None:
            raise FileNotFoundError(f"A processor must hold its {file}, found none in {self.name}; save it there.")
        return path, read_object(path)

    def _refuse_code(self, settings: dict[str, Any]) -> None:
        """The library would ask on the terminal whether to run it, and wait."""
        if "auto_map" in settings and not self.trusted:
            raise ValueError(
                "`auto_map` must not name code where that is not trusted, found "
                f"{shown(settings['auto_map'])}; read the code, and pass `trust_remote_code=True`."
            )

    def check_vocabulary(self, tokenizer: Any) -> None:
        """A tokenizer without the file of its words is made without any, and nothing is said of it.

        Raises:
            FileNotFoundError: without such a file.
        """
        files = [*dict.fromkeys((TOKENIZER, *tokenizer.vocab_files_names.values()))]
        if not any(self.find(file) for file in files):
            raise FileNotFoundError(
                f"A processor must hold its tokenizer's words ({' or '.join(files)}), found none in {self.name}; save "
                "it there."
            )

    def explain(self, error: Exception) -> str:
        """What is wrong with files of which no processor could be made."""
        said = str(error)
        if isinstance(error, ValueError) and said.startswith("`"):  # ours, of a setting
            return f"{self.find(PROCESSOR_CONFIG)}: {said}"
        path = self.find(TOKENIZER)
        if path is not None:
            try:
                read_object(path)
            except ValueError as error:
                return str(error)
        return (
            f"{self.name} must hold the files of a processor ({PROCESSOR_CONFIG}, {TOKENIZER_CONFIG}, {TOKENIZER}) as "
            "`save_pretrained` wrote them, found some that it cannot be made of; save it there again."
        )


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Put a file in front of what is wrong with its values.

    Raises:
        ValueError: in place of one of its body.
    """
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def check_fits(config: PreTrainedConfig, processor: Any) -> None:
    """Refuse a processor that was made for another model.

    Raises:
        ValueError: naming what the model reads and what the processor makes.
    """
    if config.text_config is not None:
        # Not their count: a number that is left out moves those behind it beyond the model's.
        words = 1 + max(processor.tokenizer.get_vocab().values(), default=-1)
        read = getattr(config.text_config, "vocab_size", None)
        if read is not None and words > read:
            raise _unlike("tokens", f"{words} (its tokenizer)", f"{read} (`text_config.vocab_size`)")
        if words <= len(processor.tokenizer.all_special_ids):
            raise _unlike("tokens", "none but special ones (its tokenizer)", f"{read} (`text_config.vocab_size`)")
    if config.audio_config is not None:
        made, read = (
            "spectrograms" if mel else "samples"
            for mel in (reads_spectrograms(processor.feature_extractor), config.audio_input == "input_features")
        )
        if made != read:
            raise _unlike("sound", f"{made} ({type(processor.feature_extractor).__name__})", read)
        bins = getattr(config.audio_config, "num_mel_bins", None)
        found = getattr(processor.feature_extractor, "num_mel_bins", processor.feature_extractor.feature_size)
        if made == "spectrograms" and bins is not None and found != bins:
            raise _unlike("sound", f"{found} mel bins", f"{bins} (`audio_config.num_mel_bins`)")
    faces = config.visual_config
    if faces is not None and faces.visual_features != "appearance":
        _same("Action Units", processor.au_feature_extractor.size, faces.num_action_units)
    if faces is not None and faces.visual_features != "action_units":
        _same("appearance features", processor.appearance_feature_extractor.size, faces.num_appearance_features)


def _same(what: str, made: int, read: int) -> None:
    if made != read:
        raise _unlike(what, str(made), str(read))


def _unlike(what: str, made: str, read: str) -> ValueError:
    return ValueError(
        f"A processor must make the {what} that its model reads, {read}, found {made}; load the one that was saved "
        "with the model."
    )


def _check_sound(settings: Any) -> None:
    if not isinstance(settings, dict) or not isinstance(settings.get("feature_extractor_type"), str):
        raise ValueError(
            "`feature_extractor` must be a mapping with its `feature_extractor_type`, found "
            f"{'one without' if isinstance(settings, dict) else repr(settings)}."
        )
    check_rate(settings.get("sampling_rate", 16_000))


__all__ = ["ProcessorFiles", "check_fits", "naming"]
