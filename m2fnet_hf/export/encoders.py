"""The graphs of an exported model, run by onnxruntime on rows of numpy.

Shapes: N utterances, M rows that several of them share, L positions of a row (tokens, samples, frames or places), H an
encoder's hidden size, D features. Masks are true where real.
"""

import os
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from ..context_m2fnet import Row
from ..micro_batches_m2fnet import SAMPLE_BUDGET, TOKEN_BUDGET, micro_batches
from ..saved_config import SavedConfig
from ..spectrogram_layout_m2fnet import spectrogram_layout

Arrays = dict[str, np.ndarray]
# Inputs that a graph may have or not, besides masks.
_NEEDLESS = {"face_areas", "speaker_ids"}
_FATAL = 4  # what onnxruntime writes to standard error; its errors are said in a sentence


def encoder_name(modality: str) -> str:
    """Name of the graph of a modality's encoder."""
    return f"{modality}_encoder"


class Session:
    """One graph, called with the name of an output and inputs of any shape.

    Args:
        folder: with the graph.
        name: of its file, without the ending.
        inputs: that it must have; others are masks, areas and speakers, which not every model needs.
        output: that it must have.

    Raises:
        FileNotFoundError, ValueError: where it is not there or not such a graph.
        ImportError: without onnxruntime.
    """

    def __init__(self, folder: Path, name: str, inputs: Iterable[str], output: str) -> None:
        self.path = folder / f"{name}.onnx"
        if not self.path.is_file():
            raise FileNotFoundError(
                f"An exported model must hold {self.path.name}, found none in {folder}; run `m2fnet export onnx`."
            )
        onnxruntime = _onnxruntime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = _threads()
        options.log_severity_level = _FATAL
        try:
            self.session = onnxruntime.InferenceSession(self.path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # each of its errors is a class of its own
            raise ValueError(
                f"{self.path.name} of an exported model must be a graph that onnxruntime reads, found one that it does "
                f"not; run `m2fnet export onnx` again, or install a newer onnxruntime."
            ) from error
        self.shapes = {one.name: one.shape for one in self.session.get_inputs()}
        # The last axis of each output, an integer where the graph fixes it.
        self.sizes: dict[str, Any] = {one.name: one.shape[-1] for one in self.session.get_outputs() if one.shape}
        self.notes: dict[str, str] = self.session.get_modelmeta().custom_metadata_map
        needless = {one for one in self.shapes if one.endswith("_mask")} | _NEEDLESS
        if self.shapes.keys() - needless != set(inputs) - needless or output not in self.sizes:
            raise self.of_another_model(f"one of {', '.join(self.shapes) or 'nothing'}")

    def __call__(self, output: str, inputs: Arrays) -> np.ndarray:
        try:
            return self.session.run([output], {name: inputs[name] for name in self.shapes})[0]
        except Exception as error:
            raise self.of_another_model("one that does not take what its config says") from error

    def check_size(self, output: str, size: int) -> None:
        """Refuse a graph whose output has another last axis.

        Raises:
            ValueError: for one.
        """
        found = self.sizes[output]
        if isinstance(found, int) and found != size:
            raise self.of_another_model(f"one whose {output} have {found} values and not {size}")

    def number(self, note: str) -> int | None:
        """What the graph notes under a name, `None` for nothing.

        Raises:
            ValueError: for what counts nothing.
        """
        told = self.notes.get(note)
        if told is not None and not (told.isdecimal() and len(told) < 10 and int(told) > 0):
            raise self.of_another_model(f"{told:.20} as its {note}")
        return None if told is None else int(told)

    def of_another_model(self, found: str) -> ValueError:
        """The error for a graph that is not the one of its config."""
        return ValueError(
            f"{self.path.name} of an exported model must be the graph of that model, found {found}; run `m2fnet export "
            "onnx` again."
        )


class SequenceEncoder:
    """An encoder of rows [L, ...] of any length, which runs on micro-batches of like length."""

    budget: int
    modality: str

    def __init__(self, session: Session, config: SavedConfig) -> None:
        self.session = session
        self.num_blocks = config.num_blocks
        self.with_deviation = self.modality == "audio" and config.audio_pooling == "mean_std"
        self.longest = session.number("longest")
        self.masked = "attention_mask" in session.shapes

    def encode(self, rows: Sequence[Arrays]) -> np.ndarray:
        """Rows of N utterances to features [N, D]."""
        return np.stack(self._features(rows))

    def _features(self, rows: Sequence[Arrays]) -> list[np.ndarray]:
        lengths = [len(next(iter(row.values()))) for row in rows]
        features: dict[int, np.ndarray] = {}
        for batch in micro_batches(lengths, self.budget, self.longest, equal=not self.masked):
            if self.longest is not None and lengths[batch[0]] > self.longest:
                features[batch[0]] = self._in_pieces(rows[batch[0]], -(-lengths[batch[0]] // self.longest))
            else:
                features |= dict(zip(batch, self._run("features", [rows[index] for index in batch]), strict=True))
        return [features[index] for index in range(len(rows))]

    def _in_pieces(self, row: Arrays, count: int) -> np.ndarray:
        """One row that is too long for the encoder, pooled over all of its pieces."""
        pieces = zip(*(np.array_split(value, count) for value in row.values()), strict=True)
        states = [self._run("states", [dict(zip(row, piece, strict=True))])[0] for piece in pieces]
        return self._pool(np.concatenate(states), row)

    def _pool(self, states: np.ndarray, row: Arrays) -> np.ndarray:
        return pooled(states, self.num_blocks, self.with_deviation)

    def _run(self, output: str, rows: Sequence[Arrays]) -> np.ndarray:
        inputs = {name: padded([row[name] for row in rows]) for name in rows[0]}
        inputs["attention_mask"] = padded([np.ones(len(next(iter(row.values()))), dtype=bool) for row in rows])
        return self.session(output, inputs)


class TextEncoder(SequenceEncoder):
    """An encoder of tokens."""

    budget = TOKEN_BUDGET
    modality = "text"

    def encode(self, rows: Sequence[Arrays]) -> np.ndarray:
        """`input_ids` [L] and `pooling_mask` [L] of N utterances to features [N, D]; what they share is read once."""
        shared = [list(same) for _, same in groupby(rows, key=lambda row: row["input_ids"].tobytes())]
        distinct = [
            {
                "input_ids": same[0]["input_ids"],
                "pooling_mask": np.stack([row["pooling_mask"] for row in same], axis=-1),
            }
            for same in shared
        ]
        found = self._features(distinct)
        return np.concatenate([parts[: len(same)] for parts, same in zip(found, shared, strict=True)])

    def _pool(self, states: np.ndarray, row: Arrays) -> np.ndarray:
        return np.stack([pooled(states[own], self.num_blocks) for own in row["pooling_mask"].T])


class AudioEncoder(SequenceEncoder):
    """An encoder of samples: `input_values` [L]."""

    budget = SAMPLE_BUDGET
    modality = "audio"


class SpectrogramEncoder(SequenceEncoder):
    """An encoder of spectrograms: `input_features` [L, M]."""

    modality = "audio"

    def __init__(self, session: Session, config: SavedConfig) -> None:
        super().__init__(session, config)
        self.config: Any = config.audio_config
        self.layout = spectrogram_layout(self.config)
        self.budget = self.layout.budget

    def encode(self, rows: Sequence[Arrays]) -> np.ndarray:
        """Spectrograms of N utterances to features [N, D]; the graph reads them by place.

        Raises:
            ValueError: for a spectrogram that is too short.
        """
        return super().encode([{"input_features": self._places(row["input_features"])} for row in rows])

    def _places(self, frames: np.ndarray) -> np.ndarray:
        layout = self.layout
        if len(frames) < layout.shortest:
            raise ValueError(
                f"`input_features` must hold {layout.shortest} frames of an utterance at least "
                f"({self.config.model_type} reads {layout.behind * layout.frames} frames of silence behind it), found "
                f"{len(frames)}; M2FNetProcessor gives both."
            )
        frames = np.pad(frames, ((0, len(frames) % layout.frames), (0, 0)))
        return frames.reshape(-1, layout.frames * frames.shape[1])

    def _run(self, output: str, rows: Sequence[Arrays]) -> np.ndarray:
        return super()._run(output, [{"input_features": self._filled(row["input_features"])} for row in rows])

    def _filled(self, row: np.ndarray) -> np.ndarray:
        """The row with its last patch filled up by its last frame, where the encoder reads patches."""
        config = self.config
        if config.model_type != "audio-spectrogram-transformer":
            return row
        missing = -max(0, len(row) - config.patch_size) % config.time_stride + max(0, config.patch_size - len(row))
        return np.pad(row, ((0, missing), (0, 0)), mode="edge")


class VisualEncoder:
    """An encoder of faces."""

    def __init__(self, session: Session, config: SavedConfig) -> None:
        self.session = session
        visual: Any = config.visual_config
        self.slots = visual.max_faces if config.face_pooling == "concat" else None
        self.weighs_alike = visual.hidden_size is None

    def encode(self, values: Arrays) -> np.ndarray:
        """`faces` [N, F, P, E], `faces_mask` and perhaps `face_areas` [N, F, P] to features [N, D].

        Raises:
            ValueError: without areas where they are needed, and for more faces than the graph has places for.
        """
        if self.weighs_alike:
            values = {"face_areas": np.ones(values["faces_mask"].shape, dtype=np.float32), **values}
        if "face_areas" in self.session.shapes and "face_areas" not in values:
            raise ValueError("`face_pooling='area'` needs `face_areas` [B, U, F, P], found None.")
        return self.session("features", values if self.slots is None else self._in_slots(values, self.slots))

    def _in_slots(self, values: Arrays, slots: int) -> Arrays:
        """Exactly as many faces as the graph has places for."""
        faces, real = values["faces"], values["faces_mask"]
        if real[..., slots:].any():
            raise ValueError(
                f"`face_pooling='concat'` holds {slots} faces a frame (`max_faces`), found one more; raise `max_faces` "
                "or keep fewer faces."
            )
        missing = (0, max(0, slots - real.shape[-1]))
        return {
            "faces": np.pad(faces, ((0, 0), (0, 0), missing, (0, 0)))[:, :, :slots],
            "faces_mask": np.pad(real, ((0, 0), (0, 0), missing))[..., :slots],
        }


def build_encoder(folder: Path, config: SavedConfig, modality: str) -> Any:
    """The encoder of a modality, `None` where the model has none."""
    if getattr(config, f"{modality}_config") is None:
        return None
    sound = SpectrogramEncoder if config.reads_spectrograms else AudioEncoder
    kinds: dict[str, Any] = {"text": TextEncoder, "audio": sound, "visual": VisualEncoder}
    read = {"text": "input_ids", "audio": config.audio_input, "visual": "faces"}[modality]
    return kinds[modality](Session(folder, encoder_name(modality), [read], "features"), config)


def text_row(row: Row) -> Arrays:
    """A row of a processor as the text encoder takes it."""
    return dict(zip(("input_ids", "pooling_mask"), row, strict=True))


def pooled(states: np.ndarray, num_blocks: int, with_deviation: bool = False) -> np.ndarray:
    """States [L, H] to the means of blocks of neighbours and, on request, their deviations [D].

    The blocks are those of `block_pool`: they overlap where they must, so that none is empty.
    """
    length = len(states)
    bounds = [(k * length // num_blocks, -(-(k + 1) * length // num_blocks)) for k in range(num_blocks)]
    blocks = [states[start:stop] for start, stop in bounds]
    parts = [block.mean(0) for block in blocks] + [block.std(0) for block in blocks if with_deviation]
    return np.concatenate(parts).astype(np.float32)


def padded(rows: Sequence[np.ndarray]) -> np.ndarray:
    """N arrays [L, ...] of one number of dimensions to one [N, longest, ...], with zeros at the end of each."""
    shape = [max(sizes) for sizes in zip(*(row.shape for row in rows), strict=True)]
    batch = np.zeros((len(rows), *shape), dtype=rows[0].dtype)
    for place, row in zip(batch, rows, strict=True):
        place[tuple(map(slice, row.shape))] = row
    return batch


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise ImportError("An exported model needs onnxruntime: pip install 'm2fnet-hf[export]'") from None
    return onnxruntime


def _threads() -> int:
    """What OpenMP is told, as torch does, else one for each core."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    return int(told) if told.isdecimal() else 0
