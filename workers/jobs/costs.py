"""What regions cost by a project's own labels, as the loop takes it."""

from collections.abc import Sequence
from dataclasses import replace

from service.domain.costs import fitted_seconds
from service.domain.masks import decode_label_png
from service.domain.outlines import clicks_of_each
from service.store.pool import TimedLabel
from workers.jobs.project import ProjectData
from workers.loop.round import LoopSettings


def with_seconds(project: ProjectData, labels: Sequence[TimedLabel]) -> LoopSettings:
    """The loop's settings, the cost fitted to labels whose seconds are known where regions cost seconds."""
    if project.settings.cost != "seconds":
        return project.loop
    label_maps = [
        project.classes.to_indices(decode_label_png(each.mask, height=each.height, width=each.width)) for each in labels
    ]
    return replace(project.loop, cost=fitted_seconds(clicks_of_each(label_maps), [each.seconds for each in labels]))
