"""`m2fnet app`: the app in a browser."""

import argparse
import os
import tempfile
from typing import Any

from ..hub.load import add_model

DEMO_EXTRA = "pip install 'm2fnet-hf[demo,live,reports]'"
LAST_PORT = 65_535
DESCRIPTION = (
    "Serve an app to upload, correct, play and record conversations in a browser. Where an option is not given, the "
    "variables M2FNET_MODEL, M2FNET_ASR and M2FNET_FACES stand in for it: those of a Hugging Face Space, for instance."
)


def add(commands: Any) -> None:
    """Add the command."""
    app = commands.add_parser("app", help="serve an app in the browser", description=DESCRIPTION)
    add_model(app)
    app.add_argument("--asr", metavar="NAME", help="speech recognition model, for recordings without transcript")
    app.add_argument("--faces", metavar="NAME", help="pyfeat, pyfeat-v2, opencv or none; default: as in training")
    app.add_argument("--port", type=int, metavar="N", help="default: the first that is free from 7860 on")
    named = {name: os.environ.get(f"M2FNET_{name.upper()}") for name in ("model", "asr", "faces")}
    app.set_defaults(command=_app, parser=app, **named)


def _app(options: argparse.Namespace) -> None:
    if options.port is not None and not 0 < options.port <= LAST_PORT:
        options.parser.error(f"--port must be from 1 to {LAST_PORT}, found {options.port}")
    try:
        from ..app.serve import load, serve
        from ..reports.writers import check_packages
    except ImportError as error:
        raise ImportError(f"The app needs {error.name}: {DEMO_EXTRA}") from None
    check_packages("all")
    with tempfile.TemporaryDirectory(prefix="m2fnet-") as folder:
        serve(load(options.model, folder, options.asr, options.faces), server_port=options.port)
