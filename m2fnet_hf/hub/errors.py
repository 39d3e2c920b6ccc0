"""What a failure of the Hub means, in one sentence."""

from collections.abc import Iterator

from huggingface_hub import constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import get_token

LOG_IN = "log in with `hf auth login` or set HF_TOKEN"


def explain(error: BaseException, repo_id: str) -> str | None:
    """One sentence of what went wrong with the Hub and what to do, or `None` for any other error.

    Args:
        error: what was raised; the causes behind it are looked at too, as the library wraps them.
    """
    for one in _causes(error):
        sentence = _explain(one, repo_id)
        if sentence is not None:
            return sentence
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _explain(error: BaseException, repo_id: str) -> str | None:
    token = "no token was given" if get_token() is None else "this token may not see it"
    if isinstance(error, OfflineModeIsEnabled):
        return "The Hub cannot be asked while HF_HUB_OFFLINE is set; unset it."
    if isinstance(error, HFValidationError):
        return f"A model on the Hub is named organisation/name, found {repo_id!r}."
    if isinstance(error, GatedRepoError):
        return f"Access to {repo_id} must be granted on its page first, and {token}; ask for it and {LOG_IN}."
    if isinstance(error, RepositoryNotFoundError):
        return f"The Hub has no model {repo_id}, or it is private and {token}; check the name, or {LOG_IN}."
    if isinstance(error, RevisionNotFoundError):
        return f"{repo_id} has no such revision; name a branch, a tag or a commit of it."
    if isinstance(error, RemoteEntryNotFoundError):
        return f"{repo_id} lacks a file that every model needs; push it again."
    if isinstance(error, HfHubHTTPError):
        return _refused(error, repo_id)
    if isinstance(error, (HTTPError, LocalEntryNotFoundError)):
        return f"The Hub could not be reached at {constants.ENDPOINT}; check the network and try again."
    return None


def _refused(error: HfHubHTTPError, repo_id: str) -> str:
    status = error.response.status_code
    if status in (401, 403):
        token = "no token" if get_token() is None else "a token that it does not accept for this"
        return f"The Hub wants a token that may use {repo_id}, found {token} (status {status}); {LOG_IN}."
    said = f": {error.server_message}" if error.server_message else ""
    return f"The Hub answered for {repo_id} with status {status}{' '.join(said.split())}; try again later."
