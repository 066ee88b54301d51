"""The query network of regions chosen in turn: Q written out, where it begins, and what it is told of those before."""

import numpy as np
import pytest
import torch

from models.blend import BLENDED, Blend
from models.strategies import build_strategy
from models.strategies.learned import Learned
from models.turns_network import FEATURES, TurnsNetwork
from tests.models.candidates import chosen, pools_of, seeded
from tests.models.test_blend import COUNT, candidates, context, rows

NO_STATE = torch.zeros(0, 0)


def drawn(seed: int) -> TurnsNetwork:
    """With weights of its hidden layers that count."""
    network, generator = TurnsNetwork(8), seeded(seed)
    with torch.no_grad():
        for weights in network.parameters():
            weights.copy_(torch.randn(weights.shape, generator=generator))
    return network.eval()


def advantages(network: TurnsNetwork, row: np.ndarray) -> float:
    """Of one candidate, by the formula."""
    weights = {name: each.detach().double().numpy() for name, each in network.named_parameters()}
    moved, known, far = row[-3:]
    of_score = (1 - moved) * weights["sum.ends"][0] + moved * weights["sum.ends"][1] + known * weights["sum.known"]
    hidden = np.maximum(0, weights["hidden.0.weight"] @ row + weights["hidden.0.bias"])
    layer = float((weights["hidden.2.weight"] @ hidden + weights["hidden.2.bias"])[0])
    return float(of_score[:-1] @ row[: len(BLENDED)] + of_score[-1] * far) + layer


def test_q_is_the_formula() -> None:
    network, pool_NA = drawn(1), torch.randn(5, FEATURES, generator=seeded(2))
    pool_NA[:, -3:-1] = torch.tensor([0.3, 0.6])
    with torch.no_grad():
        found = network(NO_STATE[None], pool_NA[None])[0].numpy()
        value = float(network.value(torch.tensor([[0.3, 0.6]])))
    each = float(network.log_scale.detach().exp()) * np.array(
        [advantages(network, row) for row in pool_NA.double().numpy()]
    )
    np.testing.assert_allclose(found, value + each - each.mean(), atol=1e-4)


def test_padding_changes_nothing() -> None:
    network, pool_NA = drawn(1), torch.randn(3, FEATURES, generator=seeded(2))
    padded_BNA = torch.stack([torch.cat([pool_NA, torch.zeros(2, FEATURES)]), torch.randn(5, FEATURES)])
    mask_BN = torch.tensor([[True, True, True, False, False], [True] * 5])
    with torch.no_grad():
        torch.testing.assert_close(
            network(torch.zeros(2, 0, 0), padded_BNA, mask_BN)[0, :3], network(NO_STATE[None], pool_NA[None])[0]
        )


def test_it_begins_by_choosing_as_the_sum_does_and_another_seed_asks_alike() -> None:
    some, centres = rows(seeded(3)), torch.rand(4, 4, generator=seeded(4))
    blend = Blend(known=True)
    actions_MA = blend.view.actions(some, context(96.0, known_share=0.5))
    known = candidates(some, actions_MA, centres, wanted=4, pools_M=pools_of(6, 6, 6, 6))
    networks = [blend, TurnsNetwork(8), TurnsNetwork(8, seeded(9))]
    asked = [chosen(build_strategy("learned", each.eval()).scores(known, seeded(0)), known) for each in networks]
    assert asked[0] == asked[1] == asked[2]


def test_wandering_changes_what_is_asked_for_and_nothing_but_the_sum() -> None:
    network, before = TurnsNetwork(8), TurnsNetwork(8).state_dict()
    network.wander(0.5, seeded(1))
    changed = {name for name, weights in network.state_dict().items() if not torch.equal(weights, before[name])}
    assert changed == {"sum.ends", "sum.known"}


@pytest.mark.parametrize("labelled", [0, 5])
def test_rows_say_how_far_a_candidate_was_in_its_turn(labelled: int) -> None:
    some, network = rows(seeded(5)), drawn(2)
    centres = torch.rand(labelled, 4, generator=seeded(6))
    known = candidates(
        some, network.view.actions(some, context()), centres, wanted=4, pools_M=pools_of(6, 6, 6, 6), cell=1
    )
    strategy = build_strategy("learned", network)
    assert isinstance(strategy, Learned)
    taken = chosen(strategy.scores(known, seeded(0)), known)
    seen_MA = strategy.seen_in_turn(known, taken)
    assert seen_MA is not None
    assert seen_MA.shape == (COUNT, FEATURES)
    points, near = some.vectors["embedding"].double().numpy(), list(centres.double().numpy())
    for turn, place in enumerate(taken):
        pool, far = slice(6 * turn, 6 * turn + 6), np.zeros(COUNT)
        if near:
            distance = np.min([np.linalg.norm(points - centre, axis=1) for centre in near], axis=0)
            far = (distance - distance.mean()) / distance.std()
        np.testing.assert_allclose(seen_MA[pool, -1].numpy(), far[pool], atol=1e-4)
        # Of all in the pool the one that was taken has the highest Q by what these rows say.
        with torch.no_grad():
            assert 6 * turn + int(network(NO_STATE[None], seen_MA[None, pool])[0].argmax()) == place
        near.append(points[place])


@pytest.mark.parametrize("seed", range(4))
def test_q_and_what_is_chosen_by_are_of_one_order_whatever_the_weights(seed: int) -> None:
    network, seen_MA = drawn(seed), torch.randn(9, FEATURES, generator=seeded(seed))
    seen_MA[:, -3:-1] = 0.5
    with torch.no_grad():
        q_M = network(NO_STATE[None], seen_MA[None])[0]
        worth_M = network.worth_in_turn(NO_STATE, seen_MA[:, :-1], seen_MA[:, -1])
    assert q_M.argsort().tolist() == worth_M.argsort().tolist()


def test_rows_of_another_width_and_unknown_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="Actions should be"):
        TurnsNetwork()(torch.zeros(1, 0, 0), torch.zeros(1, 5, 4))
    with pytest.raises(ValueError, match="deep"):
        TurnsNetwork.from_description({"deep": True})
    with pytest.raises(ValueError, match="2 or more"):
        TurnsNetwork(1)
    assert TurnsNetwork.from_description(TurnsNetwork(5).describe()).width == 5
