"""What is read of a model without the library is checked as the library's config is."""

import json
from pathlib import Path
from typing import Any

import pytest

from m2fnet_hf import embedded
from m2fnet_hf.saved_config import SavedConfig


@pytest.mark.parametrize(
    "labels", [{"0": "joy", "1": "joy"}, {"0": "joy", "1": "Joy "}, {"0": "a", "2": "b"}, {"0": "a", "x": "b"}, {}]
)
def test_labels_that_collide_are_refused(tmp_path: Path, labels: dict[str, str]) -> None:
    content = json.loads((Path(embedded("meld-mini")) / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**content, "id2label": labels}))
    with pytest.raises(ValueError, match=r"config\.json: `id2label` must "):
        SavedConfig(tmp_path)


@pytest.mark.parametrize(
    "values", [{"id2label": []}, {"languages": 3}, {"languages": ["english"]}, {"text_config": {}}, {"audio_config": 3}]
)
def test_what_is_no_setting_is_refused(tmp_path: Path, values: dict[str, Any]) -> None:
    content = json.loads((Path(embedded("meld-mini")) / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**content, **values}))
    with pytest.raises(ValueError, match=r"config\.json"):
        SavedConfig(tmp_path)
