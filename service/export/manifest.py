"""The manifest of an export: images by their original names, and of each region who labelled it, when, and why it was asked."""

from collections.abc import Iterable, Mapping
from typing import Any

from service.domain.regions import Box
from service.export.drawn import Drawn
from service.store.export import ExportedRegion, PredictedRegion
from service.tables import Checkpoint


def image_entry(drawn: Drawn, files: Mapping[str, str], *, with_predictions: bool) -> dict[str, Any]:
    """What the manifest says of an image; `files` are the paths of its files in the archive by what they are."""
    image = drawn.image
    entry: dict[str, Any] = {
        "image_id": image.id,
        "image": image.name,
        "sha256": image.digest,
        "reading": image.reading or {},
        "split": image.split,
        "width": image.width,
        "height": image.height,
        **files,
        "complete": bool(drawn.labels.covered_HW.all()),
        "regions": [_region(each) for each in drawn.regions],
    }
    if with_predictions:
        entry["predicted"] = [_predicted(each) for each in drawn.predicted]
    return entry


def checkpoints_named(drawn: Drawn) -> set[int]:
    """The checkpoints that the entry of an image speaks of."""
    named = {each.checkpoint_id for each in drawn.predicted}
    for region in drawn.regions:
        named |= {region.checkpoint_id, region.policy_id, region.prediction_checkpoint_id}
    return {each for each in named if each is not None}


def checkpoint_entries(checkpoints: Iterable[Checkpoint]) -> list[dict[str, Any]]:
    """What the manifest says of checkpoints: the hash is that of the file."""
    return [
        {
            "id": each.id,
            "kind": each.kind,
            "sha256": each.blob_key.rpartition("/")[2].partition(".")[0],
            "made_at": each.created_at.isoformat(),
        }
        for each in checkpoints
    ]


def _region(region: ExportedRegion) -> dict[str, Any]:
    return {
        "region_id": region.region_id,
        **_place(region.box),
        "round": region.round_number,
        "strategy": region.strategy,
        "score": region.score,
        "checkpoint_id": region.checkpoint_id,
        "policy_id": region.policy_id,
        "prediction_checkpoint_id": region.prediction_checkpoint_id,
        "annotator": region.annotator,
        "label_id": region.label_id,
        "version": region.version,
        "kind": region.kind,
        "seconds": region.seconds,
        "labelled_at": region.created_at.isoformat(),
    }


def _predicted(region: PredictedRegion) -> dict[str, Any]:
    return {
        "region_id": region.region_id,
        **_place(region.box),
        "round": region.round_number,
        "checkpoint_id": region.checkpoint_id,
    }


def _place(box: Box) -> dict[str, int]:
    return {"x": box.col, "y": box.row, "width": box.width, "height": box.height}
