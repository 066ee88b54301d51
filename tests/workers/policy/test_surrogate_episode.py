"""Episodes of the surrogate game: they follow from their seed, and tell strategies what the real loop tells them."""

import dataclasses

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.observation import PAPER
from models.query_network import QueryNetwork
from models.regionwise_network import RegionwiseNetwork
from models.strategies import REFERENCES, STRATEGIES, build_strategy
from service.domain.classes import IGNORE
from tests.workers.games import POOL_REGIONS, frozen_splits, tiny_game, tiny_settings
from workers.chance import torch_generator
from workers.policy.linear_head import HeadTraining, train_head
from workers.policy.surrogate import SurrogateEpisode, SurrogateGame, play


def numbers_of(pools: list[NDArray[np.int64]]) -> list[int]:
    return [int(number) for pool in pools for number in pool]


def first_of(pools: list[NDArray[np.int64]]) -> Tensor:
    return torch.tensor([int(pool[0]) for pool in pools])


def test_pools_are_disjoint_and_hold_what_is_not_labelled_until_the_budget_is_spent() -> None:
    episode, sizes = SurrogateEpisode(tiny_game(), budget=10, seed=3), []
    while not episode.over:
        pools = episode.draw()
        numbers = numbers_of(pools)
        assert all(len(pool) == 3 for pool in pools)
        assert len(set(numbers)) == len(numbers)
        assert set(numbers) <= set(range(POOL_REGIONS)) - set(episode.labelled.tolist())
        sizes.append(len(pools))
        episode.tell(first_of(pools))
    assert sizes == [4, 4, 2]
    assert len(set(episode.labelled.tolist())) == 10


def test_pools_shrink_where_little_is_left_and_the_game_ends_where_nothing_is() -> None:
    pool, _, _ = frozen_splits()
    small = pool[torch.arange(12)]
    episode, sizes = SurrogateEpisode(tiny_game(tiny_settings(batch_size=5), pool=small), budget=99, seed=0), []
    while not episode.over:
        pools = episode.draw()
        sizes.append([len(each) for each in pools])
        episode.tell(first_of(pools))
    assert sizes == [[3, 3, 2, 2, 2], [2, 2, 1, 1, 1], [1, 1]]
    assert sorted(episode.labelled.tolist()) == list(range(12))


def test_learning_leaves_the_episode_where_it_is_and_telling_goes_there() -> None:
    episode = SurrogateEpisode(tiny_game(), budget=12, seed=3)
    episode.tell(first_of(episode.draw()))
    before = (episode.head, episode.round, episode.labelled.tolist(), episode.miou, numbers_of(episode.draw()))
    chosen = first_of(episode.draw())
    head = episode.learned(chosen)
    assert before == (episode.head, episode.round, episode.labelled.tolist(), episode.miou, numbers_of(episode.draw()))
    gain = episode.tell(chosen)
    assert torch.equal(episode.head.weight_CE, head.weight_CE)
    assert torch.equal(episode.head.bias_C, head.bias_C)
    assert gain == 100 * (episode.measured(head) - before[3])
    assert (episode.round, episode.labelled.tolist()) == (2, [*before[2], *chosen.tolist()])


def test_a_twin_that_asks_for_the_same_earns_the_same() -> None:
    episode = SurrogateEpisode(tiny_game(), budget=12, seed=3)
    for _ in range(2):
        pools = episode.draw()
        twin = episode.measured(episode.learned(first_of(pools)))
        other = episode.measured(episode.learned(torch.tensor([int(pool[1]) for pool in pools])))
        episode.tell(first_of(pools))
        assert episode.miou == twin
        assert episode.miou != other


def test_the_head_learns_from_all_that_is_labelled() -> None:
    game = tiny_game()
    episode = SurrogateEpisode(game, budget=12, seed=3)
    first, second = torch.tensor([0, 9, 20, 31]), torch.tensor([5, 14, 26, 40])
    episode.tell(first)
    from_here = episode.head
    episode.tell(second)
    both = torch.cat([first, second])
    labels_X = game.pool.labels_RP[both].flatten()
    kept = labels_X != IGNORE
    assert (~kept).any()
    features_XE = game.pool.features_RPE[both].flatten(0, 1)[kept]
    expected = train_head(from_here, features_XE, labels_X[kept], game.training, torch_generator(3, "head", 1))
    assert torch.equal(episode.head.weight_CE, expected.weight_CE)


