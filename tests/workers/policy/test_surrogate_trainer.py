"""Training on the surrogate game: it can be put away, knows which policy played best, and is paid against a twin."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch

from models.dqn import Batch, DQNSettings, Transition
from models.regionwise_network import RegionwiseNetwork, RegionwiseSettings
from models.strategies import build_strategy
from tests.workers.games import tiny_game, tiny_settings
from workers.chance import derived_seed, numpy_generator, torch_generator
from workers.policy import surrogate_trainer as surrogate_policy
from workers.policy.surrogate import SurrogateEpisode, play
from workers.policy.surrogate_trainer import EpisodeReport, SurrogateSettings, SurrogateTrainer, play_on
from workers.training.checkpoints import from_bytes

DQN = DQNSettings(
    capacity=60,
    batch=6,
    gamma=0.9,
    n_step=2,
    sync_every=3,
    optimizer="adamw",
    prioritised_alpha=0.6,
    epsilon_rounds=5.0,
)
BUDGET = 10  # rounds of 4, 4 and 2 regions


def trainer(games: int = 1, dqn: DQNSettings = DQN, **chosen: Any) -> SurrogateTrainer:
    """One that plays on rectangles, and on those of two classes too."""
    settings = SurrogateSettings(**{"dqn": dqn, "episodes": 6, "budget": BUDGET, **chosen})
    network = RegionwiseNetwork(RegionwiseSettings(width=8), torch.Generator().manual_seed(4))
    both = [tiny_game(), tiny_game(classes=[2, 0])]
    return SurrogateTrainer(games=both[:games], network=network, settings=settings, seed=11)


def weights(of: SurrogateTrainer) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in of.dqn.online.state_dict().items()}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    """Bit for bit; a discount that is not a number is like any other."""
    return first.keys() == second.keys() and all(
        np.array_equal(value.numpy(), second[key].numpy(), equal_nan=True) for key, value in first.items()
    )


class Kept:
    """A state in memory."""

    def __init__(self) -> None:
        self.data: bytes | None = None

    def load(self) -> bytes | None:
        return self.data

    def save(self, data: bytes) -> None:
        self.data = data

    def clear(self) -> None:
        self.data = None


@pytest.fixture(autouse=True)
def trials_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surrogate_policy, "TRIALS", 1)
    monkeypatch.setattr(surrogate_policy, "EPISODES_PER_TRIAL", 2)


class Stopped(Exception):
    """Stands for a process that is killed."""


@pytest.mark.parametrize("games", [1, 2])
def test_one_that_is_stopped_again_and_again_ends_as_one_that_is_not(
    monkeypatch: pytest.MonkeyPatch, games: int
) -> None:
    straight, heard = trainer(games), []
    reports = [straight.play_episode() for _ in range(6)]
    monkeypatch.setattr(surrogate_policy, "SAVE_SECONDS", -1.0)  # put away after every episode that is reported
    store = Kept()

    def until_the_second(episode: EpisodeReport) -> None:
        heard.append(episode)
        if len(heard) % 2 == 0 and episode.episode < 6:
            raise Stopped

    while True:
        stopped = trainer(games)
        try:
            play_on(stopped, store, until_the_second)
            break
        except Stopped:
            continue
    assert [each.episode for each in heard] == [1, 2, 2, 3, 3, 4, 4, 5, 5, 6]
    assert heard == [reports[each.episode - 1] for each in heard]
    assert same(stopped.tensors(), straight.tensors())
    assert stopped.meta() == straight.meta()
    assert stopped.best_trial == straight.best_trial
    assert from_bytes(store.data or b"").description["trainer"] == straight.meta()


def test_a_trainer_that_was_not_put_away_starts_at_the_beginning() -> None:
    heard: list[int] = []
    play_on(trainer(episodes=2), Kept(), lambda episode: heard.append(episode.episode))
    assert heard == [1, 2]


def test_games_of_different_classes_take_turns_and_their_transitions_stay_apart() -> None:
    both = trainer(games=2)
    before = weights(both)
    for _ in range(4):
        both.play_episode()
    widths = [{len(transition.action_A) for transition in buffer._transitions} for buffer in both._buffers]
    assert widths == [{3 * 14 + 93}, {2 * 14 + 93}]
    assert [len(buffer) for buffer in both._buffers] == [20, 20]
    assert not same(weights(both), before)


def test_the_best_trial_s_weights_are_the_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    results, at_trial = iter([40.0, 55.0, 50.0]), []

    def tried(game: Any, strategy: Any, **chosen: Any) -> np.ndarray:
        at_trial.append({key: value.clone() for key, value in strategy.policy.state_dict().items()})
        return np.array([0.0, next(results) / 100])  # the first is from before the first round

    monkeypatch.setattr(surrogate_policy, "play", tried)
    trained = trainer()
    trials = [trained.play_episode().trial for _ in range(6)]
    assert trials == [None, pytest.approx(40), None, pytest.approx(55), None, pytest.approx(50)]
    assert trained.best_trial == pytest.approx(55)
    assert not same(at_trial[1], at_trial[2])
    assert same(trained.best, at_trial[1])
    policy = trained.best_policy()
    assert same(dict(policy.state_dict()), at_trial[1])
    assert not policy.training


def test_a_trial_is_the_mean_over_rounds_and_games_of_what_the_policy_reaches_without_chance() -> None:
    both = trainer(games=2, episodes=1)
    strategy = build_strategy("learned", both.dqn.online)
    trial = both.play_episode().trial
    curves = [play(game, strategy, budget=BUDGET, seed=1_000_000) for game in both.games]
    assert trial == pytest.approx(50 * (curves[0][1:].mean() + curves[1][1:].mean()))


def played(**chosen: Any) -> list[Transition]:
    """The transitions of one episode; each round's reward is in those of its regions."""
    alone = trainer(dqn=dataclasses.replace(DQN, n_step=1), **chosen)
    alone.play_episode()
    return list(alone._buffers[0]._transitions)


