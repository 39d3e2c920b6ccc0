"""Weights as they were saved, or a refusal: nothing in a loaded model is random that was not asked to be.

The library starts what a file lacks from random weights and reports it; here its report decides.
"""

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from .weight_files_m2fnet import WeightFiles, WeightsError, listed

# The layers that turn states into emotions, which a model of other labels starts from random ones.
HEAD = "classifier."
LINEAR = (nn.Linear, nn.Conv1d, nn.Conv2d)
# Read in training alone, and absent from many published encoders.
OPTIONAL = ("masked_spec_embed", "pooler.dense.weight", "pooler.dense.bias")


class WholeWeightsMixin:
    """Loads the weights of a `PreTrainedModel` from safetensors, whole and finite, or not at all."""

    # A base model is loaded from the file of a classifier, too.
    _keys_to_ignore_on_load_unexpected: Any = [rf"^{HEAD}"]

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike | None,
        *args: Any,
        ignore_mismatched_sizes: bool = False,
        output_loading_info: bool = False,
        **kwargs: Any,
    ) -> Any:
        """See the library, with what it would only report refused.

        Args:
            ignore_mismatched_sizes: start weights of another shape, and a classifier that is not in the file, from
                random ones. All others must be there.

        Raises:
            WeightsError: for weights that are missing, of another shape, damaged, NaN or infinite, naming the file and
                the first of them, and for those that are no safetensors.
        """
        loading: Any = super()
        name = pretrained_model_name_or_path
        model, report, where = load_with_report(loading.from_pretrained, name, *args, **kwargs)
        check_report(report, where, fresh_head=ignore_mismatched_sizes)
        if report["unexpected_keys"]:
            surplus = listed(report["unexpected_keys"])
            warnings.warn(f"{where} holds {surplus}, which the model has no place for; left out.", stacklevel=3)
        check_values(model, where)
        return (model, report) if output_loading_info else model


def load_with_report(
    load: Callable[..., Any],
    name: str | os.PathLike | None,
    *args: Any,
    use_safetensors: bool | None = None,
    **kwargs: Any,
) -> tuple[Any, dict[str, Any], str]:
    """A model from safetensors, the library's report of loading it, and the file as messages name it.

    Args:
        load: a `from_pretrained` of the library, called with the other arguments.

    Raises:
        WeightsError: for files that are no safetensors, or damaged.
    """
    if use_safetensors is False:
        raise WeightsError(
            "Weights are loaded from safetensors, since other files can run code, found `use_safetensors=False`; leave "
            "it out."
        )
    files = WeightFiles(name, kwargs)
    files.check_index()
    reporting: Any = {"ignore_mismatched_sizes": True, "output_loading_info": True, "use_safetensors": True}
    try:
        model, report = load(name, *args, **reporting, **kwargs)
    except Exception as error:
        damage = files.damage()
        if damage is not None:
            raise WeightsError(damage) from error
        if isinstance(error, ValueError):  # such as a config of which no model can be built
            kind = WeightsError if "adapter_kwargs" in kwargs else ValueError  # from an Auto class, as of a pipeline
            said = " ".join(str(error).split())
            raise kind(said if files.name in said else f"{files.name}: {said}") from error
        if isinstance(error, AttributeError | LookupError | RuntimeError | TypeError):
            raise WeightsError(
                f"{files.name} must hold a config and weights that a model can be made of in this memory, found some "
                "that none can; get both again."
            ) from error
        raise
    return model, report, files.described


@contextmanager
def loading(what: str, name: object) -> Iterator[None]:
    """Say what cannot be loaded by its name, where the library has several sentences.

    Raises:
        ImportError: where a package is not installed.
        ValueError: in place of any other error of the body.
    """
    try:
        yield
    except ImportError:
        raise
    except Exception as error:
        raise ValueError(
            f"{what} must be a folder or a name on the Hub of one that transformers loads, found {str(name)!r}; check "
            "the name and the network."
        ) from error


def check_report(report: dict[str, Any], where: str, fresh_head: bool = False) -> None:
    """Refuse a model of which the library reports that it starts weights from random ones.

    Args:
        report: of [`load_with_report`], as `where`.
        fresh_head: whether weights of another shape, and a missing classifier, may be random.

    Raises:
        WeightsError: for weights that are missing or of another shape.
    """
    missing = [name for name in report["missing_keys"] if not (fresh_head and name.startswith(HEAD))]
    missing = [name for name in missing if not name.endswith(OPTIONAL)]
    if missing:
        surplus = report["unexpected_keys"]
        unknown = f", and {listed(surplus)} that it has no place for" if surplus else ""
        raise WeightsError(
            f"{where} must hold all weights of the model, found {listed(missing)} missing{unknown}; get the file "
            "again, with its config.json."
        )
    if report["mismatched_keys"] and not fresh_head:
        shapes = [f"{name} {list(found)} for {list(own)}" for name, found, own in report["mismatched_keys"]]
        raise WeightsError(
            f"{where} must hold weights of the shapes that config.json tells, found {listed(shapes)}; get both again, "
            "or start these from random weights with `ignore_mismatched_sizes=True`."
        )


def check_values(model: nn.Module, where: str) -> None:
    """Refuse weights that are NaN or infinite, and layers that are zero throughout, as in a file that broke off.

    Raises:
        WeightsError: naming the first of them.
    """
    linear = {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, LINEAR)}
    infinite, zero = [], []
    for name, tensor in model.state_dict().items():
        if tensor.is_meta or tensor.numel() == 0 or not tensor.is_floating_point():
            continue
        low, high = (bound.item() for bound in torch.aminmax(tensor))
        if not (abs(low) < float("inf") and abs(high) < float("inf")):
            infinite.append(name)
        elif low == high == 0 and name in linear:
            zero.append(name)
    for names, found in ((infinite, "NaN or infinite values"), (zero, "nothing but zeros")):
        if names:
            raise WeightsError(
                f"{where} must hold finite weights that say something, found {found} in {listed(names)}; get the file "
                "again."
            )


__all__ = ["WeightsError", "WholeWeightsMixin", "check_report", "check_values", "load_with_report", "loading"]
