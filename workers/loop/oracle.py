"""Answers a proposal from ground truth, as a perfect annotator would."""

from workers.datasets.base import ImageSource
from workers.loop.labelled import Answer
from workers.loop.round import Proposal


class Oracle:
    """Knows the label maps of the pool's images."""

    def __init__(self, images: ImageSource) -> None:
        self._images = images

    def answer(self, proposal: Proposal) -> list[Answer]:
        """The true label map of every proposed region."""
        return [
            Answer(
                image=region.image,
                cell=region.cell,
                box=region.box,
                label_map=self._images.label_map(region.image)[region.box.slices].copy(),
            )
            for region in proposal.regions
        ]
