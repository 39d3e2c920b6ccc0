"""Many conversations at once, of which one that fails stops no other."""

import shutil
from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from ..recordings.pairs import Pair, pair_files
from ..reports.formatting import one_line
from .handlers import Handlers
from .messages import sentence
from .uploads import MOST_FILES


class SeveralHandler:
    """Predicts every conversation among the uploads: recordings, each with the transcript of its name."""

    def __init__(self, handlers: Handlers) -> None:
        self.handlers = handlers

    def __call__(
        self,
        uploads: Sequence[str] | None,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008  so Gradio finds it
    ) -> tuple[str, str, Any]:
        """No remark, a table with a row for each conversation, and a zip file of all reports.

        Raises:
            ValueError: for too many files, two of one name, or none that can be read.
        """
        files = [Path(path) for path in uploads or ()]
        if len(files) > MOST_FILES:
            raise ValueError(f"The page takes {MOST_FILES} files at a time, found {len(files)}; take fewer.")
        names = Counter(path.name.casefold() for path in files)
        if twice := [name for name, count in names.items() if count > 1]:
            raise ValueError(f"Each file must have a name of its own, found {twice[0]} twice; rename one of them.")
        pairs, left_out = pair_files(files, self.handlers.pipe.model.config.languages)
        if not pairs:
            raise ValueError(f"Recordings or transcripts are needed, found none among {len(files)} files; add some.")
        folder = Path(self.handlers.new_folder(request))
        reports = folder / "emotions"
        reports.mkdir()
        rows = [self._row(pair, reports, progress) for pair in pairs]
        rows += [(name, "not used") for name in left_out]
        archives = [shutil.make_archive(str(reports), "zip", reports)] if any(reports.iterdir()) else []
        return "", _table(rows), gr.Files(archives, visible=bool(archives))

    def _row(self, pair: Pair, folder: Path, progress: gr.Progress) -> tuple[str, str]:
        """Its name, and its emotions or why there are none."""
        recording, transcript = (None if path is None else str(path) for path in (pair.recording, pair.transcript))
        handlers, source = self.handlers, pair.recording or pair.transcript
        assert source is not None
        try:
            if pair.problem is not None:
                raise ValueError(pair.problem)
            with handlers.turn:
                utterances = handlers.utterances(recording, transcript, [], None, progress)
                _, result = handlers.answer(utterances, recording, source.name, None, progress)
                handlers.write(result, folder, pair.name, recording)
        except Exception as error:
            return pair.name, sentence(error)
        counts = Counter(one["label"] for one in result["utterances"])
        emotions = ", ".join(f"{label} {count}" for label, count in counts.most_common())
        return pair.name, ". ".join([emotions, *result["warnings"]])


def _table(rows: Sequence[tuple[str, str]]) -> str:
    cells = "".join(
        f'<tr><th scope="row">{escape(one_line(name))}</th><td>{escape(what)}</td></tr>' for name, what in rows
    )
    head = '<thead><tr><th scope="col">Conversation</th><th scope="col">Emotions</th></tr></thead>'
    return f'<div class="table"><table>{head}<tbody>{cells}</tbody></table></div>'
