"""Asks: which regions of the pool to label next. One half of the one path; the other is learner.py."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from models.frozen import FrozenSegmenter
from models.segmenter import Segmenter
from models.strategies import Candidates, Strategy, build_strategy
from service.domain.costs import DrawingCost
from service.domain.divided import AnyPool
from service.domain.methods import COVER, RANDOM
from service.domain.regions import Box
from workers.chance import numpy_generator, torch_generator
from workers.loop.costs import by_cost, by_pixels, drawing_costs
from workers.loop.observer import LabelMaps, Observer
from workers.loop.round import LoopSettings, Proposal, ProposedRegion, choose, timed
from workers.loop.shares import predicted_shares

# Shapes: K chosen regions, M candidates, N candidates of one pool, A features of an action, C classes.


Drawing = tuple[NDArray[np.int64], NDArray[np.float64]]
"""Pixels of each candidate, and what it costs to draw."""


class ScoresNotFinite(ValueError):
    """A strategy's scores cannot be compared: its policy has diverged, perhaps. Nothing was taken out of the pool."""


class Chooser:
    """Chooses regions by a strategy. Everything random follows from the seed and the round's number."""

    def __init__(
        self,
        *,
        segmenter: Segmenter | None,
        strategy: Strategy,
        pool: AnyPool,
        observer: Observer,
        settings: LoopSettings,
        seed: int,
    ) -> None:
        """The observer's images are the pool's, numbered as the pool numbers them.

        Raises ValueError for a strategy that needs the truth where the observer does not know it.
        """
        if (strategy.needs_truth or strategy.needs_gains) and not observer.knows_truth:
            raise ValueError(
                f"Strategy {strategy.name!r} chooses by the true labels of the pool: give them as `truth`, in a simulation only."
            )
        self.segmenter, self.strategy, self.pool, self.observer = segmenter, strategy, pool, observer
        self.settings, self.seed = settings, seed
        # What drawing costs, where that counts: where a score says what a region is worth.
        heeded = strategy.zero is not None or strategy.weighs_cost
        self._cost = settings.cost if heeded else None

    def ask(
        self,
        count: int | None = None,
        *,
        round_number: int,
        epsilon: float = 0.0,
        predict: bool = False,
        picks: Sequence[int] | None = None,
    ) -> Proposal:
        """Choose `count` regions (default K) and take them out of the pool.

        While a frozen segmenter's head has learned from nothing, its scores are worse than chance. Until then who goes by
        distances too goes by those alone, as coreset does, and all others choose at random, unless by the truth. With
        `epsilon`, each choice is random with that probability. `predict` adds the segmenter's label map of every chosen region,
        and what it predicts of all candidates together. `picks`: places in the pools, which are chosen whatever the strategy
        makes of them. Raises ScoresNotFinite.
        """
        seconds: dict[str, float] = {}
        strategy = self.strategy if self._can_tell else _without_scores(self.strategy)
        with timed(seconds, "draw"):
            pools = self._draw(count or self.settings.batch_size, round_number)
        if not pools:
            return Proposal(round_number=round_number, strategy=strategy.name, regions=(), seconds=seconds)
        numbers, sizes = np.concatenate(pools), [len(pool) for pool in pools]
        with timed(seconds, "describe"):
            cost = self._cost if strategy is self.strategy else None
            wants_maps = predict or cost is not None
            candidates, label_maps = self._described(numbers, sizes, round_number, predict=wants_maps)
            drawn = None if cost is None else self._drawing(cost, numbers, label_maps)
            if drawn is not None and strategy.weighs_cost:
                candidates = replace(candidates, dear_M=torch.from_numpy(np.log(drawn[1] / drawn[0])))
        with timed(seconds, "score"):
            generator = torch_generator(self.seed, "scores", round_number)
            scores = strategy.scores(candidates, generator).double().cpu().numpy()
            if not np.isfinite(scores).all():
                raise ScoresNotFinite(f"Strategy {strategy.name!r} gave scores that are no finite numbers.")
            rng = numpy_generator(self.seed, "epsilon", round_number)
            spans = None if candidates.spans_M2 is None else candidates.spans_M2.numpy()
            if drawn is not None:
                scores = by_cost(strategy, scores, *drawn)
            elif spans is not None:
                scores = by_pixels(strategy, scores, spans[:, 1] - spans[:, 0])
            chosen = choose(scores, sizes, self.settings.protocol, epsilon, rng, spans, self.pool.cell)
        if picks is not None:
            chosen = np.cumsum([0, *sizes[:-1]]) + np.array(picks, np.int64)
        picked = numbers[chosen]
        self.pool.take(picked)
        label_maps = label_maps if predict else {}
        with timed(seconds, "predict"):
            if predict:
                label_maps |= self._missing_label_maps(picked, label_maps, round_number)
        per_pool = self.settings.protocol == "per-pool" and self.pool.levels == 1
        actions_MA = self.strategy.seen_in_turn(candidates, chosen.tolist()) if per_pool else None
        return Proposal(
            round_number=round_number,
            strategy=strategy.name,
            regions=self._proposed(picked, scores[chosen], label_maps),
            candidates=tuple(pools),
            class_shares_C=self._class_shares(numbers, candidates) if predict else None,
            state_SF=candidates.state_SF,
            actions=() if actions_MA is None else tuple(torch.split(actions_MA, sizes)),
            chosen=() if actions_MA is None else tuple((chosen - np.cumsum([0, *sizes[:-1]])).tolist()),
            seconds=seconds,
        )

    @property
    def _can_tell(self) -> bool:
        """Whether the strategy goes by something: by what a head predicts that has learned, by the truth, or by neither."""
        unlearned = isinstance(self.segmenter, FrozenSegmenter) and not bool(self.segmenter.fitted)
        return not (unlearned and self.strategy.needs_segmenter) or self.strategy.needs_truth

    def _draw(self, count: int, round_number: int) -> list[NDArray[np.int64]]:
        """The round's candidate pools: region numbers."""
        rng = numpy_generator(self.seed, "candidates", round_number)
        return self.pool.sample(pools=count, size=self.settings.pool_size, by=self.settings.sampling, rng=rng)

    def _described(
        self, numbers: NDArray[np.int64], sizes: list[int], round_number: int, *, predict: bool
    ) -> tuple[Candidates, LabelMaps]:
        pools_M = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
        known = Candidates(
            count=len(numbers),
            pools_M=pools_M if self.settings.protocol == "per-pool" else None,
            wanted=len(sizes),
            spans_M2=torch.from_numpy(self.pool.spans(numbers)) if self.pool.levels > 1 else None,
            cell=self.pool.cell,
        )
        generator = torch_generator(self.seed, "describe", round_number)
        where = self.pool.locate(numbers)
        return self.observer.candidates(self.segmenter, self.strategy, known, where, generator, predict=predict)

    def _class_shares(self, numbers: NDArray[np.int64], candidates: Candidates) -> NDArray[np.float64] | None:
        """What is predicted of the candidates in all; None where the strategy looked at none."""
        if candidates.rows is None:
            return None
        spans_M2 = None if candidates.spans_M2 is None else candidates.spans_M2.numpy()
        pixels_M = np.array([box.height * box.width for box in self._boxes(numbers)], np.int64)
        return predicted_shares(candidates.rows.class_part_RC, pixels_M, spans_M2)

    def _boxes(self, numbers: NDArray[np.int64]) -> list[Box]:
        images, cells = (each.tolist() for each in self.pool.locate(numbers))
        grids = {image: self.settings.grid(self.observer.images.size(image)) for image in set(images)}
        return [grids[image].box(cell) for image, cell in zip(images, cells, strict=True)]

    def _drawing(self, cost: DrawingCost, numbers: NDArray[np.int64], label_maps: LabelMaps) -> Drawing:
        """The pixels of candidates, and what drawing what is predicted of them would cost."""
        images = self.pool.locate(numbers)[0].tolist()
        predicted = [label_maps[image][box.slices] for image, box in zip(images, self._boxes(numbers), strict=True)]
        return np.array([each.size for each in predicted]), drawing_costs(cost, predicted)

    def _missing_label_maps(self, picked: NDArray[np.int64], there: LabelMaps, round_number: int) -> LabelMaps:
        """Predicted label maps of chosen images that the strategy (random, say) never looked at."""
        images = {image: np.zeros(1, np.int64) for image in self.pool.locate(picked)[0].tolist() if image not in there}
        if self.segmenter is None or not images:
            return {}
        generator = torch_generator(self.seed, "predict", round_number)
        return self.observer.rows(self.segmenter, self.observer.images, images, generator, keep_maps=True)[1]

    def _proposed(
        self, picked: NDArray[np.int64], scores: NDArray[np.float64], maps: LabelMaps
    ) -> tuple[ProposedRegion, ...]:
        images, cells = (each.tolist() for each in self.pool.locate(picked))
        return tuple(
            ProposedRegion(
                number=number,
                image=image,
                cell=cell,
                box=box,
                score=score,
                share=self.settings.grid(self.observer.images.size(image)).share(cell),
                prediction=maps[image][box.slices] if image in maps else None,
            )
            for number, image, cell, box, score in zip(
                picked.tolist(), images, cells, self._boxes(picked), scores.tolist(), strict=True
            )
        )


def _without_scores(strategy: Strategy) -> Strategy:
    """What stands in for a strategy while predictions say nothing: distances are of what the encoder sees."""
    return build_strategy(COVER if strategy.needs_labelled else RANDOM)
