"""Tables of runs that differ in a few settings, over several seeds, each beside its control that reads text alone."""

import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import chain, combinations
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from ..configuration_m2fnet import FUSIONS
from ..context_m2fnet import CONTEXTS, CONTEXTS_WITH_FUTURE
from ..dialogue_m2fnet import Dialogue
from ..recordings.dataset import with_recordings
from ..utils.console import Progress
from ..utils.files import write_json
from ..utils.run_folders import claim
from .overrides import chosen_on_dev, data_hash, override, run_modalities, settings_hash, with_modalities
from .settings import RunConfig
from .trainer import train as train_run
from .yaml_files import read_mapping

Grid = Mapping[str, Sequence[Mapping[str, Any]]]
Metrics = Mapping[str, Mapping[str, float]]

SPLITS = ("dev", "test")
METRICS = ("weighted_f1", "accuracy", "macro_f1")
# What the paper varies from 1 to 6.
COUNTS = range(1, 7)


def ablate(
    run: RunConfig,
    grid: Grid,
    train: Sequence[Dialogue],
    dev: Sequence[Dialogue],
    test: Sequence[Dialogue],
    output: str | Path,
    seeds: Sequence[int] = (0, 1, 2),
    keep_weights: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train every row of a grid once per seed, choose its epoch on dev, and read test once.

    What is finished is kept in `output` under a hash of settings, seed and data and not trained again; a run that was
    interrupted goes on from its last checkpoint. Rows that agree in all settings share their runs.

    Args:
        run: what the rows change.
        grid: rows by the name of their table; a row maps `section.key` of the run to another value, and `modalities`
            to those that its model is built from. See [`load_grid`] and [`default_grid`].
        train, dev, test: labelled dialogues.
        output: folder for `ablation.json` and `runs/<hash>/results.json`.
        keep_weights: keep the best epoch of each run in `runs/<hash>/model`.
        progress: wraps the runs, as `rich.progress.track` does.

    Returns:
        `seeds` and `tables`: rows by table, each with its `overrides`, the `runs` and text-only `control` (hashes in
        the order of the seeds), and by split and metric the `mean` and `std` of its `metrics` over the seeds and of
        their `difference` to the control of the same seed. `std` is `None` for one seed, and `difference` for a run
        that does not read text.

    Raises:
        ValueError: for a setting that is not `section.key`, modalities that the run does not have, or a folder of
            another run or of other data.
    """
    output = Path(output)
    splits = {"train": train, "dev": dev, "test": test}
    data = data_hash(splits.values())
    planned: dict[str, RunConfig] = {}

    def plan(row: Mapping[str, Any]) -> list[str]:
        seeded = [_with_row(chosen_on_dev(run), {**row, "training.seed": seed}) for seed in seeds]
        keys = [settings_hash(vars(one), data) for one in seeded]
        planned.update(zip(keys, seeded, strict=True))
        return keys

    def plan_control(row: Mapping[str, Any]) -> list[str] | None:
        return plan({**row, "modalities": ["text"]}) if "text" in run_modalities(run) else None

    tables: dict[str, list[dict[str, Any]]] = {
        name: [{"overrides": dict(row), "runs": plan(row), "control": plan_control(row)} for row in rows]
        for name, rows in grid.items()
    }
    claim(output, "run.json", {**asdict(run), "data": data})
    runs: Iterable[Any] = planned.items()
    if progress is not None:
        runs = progress(runs, description="Runs", total=len(planned))
    measured = {key: _measure(one, output / "runs" / key, splits, keep_weights) for key, one in runs}
    for row in chain.from_iterable(tables.values()):
        row |= _summary(measured, row["runs"], row["control"])
    result = {"seeds": list(seeds), "tables": tables}
    write_json(result, output / "ablation.json", default=repr)
    return result


def default_grid(run: RunConfig) -> dict[str, list[dict[str, Any]]]:
    """The paper's tables, and EmoBERTa's contexts, as far as a run's own modalities allow."""
    modalities = run_modalities(run)
    subsets = [list(subset) for size in range(len(modalities)) for subset in combinations(modalities, size + 1)]
    grid: dict[str, list[dict[str, Any]]] = {
        "modalities": [{"modalities": subset} for subset in subsets],
        "dialogue encoders": [{"model.num_hidden_layers": count} for count in COUNTS],
    }
    if len(modalities) > 1:
        attention = {"model.fusion": "attention"}
        grid["fusion"] = [{"model.fusion": kind} for kind in FUSIONS]
        grid["fusion modules"] = [{**attention, "model.num_fusion_layers": count} for count in COUNTS]
        grid["text in fusion"] = [{**attention, "model.fusion_includes_text": value} for value in (True, False)]
    if run.encoders.get("text") or run.model.get("text_config"):
        grid["context"] = [
            {"processor.context": context, "processor.speaker_prefix": prefix}
            for context in CONTEXTS
            for prefix in ("none", "name")
            if not (context in CONTEXTS_WITH_FUTURE and run.model.get("causal"))
        ]
    return grid


def load_grid(path: str | Path) -> dict[str, list[dict[str, Any]]]:
    """A grid from a YAML file: lists of rows by the name of their table.

    Raises:
        FileNotFoundError: without the file.
        ValueError: for what is not such a grid.
    """
    grid = read_mapping(path)
    for name, rows in grid.items():
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ValueError(f"{path}: the table `{name}` must be a list of rows such as `- model.fusion: gated`.")
    return grid


def _with_row(run: RunConfig, row: Mapping[str, Any]) -> RunConfig:
    changed = override(run, {name: value for name, value in row.items() if name != "modalities"})
    return with_modalities(changed, row.get("modalities", run_modalities(changed)))


def _measure(run: RunConfig, folder: Path, splits: Mapping[str, Sequence[Dialogue]], keep_weights: bool) -> Metrics:
    """The metrics of a run, which is trained where they are not there yet."""
    file = folder / "results.json"
    results = _read(file)
    if results is None:
        trainer = train_run(run, splits["train"], splits["dev"], folder / "model")
        results = {"settings": asdict(run)}
        asked = [splits[split] for split in SPLITS]
        trained: Any = trainer
        seen = with_recordings(asked, trained.model, trained.processing_class, run.media)
        for split, dialogues in zip(SPLITS, seen, strict=True):
            predicted: Any = trainer.predict(dialogues, metric_key_prefix=split)
            results[split] = {metric: predicted.metrics[f"{split}_{metric}"] for metric in METRICS}
        write_json(results, file, default=repr)
    for unneeded in (folder / "model").glob("checkpoint-*") if keep_weights else [folder / "model"]:
        shutil.rmtree(unneeded, ignore_errors=True)
    return results


def _read(file: Path) -> dict[str, Any] | None:
    """A whole JSON file, or `None`."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _summary(measured: Mapping[str, Metrics], keys: list[str], control: list[str] | None) -> dict[str, Any]:
    """Over seeds, the metrics of a row and their difference to its control."""
    differences = None
    if control is not None:
        pairs = [(measured[one], measured[other]) for one, other in zip(keys, control, strict=True)]
        differences = _over_seeds(lambda split, metric: [one[split][metric] - two[split][metric] for one, two in pairs])
    return {
        "metrics": _over_seeds(lambda split, metric: [measured[key][split][metric] for key in keys]),
        "difference": differences,
    }


def _over_seeds(values: Callable[[str, str], list[float]]) -> dict[str, dict[str, dict[str, float | None]]]:
    """Mean and standard deviation of the values of each split and metric."""
    return {split: {metric: _spread(values(split, metric)) for metric in METRICS} for split in SPLITS}


def _spread(values: Sequence[float]) -> dict[str, float | None]:
    return {"mean": mean(values), "std": stdev(values) if len(values) > 1 else None}
