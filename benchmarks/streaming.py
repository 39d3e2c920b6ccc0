"""Peak memory of predictions for 100,000 dialogues of a `datasets` iterable, against 1,000 of them."""

from collections.abc import Callable, Iterator
from typing import Any

from transformers import Wav2Vec2FeatureExtractor, pipeline

from m2fnet_hf import M2FNetForEmotionClassification, M2FNetProcessor
from m2fnet_hf.registration import TASK

from . import workload
from .figures import NotHereError, at_most
from .processes import peak_memory

DIALOGUES = (1_000, 100_000)
BATCH_SIZE = 64


def measure(quick: bool = False, repetitions: int = 1) -> dict[str, Any]:
    """A small model of text in the pipeline, on dialogues of two utterances that are made when they are asked for."""
    try:
        import datasets  # noqa: F401
    except ImportError:
        raise NotHereError("datasets streams the dialogues: pip install 'm2fnet-hf[train]'") from None
    few, many = (32, 128) if quick else DIALOGUES
    peaks = [[peak_memory(_predict, count)[1] for count in (few, many)] for _ in range(repetitions)]
    return {
        "ran": f"{few} and {many} dialogues of two utterances, a small model of text, batches of {BATCH_SIZE}",
        "figures": {"streaming: peak memory of many dialogues against few": at_most(1.05, [b / a for a, b in peaks])},
    }


def _predict(count: int) -> Callable[[], Any]:
    from datasets import IterableDataset

    config = workload.config(quick=True, audio_config=None, visual_config=None, face_pooling=None)
    processor = M2FNetProcessor(workload.tokenizer(config.text_config.vocab_size), Wav2Vec2FeatureExtractor())
    model = M2FNetForEmotionClassification(config).eval()
    pipe: Any = pipeline(TASK, model=model, processor=processor, device="cpu")
    stream = IterableDataset.from_generator(_dialogues, gen_kwargs={"count": count})

    def predict() -> None:
        for _ in pipe(iter(stream), batch_size=BATCH_SIZE):
            pass

    return predict


def _dialogues(count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        said = [{"speaker": speaker, "text": f"{number % 80 + 7} 8 9"} for speaker in "AB"]
        yield {"utterances": said}
