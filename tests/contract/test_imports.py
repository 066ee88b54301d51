"""The rooms and the doors between them: the contracts of pyproject.toml hold."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_import_contract_holds() -> None:
    # In a process of its own, since import-linter reconfigures logging.
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command; lint_imports_command()",
        "--no-cache",
    ]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_worker_of_the_service_loads_nothing_of_the_laboratory() -> None:
    script = (
        "import sys, workers.app as worker\n"
        "print(*(name for name in worker.app.tasks if not name.startswith('celery.')))\n"
        "print(*(name for name in sys.modules if name.startswith('workers.')))"
    )
    imported = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    tasks, modules = imported.stdout.splitlines()
    assert tasks.split() == ["regionwise.run_job"]
    rooms = {name.split(".")[1] for name in modules.split()}
    assert "jobs" in rooms
    assert not rooms & {"experiments", "runs", "report"}
