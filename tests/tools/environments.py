"""A hub on this machine, and two environments that talk to it: with this package, and with transformers alone."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import plain
import pytest
from hub_server import TOKEN, Hub, running_hub

Run = Callable[..., Any]


@pytest.fixture(scope="session")
def hub() -> Iterator[Hub]:
    with running_hub() as server:
        yield server


@pytest.fixture(scope="session")
def with_package(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run code where this package is installed; gives what it prints last, as JSON."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return _runner([sys.executable, "-c"], {**environment, **_settings(hub, tmp_path_factory.mktemp("home"))})


@pytest.fixture(scope="session")
def with_transformers(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run code beside transformers and torch alone."""
    environment = plain.plain_environment(tmp_path_factory.mktemp("plain") / "site-packages")
    home = tmp_path_factory.mktemp("plain_home")
    return _runner(plain.PYTHON, {**environment, **_settings(hub, home)})


def _settings(hub: Hub, home: Path) -> dict[str, str]:
    return {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(home),
        "HF_TOKEN": TOKEN,
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",
        "OMP_NUM_THREADS": "1",
    }


def _runner(python: list[str], environment: dict[str, str]) -> Run:
    def run(code: str, **changed: str) -> Any:
        result = subprocess.run(
            [*python, code], env={**environment, **changed}, capture_output=True, text=True, timeout=300
        )
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout.splitlines()[-1])

    return run
