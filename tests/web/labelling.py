"""Labels that are there before a reviewer comes, and pages that a reviewer opens."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from playwright.sync_api import BrowserContext, Page
from sqlalchemy import select

from service.auth import hash_token
from service.domain.masks import decode_label_png, encode_label_png
from service.tables import Annotator, Label, Region
from tests.web.conftest import Campaign

CLASSES = 11
Contexts = Callable[[], BrowserContext]
LabelMap = npt.NDArray[np.uint8]


def labelled(campaign: Campaign, region: Region, *maps: LabelMap, state: str = "labelled") -> list[str]:
    """Give a region a label map by a new annotator each; returns their names."""
    names = []
    for version, label_map_HW in enumerate(maps, 1):
        token = campaign.make.annotator()
        with campaign.make.database.write() as session:
            by = session.scalars(select(Annotator).where(Annotator.token_hash == hash_token(token))).one()
            by.name = f"annotator {by.id}"
            label = Label(region_id=region.id, annotator_id=by.id, version=version, kind="annotated")
            label.mask = encode_label_png(label_map_HW)
            label.digest = f"{region.id}-{version}"
            label.class_counts = np.bincount(label_map_HW.ravel(), minlength=CLASSES)[:CLASSES].tolist()
            label.created_at = campaign.make.clock()
            session.add(label)
            row = session.get_one(Region, region.id)
            row.state, row.overlap, row.answers = state, len(maps), len(maps)
            names.append(by.name)
    return names


def plain(region: Region, class_id: int) -> LabelMap:
    """A label map of one class."""
    return np.full((region.height, region.width), class_id, np.uint8)


def reviewer_page(campaign: Campaign, contexts: Contexts, place: str, script: str = "") -> tuple[Page, int]:
    """A page of the project as a new reviewer sees it, with a script that runs before its own, and the reviewer's number."""
    token = campaign.make.annotator("reviewer")
    with campaign.make.database.read() as session:
        number = session.scalars(select(Annotator.id).where(Annotator.token_hash == hash_token(token))).one()
    page = contexts().new_page()
    page.add_init_script(script)
    page.on("pageerror", lambda error: pytest.fail(f"The page threw {error}"))
    page.goto(f"{campaign.url}/app/#token={token}/projects/{campaign.project.id}/{place}")
    return page, number


def newest(campaign: Campaign, region: Region) -> tuple[str, int, LabelMap]:
    """Kind, author and label map of a region's newest label."""
    with campaign.make.database.read() as session:
        chosen = select(Label).where(Label.region_id == region.id).order_by(Label.version.desc()).limit(1)
        label = session.scalars(chosen).one()
        return label.kind, label.annotator_id, decode_label_png(label.mask, height=region.height, width=region.width)
