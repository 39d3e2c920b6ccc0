"""The app at an address."""

from typing import Any

from ..hub.load import load_pipeline, model_license, model_name
from .handlers import Handlers
from .page import CSS, SCRIPT, THEME, build_page
from .uploads import LARGEST_RECORDING

MOST_SESSIONS = 100  # Gradio keeps those of visitors who left, too, and each takes memory


def load(model: str | None, folder: str, asr: str | None = None, faces: str | None = None) -> Handlers:
    """The handlers with their models.

    Args:
        model: folder, embedded model or Hub name. Default: the default model.
        folder: of what is made for visitors.
        asr: folder or Hub name of a speech recognition model, for recordings without transcript.
        faces: what finds the faces. Default: what the model was trained with.
    """
    recognizer = None
    if asr is not None:
        from ..recordings.transcribe import load_recogniser

        recognizer = load_recogniser(asr)
    return Handlers(load_pipeline(model), model_name(model), folder, recognizer, faces, model_license(model))


def serve(handlers: Handlers, **options: Any) -> Any:
    """Launch the page; `options` are Gradio's.

    Raises:
        OSError: where no port is free.
    """
    try:
        return build_page(handlers).launch(
            allowed_paths=[str(handlers.folder)],
            max_file_size=f"{LARGEST_RECORDING}mb",
            theme=THEME,
            css=CSS,
            head=f"<script>{SCRIPT}</script>",
            footer_links=[],
            run_history=False,  # the next one at this browser need not know
            state_session_capacity=MOST_SESSIONS,
            ssr_mode=False,
            **options,
        )
    except OSError as error:
        if "port" not in str(error):
            raise
        port = options.get("server_port") or "7860 and those behind it"
        raise OSError(f"The app must have a port that is free, found {port} in use; name another.") from error
