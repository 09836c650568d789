"""Checks whether a process of the service runs."""

import psutil


def is_alive(process: int) -> bool:
    """Check whether a process runs. A killed one is a zombie until its parent reaps it."""
    try:
        return bool(psutil.Process(process).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
