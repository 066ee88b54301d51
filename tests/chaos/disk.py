"""A small disk of its own for what a process writes, to be filled and freed."""

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path


class Disk:
    """A file system in memory, mounted on a folder; where nothing may be mounted, a folder that is never filled."""

    def __init__(self, folder: Path, *, mebibytes: int) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        mount = shutil.which("mount")
        command = [
            mount or "mount",
            "-t",
            "tmpfs",
            "-o",
            f"size={mebibytes}m,mode=755",
            "regionwise-chaos",
            str(folder),
        ]
        mounted = mount is not None and subprocess.run(command, capture_output=True, check=False).returncode == 0
        self.missing = "" if mounted else "nothing can be mounted here"

    def fill(self) -> None:
        """Write until not a byte more fits."""
        assert not self.missing, "this is the machine's own disk"
        with (self.folder / "filler").open("ab", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                with suppress(OSError):
                    while file.write(b"\0" * size) == size:
                        pass

    def free(self) -> None:
        """Give the room back."""
        (self.folder / "filler").unlink(missing_ok=True)

    def close(self) -> None:
        """Take the disk away, and all that is on it."""
        if not self.missing:
            subprocess.run(["umount", "-l", self.folder], check=True)


def give_to(folder: Path, user: str | None) -> None:
    """Have a folder belong to a user, if one is named."""
    if user is not None:
        shutil.chown(folder, user)
        os.chmod(folder, 0o700)
