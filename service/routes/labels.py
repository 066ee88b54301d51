"""Routes of labels: label maps of regions, stored all or none."""

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, File, Form, Request, Response, UploadFile
from starlette.datastructures import FormData

from service import access, auth
from service.content import PNG_RESPONSE, ready, revalidated
from service.deps import Now, Reader, ServiceSettings, Store
from service.desk import AtDesk, Desk
from service.domain.classes import ClassSet
from service.domain.label_forms import in_todays_ids
from service.domain.label_readings import WORDS, LabelReading
from service.errors import Conflict, Invalid
from service.label_body import REQUEST_BODY, label_body, parse_labels
from service.label_imports import HowToCut, Void, cut, labels_imported, matched, origins_of
from service.label_maps import submissions
from service.schemas.errors import errors
from service.schemas.label_imports import MOST_LABEL_MAPS, LabelsImported, OriginsIn
from service.schemas.labels import LabelsOut, label_out
from service.schemas.paging import Id
from service.schemas.project_settings import ProjectSettings
from service.store import label_imports as imports
from service.store import labels as store
from service.store import regions
from service.store.label_imports import RegionsMoved
from service.store.migrated import ClassesChanged
from service.store.projects import get_project
from service.store.taken import cells_of

GROUP = {"name": "labels", "description": "Label maps of regions."}
_TRIES = 5
router = APIRouter(tags=[GROUP["name"]], responses=errors(403, 404))


@router.post(
    "/labels",
    response_model=LabelsOut,
    status_code=201,
    responses={**errors(409, 413, 415), 200: {"model": LabelsOut, "description": "Every label was there already."}},
    openapi_extra={"requestBody": REQUEST_BODY},
)
async def add_labels(
    body: Annotated[bytes | FormData, Depends(label_body, scope="function")],
    caller: auth.AnnotatorCaller,
    desk: AtDesk,
) -> Response:
    """Store the label maps of one or many regions, all or none.

    The same pixels again are the same label. Other pixels by the same annotator are a new version. A lease that ran out
    still counts until somebody else holds the region; a region that another annotator holds or has labelled is a 409.
    """
    return await desk.clerks.do(partial(_add, body, caller, desk))


def _add(body: bytes | FormData, caller: auth.Caller, desk: Desk) -> Response:
    sent = parse_labels(body)
    for _ in range(_TRIES):
        # Masks are decoded with no transaction open: on SQLite it would keep everybody else from writing.
        with desk.database.ask() as connection:
            frames = regions.frames(connection, {each.region_id for each in sent})
        for region_id, frame in frames.items():
            access.require_role(caller, frame.project_id, "annotator", regions.missing([region_id]))
        checked = submissions(sent, frames, desk.proofs, caller.id)
        rounds = {each.round_id for each in checked}
        with suppress(ClassesChanged), desk.database.write(rounds=rounds) as session:
            stored = store.submit(session, checked, caller.id, now=desk.now)
            break
    else:
        raise ClassesChanged
    labels = [label_out(each, frames[each.label.region_id].classes) for each in stored]
    return ready(LabelsOut(labels=labels), status=201 if any(each.created for each in stored) else 200)


