"""A scripted annotator: takes regions and posts the ground truth, as an ordinary client of the HTTP API."""

import base64
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from service.client import ApiError, Client
from service.domain.image_names import stem_of
from service.domain.masks import decode_png, encode_label_png

MAX_PIXELS = 100_000_000
_WAIT_SECONDS = 20  # less than proxies wait for an answer


class TruthFolder:
    """Label maps of whole images: 8-bit PNGs of class ids, at their images' paths."""

    def __init__(self, folder: Path) -> None:
        """Raises FileNotFoundError with a sentence where there are no PNGs."""
        self._folder = folder
        self._paths = {
            path.relative_to(folder).with_suffix("").as_posix(): path
            for path in sorted(folder.rglob("*"))
            if path.suffix.lower() == ".png"
        }
        if not self._paths:
            raise FileNotFoundError(
                f"{folder} holds no PNG label maps; an oracle needs one for each image of the pool."
            )

    def cut(self, image: Mapping[str, Any], region: Mapping[str, int]) -> bytes:
        """The region's part of an image's label map, as a PNG; `image` as the API describes it.

        Raises ValueError for a label map of another size than the image, FileNotFoundError for one that is not there.
        """
        path = self._path(str(image["name"]))
        label_map = decode_png(path.read_bytes(), max_pixels=MAX_PIXELS)
        if label_map.shape != (image["height"], image["width"]):
            found, wanted = (f"{h} x {w}" for h, w in (label_map.shape, (image["height"], image["width"])))
            raise ValueError(
                f"The label map {path} is {found} pixels high and wide, its image {image['name']} {wanted}."
            )
        rows = slice(region["y"], region["y"] + region["height"])
        cols = slice(region["x"], region["x"] + region["width"])
        return encode_label_png(np.ascontiguousarray(label_map[rows, cols]))

    def _path(self, name: str) -> Path:
        """At the image's path, or, where there is just one of its name in all folders, that one."""
        whole = stem_of(name)
        if whole in self._paths:
            return self._paths[whole]
        stem = PurePosixPath(whole).name
        alike = [path for place, path in self._paths.items() if PurePosixPath(place).name == stem]
        if len(alike) == 1:
            return alike[0]
        if alike:
            raise FileNotFoundError(
                f"{self._folder} has {len(alike)} label maps {stem}.png, and none at {whole}.png, where that of {name} should be."
            )
        raise FileNotFoundError(f"There is no label map {whole}.png in {self._folder} for the image {name}.")


_TOO_LATE = ("lease_lost", "region_labelled", "region_review", "region_reviewed", "region_skipped", "region_not_found")


@dataclass(kw_only=True)
class ScriptedAnnotator:
    """Labels regions until there are none left, or `limit` are labelled."""

    client: Client
    truth: TruthFolder
    project: int
    at_once: int = 8
    limit: int | None = None
    seconds_per_region: float = 0.0
    progress: Callable[[int], None] = lambda labelled: None
    sleep: Callable[[float], None] = time.sleep
    _images: dict[int, dict[str, Any]] = field(default_factory=dict)

    def run(self, *, wait: bool = True) -> int:
        """Label; returns how many. Without `wait`, ends as soon as there is nothing to give.

        Raises ValueError where a job has failed that the campaign needs: no region would ever come.
        """
        labelled = 0
        while self.limit is None or labelled < self.limit:
            count = self.at_once if self.limit is None else min(self.at_once, self.limit - labelled)
            params = {"project": self.project, "count": count, "wait": _WAIT_SECONDS if wait else 0}
            given = self.client.call("GET", "/next-regions", params=params)
            if not given["items"]:
                if given["reason"] == "failed":
                    raise ValueError(f"The campaign stands still: {given['sentence']}")
                if given["reason"] in ("budget_reached", "pool_empty", "not_started") or not wait:
                    break
                self.sleep(min(5.0, float(given["retry_after"] or 1)))
                continue
            for region in given["items"]:
                labelled += self._label(region)
                self.progress(labelled)
        return labelled

    def _label(self, region: dict[str, int]) -> int:
        mask = self.truth.cut(self._image(region["image_id"]), region)
        self.sleep(self.seconds_per_region)
        label = {
            "region_id": region["id"],
            "lease_token": region["lease_token"],
            "mask_png": base64.b64encode(mask).decode(),
            "seconds": self.seconds_per_region,
        }
        try:
            self.client.call("POST", "/labels", json={"labels": [label]})
        except ApiError as error:
            if error.code in _TOO_LATE:
                return 0  # somebody else was faster, or an admin finished the round; the next region is as good
            raise
        return 1

    def _image(self, image_id: int) -> dict[str, Any]:
        if image_id not in self._images:
            self._images[image_id] = self.client.call("GET", f"/images/{image_id}")
        return self._images[image_id]
