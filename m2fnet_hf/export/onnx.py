"""From a model to a folder of ONNX graphs that gives the same logits."""

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxscript  # noqa: F401  torch's exporter needs it, and would say so late
import torch
from transformers.audio_utils import mel_filter_bank

from ..modeling_m2fnet import M2FNetForEmotionClassification
from ..processing_m2fnet import M2FNetProcessor
from ..spectrogram_m2fnet import reads_spectrograms
from ..utils.files import new_folder
from .graphs import Graph, graphs
from .processor import TOKENIZER
from .runner import OnnxEmotionModel
from .sound import FFT_SIZE, FILTERS
from .verify import largest_difference

TOLERANCE = 1e-4


def export_onnx(model: M2FNetForEmotionClassification, processor: M2FNetProcessor, folder: str | Path) -> float:
    """Write a model's graphs, its config and its processor, for [`OnnxEmotionModel`].

    Args:
        model: left as it is; its graphs are single precision.
        folder: new or empty; it stays so where something fails.

    Returns:
        The largest difference between its logits and torch's, on ragged random dialogues.

    Raises:
        FileExistsError: for a folder that holds something.
        ValueError: for an encoder that cannot be exported, or where the difference is above 1e-4.
    """
    model = copy.deepcopy(model).cpu().float().eval()
    with new_folder(Path(folder)) as unfinished:
        for graph in graphs(model):
            _write(graph, unfinished)
        model.config.save_pretrained(unfinished)
        processor.save_pretrained(unfinished)
        if model.config.text_config is not None and not (unfinished / TOKENIZER).is_file():
            raise ValueError(
                f"A model that is exported must have a fast tokenizer, found {type(processor.tokenizer).__name__}; use "
                "it in torch."
            )
        _write_filters(processor, unfinished)
        difference = largest_difference(model, OnnxEmotionModel(unfinished))
        if not difference <= TOLERANCE:
            raise ValueError(
                f"The graphs must give torch's logits within {TOLERANCE}, found a difference of {difference:.1e}; "
                "nothing was written, use the torch model."
            )
    return difference


def _write_filters(processor: M2FNetProcessor, folder: Path) -> None:
    """Keep the filters of a spectrogram, which the library makes, for what runs without it."""
    extractor: Any = processor.feature_extractor
    if not reads_spectrograms(extractor):
        return
    filters = getattr(extractor, "mel_filters", None)
    if filters is None:  # AST's beside torchaudio, whose filters are these
        filters = mel_filter_bank(
            num_frequency_bins=FFT_SIZE // 2 + 1,
            num_mel_filters=extractor.num_mel_bins,
            min_frequency=20,
            max_frequency=extractor.sampling_rate // 2,
            sampling_rate=extractor.sampling_rate,
            norm=None,
            mel_scale="kaldi",
            triangularize_in_mel_space=True,
        )
    np.save(folder / FILTERS, filters)


def _write(graph: Graph, folder: Path) -> None:
    path = folder / f"{graph.name}.onnx"
    with quiet(), torch.no_grad():
        try:
            torch.onnx.export(
                graph.module,
                (),
                path,
                # Copies: the exporter takes two inputs that are one tensor for one input.
                kwargs={name: example.clone() for name, example in graph.inputs.items()},
                input_names=list(graph.inputs),
                output_names=list(graph.outputs),
                dynamic_shapes={name: dict(enumerate(graph.axes[: one.dim()])) for name, one in graph.inputs.items()},
                dynamo=True,
                verbose=False,
                external_data=False,
            )
        except Exception as error:
            reason = str(error.__cause__ or error).strip().partition("\n")[0]
            raise ValueError(
                f"{graph.name} must be a graph that torch exports, found: {reason}; use it in torch."
            ) from error
    exported = onnx.load(path)
    onnx.helper.set_model_props(exported, graph.notes)
    onnx.save(exported, path)


@contextmanager
def quiet() -> Iterator[None]:
    """Without the exporter's and the quantiser's chatter, on whatever way it comes."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
