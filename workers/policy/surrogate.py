"""The surrogate game: f's encoder stays frozen, only a linear head learns, so that an episode takes a second.

Shapes: R regions, P = 64 points of a region, E feature channels, C classes, X labelled points, K pools of N candidates,
M = K N candidates.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from models.features import RegionRows, region_rows
from models.observation import PAPER, RoundContext, View
from models.pooling import GRID
from models.segmenter import Segmenter
from models.strategies import Candidates, Strategy
from models.uncertainty import MC_PASSES, pixel_maps
from service.domain.classes import IGNORE
from service.domain.metrics import mean_iou
from workers.chance import numpy_generator, torch_generator
from workers.loop.round import LoopSettings, choose
from workers.policy.frozen import POINTS, FrozenRegions, components
from workers.policy.linear_head import Head, HeadTraining, train_head

# The points that rewards are measured on are looked at twice a round: one in so many of them is enough.
REWARD_STRIDE = 2
Points = tuple[Tensor, Tensor]  # features (X, E) and classes (X,)


class SurrogateGame:
    """The data of a game that never change: frozen regions of D_T (or D_V), D_S and D_R, and the source's own head."""

    def __init__(
        self,
        *,
        pool: FrozenRegions,
        state: FrozenRegions,
        reward: FrozenRegions,
        segmenter: Segmenter,
        settings: LoopSettings,
        training: HeadTraining | None = None,
        classes: Sequence[int] | None = None,
        redraw: bool = False,
    ) -> None:
        """`classes`: play with these of the segmenter's classes alone; pixels of others are unlabelled.

        `redraw`: D_R's regions join the pool, after D_T's, and every episode draws half of all images to play on; its
        rewards are measured on the other half.
        """
        kept = list(range(settings.classes)) if classes is None else list(classes)
        self.classes, self.settings, self.training = len(kept), settings, training or HeadTraining()
        if redraw:
            pool = FrozenRegions.joined([pool, reward])
        basis = _Basis.of(pool)
        self.pool, self.state = (_prepared(each, basis, kept) for each in (pool, state))
        self._reward_points = None if redraw else _measured(_prepared(reward, basis, kept))
        self._state_points = self.state.labelled_points()
        self.head = basis.head(segmenter, kept)
        self.pixels_per_point = settings.cell_height * settings.cell_width / POINTS
        self.counts_RC = self.pool.counts(self.classes)
        self.state_counts_SC = self.state.counts(self.classes)

    def roles(self, seed: int) -> tuple[Tensor, Points]:
        """Which regions an episode of this seed may ask for, (R,) bool, and the points that its rewards are measured on."""
        if self._reward_points is not None:
            return torch.ones(len(self.pool), dtype=torch.bool), self._reward_points
        images = int(self.pool.image_R.max()) + 1
        played = numpy_generator(seed, "images").permutation(images)[: images // 2]
        free_R = torch.isin(self.pool.image_R, torch.from_numpy(played))
        return free_R, _measured(self.pool[~free_R])

    def miou(self, head: Head, points: Points) -> float:
        """mIoU of the head on labelled points, in [0, 1]."""
        return mean_iou(self._confusion(head, *points).numpy())

    def state_confusion(self, head: Head) -> Tensor:
        """(C, C) on D_S's points, rows = truth."""
        return self._confusion(head, *self._state_points)

    def _confusion(self, head: Head, features_XE: Tensor, labels_X: Tensor) -> Tensor:
        predicted_X = head.logits(features_XE).argmax(1)
        counts = torch.bincount(labels_X * self.classes + predicted_X, minlength=self.classes**2)
        return counts.view(self.classes, self.classes)


def _measured(regions: FrozenRegions) -> Points:
    features_XE, labels_X = regions.labelled_points()
    return features_XE[::REWARD_STRIDE].contiguous(), labels_X[::REWARD_STRIDE]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Basis:
    """How features are prepared: mean 0 and deviation 1 over the pool, then projected where there are many."""

    mean_E: Tensor
    std_E: Tensor
    components_EM: Tensor | None

    @classmethod
    def of(cls, pool: FrozenRegions) -> "_Basis":
        points_XE = pool.features_RPE.flatten(0, 1)
        mean_E, std_E = points_XE.mean(0), points_XE.std(0) + 1e-3
        return cls(mean_E=mean_E, std_E=std_E, components_EM=components((points_XE - mean_E) / std_E))

    def projected(self, standardised_E: Tensor) -> Tensor:
        return standardised_E if self.components_EM is None else standardised_E @ self.components_EM

    def head(self, segmenter: Segmenter, kept: Sequence[int]) -> Head:
        """The source's own classifier of prepared features; it sees the decoder's, which come first."""
        own_CF = segmenter.classifier.weight.detach().flatten(1).cpu()[kept]
        bias = segmenter.classifier.bias
        weight_CE = F.pad(own_CF, (0, len(self.mean_E) - own_CF.shape[1]))
        bias_C = torch.zeros(len(kept)) if bias is None else bias.detach().cpu()[kept]
        return Head(self.projected(weight_CE * self.std_E), bias_C + weight_CE @ self.mean_E)


def _prepared(regions: FrozenRegions, basis: _Basis, kept: Sequence[int]) -> FrozenRegions:
    """Features in the basis; labels numbered anew, those of other classes ignored."""
    places = torch.full((256,), IGNORE)
    places[torch.tensor(kept)] = torch.arange(len(kept))
    features_RPE = basis.projected((regions.features_RPE - basis.mean_E) / basis.std_E).contiguous()
    return FrozenRegions(features_RPE=features_RPE, labels_RP=places[regions.labels_RP], image_R=regions.image_R)


class SurrogateEpisode:
    """One game from the source's head and nothing labelled. All chance follows from the seed and the round."""

    def __init__(self, game: SurrogateGame, *, budget: int, seed: int) -> None:
        self.game, self.budget, self.seed = game, budget, seed
        self.head, self.round = game.head, 0
        self.labelled = torch.zeros(0, dtype=torch.int64)
        self._free_R, self._reward_points = game.roles(seed)
        self.miou = self.measured(self.head)

    def go_on(self, head: Head, labelled: Tensor, rounds: int) -> None:
        """Be where the episode was when it was put away."""
        self.head, self.labelled, self.round = head, labelled, rounds
        self._free_R[labelled] = False
        self.miou = self.measured(head)

    @property
    def over(self) -> bool:
        """Whether the budget is spent or nothing is left to ask for."""
        return len(self.labelled) >= self.budget or not bool(self._free_R.any())

    def measured(self, head: Head) -> float:
        """mIoU of a head on the points that this episode's rewards are measured on, in [0, 1]."""
        return self.game.miou(head, self._reward_points)

    def draw(self) -> list[NDArray[np.int64]]:
        """The round's candidate pools: numbers of regions that are not labelled, K pools of N."""
        settings, free = self.game.settings, self._free_R.nonzero()[:, 0].numpy()
        pools = min(settings.batch_size, self.budget - len(self.labelled))
        rng = numpy_generator(self.seed, "candidates", self.round)
        drawn = rng.permutation(free)[: pools * settings.pool_size]
        return np.array_split(drawn, min(pools, len(drawn)))

    def rows(
        self, regions: FrozenRegions, numbers: Tensor | None, strategy: Strategy | None, view: View | None
    ) -> RegionRows:
        """Regions as the head sees them now, with the statistics and vectors that the strategy and the view want."""
        features_MPE = regions.features_RPE if numbers is None else regions.features_RPE[numbers]
        logits_MPC = self.head.logits(features_MPE)
        statistics = frozenset() if strategy is None else strategy.statistics
        tall_1CHW = logits_MPC.permute(2, 0, 1).reshape(1, self.game.classes, -1, GRID)
        names = {"entropy", "classes", *(name.partition("_")[0] for name in statistics)} - {"bald"}
        maps = pixel_maps(tall_1CHW, names)
        if "bald_sum" in statistics:
            maps["bald"] = self._bald(features_MPE).reshape(1, -1, GRID)
        boxes_M4 = torch.tensor([0, 0, GRID, GRID]).repeat(len(features_MPE), 1)
        boxes_M4[:, 0] = torch.arange(len(features_MPE)) * GRID
        rows = region_rows(maps, [boxes_M4], class_count=self.game.classes, statistics=statistics)
        wanted = frozenset().union(*(each.vectors for each in (strategy, view) if each is not None))
        vectors = {}
        if "class_mass" in wanted:
            vectors["class_mass"] = logits_MPC.softmax(2).mean(1)
        if "embedding" in wanted:
            vectors["embedding"] = features_MPE.mean(1)
        return RegionRows(
            class_part_RC=rows.class_part_RC,
            uncertainty_RU=rows.uncertainty_RU,
            statistics=rows.statistics,
            vectors=vectors,
        )

    def _bald(self, features_MPE: Tensor) -> Tensor:
        generator, keep = torch_generator(self.seed, "bald", self.round), 1 - self.game.training.dropout
        total_MPC, entropy_MP = torch.zeros(()), torch.zeros(())
        for _ in range(MC_PASSES):
            mask_MPE = torch.empty_like(features_MPE).bernoulli_(keep, generator=generator) / keep
            p_MPC = self.head.logits(features_MPE * mask_MPE).softmax(2)
            total_MPC, entropy_MP = total_MPC + p_MPC, entropy_MP + torch.special.entr(p_MPC).sum(2)
        spread_MP: Tensor = torch.special.entr(total_MPC / MC_PASSES).sum(2) - entropy_MP / MC_PASSES
        return spread_MP

    def context(self) -> RoundContext:
        """What a view is told of the round."""
        counts_LC = self.game.counts_RC[self.labelled]
        seen_LC = counts_LC[counts_LC.sum(1) > 0].float()
        return RoundContext(
            labelled_LC=seen_LC / seen_LC.sum(1, keepdim=True),
            # Pixels, as in the real game: a point stands for its share of a region.
            labelled_counts_C=(counts_LC.sum(0) * self.game.pixels_per_point).long(),
            budget_share=len(self.labelled) / self.budget,
            state_truth_SC=self.game.state_counts_SC,
            state_confusion_CC=self.game.state_confusion(self.head),
        )

    def candidates(self, pools: Sequence[NDArray[np.int64]], strategy: Strategy) -> Candidates:
        """What the strategy looks at."""
        numbers = torch.from_numpy(np.concatenate(pools))
        view = (strategy.view or PAPER) if strategy.needs_policy else None
        rows = self.rows(self.game.pool, numbers, strategy, view)
        sizes = torch.tensor([len(pool) for pool in pools])
        context = self.context() if view is not None else None
        counts_LC = self.game.counts_RC[self.labelled]
        return Candidates(
            count=len(numbers),
            rows=rows,
            pools_M=torch.arange(len(pools)).repeat_interleave(sizes),
            wanted=len(pools),
            truth_MC=self.game.counts_RC[numbers] if strategy.needs_truth else None,
            labelled_counts_C=counts_LC.sum(0),
            labelled_embeddings_LE=self.game.pool.features_RPE[self.labelled].mean(1)
            if strategy.needs_labelled
            else None,
            actions_MA=None if view is None or context is None else view.actions(rows, context),
            state_SF=None
            if view is None or context is None
            else view.state(self.rows(self.game.state, None, None, view), context),
        )

    def learned(self, numbers: Tensor) -> Head:
        """The head after a round with these regions' labels; the episode stays where it is."""
        labelled = torch.cat([self.labelled, numbers])
        features_XE, labels_X = self.game.pool[labelled].labelled_points()
        generator = torch_generator(self.seed, "head", self.round)
        return train_head(self.head, features_XE, labels_X, self.game.training, generator)

    def tell(self, numbers: Tensor) -> float:
        """Label these regions and learn; the gain of mIoU, in points."""
        before, self.head = self.miou, self.learned(numbers)
        self.labelled = torch.cat([self.labelled, numbers])
        self._free_R[numbers] = False
        self.round += 1
        self.miou = self.measured(self.head)
        return 100 * (self.miou - before)


def play(game: SurrogateGame, strategy: Strategy, *, budget: int, seed: int) -> NDArray[np.float64]:
    """mIoU, in [0, 1], before the first round and after each, where the strategy chooses."""
    episode, curve = SurrogateEpisode(game, budget=budget, seed=seed), []
    curve.append(episode.miou)
    while not episode.over:
        pools = episode.draw()
        candidates = episode.candidates(pools, strategy)
        scores_M = strategy.scores(candidates, torch_generator(seed, "scores", episode.round)).double().cpu().numpy()
        rng = numpy_generator(seed, "epsilon", episode.round)
        chosen = choose(scores_M, [len(pool) for pool in pools], game.settings.protocol, 0.0, rng)
        episode.tell(torch.from_numpy(np.concatenate(pools)[chosen]))
        curve.append(episode.miou)
    return np.array(curve)
