"""The regionwise network, against its formula in numpy: free of the order and the number of classes and regions."""

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models import regionwise_network
from models.dqn import DQN, Batch, DQNSettings, Transition
from models.regionwise_network import RegionwiseNetwork, RegionwiseSettings
from models.regionwise_view import RegionwiseView, ViewSettings
from tests.models.rounds_in_numbers import reordered_context, reordered_rows, some_context, some_rows

CLASSES, REGIONS, WIDTH = 4, 6, 7
Inputs = tuple[torch.Tensor, torch.Tensor]


def inputs(batch: int, candidates: int, *, classes: int = CLASSES, regions: int = REGIONS, seed: int = 0) -> Inputs:
    """State and action rows of several rounds, as the view makes them."""
    generator, view = torch.Generator().manual_seed(seed), RegionwiseView()
    states, actions = [], []
    for _ in range(batch):
        context = some_context(classes, generator)
        states.append(view.state(some_rows(regions, classes, generator), context))
        actions.append(view.actions(some_rows(candidates, classes, generator), context))
    return torch.stack(states), torch.stack(actions)


def network(seed: int = 1, **chosen: Any) -> RegionwiseNetwork:
    settings = RegionwiseSettings(**{"width": WIDTH, "classes": None, **chosen})
    return RegionwiseNetwork(settings, torch.Generator().manual_seed(seed)).eval()


