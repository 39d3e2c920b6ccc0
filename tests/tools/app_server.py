"""The app at an address, for tests."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

import gradio
import pytest

from m2fnet_hf.app.serve import load, serve


@contextmanager
def app_server(folder: Path) -> Iterator[Callable[..., str]]:
    """Serves the app with these arguments and gives its address; all that it writes is in the folder."""

    def serve_app(model: str | None = None, faces: str | None = None, results: Path | None = None) -> str:
        handlers = load(model, str(results or mkdtemp(dir=folder)), faces=faces)
        return serve(handlers, prevent_thread_lock=True, quiet=True)[1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", mkdtemp(dir=folder))
        yield serve_app
    gradio.close_all()
