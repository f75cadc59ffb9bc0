"""Locks between processes, held by an open file: they vanish with the process that holds them."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock of a file (made if missing) while the block runs; waits for other holders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def directory_lock(directory: Path) -> Iterator[None]:
    """Hold the lock of a directory (made if missing), which the block may remove.

    A waiter that wakes up on a removed directory makes it anew and locks that one.
    """
    handle = _lock_existing(directory)
    try:
        yield
    finally:
        os.close(handle)


def _lock_existing(directory: Path) -> int:
    while True:
        directory.mkdir(parents=True, exist_ok=True)
        handle = os.open(directory, os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_EX)
        if directory.exists() and os.path.samestat(os.fstat(handle), directory.stat()):
            return handle
        os.close(handle)
