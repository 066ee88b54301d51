"""The game that trains policies: rounds of ask, oracle and tell, paid by mIoU on D_R, gained or in advance of a twin."""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.segmenter import Segmenter
from models.strategies import Strategy
from service.domain.divided import AnyPool, pool_of
from workers.chance import numpy_generator, torch_generator
from workers.datasets.base import ImageSource
from workers.loop.chooser import Chooser
from workers.loop.labelled import Answer, LabelledSet
from workers.loop.learner import Learner
from workers.loop.observer import Observer
from workers.loop.oracle import Oracle, restore
from workers.loop.round import LoopSettings, Proposal, RoundResult, groups_of
from workers.policy.game import Asked, Told

# Of games on halves: an episode's number is below this.
TRIALS_FROM = 500_000
NO_REWARD = "A policy is paid by mIoU on D_R, which has no images."


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
            raise ValueError(NO_REWARD)
        return measured[0]

    @property
    def over(self) -> bool:
        """Whether the budget is spent or the pool empty."""
        return self.labelled.cells >= self.budget or self.pool.left == 0

    def ask(self, strategy: Strategy, epsilon: float, picks: Sequence[int] | None = None) -> Proposal:
        """A round of the loop that the live service and the simulation go through. `picks`: places in its pools to choose."""
        self.proposal = self._chooser(strategy, self.pool).ask(
            self._size, round_number=self.round, epsilon=epsilon, picks=picks
        )
        return self.proposal

    def try_out(self, strategy: Strategy) -> tuple[tuple[int, ...], float]:
        """What a strategy would choose in the round to come, as places in its pools, and mIoU on D_R after that.

        Nothing is asked for or learned. Raises ValueError without D_R.
        """
        proposal = self._chooser(strategy, copy.deepcopy(self.pool)).ask(self._size, round_number=self.round)
        pools = zip(proposal.candidates, proposal.regions, strict=True)
        places = tuple(int(np.flatnonzero(pool == region.number)[0]) for pool, region in pools)
        miou = self.learner.miou_if(self._oracle.answer(proposal), round_number=self.round)
        if miou is None:
            raise ValueError(NO_REWARD)
        return places, miou

    @property
    def _size(self) -> int:
        return min(math.ceil(self.budget - self.labelled.cells), self.settings.batch_size)

    def _chooser(self, strategy: Strategy, pool: AnyPool) -> Chooser:
        return Chooser(
            segmenter=self.learner.segmenter,
            strategy=strategy,
            pool=pool,
            observer=self._observer,
            settings=self.settings,
            seed=self.seed,
        )

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
    """Episodes at one place, or, drawn anew each time, on halves of its images."""

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
        halves: Callable[[int], Episode] | None = None,
    ) -> None:
        """`twin`: a round's reward is what it reached over the same round with regions picked at random. `influence`: each
        region's own is told too. `halves`: begins the game of a number; those from TRIALS_FROM on are for trials.
        """
        self.place, self.settings, self.budget, self.trials = place, settings, budget, trials
        self._seed, self._twin, self._influence, self._halves = seed, twin, influence, halves

    def begin(self, episode: int) -> None:
        """Begin an episode from the place's segmenter with nothing labelled."""
        self.played = self._episode("episode", episode)

    def _episode(self, purpose: str, number: int) -> Episode:
        if self._halves is not None:
            return self._halves(number + TRIALS_FROM * (purpose == "trial"))
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
        return self._asked(strategy, self.played.ask(strategy, epsilon))

    def show(self, strategy: Strategy, teachers: Sequence[Strategy]) -> Asked:
        """Choose as that teacher does after whose choice mIoU would be highest; the round as the strategy sees it."""
        picks = max((self.played.try_out(teacher) for teacher in teachers), key=lambda tried: tried[1])[0]
        return self._asked(strategy, self.played.ask(strategy, 0.0, picks))

    def _asked(self, strategy: Strategy, proposal: Proposal) -> Asked:
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
