"""What the Slurm script starts, with stand-ins for Slurm's own two programs, which are on a cluster alone."""

import os
import subprocess
from pathlib import Path

from m2fnet_hf.cli import _parse

SCRIPT = Path(__file__).parents[2] / "examples" / "train.slurm"
PROGRAMS = {"scontrol": "echo first; echo second", "srun": 'echo "$@"'}
JOB = {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "first,second", "SLURM_NNODES": "2", "SLURM_CPUS_PER_TASK": "8"}


def test_its_commands_are_ours(tmp_path: Path) -> None:
    for name, line in PROGRAMS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    environment = {**os.environ, **JOB, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    words = ["internship", "MELD.Raw", "runs/internship", "training.seed=1"]
    started = subprocess.run(["bash", SCRIPT, *words], env=environment, capture_output=True, text=True, check=True)
    extract, train = (_parse(line.split(" m2fnet ")[1].split()) for line in started.stdout.splitlines())
    assert extract.config == train.config
    assert extract.config.name == "internship.yaml"
    assert extract.output == train.features == Path("runs/internship/features")
    assert extract.overrides == ["training.seed=1"]
    assert train.overrides == ["training.ddp_find_unused_parameters=true", "training.seed=1"]