def policies() -> dict[str, nn.Module]:
    generator = torch.Generator().manual_seed(0)
    return {"regionwise": RegionwiseNetwork(generator=generator), "paper": QueryNetwork(3, 24, generator=generator)}


@pytest.mark.parametrize("name", [*STRATEGIES, *REFERENCES, "learned-paper"])
def test_every_strategy_plays_and_the_same_seed_gives_the_same_curve(name: str) -> None:
    policy = policies()["paper" if name.endswith("paper") else "regionwise"]
    game = tiny_game()
    strategy = build_strategy(name.partition("-paper")[0], policy)
    curve = play(game, strategy, budget=10, seed=1)
    assert len(curve) == 4
    assert curve[0] == game.miou(game.head, game.roles(5)[1])
    assert ((curve >= 0) & (curve <= 1)).all()
    assert len(set(curve.tolist())) > 1
    np.testing.assert_array_equal(play(game, strategy, budget=10, seed=1), curve)
    assert play(game, strategy, budget=10, seed=2)[1:].tolist() != curve[1:].tolist()


def softmax_at(episode: SurrogateEpisode, numbers: list[int]) -> NDArray[np.float64]:
    """(M, 64, C): what the head makes of each point."""
    return softmax(episode.head.logits(episode.game.pool.features_RPE[numbers]).double().numpy())


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    shares: NDArray[np.float64] = weights / weights.sum(-1, keepdims=True)
    return shares


def entropy(p: NDArray[np.float64]) -> NDArray[np.float64]:
    sums: NDArray[np.float64] = (p * np.log(p)).sum(-1)
    return -sums


def test_entropy_takes_the_region_of_each_pool_whose_points_are_most_uncertain() -> None:
    game = tiny_game()
    episode, curve = SurrogateEpisode(game, budget=12, seed=5), [game.miou(game.head, game.roles(5)[1])]
    while not episode.over:
        chosen = []
        for pool in episode.draw():
            p_MPC = softmax_at(episode, pool.tolist())
            chosen.append(int(pool[np.argmax(entropy(p_MPC).sum(1))]))
        episode.tell(torch.tensor(chosen))
        curve.append(episode.miou)
    np.testing.assert_array_equal(play(game, build_strategy("entropy"), budget=12, seed=5), curve)


def test_regions_are_described_by_their_points() -> None:
    episode = SurrogateEpisode(tiny_game(), budget=12, seed=5)
    numbers, network = [3, 40, 17], policies()["regionwise"]
    numbers_M = torch.tensor(numbers)
    learned, coreset = build_strategy("learned", network), build_strategy("coreset")
    rows = episode.rows(episode.game.pool, numbers_M, learned, learned.view)
    p_MPC = softmax_at(episode, numbers)
    shares = [np.bincount(predicted, minlength=3) / 64 for predicted in p_MPC.argmax(2)]
    np.testing.assert_allclose(rows.class_part_RC, shares)
    np.testing.assert_allclose(rows.vectors["class_mass"], p_MPC.mean(1), rtol=1e-5)
    entropy_M64 = entropy(p_MPC) / np.log(3)
    # A region has as many points as its grid has bins: minima, means and maxima are the points' own.
    np.testing.assert_allclose(rows.uncertainty_RU, np.tile(entropy_M64, 3), rtol=1e-4, atol=1e-6)
    sorted_MPC = np.sort(p_MPC, 2)
    np.testing.assert_allclose(
        rows.statistics["bvsb_mean"], (sorted_MPC[..., 1] / sorted_MPC[..., 2]).mean(1), rtol=1e-5
    )
    embedded = episode.rows(episode.game.pool, numbers_M, coreset, None).vectors["embedding"]
    torch.testing.assert_close(embedded, episode.game.pool.features_RPE[numbers_M].mean(1))


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_bald_is_what_heads_with_dropout_of_features_disagree_about(dropout: float) -> None:
    episode = SurrogateEpisode(tiny_game(training=HeadTraining(dropout=dropout)), budget=12, seed=5)
    rows = episode.rows(episode.game.pool, torch.arange(6), build_strategy("bald"), None)
    generator, features_MPE = torch_generator(5, "bald", 0), episode.game.pool.features_RPE[:6]
    p_TMPC = []
    for _ in range(20):
        kept = torch.empty_like(features_MPE).bernoulli_(1 - dropout, generator=generator)
        p_TMPC.append(softmax(episode.head.logits(features_MPE * kept / (1 - dropout)).double().numpy()))
    of_mean, mean = entropy(np.mean(p_TMPC, axis=0)), np.mean([entropy(p_MPC) for p_MPC in p_TMPC], axis=0)
    np.testing.assert_allclose(rows.statistics["bald_sum"], (of_mean - mean).sum(1), rtol=1e-3, atol=1e-4)
    assert bool((of_mean - mean).sum() > 0.1) == (dropout > 0)


