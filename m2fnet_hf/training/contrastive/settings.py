"""Settings of a run that trains one encoder."""

from dataclasses import dataclass, field, fields
from typing import Any

from ..section_checks import check_section
from ..settings import RunConfig


@dataclass
class ExtractorSettings:
    """What an extractor run has that others have not.

    Args:
        embedding_size: of the linear layer behind the encoder, which is trained with it and then dropped.
        utterances_per_label: of a batch; the batch size must be a multiple of it, and twice as large at least.
        variance_weight: of that term of the triplet loss. With the paper's 1, the hardest negatives drew all embeddings
            of small encoders onto one point; with 100 they stayed apart.
        cross_entropy_weight: of a classifier's cross entropy beside the triplet loss.
    """

    embedding_size: int = 300
    utterances_per_label: int = 4
    variance_weight: float = 100.0
    cross_entropy_weight: float = 0.0


@dataclass
class ExtractorConfig(RunConfig):
    """What an extractor run is made of: [`RunConfig`], of which it reads the part of its modality.

    `balance_classes` changes nothing here, since every batch is balanced.

    Args:
        extractor: arguments of [`ExtractorSettings`].
    """

    extractor: dict[str, Any] = field(default_factory=dict)

    def settings_of(self, section: str) -> dict[str, Any]:
        """The settings that a section may have, and their types."""
        if section == "extractor":
            return {setting.name: setting.type for setting in fields(ExtractorSettings)}
        return super().settings_of(section)

    def settings(self) -> ExtractorSettings:
        """The section `extractor`.

        Raises:
            ValueError: for an argument that it does not have.
        """
        check_section("extractor", self.extractor, self.settings_of("extractor"))
        return ExtractorSettings(**self.extractor)