class Formula:
    """The network's weights in float64, and its parts as numpy knows them."""

    def __init__(self, of: RegionwiseNetwork) -> None:
        self.weights: dict[str, NDArray[np.float64]] = {
            name: value.double().numpy() for name, value in of.state_dict().items()
        }

    def linear(self, name: str, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        bias = self.weights.get(f"{name}.bias", 0.0)
        return rows @ self.weights[f"{name}.weight"].T + bias

    def two_layers(self, name: str, rows: NDArray[np.float64], first: int = 0) -> NDArray[np.float64]:
        return self.linear(f"{name}.{first + 2}", np.maximum(self.linear(f"{name}.{first}", rows), 0))

    def normed(self, name: str, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        centred = rows - rows.mean(-1, keepdims=True)
        scaled: NDArray[np.float64] = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
        return scaled * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def attention_code(self, state: NDArray[np.float64]) -> NDArray[np.float64]:
        rows = self.normed("state_encoder.rows.2", np.maximum(self.linear("state_encoder.rows.0", state), 0))
        pooled = [softmax(rows @ seed) @ rows for seed in self.weights["state_encoder.seeds.weight"]]
        return np.maximum(self.linear("state_encoder.code.0", np.concatenate(pooled)), 0)

    def mean_code(self, state: NDArray[np.float64]) -> NDArray[np.float64]:
        rows = np.maximum(self.linear("state_encoder.rows.0", state), 0)
        of_regions, of_classes = rows[state[:, 0] == 1], rows[state[:, 0] == 0]
        return np.maximum(self.linear("state_encoder.code.0", np.append(of_regions.mean(0), of_classes.mean(0))), 0)

    def advantage(self, code: NDArray[np.float64], action: NDArray[np.float64]) -> float:
        classes, region, scores = action[:-25].reshape(-1, 11), action[-25:-14], action[-14:]
        codes = self.two_layers("codes.class_branch.phi", classes)
        attended = softmax(self.linear("codes.class_branch.attention", codes)[:, 0]) @ codes
        of_region = np.maximum(self.linear("codes.region_branch.0", region), 0)
        joined = np.concatenate([attended, codes.mean(0), of_region, code])
        worth = self.linear("codes.class_branch.worth", codes)[:, 0] @ classes[:, 0]
        weighed = self.linear("scores", scores)[0]
        return float(self.two_layers("codes.head", self.normed("codes.head.0", joined), first=1)[0] + worth + weighed)


def softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.exp(values)
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares


@pytest.mark.parametrize("encoder", ["attention", "mean"])
@pytest.mark.parametrize("dueling", [True, False])
def test_q_is_what_the_formula_says(encoder: str, dueling: bool) -> None:
    net, (states, actions) = network(state_encoder=encoder, dueling=dueling), inputs(2, 5)
    mask = torch.tensor([[True] * 5, [True, True, True, False, False]])
    formula, expected = Formula(net), np.empty((2, 5))
    for b in range(2):
        code = getattr(formula, f"{encoder}_code")(states[b].double().numpy())
        expected[b] = [formula.advantage(code, action) for action in actions[b].double().numpy()]
        if dueling:
            expected[b] += formula.two_layers("value", code)[0] - expected[b][mask[b].numpy()].mean()
    np.testing.assert_allclose(net(states, actions, mask).detach().numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("encoder", ["attention", "mean"])
def test_neither_the_numbers_of_the_classes_nor_the_order_of_the_regions_matters(encoder: str) -> None:
    generator, view, order_C = torch.Generator().manual_seed(3), RegionwiseView(), torch.tensor([3, 0, 4, 1, 2])
    context, of_state = some_context(5, generator), some_rows(REGIONS, 5, generator)
    candidates, net = some_rows(9, 5, generator), network(state_encoder=encoder)
    other_context = reordered_context(context, order_C)
    other_state = reordered_rows(of_state[torch.tensor([4, 2, 0, 1, 5, 3])], order_C)
    q = net(view.state(of_state, context)[None], view.actions(candidates, context)[None])
    other_actions = view.actions(reordered_rows(candidates, order_C), other_context)
    torch.testing.assert_close(net(view.state(other_state, other_context)[None], other_actions[None]), q)
    assert q.std() > 1e-3


@pytest.mark.parametrize("encoder", ["attention", "mean"])
def test_one_network_serves_any_number_of_classes_and_regions(encoder: str) -> None:
    net = network(state_encoder=encoder)
    for classes, regions in ((2, 1), (11, 240), (19, 30)):
        assert net(*inputs(2, 3, classes=classes, regions=regions)).isfinite().all()


def test_a_pool_shifts_its_candidates_by_one_number_and_its_mean_is_the_states_value() -> None:
    net, (states, actions) = network(), inputs(1, 6)
    whole, part = net(states, actions)[0], net(states, actions[:, 2:])[0]
    torch.testing.assert_close(part - part.mean(), whole[2:] - whole[2:].mean())
    torch.testing.assert_close(part.mean(), whole.mean())


def test_without_dueling_a_candidate_is_valued_alone() -> None:
    net, (states, actions) = network(dueling=False), inputs(2, 6)
    alone = torch.cat([net(states, actions[:, n : n + 1]) for n in range(6)], 1)
    torch.testing.assert_close(net(states, actions), alone)
    assert not net.needs_pool
    assert network().needs_pool


def test_padding_has_no_say_in_the_mean_of_a_pool() -> None:
    net, (states, actions) = network(), inputs(1, 6)
    mask = torch.tensor([[True] * 4 + [False] * 2])
    padded = torch.cat([actions[:, :4], 100 * actions[:, 4:]], 1)
    torch.testing.assert_close(net(states, padded, mask)[:, :4], net(states, actions[:, :4]))


def test_without_depth_it_weighs_acquisition_scores_and_nothing_else() -> None:
    net, (states, actions) = network(deep=False), inputs(2, 5)
    weighed = actions[..., -14:] @ net.scores.weight[0]
    mask = torch.tensor([[True] * 5, [True, True, True, False, False]])
    values = net(states, actions, mask)
    torch.testing.assert_close(values[0] - values[0].mean(), weighed[0] - weighed[0].mean())
    torch.testing.assert_close(values[1] - values[1, :3].mean(), weighed[1] - weighed[1, :3].mean())
    assert not [name for name, _ in net.named_parameters() if name.startswith("codes")]


def test_the_linear_path_adds_up_worth_times_mass() -> None:
    net, (states, actions) = network(dueling=False), inputs(1, 3)
    with torch.no_grad():
        for name in ("codes.head.3.weight", "codes.head.3.bias", "codes.class_branch.worth.weight", "scores.weight"):
            net.get_parameter(name).zero_()
        net.get_parameter("codes.class_branch.worth.bias").fill_(2.0)
    actions[0, 1, 0] += 0.5  # how much of the first class the candidate holds
    torch.testing.assert_close(net(states, actions), torch.tensor([[2.0, 3.0, 2.0]]))


def test_a_large_round_is_worked_through_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    net, rows = network(), inputs(2, 5)
    whole = net(*rows)
    monkeypatch.setattr(regionwise_network, "_ROWS_AT_ONCE", 3)
    torch.testing.assert_close(net(*rows), whole)


def test_it_is_rebuilt_from_its_description() -> None:
    view = ViewSettings(uncertainty=False)
    net = network(state_encoder="mean", classes=CLASSES, view=view, dueling=False)
    again = RegionwiseNetwork.from_description(json.loads(json.dumps(net.describe())))
    again.load_state_dict(net.state_dict())
    assert again.settings == net.settings
    assert again.view == RegionwiseView(settings=view)
    rows = inputs(1, 3)
    assert torch.equal(again(*rows), net(*rows))
    for unknown in ({"depth": 3}, {"view": {"depth": True}}):
        with pytest.raises(ValueError, match=r"no settings of a regionwise network: .*'depth'"):
            RegionwiseNetwork.from_description({**net.describe(), **unknown})


def test_the_same_generator_gives_the_same_weights_and_leaves_global_chance_alone() -> None:
    before = torch.random.get_rng_state()
    first, again, other = (network(seed).get_parameter("codes.head.1.weight") for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    one, same = (RegionwiseNetwork().get_parameter("codes.head.1.weight") for _ in range(2))
    assert torch.equal(one, same)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_absolute_classes_have_rows_as_wide_as_their_number_asks() -> None:
    settings = RegionwiseSettings(view=ViewSettings(class_relative=False), classes=CLASSES, width=WIDTH)
    net, generator = RegionwiseNetwork(settings), torch.Generator().manual_seed(0)
    context, rows = some_context(CLASSES, generator), some_rows(5, CLASSES, generator)
    state, actions = net.view.state(rows, context), net.view.actions(rows, context)
    assert net(state[None], actions[None]).shape == (1, 5)
    with pytest.raises(ValueError, match=r"B x N x \(4 \* 6 \+ 25\)"):
        net(*inputs(1, 3))


def learnt(batch: Batch, updates: int) -> RegionwiseNetwork:
    net = RegionwiseNetwork(RegionwiseSettings(), torch.Generator().manual_seed(0))
    dqn = DQN(net, DQNSettings(optimizer="adamw", lr=3e-3, clip=1.0))
    for _ in range(updates):
        dqn.update(batch)
    return net


def unlabelled_mass(actions: torch.Tensor, classes: int) -> torch.Tensor:
    features: torch.Tensor = actions[..., :-25].unflatten(-1, (classes, 11))
    return (features[..., 0] * (features[..., 5] == 0)).sum(-1)


def test_what_it_learns_with_three_classes_holds_for_six() -> None:
    states, actions = inputs(24, 4, classes=3, seed=1)
    worth = 5 * unlabelled_mass(actions, 3)
    batch = Batch.of(
        [
            Transition(
                state_SF=states[b], action_A=actions[b, n], reward=float(worth[b, n]), pool_NA=actions[b], chosen=n
            )
            for b in range(24)
            for n in range(4)
        ]
    )
    net = learnt(batch, 80)
    states, actions = inputs(20, 8, classes=6, seed=2)
    best = net(states, actions).argmax(1)
    worth = unlabelled_mass(actions, 6)
    gained = worth.gather(1, best[:, None]).mean()
    assert gained > worth.mean() + 0.8 * (worth.amax(1).mean() - worth.mean())


def test_it_learns_from_a_batch_of_one() -> None:
    states, actions = inputs(1, 3)
    one = Transition(state_SF=states[0], action_A=actions[0, 1], reward=2.0, pool_NA=actions[0], chosen=1)
    q = learnt(Batch.of([one]), 80)(states, actions).detach()
    assert q[0, 1].item() == pytest.approx(2.0, abs=0.3)


@pytest.mark.parametrize(
    ("state", "actions", "mask", "sentence"),
    [
        ((1, 9, 13), (1, 2, 69), None, "state should be B x S x 14, not"),
        ((1, 0, 14), (1, 2, 69), None, "state should be B x S x 14, not"),
        ((9, 14), (1, 2, 69), None, "state should be B x S x 14, not"),
        ((1, 9, 14), (1, 2, 68), None, r"Actions should be B x N x \(C \* 11 \+ 25\), not"),
        ((1, 9, 14), (1, 2, 25), None, r"Actions should be B x N x \(C \* 11 \+ 25\), not"),
        ((1, 9, 14), (2, 69), None, r"Actions should be B x N x \(C \* 11 \+ 25\), not"),
        ((2, 9, 14), (1, 2, 69), None, "2 states do not go with 1 sets"),
        ((1, 9, 14), (1, 2, 69), (1, 3), "mask should be"),
    ],
)
def test_rows_of_another_shape_are_refused(
    state: tuple[int, ...], actions: tuple[int, ...], mask: tuple[int, ...] | None, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        network()(torch.zeros(state), torch.zeros(actions), None if mask is None else torch.ones(mask).bool())


def test_a_network_of_some_classes_is_refused_another_number_of_them() -> None:
    bound = network(classes=CLASSES)
    assert bound(*inputs(1, 2)).shape == (1, 2)
    with pytest.raises(ValueError, match=r"B x N x \(4 \* 11 \+ 25\), not \(1, 2, 80\)"):
        bound(*inputs(1, 2, classes=CLASSES + 1))


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ({"width": 1}, "2 or more, not 1"),
        ({"state_encoder": "deep"}, "No state encoder 'deep'"),
        ({"view": ViewSettings(class_relative=False)}, "give `classes`"),
    ],
)
def test_settings_that_cannot_be_built_are_refused(chosen: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        dataclasses.replace(RegionwiseSettings(), **chosen)
