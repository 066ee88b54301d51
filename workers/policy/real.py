"""The real game: rounds of ask, oracle and tell on D_T, from theta_pre, paid by the mIoU gained on D_R."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from models.segmenter import Segmenter
from models.strategies import Strategy
from service.domain.pool import Pool
from workers.chance import numpy_generator
from workers.datasets.base import ImageSource
from workers.loop.chooser import Chooser
from workers.loop.labelled import Answer, LabelledSet
from workers.loop.learner import Learner
from workers.loop.observer import Observer
from workers.loop.oracle import Oracle, restore
from workers.loop.round import LoopSettings, Proposal, RoundResult, groups_of
from workers.policy.game import Asked, Told


class RealGame:
    """f itself is trained in every round, as it is in a campaign."""

    learns_within_rounds = True
    trials = 0

    def __init__(
        self,
        *,
        start: Callable[[], Segmenter],
        images: ImageSource,
        state: ImageSource,
        reward: ImageSource,
        settings: LoopSettings,
        budget: int,
        seed: int,
    ) -> None:
        """`start` gives a fresh copy of theta_pre; `images` are D_T with their label maps; `budget` is B, in regions."""
        self._start, self._images, self._state, self._reward = start, images, state, reward
        self.settings, self.budget, self._seed = settings, budget, seed
        self._oracle = Oracle(images)

    def begin(self, episode: int) -> None:
        """Begin an episode from theta_pre with nothing labelled."""
        self.seed_of_episode = int(numpy_generator(self._seed, "episode", episode).integers(2**31))
        self.round = 0
        # Of the round that was asked for last, and of the one that was told last.
        self.proposal = Proposal(round_number=0, strategy="", regions=(), seconds={})
        self.result: RoundResult | None = None
        self.pool = Pool(groups_of(self._images, self.settings))
        self.labelled = LabelledSet(self.settings.classes)
        self.learner = Learner(
            segmenter=self._start(),
            labelled=self.labelled,
            images=self._images,
            reward=self._reward,
            settings=self.settings,
            seed=self.seed_of_episode,
        )
        self._observer = Observer(
            images=self._images,
            state=self._state,
            truth=None,
            labelled=self.labelled,
            settings=self.settings,
            budget=self.budget,
        )
        self._answers: list[Answer] = []

    @property
    def rounds(self) -> int:
        """Rounds of one episode."""
        return -(-self.budget // self.settings.batch_size)

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
        return self.labelled.regions >= self.budget or self.pool.left == 0

    def ask(self, strategy: Strategy, epsilon: float) -> Asked:
        """A round of the loop that the live service and the simulation go through."""
        chooser = Chooser(
            segmenter=self.learner.segmenter,
            strategy=strategy,
            pool=self.pool,
            observer=self._observer,
            settings=self.settings,
            seed=self.seed_of_episode,
        )
        size = min(self.budget - self.labelled.regions, self.settings.batch_size)
        proposal = self.proposal = chooser.ask(size, round_number=self.round, epsilon=epsilon)
        if proposal.state_SF is None:
            raise ValueError(f"Strategy {strategy.name!r} looks at no state: a game trains one that acts by a policy.")
        return Asked(state_SF=proposal.state_SF, pools=proposal.actions, chosen=proposal.chosen)

    def tell(self) -> Told:
        """The oracle labels the round's regions, and f learns from them."""
        answers = self._oracle.answer(self.proposal)
        result = self.result = self.learner.tell(answers, round_number=self.round)
        assert result.reward is not None
        self._answers += answers
        self.round += 1
        return Told(reward=result.reward, gain=result.reward)

    def trial(self, strategy: Strategy, number: int) -> float:
        """Raises ValueError: there is none."""
        raise ValueError("The real game has no trials: one takes minutes.")

    def meta(self) -> dict[str, Any]:
        """The round and what is labelled."""
        return {"round": self.round, "regions": [[answer.image, answer.cell] for answer in self._answers]}

    def tensors(self) -> dict[str, Tensor]:
        """f's weights, what its optimizer remembers, and how it does on D_R."""
        measured = self.learner.measured()
        assert measured is not None
        saved = {f"segmenter.{key}": tensor for key, tensor in self.learner.segmenter.state_dict().items()}
        return saved | self.learner.momentum | {"confusions": torch.from_numpy(measured)}

    def load(self, episode: int, meta: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Go on with an episode from what `meta` and `tensors` gave."""
        self.begin(episode)
        weights = {key: value for key, value in tensors.items() if key.startswith("segmenter.")}
        self.learner.segmenter.load_state_dict({key.removeprefix("segmenter."): each for key, each in weights.items()})
        self.round, self._answers = meta["round"], self._oracle.answers_at(meta["regions"], self.settings)
        restore(self._answers, self.labelled, self.pool)
        momentum = {key: value for key, value in tensors.items() if key.startswith("momentum.")}
        self.learner.resume(momentum, tensors["confusions"].cpu().numpy())
