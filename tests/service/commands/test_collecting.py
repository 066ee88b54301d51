"""The command that removes what nothing needs."""

import os
from pathlib import Path

from tests.service.commands.conftest import Run


def test_the_command_says_what_would_go_and_removes_it_at_once(run: Run, tmp_path: Path) -> None:
    assert run("migrate").code == 0
    stray = tmp_path / "own" / "blobs" / "images" / "ab" / f"{'a' * 64}.png"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"something")
    os.utime(stray, (0, 0))
    said = run("gc", "--dry-run")
    assert (said.code, stray.exists()) == (0, True)
    assert [line.split()[-2:] for line in said.out.splitlines() if "no row names" in line] == [["1", "9"]]
    assert "Nothing was changed." in said.out
    assert run("gc").code == 0
    assert not stray.exists()
