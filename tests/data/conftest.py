import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from m2fnet_hf.data.transcripts import Transcript, open_transcript


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., Transcript]:
    def opened(name: str, content: Any, **options: Any) -> Transcript:
        path = tmp_path / name
        content = content if isinstance(content, (str, bytes)) else json.dumps(content)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return open_transcript(path, **options)

    return opened
