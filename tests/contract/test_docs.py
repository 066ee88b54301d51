"""What the documents promise is there: every setting, and every page that another page links to."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.main import get_command

from models.strategies import REFERENCES, STRATEGIES
from service.cli import app
from service.domain import methods
from service.schemas.export import ExportFormat
from service.schemas.project_settings import ProjectSettings
from service.settings import Settings

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [page for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md") if page.exists()]
PAGES += sorted(DOCS.rglob("*.md"))
FORMATS = get_args(ExportFormat)
# What a run's report wrote is found from the page beside it.
WRITTEN = set((DOCS / "results").glob("*/report.md"))


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_is_documented(name: str) -> None:
    assert f"`REGIONWISE_{name.upper()}`" in (ROOT / "docs" / "operations.md").read_text()


def commands(group: Any, before: str = "regionwise") -> Iterator[str]:
    """Every command of a group, as it is typed, those of the groups in it included."""
    for name, command in group.commands.items():
        inner = hasattr(command, "commands")
        yield from commands(command, f"{before} {name}") if inner else [f"{before} {name}"]


@pytest.mark.parametrize("command", list(commands(get_command(app))))
def test_every_command_has_its_place_in_the_table(command: str) -> None:
    section = (ROOT / "docs" / "operations.md").read_text().partition("## The command line")[2].partition("\n## ")[0]
    assert command in re.findall(r"`(regionwise [a-z -]+?)(?: [\[A-Z][^`]*)?`", section)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def assert_named_once(place: str, named: Iterable[str], wanted: Iterable[str]) -> None:
    there, due = Counter(named), Counter(wanted)
    lacking, stray = ", ".join(due - there), ", ".join(there - due)
    assert not lacking, f"{place} lacks {lacking}"
    assert not stray, f"{place} has {stray}, which should not be there (again)"


def test_the_names_of_strategies_are_those_that_the_models_have() -> None:
    named = [*methods.BASELINES, methods.LEARNED]
    assert_named_once("Baseline in service/domain/methods.py", named, STRATEGIES)
    assert_named_once("REFERENCES in service/domain/methods.py", methods.REFERENCES, REFERENCES)


def test_a_campaign_can_choose_by_every_strategy_and_by_no_reference() -> None:
    schema = ProjectSettings.model_json_schema()["properties"]["strategy"]
    assert schema["enum"] == [*methods.BASELINES, methods.LEARNED, methods.AUTO]


def test_every_strategy_has_its_row_in_the_method_s_table() -> None:
    section = (ROOT / "docs" / "method.md").read_text().partition("## 10. Strategies")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (\S+) \|.*\|$", section, re.MULTILINE)
    wanted = [*methods.BASELINES, methods.LEARNED, methods.AUTO, *methods.REFERENCES]
    assert_named_once("The table of docs/method.md, section 10,", rows[1:], wanted)


def test_the_readme_says_every_strategy_that_a_campaign_can_choose_by() -> None:
    text = (
        (ROOT / "README.md")
        .read_text()
        .partition("The strategy is a project setting:")[2]
        .partition("What a strategy needs")[0]
    )
    named = re.findall(r"`(\S+?)`", text)
    wanted = [*methods.BASELINES, methods.LEARNED, methods.AUTO]
    assert_named_once("README.md, 'The strategy is a project setting',", named, wanted)


def test_every_format_of_exports_has_its_row_and_is_named_in_the_readme() -> None:
    section = (ROOT / "docs" / "operations.md").read_text().partition("## Exports")[2].partition("\n## ")[0]
    assert_named_once(
        "The table of docs/operations.md, Exports,", re.findall(r"^\| `(\S+)` \|", section, re.M), FORMATS
    )
    text = (ROOT / "README.md").read_text().partition("takes the labels away")[2].partition("[what each holds]")[0]
    assert_named_once("README.md, what an export can be,", re.findall(r"`(\S+?)`", text), FORMATS)


def test_every_project_setting_says_what_it_is() -> None:
    assert all(field.description for field in ProjectSettings.model_fields.values())


def test_the_index_names_every_page() -> None:
    index = DOCS / "README.md"
    linked = {
        (DOCS / target).resolve() for target in re.findall(r"^\* \[[^]]*\]\(([^)#]+)\): ", index.read_text(), re.M)
    }
    assert linked.issuperset(set(DOCS.rglob("*.md")) - {index} - WRITTEN)