def again(transitions: list[Transition]) -> list[tuple[float, float]]:
    """The episode played again: in each round, what was gained and what a twin would have gained, in points."""
    seed = derived_seed(11, "episode", 0) % 2**31
    episode, rounds = SurrogateEpisode(tiny_game(), budget=BUDGET, seed=seed), []
    while not episode.over:
        pools, now = episode.draw(), transitions[len(episode.labelled) :]
        chosen = [int(pool[transition.chosen]) for pool, transition in zip(pools, now, strict=False)]
        rng = numpy_generator(seed, "twin", episode.round)
        places = rng.integers([len(pool) for pool in pools])
        twin = torch.tensor([int(pool[place]) for pool, place in zip(pools, places, strict=True)])
        before, of_twin = episode.miou, episode.measured(episode.learned(twin))
        episode.tell(torch.tensor(chosen))
        rounds += [(100 * (episode.miou - before), 100 * (of_twin - before))] * len(chosen)
    return rounds


def test_a_reward_is_what_was_gained_over_a_twin_that_asked_at_random() -> None:
    transitions = played(standardise=False)
    expected = [gain - of_twin for gain, of_twin in again(transitions)]
    assert [transition.reward for transition in transitions] == pytest.approx(expected, abs=1e-9)
    assert len({transition.reward for transition in transitions}) == 3


def test_without_a_twin_a_reward_is_the_gain() -> None:
    transitions = played(standardise=False, twin=False)
    assert [transition.reward for transition in transitions] == pytest.approx([each[0] for each in again(transitions)])


