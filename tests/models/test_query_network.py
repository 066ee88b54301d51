"""The query network, against an independent computation of the paper's formula in numpy."""

import numpy as np
import pytest
import torch

from models.query_network import QueryNetwork

CLASSES, REGIONS = 3, 5
F, A = CLASSES + 192, CLASSES + 192 + 64


def inputs(batch: int, candidates: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, REGIONS, F, generator=generator), torch.rand(batch, candidates, A, generator=generator)


def trained(seed: int = 1) -> QueryNetwork:
    """A network whose BatchNorm has statistics and weights of its own, in eval mode."""
    generator = torch.Generator().manual_seed(seed)
    network = QueryNetwork(CLASSES, REGIONS, generator=generator)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if "running" in name or "bias" in name:
                value.copy_(torch.rand(value.shape, generator=generator) + 0.1)
    return network.eval()


def stack(rows: np.ndarray, state: dict[str, np.ndarray], name: str) -> np.ndarray:
    """BatchNorm (with running statistics), ReLU, linear; three times."""
    for norm, linear in ((0, 2), (3, 5), (6, 8)):
        mean, variance = state[f"{name}.{norm}.running_mean"], state[f"{name}.{norm}.running_var"]
        rows = (rows - mean) / np.sqrt(variance + 1e-5) * state[f"{name}.{norm}.weight"] + state[f"{name}.{norm}.bias"]
        rows = np.maximum(rows, 0.0) @ state[f"{name}.{linear}.weight"].T + state[f"{name}.{linear}.bias"]
    return rows


def test_q_is_the_gate_times_the_head_over_both_codes() -> None:
    network, (states, actions) = trained(), inputs(2, 4)
    state = {name: value.double().numpy() for name, value in network.state_dict().items()}
    expected = np.empty((2, 4))
    for b in range(2):
        rows = stack(states[b].double().numpy(), state, "state_rows")[:, 0]
        code = state["state_code.weight"] @ rows + state["state_code.bias"]
        for n in range(4):
            action = actions[b, n].double().numpy()
            both = np.concatenate([code, stack(action[None, :F], state, "action_rows")[0]])
            gate = 1.0 / (1.0 + np.exp(-(state["gate.weight"] @ action[F:] + state["gate.bias"])))
            expected[b, n] = (gate * (state["head.weight"] @ both + state["head.bias"]))[0]
    np.testing.assert_allclose(network(states, actions).detach().numpy(), expected, rtol=1e-4, atol=1e-6)


def test_the_widths_are_the_papers() -> None:
    shapes = {name: tuple(value.shape) for name, value in QueryNetwork(11, 240).named_parameters() if value.ndim == 2}
    assert list(shapes.values()) == [
        *[(256, 203), (128, 256), (1, 128), (128, 240)],  # state: rows, then the code over all 240 of them
        *[(512, 203), (256, 512), (128, 256)],  # action
        *[(1, 256), (1, 64)],  # head over both codes, gate over the similarities
    ]


def test_candidates_are_valued_alone_whoever_stands_beside_them() -> None:
    network, (states, actions) = trained(), inputs(3, 6)
    together = network(states, actions)
    alone = torch.cat([network(states, actions[:, n : n + 1]) for n in range(6)], dim=1)
    torch.testing.assert_close(together, alone)


def test_batchnorm_runs_over_batch_and_rows() -> None:
    network, (states, actions) = QueryNetwork(CLASSES, REGIONS).train(), inputs(4, 7)
    network(states, actions)
    rows = states.reshape(20, F)
    norm = network.state_rows[0]
    torch.testing.assert_close(norm.running_mean, 0.1 * rows.mean(0))
    torch.testing.assert_close(norm.running_var, 0.9 + 0.1 * rows.var(0))
    torch.testing.assert_close(network.action_rows[0].running_mean, 0.1 * actions[..., :F].reshape(28, F).mean(0))


def test_the_state_branch_runs_once_for_each_state_whatever_the_candidates() -> None:
    network, seen = trained(), []
    network.state_rows.register_forward_hook(lambda module, given, made: seen.append(tuple(given[0].shape)))
    network(*inputs(16, 20))
    assert seen == [(16 * REGIONS, F)]


def test_the_same_generator_gives_the_same_weights_and_leaves_global_chance_alone() -> None:
    before = torch.random.get_rng_state()
    first, again, other = (
        QueryNetwork(CLASSES, REGIONS, generator=torch.Generator().manual_seed(seed)).head.weight for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_it_tells_what_it_was_made_for() -> None:
    network = QueryNetwork(CLASSES, REGIONS)
    assert (network.classes, network.state_regions) == (CLASSES, REGIONS)
    assert (network.state_features, network.action_features) == (F, A)


@pytest.mark.parametrize(
    ("state", "actions", "sentence"),
    [
        ((1, REGIONS + 1, F), (1, 2, A), "state should be B x 5 x 195, not"),
        ((1, REGIONS, F + 1), (1, 2, A), "state should be B x 5 x 195, not"),
        ((REGIONS, F), (1, 2, A), "state should be B x 5 x 195, not"),
        ((1, REGIONS, F), (1, 2, F), "Actions should be B x N x 259, not"),
        ((2, REGIONS, F), (1, 2, A), "2 states do not go with 1 sets"),
    ],
)
def test_rows_of_another_shape_are_refused(state: tuple[int, ...], actions: tuple[int, ...], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        trained()(torch.zeros(state), torch.zeros(actions))


def test_a_network_without_classes_or_regions_is_refused() -> None:
    with pytest.raises(ValueError, match="needs 2 classes and 1 state region"):
        QueryNetwork(1, 5)
