"""A search for better settings with optuna, judged on dev; needs `pip install 'm2fnet-hf[search]'`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ..dialogue_m2fnet import Dialogue
from ..utils.files import scratch_folder, write_text
from ..utils.run_folders import claim
from .distillation import with_teacher_probabilities
from .overrides import chosen_on_dev, data_hash, override, settings_hash
from .settings import RunConfig
from .trainer import EmotionTrainer, build_model, build_processor
from .trainer import train as train_run
from .yaml_files import read_mapping

if TYPE_CHECKING:
    import optuna

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

    Each trial is a run of [`trainer.train`] in a folder of its own, which is removed afterwards. Settings and values
    are kept in `output/search.db`: a search that was interrupted goes on until it has as many as were asked for. Other
    settings, spaces or data need another folder. A trial that falls behind the median of the others is given up.

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
    base = chosen_on_dev(run)
    # A setting that no run has is refused before the folder belongs to the search.
    override(base, {name: _first(bounds) for name, bounds in space.items()}).training_arguments(output)
    output.mkdir(parents=True, exist_ok=True)
    named = settings_hash(vars(base), space, data_hash([train, dev]))
    claim(output, "search.json", {"run": asdict(run), "space": space, "data": data_hash([train, dev])})
    storage = f"sqlite:///{output / 'search.db'}"
    study = optuna.create_study(storage=storage, study_name=named, direction="maximize", load_if_exists=True)
    begun = study.trials
    finished = [trial for trial in begun if trial.state.is_finished() and trial.state.name != "FAIL"]
    # With its seed alone, a sampler that goes on would choose once more what it chose at first.
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(begun))
    study.pruner = optuna.pruners.MedianPruner()
    tried, train = _teachers_read_once(override(base, UNSAVED), train, output)

    def objective(trial: "optuna.Trial") -> float:
        chosen = override(tried, {name: _suggested(trial, name, bounds) for name, bounds in space.items()})
        judge = TrialCallback(trial)
        with scratch_folder(output / f"trial-{trial.number}") as folder:
            train_run(chosen, train, dev, folder, trainer_type=partial(EmotionTrainer, callbacks=[judge]))
        return judge.best

    study.optimize(objective, n_trials=max(trials - len(finished), 0), gc_after_trial=True)
    best = study.best_trial
    path = output / "best.yaml"
    write_text(OmegaConf.to_yaml(OmegaConf.create(asdict(override(base, best.params)))), path)
    return {"weighted_f1": best.value, "settings": best.params, "run": str(path)}


class TrialCallback(TrainerCallback):
    """Tells a trial of optuna the best weighted F1 on dev so far, after each evaluation, and gives hopeless ones up.

    Args:
        trial: of optuna.

    Attributes:
        best: the highest weighted F1.
    """

    def __init__(self, trial: "optuna.Trial") -> None:
        self.trial = trial
        self.best = 0.0
        self.evaluations = 0
        self.last_step = -1

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Report the trial's value.

        Raises:
            optuna.TrialPruned: for a trial that falls behind the median of the others.
        """
        from optuna import TrialPruned

        if state.global_step == self.last_step:  # evaluated once more at the end of a run
            return
        self.last_step = state.global_step
        self.best = max(self.best, kwargs["metrics"]["eval_weighted_f1"])
        # Evaluations and not steps, since trials may differ in their batch size.
        self.evaluations += 1
        self.trial.report(self.best, self.evaluations)
        if self.trial.should_prune():
            raise TrialPruned


def load_space(path: str | Path) -> dict[str, dict[str, Any]]:
    """A space from a YAML file: bounds by `section.key`.

    Raises:
        FileNotFoundError: without the file.
        ValueError: for what is not such a space.
    """
    space = read_mapping(path)
    for name, bounds in space.items():
        known = isinstance(bounds, dict) and (
            set(bounds) == {"choices"} or {"low", "high"} <= set(bounds) <= {"low", "high", "log", "step"}
        )
        if not known:
            raise ValueError(
                f"{path}: `{name}` must have `low` and `high` (and `log` or `step`), or `choices`, found {bounds}."
            )
    return space


def _teachers_read_once(
    run: RunConfig, train: Sequence[Dialogue], output: Path
) -> tuple[RunConfig, Sequence[Dialogue]]:
    """The run without its teachers, and the dialogues with their probabilities."""
    teachers = run.training_arguments(output).teachers
    if not teachers:
        return run, train
    config = build_model(run, build_processor(run)).config
    return override(run, {"training.teachers": None}), with_teacher_probabilities(train, teachers, config)


def _first(bounds: Mapping[str, Any]) -> Any:
    return bounds["choices"][0] if "choices" in bounds else bounds["low"]


def _suggested(trial: "optuna.Trial", name: str, bounds: Mapping[str, Any]) -> Any:
    if "choices" in bounds:
        return trial.suggest_categorical(name, bounds["choices"])
    whole = isinstance(bounds["low"], int) and isinstance(bounds["high"], int)
    return (trial.suggest_int if whole else trial.suggest_float)(name, **bounds)