def drawn_network(seed: int) -> RegionwiseNetwork:
    return RegionwiseNetwork(RegionwiseSettings(width=8), torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("chance", [1.0, 0.0])
def test_where_rounds_are_explored_a_network_of_new_weights_asks_for_the_whole_round_or_for_nothing(
    chance: float,
) -> None:
    drawn: list[int] = []

    def explorer(seed: int) -> RegionwiseNetwork:
        drawn.append(seed)
        return drawn_network(seed)

    alone = trainer(dqn=dataclasses.replace(DQN, n_step=1, epsilon_floor=chance, epsilon_span=0.0), updates_per_round=0)
    alone = SurrogateTrainer(
        games=alone.games, network=drawn_network(4), settings=alone.settings, seed=11, explorer=explorer
    )
    alone.play_episode()
    transitions = list(alone._buffers[0]._transitions)
    assert len(drawn) == len(set(drawn)) == (3 if chance else 0)
    for number, place in enumerate((0, 4, 8)):
        asking = drawn_network(drawn[number]) if chance else alone.dqn.online
        for transition in transitions[place : place + 4]:
            q_N = asking(transition.state_SF[None], transition.pool_NA[None])[0]
            assert transition.chosen == int(q_N.argmax())


def test_rewards_are_divided_by_the_root_of_their_mean_square_so_far() -> None:
    plain = [transition.reward for transition in played(standardise=False, twin=False)]
    scaled = [transition.reward for transition in played(twin=False)]
    by_round = [plain[place] for place in (0, 4, 8)]
    expected = [by_round[n] / math.sqrt(sum(each**2 for each in by_round[: n + 1]) / (n + 1)) for n in range(3)]
    assert [scaled[place] for place in (0, 4, 8)] == pytest.approx(expected)


def test_an_episode_reports_its_areas_its_gain_and_how_it_explored() -> None:
    alone = trainer(episodes=3)
    first, second = alone.play_episode(), alone.play_episode()
    assert [first.episode, second.episode] == [1, 2]
    seed = derived_seed(11, "episode", 0) % 2**31
    start = SurrogateEpisode(tiny_game(), budget=BUDGET, seed=seed).miou
    assert first.area == alone.areas[0]
    assert abs(first.area / 100 - start) < 1
    # epsilon is that of the episode's last round, 0.05 + 0.85 exp(-rounds / 5)
    assert first.epsilon == pytest.approx(0.05 + 0.85 * math.exp(-2 / 5))
    assert second.epsilon == pytest.approx(0.05 + 0.85 * math.exp(-5 / 5))
    assert second.td_loss > 0
    assert second.target_gap >= 0
    assert (first.trial, second.trial is not None) == (None, True)


def test_updates_begin_when_the_buffer_holds_a_batch_and_the_target_follows_every_few_rounds() -> None:
    counted: list[int] = []
    alone = trainer(dqn=dataclasses.replace(DQN, batch=4, n_step=1, sync_every=5), updates_per_round=3)
    update, sync = alone.dqn.update, alone.dqn.sync_target
    alone.dqn.update = lambda batch: (counted.append(alone.rounds_done), update(batch))[1]  # type: ignore[method-assign]
    synced: list[int] = []
    alone.dqn.sync_target = lambda: (synced.append(alone.rounds_done), sync())[1]  # type: ignore[method-assign]
    for _ in range(4):
        alone.play_episode()
    # A round's transitions are there when the next round is drawn, so that the second round is the first to learn.
    assert counted == [number for number in range(2, 13) for _ in range(3)]
    assert synced == [5, 10]


def test_the_same_seed_trains_the_same_policy_and_another_another() -> None:
    first, second = trainer(), trainer()
    other = SurrogateTrainer(
        games=[tiny_game(tiny_settings())],
        network=RegionwiseNetwork(RegionwiseSettings(width=8), torch.Generator().manual_seed(4)),
        settings=first.settings,
        seed=12,
    )
    for each in (first, second, other):
        for _ in range(3):
            each.play_episode()
    assert same(weights(first), weights(second))
    assert first.areas != other.areas


def some_batch() -> Batch:
    """Two transitions of 200 features, none of them 0, with pools of three candidates."""
    pools_2NA = 1 + torch.rand(2, 3, 200, generator=torch.Generator().manual_seed(3))
    state_SF = torch.ones(2, 4)
    ahead = {"next_state_SF": state_SF, "next_actions_NA": pools_2NA[0]}
    return Batch.of(
        [
            Transition(state_SF=state_SF, action_A=pool_NA[1], reward=1.0, pool_NA=pool_NA, chosen=1, **ahead)
            for pool_NA in pools_2NA
        ]
    )


def perturbed(batch: Batch, seed: int = 0, **chosen: float) -> Batch:
    return trainer(**chosen)._perturbed(batch, torch.Generator().manual_seed(seed))


def differing(first: Batch, second: Batch) -> set[str]:
    pairs = {name: (getattr(first, name), getattr(second, name)) for name in Batch.__slots__}
    return {name for name, (one, other) in pairs.items() if not torch.equal(one.nan_to_num(), other.nan_to_num())}


def test_without_dropout_and_noise_an_update_sees_the_batch_itself() -> None:
    batch = some_batch()
    assert perturbed(batch) is batch


def test_features_that_are_hidden_are_hidden_from_all_actions_and_pools_of_the_batch() -> None:
    batch = some_batch()
    hidden = perturbed(batch, feature_dropout=0.3)
    gone_A = hidden.action_BA[0] == 0
    assert 30 < gone_A.sum() < 90  # 60 of 200, six standard deviations either way
    assert torch.equal(hidden.action_BA, batch.action_BA.masked_fill(gone_A, 0))
    assert torch.equal(hidden.pool_BNA, batch.pool_BNA.masked_fill(gone_A, 0))
    assert differing(hidden, batch) == {"action_BA", "pool_BNA"}


def test_noise_has_the_deviation_that_is_set_and_differs_from_value_to_value() -> None:
    batch = some_batch()
    noisy = perturbed(batch, feature_noise=0.5)
    added_X = torch.cat([(noisy.action_BA - batch.action_BA).flatten(), (noisy.pool_BNA - batch.pool_BNA).flatten()])
    assert added_X.std() == pytest.approx(0.5, rel=0.1)
    assert abs(added_X.mean()) < 0.1
    assert len(added_X.unique()) > 1500
    assert differing(noisy, batch) == {"action_BA", "pool_BNA"}


def test_what_is_hidden_and_added_follows_from_the_generator() -> None:
    batch, chosen = some_batch(), {"feature_dropout": 0.3, "feature_noise": 0.1}
    assert not differing(perturbed(batch, **chosen), perturbed(batch, **chosen))
    assert differing(perturbed(batch, **chosen), perturbed(batch, seed=1, **chosen)) == {"action_BA", "pool_BNA"}


def hidden_in_updates() -> list[tuple[int, list[bool]]]:
    """For each update of two episodes the rounds done and the features that it did not see."""
    alone = trainer(feature_dropout=0.5, updates_per_round=2, dqn=dataclasses.replace(DQN, prioritised_alpha=0.0))
    raw: list[Batch] = []
    hidden: list[tuple[int, list[bool]]] = []
    sample, update = alone._buffers[0].sample, alone.dqn.update

    def sampled(*given: Any) -> Batch:
        raw.append(sample(*given))
        return raw[-1]

    def updated(batch: Batch) -> Any:
        # Where a feature was 0 in the whole batch one cannot tell.
        gone_A = ((batch.action_BA == 0) & (raw[-1].action_BA != 0)).any(0)
        assert torch.equal(batch.action_BA, raw[-1].action_BA.masked_fill(gone_A, 0))
        hidden.append((alone.rounds_done, gone_A.tolist()))
        return update(batch)

    alone._buffers[0].sample = sampled  # type: ignore[method-assign]
    alone.dqn.update = updated  # type: ignore[method-assign]
    for _ in range(2):
        alone.play_episode()
    return hidden


def test_each_update_hides_other_features_drawn_from_seed_round_and_update() -> None:
    found = hidden_in_updates()
    assert found == hidden_in_updates()
    # Of the first episode's 3 rounds too few are remembered for a batch until it ends.
    assert [rounds for rounds, _ in found] == [4, 4, 5, 5, 6, 6]
    for place, (rounds, gone) in enumerate(found):
        kept_A = torch.rand(len(gone), generator=torch_generator(11, "perturb", rounds, place % 2)) >= 0.5
        assert not any(kept and away for kept, away in zip(kept_A.tolist(), gone, strict=True))
        assert sum(gone) > 20
    assert len({tuple(gone) for _, gone in found}) == len(found)
