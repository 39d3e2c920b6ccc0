"""The model card of a repository: rendered from its config, settings and results, behind the part written by hand."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from ..configuration_m2fnet import M2FNetConfig
from ..utils.files import write_text
from .card_fields import (
    MODALITY_NAMES,
    TURNS,
    DataSet,
    data_of,
    describe_model,
    describe_training,
    example,
    probability_note,
)
from .run_files import DEV_RESULTS, RESULTS, SETTINGS, hub_names, read_run_file

CARD = "README.md"
# The part before it was written by hand and is kept; the rest is rendered again with every upload.
MARKER = "<!-- What follows is rendered from the files of this repository. -->"
METRICS = {"weighted_f1": "weighted F1", "accuracy": "accuracy", "macro_f1": "macro F1"}
PIPELINE_TAGS = {"visual": "video-classification", "audio": "audio-classification", "text": "text-classification"}
TAGS = ["m2fnet", "emotion-recognition-in-conversation"]


def write_card(
    folder: Path, repo_id: str, written: str = "", license: str | None = None, tags: Sequence[str] | None = None
) -> None:
    """Render the card of a folder that is to be uploaded.

    Args:
        folder: with the model's config and, where they are known, its processor, settings and results.
        repo_id: where it goes.
        written: a card from before; its metadata are completed and its written part is kept.
        license: the Hub's name of the licence of the weights.
        tags: further ones.
    """
    config = M2FNetConfig.from_pretrained(folder)
    settings, results = read_run_file(folder, SETTINGS), read_run_file(folder, RESULTS)
    card = parse_card(written)
    own = _written_part(card.text)
    splits = _splits(results, read_run_file(folder, DEV_RESULTS))
    known: dict[str, Any] = {
        "config": config,
        "classifies": "M2FNetModel" not in (config.architectures or ()),
        "settings": settings,
        "data": data_of(settings, results),
        "splits": splits,
    }
    metadata = _metadata(card.data.to_dict(), repo_id, license, list(tags or ()), known)
    text = _template().render(
        metadata=metadata.to_yaml(),
        own=own,
        license=metadata.license,
        base_models=_as_list(metadata.base_model),
        **_template_fields(folder, repo_id, results, known),
    )
    write_text(re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n", folder / CARD)


def check_card(folder: Path, written: str) -> None:
    """Refuse a written card that names a metric but not its value in the results.

    Raises:
        ValueError: naming the first one.
    """
    own = parse_card(written).text.partition(MARKER)[0]
    splits = _splits(read_run_file(folder, RESULTS), read_run_file(folder, DEV_RESULTS))
    for split, values in list(splits.items())[:1]:
        for metric, name in METRICS.items():
            if re.search(name, own, re.IGNORECASE) and not any(form in own for form in _forms(values[metric])):
                raise ValueError(
                    f"{CARD} names the {name}, but not the {_percent(values[metric])} % on {split} of the results; "
                    "correct it, or remove it to have one rendered."
                )
    if not splits and re.search(r"\|\s*\d+\.\d", own):
        raise ValueError(f"{CARD} has numbers, but no {RESULTS} lies beside it; evaluate the model, or remove them.")


def parse_card(written: str) -> ModelCard:
    """A card as somebody wrote it, with metadata or without."""
    return ModelCard(written if written.startswith("---") else f"---\n{{}}\n---\n{written}")


def _written_part(text: str) -> str:
    """The written part, without links that lead out of the folder."""
    own = text.partition(MARKER)[0].strip()
    return re.sub(r"\[([^\]]*)\]\(\.\./[^)]*\)", r"\1", own)


def _splits(results: Mapping[str, Any], dev_results: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Accuracy and F1 by split, the first one that of the results file."""
    splits = {}
    if all(metric in results for metric in METRICS):
        splits[str(results.get("split", "test"))] = dict(results)
    dev = results.get("dev") or {metric: dev_results.get(f"eval_{metric}") for metric in METRICS}
    if "dev" not in splits and all(dev.get(metric) is not None for metric in METRICS):
        splits["dev"] = dev
    return splits


