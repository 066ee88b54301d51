"""Projects over the wire, and the settings a campaign runs with."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from service.domain.classes import CAMVID, CITYSCAPES, ClassSet
from service.schemas.choices import ChoiceOut
from service.schemas.fields import Input, Moment, Name
from service.schemas.members import Members
from service.schemas.project_settings import CHANGEABLE, ProjectSettings, whole
from service.schemas.stalled import StalledOut
from service.tables import Project

PRESETS = {"camvid": CAMVID, "cityscapes": CITYSCAPES}


class ClassIn(Input):
    """A class of label maps."""

    id: int = Field(ge=0, le=255, description="Its value in label maps.", examples=[0])
    name: Name = Field(description="What people call it.", examples=["Sky"])
    color: list[Annotated[int, Field(ge=0, lt=2**31)]] = Field(
        min_length=3, max_length=3, description="Red, green and blue, 0 to 255 each.", examples=[[128, 128, 128]]
    )


class ClassesIn(Input):
    """The classes of a project; the order matters, for lists of values per class follow it."""

    classes: list[ClassIn] = Field(min_length=2, max_length=255, description="At least two, with different ids.")
    ignore_id: int = Field(255, ge=0, le=255, description="The value of pixels that belong to no class.")


class ProjectIn(Input):
    """A new campaign."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "streets", "classes": "camvid", "settings": {"budget": 240}}]}
    )

    name: Name = Field(description="Unlike that of every other project.", examples=["streets"])
    classes: Literal["camvid", "cityscapes"] | ClassesIn = Field(
        description="A known list (camvid: 11 classes, ignored 11; cityscapes: 19 train ids, ignored 255), or your own."
    )
    settings: Annotated[ProjectSettings, AfterValidator(whole)] = Field(
        default_factory=lambda: ProjectSettings(), description="How regions are cut, chosen and learned from."
    )
    members: Members = Field(
        [], description="Who takes part, beside you; `everyone`: all who may call, and whoever is added later."
    )


class ProjectPatch(Input):
    """What is to change; what is left out stays."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"active": False}, {"settings": {"budget": 480}}, {"name": "night"}]}
    )

    name: Name | None = Field(
        None, description="Another name, unlike that of every other project.", examples=["streets"]
    )
    active: bool | None = Field(None, description="Whether regions are given out and new rounds proposed.")
    open_to_all: bool | None = Field(
        None,
        description="True makes everybody who may call a member, and whoever is added later; members may still be removed.",
    )
    settings: ProjectSettings | None = Field(
        None,
        description="Some of the settings. Once there are images or rounds, only those that may change meanwhile: "
        + ", ".join(CHANGEABLE)
        + ".",
    )


class ClassOut(BaseModel):
    """A class of label maps."""

    id: int = Field(description="Its value in label maps.", examples=[0])
    name: str = Field(description="What people call it.", examples=["Sky"])
    color: list[int] = Field(description="Red, green and blue.", examples=[[128, 128, 128]])
    was: list[str] = Field([], description="Names that it had before.", examples=[[]])


class RetiredOut(ClassOut):
    """A class that was merged into another or removed. Label maps that hold its id are read by what became of it."""

    into: int | None = Field(description="The class that its pixels are of; null: they are ignored.", examples=[8])
    place: int = Field(description="Where it stood among all classes that there ever were, from 0.", examples=[9])


class ProjectOut(BaseModel):
    """A campaign."""

    id: int = Field(description="The project's number.", examples=[1])
    name: str = Field(description="Its name.", examples=["streets"])
    active: bool = Field(description="Whether regions are given out and new rounds proposed.")
    open_to_all: bool = Field(description="Whether everybody who is added to the service becomes a member.")
    classes: list[ClassOut] = Field(description="The classes, in order.")
    retired: list[RetiredOut] = Field([], description="Classes that there are no more.", examples=[[]])
    changes: int = Field(0, description="How often the classes were changed.", examples=[0])
    ignore_id: int = Field(description="The value of pixels that belong to no class.", examples=[11])
    settings: ProjectSettings = Field(description="How regions are cut, chosen and learned from.")
    created_at: Moment = Field(description="When it was made.")


class LatestCheckpoint(BaseModel):
    """The newest weights of a kind."""

    id: int = Field(description="The checkpoint's number.", examples=[4])
    created_at: Moment = Field(description="When it was saved.")


class ProjectDetail(ProjectOut):
    """A campaign and how far it has come."""

    images: dict[str, int] = Field(description="Images in each split.", examples=[{"state": 10, "pool": 257}])
    pool_regions: int = Field(description="Regions that the pool's images divide into.", examples=[6168])
    regions: dict[str, int] = Field(
        description="Proposed regions by state.", examples=[{"open": 3, "review": 0, "labelled": 237, "skipped": 0}]
    )
    rounds: dict[str, int] = Field(
        description="Rounds by state.", examples=[{"scoring": 0, "open": 1, "labelled": 0, "told": 9}]
    )
    budget_left: int | None = Field(
        description="Regions that may still be proposed before the budget is reached; null without a budget.",
        examples=[240],
    )
    checkpoints: dict[str, LatestCheckpoint] = Field(
        description="The newest checkpoint of each kind there is: source, segmenter, policy, final."
    )
    choice: ChoiceOut = Field(description="What rounds are asked for by, and what that saves.")
    miou: float | None = Field(description="Of the newest segmenter on the reward split, if measured.", examples=[0.52])
    warning: str | None = Field(
        description="Of the newest round learned from: mIoU fell by more than its noise, in it or over several rounds; and of "
        "the newest policy: it had gained nothing. Null: neither. Rounds go on.",
        examples=[None],
    )
    stalled: list[StalledOut] = Field(description="Rounds that do not come further, and why.", examples=[[]])


def class_outs(classes: ClassSet) -> list[ClassOut]:
    """Classes as the API shows them."""
    return [ClassOut.model_validate(each) for each in classes.to_json()["classes"]]


def retired_outs(classes: ClassSet) -> list[RetiredOut]:
    """Retired classes as the API shows them."""
    return [RetiredOut.model_validate(each) for each in classes.to_json().get("retired", ())]


def class_set(classes: str | ClassesIn) -> ClassSet:
    """The classes that a caller means. Raises ValueError with a sentence where they contradict each other."""
    return PRESETS[classes] if isinstance(classes, str) else ClassSet.from_json(classes.model_dump())


def project_out(project: Project) -> ProjectOut:
    """A project as the API shows it."""
    classes = ClassSet.from_json(project.classes)
    return ProjectOut(
        id=project.id,
        name=project.name,
        active=project.active,
        open_to_all=project.open_to_all,
        classes=class_outs(classes),
        retired=retired_outs(classes),
        changes=classes.changes,
        ignore_id=classes.ignore_id,
        settings=ProjectSettings.model_validate(project.settings),
        created_at=project.created_at,
    )
