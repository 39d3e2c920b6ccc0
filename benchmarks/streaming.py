"""Peak memory of evaluation and extraction of 100,000 dialogues of a `datasets` iterable, against 1,000 of them."""

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from transformers import Wav2Vec2FeatureExtractor, pipeline

from m2fnet_hf import M2FNetForEmotionClassification, M2FNetProcessor
from m2fnet_hf.registration import TASK

from . import workload
from .measurements import NotHereError, at_most
from .processes import peak_memory

DIALOGUES = (1_000, 100_000)
BATCH_SIZE = 64


def measure(quick: bool = False, repetitions: int = 1) -> dict[str, Any]:
    """A small model of text, on dialogues of two labelled utterances that are made when they are asked for."""
    try:
        import datasets  # noqa: F401
    except ImportError:
        raise NotHereError("datasets streams the dialogues: pip install 'm2fnet-hf[train]'") from None
    few, many = (32, 128) if quick else DIALOGUES
    measurements = {}
    for name, job in (("evaluation", _evaluation), ("extraction", _extraction)):
        peaks = [[peak_memory(job, count)[1] for count in (few, many)] for _ in range(repetitions)]
        measurements[f"streaming: peak memory of the {name} of many dialogues against few"] = at_most(
            1.05, [high / low for low, high in peaks]
        )
    return {
        "ran": f"{few} and {many} dialogues of two utterances, a small model of text; evaluated in batches of "
        f"{BATCH_SIZE}",
        "measurements": measurements,
    }


def _evaluation(count: int) -> Callable[[], Any]:
    from m2fnet_hf.evaluation.evaluate import evaluate

    model, processor = _model()
    pipe: Any = pipeline(TASK, model=model, processor=processor, device="cpu", batch_size=BATCH_SIZE)
    return partial(evaluate, pipe, _stream(count))


def _extraction(count: int) -> Callable[[], Any]:
    from m2fnet_hf.features.extract import extract

    model, processor = _model()

    def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            extract(model, processor, {"train": _stream(count)}, folder)

    return run


def _model() -> tuple[M2FNetForEmotionClassification, M2FNetProcessor]:
    config = workload.config(quick=True, audio_config=None, visual_config=None, face_pooling=None)
    processor = M2FNetProcessor(workload.tokenizer(config.text_config.vocab_size), Wav2Vec2FeatureExtractor())
    return M2FNetForEmotionClassification(config).eval(), processor


def _stream(count: int) -> Any:
    from datasets import IterableDataset

    return IterableDataset.from_generator(_dialogues, gen_kwargs={"count": count})


def _dialogues(count: int) -> Iterator[dict[str, Any]]:
    labels = workload.config(quick=True).label_names
    for number in range(count):
        label = labels[number % len(labels)]
        said = [{"speaker": speaker, "text": f"{number % 80 + 7} 8 9", "label": label} for speaker in "AB"]
        yield {"id": number, "utterances": said}