def _metadata(
    given: dict[str, Any], repo_id: str, license: str | None, tags: list[str], known: dict[str, Any]
) -> ModelCardData:
    """The given metadata, completed; numbers are those of the results and no others."""
    given.pop("model-index", None)
    config, data = known["config"], known["data"]
    encoders = known["settings"].get("encoders", {})
    reads_words = known["classifies"] and "text" in config.modalities
    pipeline_tag = next(tag for modality, tag in PIPELINE_TAGS.items() if modality in config.modalities)
    defaults = {
        "library_name": "transformers",
        "pipeline_tag": pipeline_tag if known["classifies"] else "feature-extraction",
        "language": config.languages or (data and data.language),
        "datasets": [data.hub_name] if data and data.hub_name else None,
        "widget": [{"text": text} for _, text in TURNS] if reads_words else None,
        "base_model": hub_names(*(encoders.get(modality) for modality in ("text", "audio"))) or None,
    }
    completed = {**defaults, **{name: value for name, value in given.items() if value}}
    completed["license"] = license or completed.get("license")
    completed["tags"] = [*_as_list(completed.get("tags")), *TAGS, *tags]
    completed["metrics"] = ["accuracy", "f1"] if known["splits"] else None
    results = _eval_results(str(completed["pipeline_tag"]), data, known["splits"])
    if results:
        completed |= {"model_name": repo_id.rpartition("/")[2], "eval_results": results}
    return ModelCardData(**completed)


def _eval_results(task: str, data: DataSet | None, splits: Mapping[str, Mapping[str, Any]]) -> list[EvalResult]:
    if data is None:  # the Hub wants the name of a data set with every number
        return []
    return [
        EvalResult(
            task_type=task,
            task_name="Emotion recognition in conversation",
            dataset_type=data.hub_name or data.name,
            dataset_name=data.name,
            dataset_split={"dev": "validation"}.get(split, split),
            metric_type="accuracy" if metric == "accuracy" else "f1",
            metric_name=name[0].upper() + name[1:],
            metric_value=values[metric],
        )
        for split, values in splits.items()
        for metric, name in METRICS.items()
    ]


def _template_fields(folder: Path, repo_id: str, results: Mapping[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """What the template shows."""
    config, splits, data = known["config"], known["splits"], known["data"]
    arrays, turns = example(config)
    processor_file = folder / "processor_config.json"
    processor = json.loads(processor_file.read_text(encoding="utf-8")) if processor_file.is_file() else {}
    support = results.get("support", {})
    return {
        "marker": MARKER,
        "name": repo_id.rpartition("/")[2],
        "repo_id": repo_id,
        "classifies": known["classifies"],
        "labels": config.label_names,
        "reads": " and ".join(", ".join(MODALITY_NAMES[modality] for modality in config.modalities).rsplit(", ", 1)),
        "arrays": arrays,
        "turns": turns,
        "model": describe_model(config, processor),
        "training": describe_training(known["settings"]),
        "data": data and data.note,
        "dataset": data and data.name,
        "sources": [f"[`{name}`]({name})" for name in (RESULTS, DEV_RESULTS) if (folder / name).is_file()],
        "split": next(iter(splits), None),
        "rows": [[split, *(_percent(values[metric]) for metric in METRICS)] for split, values in splits.items()],
        "per_class": [
            [name, _percent(values["f1"]), support.get(name, "")]
            for name, values in results.get("per_class", {}).items()
        ],
        "probabilities": probability_note(config),
    }


def _as_list(value: str | list[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"


def _forms(share: float) -> list[str]:
    """The ways to write a share."""
    return [_percent(share), f"{100 * share:.1f}", f"{share:.4f}", f"{share:.3f}"]


def _template() -> jinja2.Template:
    text = Path(__file__).with_name("card.md").read_text(encoding="utf-8")
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, autoescape=False)
    return environment.from_string(text)
