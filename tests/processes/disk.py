"""A small disk of the test's own, to be filled to the last byte: a file system in memory, mounted for it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import pytest


class SmallDisk:
    """A folder with a file system of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def full(self) -> Iterator[None]:
        """Leave no byte free for the length of the block."""
        ballast = self.folder / "ballast"
        try:
            with ballast.open("wb", buffering=0) as file:
                self._fill(file.fileno())
            yield
        finally:
            ballast.unlink(missing_ok=True)

    @staticmethod
    def _fill(file: int) -> None:
        for size in (1 << 20, 1 << 12):
            try:
                while os.write(file, bytes(size)):
                    pass
            except OSError:
                continue


@contextmanager
def small_disk(*, megabytes: int) -> Iterator[SmallDisk | None]:
    """Give an empty disk of a size; None where this machine lets nobody mount one."""
    folder = Path(mkdtemp(prefix="amrs-disk-"))
    try:
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "amrs-test", str(folder)]
        try:
            mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
        except OSError:
            mounted = False
        try:
            yield SmallDisk(folder) if mounted else None
        finally:
            if mounted:
                subprocess.run(["umount", "--lazy", str(folder)], check=True)
    finally:
        rmtree(folder, ignore_errors=True)


def needed(disk: SmallDisk | None) -> SmallDisk:
    """Return the disk, or skip the test that needs it."""
    if disk is None:
        pytest.skip("nothing may be mounted here: a small disk needs root and CAP_SYS_ADMIN")
    return disk