def test_a_view_is_told_of_labels_budget_and_state_set() -> None:
    game = tiny_game()
    episode = SurrogateEpisode(game, budget=16, seed=5)
    assert episode.context().labelled_LC.shape == (0, 3)
    labelled = torch.tensor([0, 9, 20, 31])
    episode.tell(labelled)
    context = episode.context()
    counts_LC = np.array(
        [np.bincount(row[row != IGNORE], minlength=3) for row in game.pool.labels_RP[labelled].numpy()]
    )
    assert game.pixels_per_point == 16 * 16 / 64
    # Labels are told in pixels, as the real loop tells them: a point stands for its share of a region.
    assert context.labelled_counts_C.tolist() == (4 * counts_LC.sum(0)).tolist()
    assert context.labelled_counts_C.dtype == torch.int64
    np.testing.assert_allclose(context.labelled_LC, counts_LC / counts_LC.sum(1, keepdims=True), rtol=1e-6)
    assert context.budget_share == 0.25
    assert context.state_truth_SC is not None
    assert context.state_confusion_CC is not None
    assert torch.equal(context.state_truth_SC, frozen_splits()[1].counts(3))
    assert torch.equal(context.state_confusion_CC, game.state_confusion(episode.head))
    pools = episode.draw()
    learned = episode.candidates(pools, build_strategy("learned", policies()["regionwise"]))
    assert learned.state_SF is not None
    assert learned.pools_M is not None
    assert learned.state_SF.shape == (24 + 3, 14)
    assert learned.pools_M.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    random = episode.candidates(pools, build_strategy("random"))
    assert random.actions_MA is None


def test_a_region_without_a_labelled_point_is_no_distribution() -> None:
    pool, _, _ = frozen_splits()
    labels_RP = pool.labels_RP.clone()
    labels_RP[7] = IGNORE
    game: SurrogateGame = tiny_game(pool=dataclasses.replace(pool, labels_RP=labels_RP))
    episode = SurrogateEpisode(game, budget=12, seed=0)
    assert episode.tell(torch.tensor([7])) == 0.0
    assert episode.context().labelled_LC.shape == (0, 3)
    episode.tell(torch.tensor([8]))
    assert episode.context().labelled_LC.shape == (1, 3)


def test_strategies_that_know_the_truth_or_what_is_labelled_are_given_it() -> None:
    game = tiny_game()
    episode = SurrogateEpisode(game, budget=12, seed=0)
    labelled = torch.tensor([3, 7])
    episode.tell(labelled)
    pools = episode.draw()
    oracle = episode.candidates(pools, build_strategy("greedy-oracle"))
    assert oracle.truth_MC is not None
    assert oracle.labelled_counts_C is not None
    assert torch.equal(oracle.truth_MC, game.counts_RC[numbers_of(pools)])
    assert torch.equal(oracle.labelled_counts_C, game.counts_RC[labelled].sum(0))
    coreset = episode.candidates(pools, build_strategy("coreset"))
    torch.testing.assert_close(coreset.labelled_embeddings_LE, game.pool.features_RPE[labelled].mean(1))
    assert coreset.truth_MC is None


def test_a_policy_without_a_view_of_its_own_looks_at_the_paper_s_rows() -> None:
    episode = SurrogateEpisode(tiny_game(), budget=12, seed=0)
    candidates = episode.candidates(episode.draw(), build_strategy("learned", policies()["paper"]))
    assert candidates.actions_MA is not None
    assert candidates.state_SF is not None
    assert candidates.actions_MA.shape == (12, 3 + 192 + 64)
    state = episode.rows(episode.game.state, None, None, PAPER)
    assert torch.equal(candidates.state_SF, PAPER.state(state, episode.context()))
