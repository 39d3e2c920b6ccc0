"""A search for better settings with optuna, judged on dev; needs `pip install 'm2fnet-hf[search]'`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from transformers import set_seed

from ..dialogue_m2fnet import Dialogue
from ..features.extract import check_features
from ..modeling_m2fnet import M2FNetForEmotionClassification
from ..recordings.dataset import with_recordings
from .collator import DialogueCollator
from .distillation import taught
from .overrides import chosen_on_dev, data_hash, override, read_yaml, settings_hash
from .settings import RunConfig
from .trainer import EmotionTrainer, build_model, build_processor

Space = Mapping[str, Mapping[str, Any]]
# A trial is judged while it is trained; what it learnt is not kept.
UNSAVED = {"training.save_strategy": "no", "training.load_best_model_at_end": False}


def search(
    run: RunConfig,
    space: Space,
    train: Sequence[Dialogue],
    dev: Sequence[Dialogue],
    output: str | Path,
    trials: int = 20,
    seed: int = 0,
) -> dict[str, Any]:
    """Try settings for the best weighted F1 on dev, in one process, and write the run with the best ones.

    Trials are kept in `output/search.db`: a search that was interrupted goes on until it has as many as were asked
    for. Other settings, spaces or data begin anew. A trial that falls behind the median of the others is given up.

    Args:
        run: what the trials change, as [`RunConfig.load`] gives it.
        space: bounds by `section.key`: `low` and `high` (whole numbers stay whole) with `log` or `step`, or `choices`.
        train, dev: labelled dialogues.
        output: folder for `search.db` and `best.yaml`, which `m2fnet train` takes.
        trials: in all, with those of an interrupted search.
        seed: of the choice of settings; each trial is trained with the run's own seed.

    Returns:
        `weighted_f1` on dev and `settings` of the best trial, and the path of its `run`.

    Raises:
        ImportError: without optuna.
        ValueError: for a setting that is not `section.key`, or that the run cannot have.
    """
    try:
        import optuna
    except ImportError:
        raise ImportError("A search needs optuna: pip install 'm2fnet-hf[search]'") from None

    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    base = chosen_on_dev(run)
    study: dict[str, Any] = {
        "study_name": settings_hash(vars(base), space, data_hash([train, dev])),
        "storage": f"sqlite:///{output / 'search.db'}",
        "direction": "maximize",
        "load_if_exists": True,
    }
    begun = optuna.create_study(**study).trials
    finished = [trial for trial in begun if trial.state.name in ("COMPLETE", "PRUNED")]
    trainer = _trainer(override(base, UNSAVED), space, train, dev, output)

    def best_so_far(metrics: Mapping[str, float]) -> float:
        # Training keeps the best epoch, not the last one.
        return max(metrics["eval_weighted_f1"], trainer.state.best_metric or 0.0)

    best: Any = trainer.hyperparameter_search(
        hp_space=lambda trial: {},  # the arguments of a trial are set with its model
        compute_objective=best_so_far,
        n_trials=max(trials - len(finished), 0),
        backend="optuna",
        # With its seed alone, a sampler that goes on would choose once more what it chose at first.
        sampler=optuna.samplers.TPESampler(seed=seed + len(begun)),
        pruner=optuna.pruners.MedianPruner(),
        **study,
    )
    path = output / "best.yaml"
    OmegaConf.save(OmegaConf.create(asdict(override(base, best.hyperparameters))), path)
    return {"weighted_f1": best.objective, "settings": best.hyperparameters, "run": str(path)}


def load_space(path: str | Path) -> dict[str, dict[str, Any]]:
    """A space from a YAML file: bounds by `section.key`.

    Raises:
        FileNotFoundError: without the file.
        ValueError: for what is not such a space.
    """
    space = read_yaml(path)
    for name, bounds in space.items():
        known = isinstance(bounds, dict) and (
            set(bounds) == {"choices"} or {"low", "high"} <= set(bounds) <= {"low", "high", "log", "step"}
        )
        if not known:
            raise ValueError(
                f"{path}: `{name}` must have `low` and `high` (and `log` or `step`), or `choices`, found {bounds}."
            )
    return space


def _trainer(
    run: RunConfig, space: Space, train: Sequence[Dialogue], dev: Sequence[Dialogue], output: Path
) -> EmotionTrainer:
    """A trainer that builds arguments, processor and model of each trial anew."""

    def model_init(trial: Any) -> M2FNetForEmotionClassification:
        chosen = override(run, {name: _suggested(trial, name, bounds) for name, bounds in space.items()})
        # Trainer would cast each to the type of its default, and a share of warm-up steps to 0.
        vars(trainer.args).update(vars(chosen.training_arguments(output)))
        trainer.processing_class = processor = build_processor(chosen)
        model = build_model(chosen, processor, train if trainer.args.balance_classes else None)
        trainer.data_collator = DialogueCollator(processor, model.config.modalities, model.config.label_ids)
        check_features([train, dev], model, processor)
        trainer.train_dataset, trainer.eval_dataset = with_recordings([train, dev], model, processor, chosen.media)
        set_seed(trainer.args.seed)  # as a trainer does that is given its model: training it alone gives the same
        return model

    args = run.training_arguments(output)
    processor = build_processor(run)
    model = build_model(run, processor)
    if args.teachers:
        train = taught(train, args.teachers, model.config)
    trainer = EmotionTrainer(model, args, processor, train, dev)
    trainer.model_init = model_init
    return trainer


def _suggested(trial: Any, name: str, bounds: Mapping[str, Any]) -> Any:
    if "choices" in bounds:
        return trial.suggest_categorical(name, bounds["choices"])
    whole = isinstance(bounds["low"], int) and isinstance(bounds["high"], int)
    return (trial.suggest_int if whole else trial.suggest_float)(name, **bounds)
