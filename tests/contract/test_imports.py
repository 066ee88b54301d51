"""The rooms and the doors between them: the contracts of pyproject.toml hold."""

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


CONTRACTS = [
    each["name"] for each in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
]


@pytest.fixture(scope="module")
def linted() -> str:
    """What import-linter says of all contracts, on one line each; in a process of its own, since it reconfigures logging."""
    script = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    command = [sys.executable, "-c", script, "--no-cache"]
    environment = {**os.environ, "COLUMNS": "500"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True).stdout


@pytest.mark.parametrize("contract", CONTRACTS)
def test_the_import_contract_holds(linted: str, contract: str) -> None:
    assert f"{contract} KEPT" in linted, linted


def test_no_contract_is_got_round_by_importing_a_module_by_its_name() -> None:
    found = []
    for path in (each for arm in ("service", "models", "workers") for each in (ROOT / arm).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            texts = [str(each.value) for each in node.args if isinstance(each, ast.Constant)]
            # A package may look for what lies in itself.
            inside = any(ast.unparse(each).startswith(("f'{__name__}.", 'f"{__name__}.')) for each in node.args)
            ours = any(text.partition(".")[0] in ("service", "models", "workers") for text in texts)
            if name in ("import_module", "__import__") and (ours or not (texts or inside)):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert found == []


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
