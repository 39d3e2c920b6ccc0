"""The models that come with the package, by name."""

from pathlib import Path

CHECKPOINTS = Path(__file__).parent / "checkpoints"


def embedded_names() -> list[str]:
    """The names of the embedded models."""
    return sorted(folder.parent.name for folder in CHECKPOINTS.glob("*/config.json"))


def embedded(name: str) -> str:
    """The folder of an embedded model, for whatever takes one.

    ```python
    pipeline("multimodal-emotion", model=embedded("meld-mini"))
    M2FNetForEmotionClassification.from_pretrained(embedded("meld-mini"))
    ```

    Raises:
        ValueError: for another name, naming those that there are.
    """
    if name not in embedded_names():
        raise ValueError(f"An embedded model must be one of {', '.join(embedded_names())}, found {name!r}.")
    return str(CHECKPOINTS / name)
