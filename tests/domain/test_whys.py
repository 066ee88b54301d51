"""Why a region was asked for, in words."""

import pytest

from models.strategies import STRATEGIES
from service.domain.methods import REFERENCES
from service.domain.whys import SeenClass, why

POLE = SeenClass(id=2, name="Pole", predicted=0.12, labelled=0.009)
ROAD = SeenClass(id=1, name="Road", predicted=0.8, labelled=0.5)


def test_sentences_follow_from_what_is_known() -> None:
    assert why("learned", 0.93, [ROAD, POLE]) == (
        "Asked for by a policy that has learned which labels help. The network is less sure here than in 93% of this image. "
        "What looks like Pole is 12% of this region, and 0.9% of all labels."
    )
    assert why("random", None, []) == "Drawn at random."
    assert why("random", 0.25, []) == "Drawn at random. The network is surer here than in 75% of this image."
    assert why(None, None, []) == ""


@pytest.mark.parametrize(
    "seen",
    [
        ROAD,
        SeenClass(id=2, name="Pole", predicted=0.04, labelled=0.0),  # too little of the region
        SeenClass(id=2, name="Pole", predicted=0.12, labelled=None),
        SeenClass(id=2, name="Pole", predicted=0.12, labelled=0.07),
    ],
)
def test_what_is_not_rare_is_not_spoken_of(seen: SeenClass) -> None:
    assert "looks like" not in why("entropy", 0.6, [seen])


def test_a_class_that_nobody_has_labelled_is_rare() -> None:
    assert "Pole" in why("entropy", 0.6, [SeenClass(id=2, name="Pole", predicted=0.06, labelled=0.0), ROAD])


def test_every_strategy_of_a_campaign_has_its_words() -> None:
    for name in set(STRATEGIES) - set(REFERENCES):
        assert why(name, None, [])
