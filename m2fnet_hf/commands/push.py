"""`m2fnet push`: a run to the Hub."""

import argparse
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from ..utils.console import remarks, tell
from ..utils.files import check_new, new_folder, scratch_folder

DESCRIPTION = (
    "Upload a run with its processor, code, results and a card that is rendered from them; `--output` writes the same "
    "to a folder instead."
)


def add(commands: Any) -> None:
    """Add the command."""
    push = commands.add_parser("push", help="publish a run on the Hugging Face Hub", description=DESCRIPTION)
    push.add_argument("run", type=Path, help="folder that `m2fnet train` wrote")
    push.add_argument("repo", metavar="ORG/NAME", help="the model's name on the Hub; made where it does not exist")
    push.add_argument("--private", action="store_true", default=None, help="make a private one")
    push.add_argument("--revision", metavar="BRANCH", help="made where it does not exist; default: main")
    push.add_argument("--pull-request", action="store_true", help="ask for the change instead of making it")
    push.add_argument("--message", metavar="TEXT", help="of the commit")
    push.add_argument("--license", metavar="ID", help="of the weights, such as apache-2.0; default: not stated")
    push.add_argument("--dataset", metavar="NAME", help="the data, where the results do not name it")
    push.add_argument("--output", type=Path, metavar="FOLDER", help="write there instead of uploading")
    push.set_defaults(command=_push)


def _push(options: argparse.Namespace) -> None:
    from huggingface_hub.utils import disable_progress_bars, validate_repo_id
    from transformers.utils import logging

    from ..hub.errors import explain

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    disable_progress_bars()
    if options.output is not None:
        check_new(options.output)
    try:
        validate_repo_id(options.repo)
        with remarks():
            if options.output is None:
                tell(_upload(options))
                return
            with new_folder(options.output) as unfinished:
                _prepare(options, unfinished)
        tell(f"What would be uploaded is in {options.output}")
    except Exception as error:
        sentence = explain(error, options.repo)
        if sentence is None:
            raise
        raise OSError(sentence) from error


def _upload(options: argparse.Namespace) -> str:
    """The address of what was uploaded."""
    from huggingface_hub import HfApi

    from ..hub.push import open_repository, upload

    api = HfApi()
    with scratch_folder(Path(gettempdir()) / "push") as folder:
        _prepare(options, folder)
        repo_id = open_repository(api, options.repo, options.private, options.revision)
        message = options.message or f"Upload {options.run.resolve().name}"
        commit = upload(api, folder, repo_id, message, revision=options.revision, create_pr=options.pull_request)
    if commit.pr_url is not None:
        return commit.pr_url
    branch = "" if options.revision is None else f"/tree/{options.revision}"
    return f"{api.endpoint}/{repo_id}{branch}"


def _prepare(options: argparse.Namespace, folder: Path) -> None:
    from ..hub.load import find_model
    from ..hub.push import prepare_run

    prepare_run(Path(find_model(str(options.run))), folder, options.repo, options.license, options.dataset)
