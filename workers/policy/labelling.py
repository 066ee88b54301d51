"""The game that trains policies: rounds of ask, oracle and tell, paid by mIoU on D_R, gained or in advance of a twin."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.segmenter import Segmenter
from models.strategies import Strategy
from service.domain.divided import pool_of
from workers.chance import numpy_generator, torch_generator
from workers.datasets.base import ImageSource
from workers.loop.chooser import Chooser
from workers.loop.labelled import Answer, LabelledSet
from workers.loop.learner import Learner
from workers.loop.observer import Observer
from workers.loop.oracle import Oracle, restore
from workers.loop.round import LoopSettings, Proposal, RoundResult, groups_of
from workers.policy.game import Asked, Told


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a game is played.

    images, state, reward: D_T with its label maps, D_S and D_R. start: gives a copy of the segmenter that an episode begins
    with, the same every time. known: what that has learned from as a whole, and a refit keeps learning from.
    """

    images: ImageSource
    state: ImageSource
    reward: ImageSource
    start: Callable[[], Segmenter]
    known: Sequence[ImageSource] = ()


class Episode:
    """One game, with nothing labelled at its beginning. All chance follows from the seed and the round."""

    def __init__(self, place: Place, settings: LoopSettings, *, budget: int, seed: int) -> None:
        """`budget` is B, in regions."""
        self.settings, self.budget, self.seed = settings, budget, seed
        self.round = 0
        # Of the round that was asked for last, and of the one that was told last.
        self.proposal = Proposal(round_number=0, strategy="", regions=(), seconds={})
        self.result: RoundResult | None = None
        self.images = place.images
        self.pool = pool_of(groups_of(place.images, settings), settings.levels)
        self.labelled = LabelledSet(settings.classes)
        self.learner = Learner(
            segmenter=place.start(),
            labelled=self.labelled,
            images=place.images,
            reward=place.reward,
            settings=settings,
            seed=seed,
            known=place.known,
        )
        self._observer = Observer(
            images=place.images,
            state=place.state,
            truth=None,
            labelled=self.labelled,
            settings=settings,
            budget=budget,
            known=place.known,
            measured=place.reward,
        )
        self._oracle = Oracle(place.images)
        self._answers: list[Answer] = []

    @property
    def miou(self) -> float:
        """Of f on D_R as it is now."""
        measured = self.learner.measured_miou()
        if measured is None:
            raise ValueError("A policy is paid by mIoU on D_R, which has no images.")
        return measured[0]

    @property
    def over(self) -> bool:
        """Whether the budget is spent or the pool empty."""
        return self.labelled.cells >= self.budget or self.pool.left == 0

    def ask(self, strategy: Strategy, epsilon: float) -> Proposal:
        """A round of the loop that the live service and the simulation go through."""
        chooser = Chooser(
            segmenter=self.learner.segmenter,
            strategy=strategy,
            pool=self.pool,
            observer=self._observer,
            settings=self.settings,
            seed=self.seed,
        )
        size = min(math.ceil(self.budget - self.labelled.cells), self.settings.batch_size)
        self.proposal = chooser.ask(size, round_number=self.round, epsilon=epsilon)
        return self.proposal

    def tell(self, *, measured: bool = True) -> RoundResult:
        """The oracle labels the round's regions, and f learns from them; only where it is `measured` is the reward known."""
        answers = self._oracle.answer(self.proposal)
        self.result = self.learner.tell(answers, round_number=self.round, measured=measured)
        self._answers += answers
        self.round += 1
        return self.result

    def influences(self) -> tuple[float, ...]:
        """Of each region that was asked for what its true labels would do to D_R, for the head before it learns from them."""
        regions = self.proposal.regions
        where = np.array([each.image for each in regions]), np.array([each.cell for each in regions])
        generator = torch_generator(self.seed, "influence", self.round)
        gains = self._observer.gains(self.learner.segmenter, self.images, where, generator)
        return tuple(gains.tolist())

    def miou_of_twin(self) -> float:
        """mIoU on D_R as the round that was asked for would leave it, had its regions been picked at random from the same pools.

        They are learned from as the round's own are: from the same weights, with the same draws.
        """
        pools = self.proposal.candidates
        places = numpy_generator(self.seed, "twin", self.round).integers([len(pool) for pool in pools])
        picked = np.array([pool[place] for pool, place in zip(pools, places, strict=True)], np.int64)
        images, cells = self.pool.locate(picked)
        answers = self._oracle.answers_at(zip(images.tolist(), cells.tolist(), strict=True), self.settings)
        miou = self.learner.miou_if(answers, round_number=self.round)
        assert miou is not None
        return miou

    def meta(self) -> dict[str, Any]:
        """The round and what is labelled."""
        return {"round": self.round, "regions": [[answer.image, answer.cell] for answer in self._answers]}

    def tensors(self) -> dict[str, Tensor]:
        """f's weights, what its optimizer remembers, and how it does on D_R."""
        measured = self.learner.measured()
        assert measured is not None
        saved = {f"segmenter.{key}": tensor for key, tensor in self.learner.segmenter.state_dict().items()}
        return saved | self.learner.momentum | {"confusions": torch.from_numpy(measured)}

    def load(self, meta: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """From its beginning, go on from what `meta` and `tensors` gave."""
        weights = {key: value for key, value in tensors.items() if key.startswith("segmenter.")}
        self.learner.segmenter.load_state_dict({key.removeprefix("segmenter."): each for key, each in weights.items()})
        self.round, self._answers = meta["round"], self._oracle.answers_at(meta["regions"], self.settings)
        restore(self._answers, self.labelled, self.pool)
        momentum = {key: value for key, value in tensors.items() if key.startswith("momentum.")}
        self.learner.resume(momentum, tensors["confusions"].cpu().numpy())


class LabellingGame:
    """Episodes at one place."""

    def __init__(
        self,
        place: Place,
        settings: LoopSettings,
        *,
        budget: int,
        seed: int,
        twin: bool = False,
        influence: bool = False,
        trials: int = 0,
    ) -> None:
        """`twin`: a round's reward is what it reached over the same round with regions picked at random. `influence`: each
        region's own is told too.
        """
        self.place, self.settings, self.budget, self.trials = place, settings, budget, trials
        self._seed, self._twin, self._influence = seed, twin, influence

    def begin(self, episode: int) -> None:
        """Begin an episode from the place's segmenter with nothing labelled."""
        self.played = self._episode("episode", episode)

    def _episode(self, purpose: str, number: int) -> Episode:
        seed = int(numpy_generator(self._seed, purpose, number).integers(2**31))
        return Episode(self.place, self.settings, budget=self.budget, seed=seed)

    @property
    def rounds(self) -> int:
        """Rounds of one episode."""
        return -(-self.budget // self.settings.batch_size)

    @property
    def seed_of_episode(self) -> int:
        """From which the chance of the episode's rounds follows."""
        return self.played.seed

    @property
    def round(self) -> int:
        """Number of the next round."""
        return self.played.round

    @property
    def miou(self) -> float:
        """Of f on D_R as it is now."""
        return self.played.miou

    @property
    def over(self) -> bool:
        """Whether the budget is spent or the pool empty."""
        return self.played.over

    def ask(self, strategy: Strategy, epsilon: float) -> Asked:
        """Choose the round's regions. Raises ValueError for a strategy that looks at no state."""
        proposal = self.played.ask(strategy, epsilon)
        if proposal.state_SF is None:
            raise ValueError(f"Strategy {strategy.name!r} looks at no state: a game trains one that acts by a policy.")
        return Asked(state_SF=proposal.state_SF, pools=proposal.actions, chosen=proposal.chosen)

    def tell(self) -> Told:
        """The oracle labels the round's regions, and f learns from them."""
        influences = self.played.influences() if self._influence else ()
        twin = self.played.miou_of_twin() if self._twin else None
        gain = self.played.tell().reward
        assert gain is not None
        return Told(reward=gain if twin is None else 100 * (self.miou - twin), gain=gain, influences=influences)

    def trial(self, strategy: Strategy, number: int, on_round: Callable[[], None] = lambda: None) -> float:
        """The mean mIoU, in points, over the rounds of a game that the strategy plays without chance.

        Trials have seeds of their own, and leave the episode that is played where it is. `on_round` is called before each
        round, and may raise to end the trial.
        """
        tried, curve = self._episode("trial", number), []
        while not tried.over:
            on_round()
            tried.ask(strategy, 0.0)
            tried.tell()
            curve.append(tried.miou)
        return 100 * float(np.mean(curve))

    def meta(self) -> dict[str, Any]:
        """The round and what is labelled."""
        return self.played.meta()

    def tensors(self) -> dict[str, Tensor]:
        """f's weights, what its optimizer remembers, and how it does on D_R."""
        return self.played.tensors()

    def load(self, episode: int, meta: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Go on with an episode from what `meta` and `tensors` gave."""
        self.begin(episode)
        self.played.load(meta, tensors)
