"""Recordings, transcripts, reports and faces from files need no torch, and do not load it."""

import subprocess
import sys

import pytest

MODULES = (
    "dialogue_m2fnet",
    "data.transcripts",
    "media.clip",
    "faces.registry",
    "faces.precomputed",
    "faces.tracker",
    "reports.writers",
    "reports.annotate",
    "reports.page",
    "reports.timeline",
    "reports.elan",
)


@pytest.mark.parametrize("module", MODULES)
def test_it_is_imported_without_torch(module: str) -> None:
    code = f"import sys, m2fnet_hf.{module}; print({{'torch', 'transformers'}} & {{*sys.modules}})"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.stdout.strip() == "set()", ran.stderr
