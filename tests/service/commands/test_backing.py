"""The commands that make a backup and bring it back."""

from pathlib import Path

import pytest

from tests.service.commands.conftest import Run


def test_what_one_machine_backs_up_another_restores(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    to = str(tmp_path / "backup.tar")
    refused = run("backup", to)
    assert (refused.code, "There is no database to copy" in refused.err) == (1, True)
    assert run("user", "add", "ada", "--role", "admin", "--create").code == 0
    made = run("backup", to)
    assert made.code == 0
    assert "3 rows, 0 blobs" in made.out
    again = run("backup", to)
    assert (again.code, "is there already" in again.err) == (1, True)

    monkeypatch.setenv("REGIONWISE_DATA_DIR", str(tmp_path / "other"))
    brought = run("restore", to)
    assert brought.code == 0
    assert "made on sqlite: 3 rows" in brought.out
    twice = run("restore", to)
    assert (twice.code, "holds 1 annotators" in twice.err, "--force regionwise.db" in twice.err) == (1, True, True)
    assert run("restore", to, "--force", "regionwise.db").code == 0