LabelWords = Annotated[
    str, Form(max_length=4000, description=f"How label maps are read: {WORDS}, with commas between them.")
]
LabelMaps = Annotated[
    list[UploadFile],
    File(
        min_length=1,
        max_length=MOST_LABEL_MAPS,
        description="Label maps of class ids, PNG, TIFF, BMP or NPY, each called as its image, of the pool, and as large as that "
        "upright; the suffix may be another.",
    ),
]
Masks = Annotated[
    list[UploadFile],
    File(
        max_length=MOST_LABEL_MAPS,
        description="Where each is labelled: 8-bit PNGs, 0 where it is not, called as the label maps. Ignored pixels there are "
        "labelled, as ignored.",
    ),
]
WithoutMask = Annotated[
    Void,
    Form(
        description="What ignored pixels are of label maps that come without a mask: labelled so, or without a label."
    ),
]
Replace = Annotated[bool, Form(description="Make new versions of labels that have other pixels.")]
Origins = Annotated[
    UploadFile | None,
    File(
        description="JSON of where the labels come from, kept in the project's events: `source`, a sentence; `images`, by the "
        "name of a label map a list of its regions (x, y, width, height) with whatever is known of annotator, labelled_at, "
        "version, seconds, round and strategy. Where cells can be divided, they are divided as these are."
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arriving:
    """The form of an import."""

    label_maps: list[UploadFile]
    masks: list[UploadFile]
    reading: LabelReading
    void: Void
    replace: bool
    origins: OriginsIn


def _arriving(
    label_map: LabelMaps,
    labelled: Masks = [],  # noqa: B006 - FastAPI copies it
    label_reading: LabelWords = "",
    without_mask: WithoutMask = "labelled",
    replace: Replace = False,
    origins: Origins = None,
) -> _Arriving:
    try:
        reading = LabelReading.parse(label_reading)
    except ValueError as error:
        raise Invalid(str(error), code="bad_reading") from error
    return _Arriving(
        label_maps=label_map,
        masks=labelled,
        reading=reading,
        void=without_mask,
        replace=replace,
        origins=origins_of(origins),
    )


@router.post(
    "/projects/{id}/label-maps",
    status_code=201,
    responses={**errors(409, 413, 503), 200: {"model": LabelsImported, "description": "Nothing was new."}},
)
def import_labels(
    id: Id,
    form: Annotated[_Arriving, Depends(_arriving)],
    caller: access.ProjectReviewer,
    database: Store,
    settings: ServiceSettings,
    now: Now,
    response: Response,
) -> LabelsImported:
    """Take in labels that were made elsewhere: of each label map the regions of which every pixel is labelled. All or none.

    Regions that nobody has asked for become a round of the strategy `import`, which is learned from as any other and spends no
    budget. The same label maps again change nothing.
    """
    # Label maps are decoded with no transaction open: on SQLite it would keep everybody else from writing.
    with database.read() as session:
        sent = matched(session, id, form.label_maps, form.masks)
    for _ in range(_TRIES):
        with database.read() as session:
            project = get_project(session, id)
            known = cells_of(session, [each.image.id for each in sent])
        how = HowToCut(
            classes=ClassSet.from_json(project.classes),
            settings=ProjectSettings.model_validate(project.settings),
            limits=settings,
            reading=form.reading,
            void=form.void,
            origins=form.origins.images,
        )
        cuts = [cut(each, how, frozenset(known.get(each.image.id, ()))) for each in sent]
        with suppress(RegionsMoved, ClassesChanged), database.write() as session:
            imported = imports.import_labels(
                session,
                id,
                [each.labels for each in cuts],
                caller.id,
                class_changes=how.classes.changes,
                replace=form.replace,
                source=form.origins.source or "",
                now=now,
            )
            break
    else:
        raise Conflict(
            "Regions of these images are being asked for just now: send the label maps again.", code="regions_moved"
        )
    news = any(each.status in ("labelled", "replaced") for each in imported.outcomes)
    response.status_code = 201 if news else 200
    return labels_imported(cuts, imported)


@router.get("/regions/{id}/label", response_class=Response, responses=PNG_RESPONSE)
def get_label(id: Id, request: Request, viewer: access.RegionViewer, session: Reader) -> Response:
    """The label map that counts, of an annotator's own ones: an 8-bit PNG of class ids in the classes' colours."""
    label = regions.counting_label(session, id, by=viewer.own)
    frame = regions.frames(session, [id])[id]
    png = in_todays_ids(label.mask, frame.classes, height=frame.height, width=frame.width)
    # Somebody's own label may be of before the classes were changed, and changes with them.
    tag = label.digest if png is label.mask else f"{label.digest}-{frame.classes.changes}"
    return revalidated(request, tag=tag, media_type="image/png", body=lambda: png)
