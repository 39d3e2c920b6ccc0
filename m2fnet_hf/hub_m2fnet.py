"""How models, processors and pipelines reach the Hub."""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from transformers.utils import PushToHubMixin

if TYPE_CHECKING:
    # The library copies what a copied module imports, also here: so any part of a model brings the code of all parts.
    from .modeling_m2fnet import M2FNetModel  # noqa: F401
    from .pipeline_m2fnet import MultimodalEmotionPipeline  # noqa: F401

PACKAGE = "m2fnet_hf"
_UPLOAD = {"repo_id", "commit_message", "commit_description", "private", "token", "revision", "create_pr", "tags"}


class M2FNetHubMixin(PushToHubMixin):
    """Uploads to the Hub what transformers can load without this package."""

    def push_to_hub(self, *args: Any, **kwargs: Any) -> Any:
        """See the library. The code goes along, and a card with a model; other parts in the repository stay."""
        if __package__ != PACKAGE:  # remote code, which the library saves along by itself
            return super().push_to_hub(*args, **kwargs)
        return import_module(".hub.push", PACKAGE).push_part(self, *args, **kwargs)

    def save_pretrained(
        self, save_directory: str | os.PathLike, *args: Any, push_to_hub: bool = False, **kwargs: Any
    ) -> Any:
        """See the library. With `push_to_hub` what was saved is uploaded by [`push_to_hub`]."""
        upload = {name: kwargs.pop(name) for name in _UPLOAD & kwargs.keys()} if push_to_hub else {}
        saved = super().save_pretrained(save_directory, *args, **kwargs)
        if push_to_hub:
            self.push_to_hub(**{"repo_id": os.path.basename(os.path.abspath(save_directory)), **upload})
        return saved


__all__ = ["M2FNetHubMixin"]
