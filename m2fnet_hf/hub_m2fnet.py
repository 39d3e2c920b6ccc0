"""How models, processors and pipelines reach the Hub. A leaf: it knows no other module of the package."""

import os
from collections.abc import Callable
from typing import Any, ClassVar

from transformers.utils import PushToHubMixin

# The library copies, with the code of a part, each module that a line of this form names. These name all the others,
# so that any part of a model brings the code of all parts; nothing is imported here.
TRAVELS = """
from .modeling_m2fnet import M2FNetModel
from .pipeline_m2fnet import MultimodalEmotionPipeline
"""
_UPLOAD = {"repo_id", "commit_message", "commit_description", "private", "token", "revision", "create_pr", "tags"}


class M2FNetHubMixin(PushToHubMixin):
    """Uploads to the Hub what transformers can load without this package."""

    # Uploads a part with its code and card. The package gives it; code from the Hub, which the library saves along by
    # itself, does without.
    upload_part: ClassVar[Callable[..., Any] | None] = None

    def push_to_hub(self, *args: Any, **kwargs: Any) -> Any:
        """See the library. The code goes along, and a card with a model; other parts in the repository stay."""
        if M2FNetHubMixin.upload_part is None:
            return super().push_to_hub(*args, **kwargs)
        return M2FNetHubMixin.upload_part(self, *args, **kwargs)

    def save_pretrained(
        self, save_directory: str | os.PathLike, *args: Any, push_to_hub: bool = False, **kwargs: Any
    ) -> Any:
        """See the library. With `push_to_hub` what was saved is uploaded by `push_to_hub`."""
        upload = upload_settings(save_directory, kwargs) if push_to_hub else {}
        saved = super().save_pretrained(save_directory, *args, **kwargs)
        if push_to_hub:
            self.push_to_hub(**upload)
        return saved


def upload_settings(save_directory: str | os.PathLike, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Takes what is for `M2FNetHubMixin.push_to_hub` out of the arguments of `save_pretrained`."""
    upload = {name: kwargs.pop(name) for name in _UPLOAD & kwargs.keys()}
    return {"repo_id": os.path.basename(os.path.abspath(save_directory)), **upload}


__all__ = ["M2FNetHubMixin"]
