"""Turns what a caller sends into label maps that can be stored: decoded, checked against the region, counted."""

import base64
import binascii
from collections.abc import Mapping, Sequence

from service.domain.classes import LabelMap, UnknownClassIds
from service.domain.label_forms import stored_form
from service.domain.masks import MaskError, decode_label_png, label_map_from_rles
from service.errors import Invalid, ServiceError, TooLarge
from service.lease_proofs import LeaseProofs
from service.schemas.labels import LabelForm, LabelIn, MaskForm, MaskIn
from service.store.labels import Submission
from service.store.regions import Frame


def submissions(
    sent: Sequence[LabelIn] | Sequence[LabelForm], frames: Mapping[int, Frame], proofs: LeaseProofs, annotator_id: int
) -> list[Submission]:
    """What is to be stored. Raises Invalid or TooLarge, naming the region, where something does not fit."""
    leases = {each.region_id: proofs.proven(each.lease_token, each.region_id, annotator_id) for each in sent}
    return [submission(each, each.region_id, frames[each.region_id], lease_id=leases[each.region_id]) for each in sent]


def submission(sent: MaskIn | MaskForm, region_id: int, frame: Frame, *, lease_id: int | None) -> Submission:
    """A label map of a region. Raises Invalid or TooLarge, naming the region, where something does not fit."""
    try:
        label_map_HW = _decoded(sent, frame)
        indices_HW = frame.classes.to_indices(label_map_HW)
    except MaskError as error:
        raise _refused(region_id, error.code, error.message) from error
    except UnknownClassIds as error:
        raise _refused(region_id, "unknown_class_ids", str(error), ids=error.ids) from error
    png, digest, counts = stored_form(label_map_HW, indices_HW, frame.classes)
    return Submission(
        region_id=region_id,
        round_id=frame.round_id,
        mask=png,
        digest=digest,
        class_counts=counts,
        seconds=sent.seconds,
        idle_seconds=sent.idle_seconds,
        lease_id=lease_id,
        class_changes=frame.classes.changes,
    )


def _decoded(sent: MaskIn | MaskForm, frame: Frame) -> LabelMap:
    size = {"height": frame.height, "width": frame.width}
    if isinstance(sent, MaskForm):
        return decode_label_png(sent.mask or b"", **size)
    if sent.rle is not None:
        rles = {int(class_id): rle.model_dump() for class_id, rle in sent.rle.items()}
        return label_map_from_rles(rles, **size, ignore_id=frame.classes.ignore_id)
    return decode_label_png(_unpacked(sent.mask_png or ""), **size)


def _unpacked(text: str) -> bytes:
    try:
        return base64.b64decode(text.partition(",")[2] if text.startswith("data:") else text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MaskError("not_an_image", "mask_png is not base64.") from error


def _refused(region_id: int, code: str, message: str, **detail: object) -> ServiceError:
    kind = TooLarge if code == "too_large" else Invalid
    return kind(f"Region {region_id}: {message}", code=code, detail={"region_id": region_id, **detail})
