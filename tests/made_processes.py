"""Runs Python code in processes of its own."""

import os
import subprocess
import sys
from pathlib import Path


def output_of(code: str, *arguments: str, threads: int) -> str:
    """Return what Python code prints if OpenMP and BLAS have this number of threads."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parent.parent),
        "OMP_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),
    }
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout
