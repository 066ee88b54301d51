"""ActiveLearner: a chooser and a learner that share a segmenter and what is labelled."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.segmenter import Segmenter
from models.strategies import Strategy
from service.domain.divided import AnyPool
from workers.datasets.base import ImageSource
from workers.loop.chooser import Chooser
from workers.loop.labelled import Answer, LabelledSet
from workers.loop.learner import Learner
from workers.loop.observer import Observer
from workers.loop.round import LoopSettings, Proposal, RoundResult


@dataclass(kw_only=True)
class ActiveLearner:
    """Asks and tells in turn, as games and simulations do; the live service's jobs use either half by itself.

    images, state, reward: D_V, numbered as the pool numbers it, D_S and D_R, where there are any. truth: the label maps
    of `images`, which only simulations have. budget: B, where it is known. known: images labelled as a whole, for a refit.
    """

    segmenter: Segmenter
    strategy: Strategy
    pool: AnyPool
    labelled: LabelledSet
    images: ImageSource
    state: ImageSource | None
    reward: ImageSource | None
    settings: LoopSettings
    seed: int
    truth: ImageSource | None = None
    budget: int | None = None
    known: Sequence[ImageSource] = ()

    def __post_init__(self) -> None:
        observer = Observer(
            images=self.images,
            state=self.state,
            truth=self.truth,
            labelled=self.labelled,
            settings=self.settings,
            budget=self.budget,
            known=self.known,
            measured=self.reward,
        )
        self.chooser = Chooser(
            segmenter=self.segmenter,
            strategy=self.strategy,
            pool=self.pool,
            observer=observer,
            settings=self.settings,
            seed=self.seed,
        )
        self.learner = Learner(
            segmenter=self.segmenter,
            labelled=self.labelled,
            images=self.images,
            reward=self.reward,
            settings=self.settings,
            seed=self.seed,
            known=self.known,
        )

    def ask(self, count: int | None = None, *, round_number: int) -> Proposal:
        """As Chooser.ask."""
        return self.chooser.ask(count, round_number=round_number)

    def tell(self, answers: Sequence[Answer], *, round_number: int, measured: bool = True) -> RoundResult:
        """As Learner.tell; what asks from then on looks as finely as what has learned."""
        result = self.learner.tell(answers, round_number=round_number, measured=measured)
        self.segmenter = self.chooser.segmenter = self.learner.segmenter
        return result
