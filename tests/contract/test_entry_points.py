"""What the command line asks the arm with torch for is registered, is there, and is told of in a sentence where it is not."""

import re
from importlib.metadata import EntryPoints, entry_points
from pathlib import Path

import pytest

from service import arms, cli, cli_import, commands

MODULES = [Path(cli.__file__), Path(cli_import.__file__), *Path(commands.__file__).parent.glob("*.py")]
CLI = "\n".join(path.read_text() for path in MODULES)


def test_what_is_registered_is_what_the_command_line_asks_for() -> None:
    registered = entry_points(group="regionwise.workers")
    assert {each.name for each in registered} == set(re.findall(r'offered\("(\w+)"\)', CLI))
    for each in registered:
        assert each.module.partition(".")[0] == "workers"
        assert callable(each.load())


def test_the_command_line_names_no_module_of_workers() -> None:
    assert not re.findall(r"import_module|workers\.\w+\.|from workers|import workers", CLI)


def test_an_installation_without_torch_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    class Missing:
        def load(self) -> None:
            raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(arms, "entry_points", lambda group: {"demo": Missing()})
    with pytest.raises(ValueError, match=r"This needs the package torch: pip install 'regionwise\[worker\]'"):
        arms.offered("demo")


def test_an_installation_from_before_they_were_registered_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arms, "entry_points", lambda group: EntryPoints())
    with pytest.raises(ValueError, match="install it again with pip"):
        arms.offered("embedded")
