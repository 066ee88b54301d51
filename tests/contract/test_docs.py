"""What the documents promise is there: every setting, and every page that another page links to."""

import re
from pathlib import Path

import pytest

from models.strategies import STRATEGIES
from service.schemas.projects import ProjectSettings, StrategyName
from service.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_is_documented(name: str) -> None:
    assert f"`REGIONWISE_{name.upper()}`" in (ROOT / "docs" / "operations.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_the_service_knows_the_strategies_that_the_models_have() -> None:
    assert set(StrategyName.__args__) == set(STRATEGIES)


def test_every_project_setting_says_what_it_is() -> None:
    assert all(field.description for field in ProjectSettings.model_fields.values())
