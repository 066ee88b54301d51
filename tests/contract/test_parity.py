"""The live service and the simulation choose identical regions: same seed, pool, checkpoint and policy."""

from collections.abc import Callable, Sequence

import pytest
import torch
from sqlalchemy import select

from models.blend import Blend
from models.query_network import QueryNetwork
from models.segmenter import Segmenter, build
from models.strategies import Strategy, build_strategy
from service.domain import costs
from service.domain.divided import pool_of
from service.store.budget import regions_left
from service.tables import Region
from tests.workers.conftest import ARCHITECTURE, CLASSES, FROZEN, Rectangles, World
from workers.jobs.project import load_project
from workers.loop import ActiveLearner
from workers.loop.labelled import LabelledSet
from workers.loop.oracle import Oracle
from workers.loop.round import LoopSettings, Proposal, groups_of
from workers.training.building import fresh_segmenter
from workers.training.checkpoints import Policy, save_policy, save_segmenter

POOL, STATE, REWARD = Rectangles(10, 1), Rectangles(2, 2), Rectangles(3, 3)
ROUNDS = 4


def make_segmenter() -> Segmenter:
    return build("fpn", classes=3, width=4, generator=torch.Generator().manual_seed(3)).eval()


def make_policy() -> QueryNetwork:
    policy = QueryNetwork(3, 24, generator=torch.Generator().manual_seed(4))
    # Batch statistics unlike the initial ones, so that a policy in training mode would choose otherwise.
    policy.train()(torch.rand(4, 24, 195), torch.rand(4, 3, 259))
    return policy.eval()


@pytest.mark.parametrize("strategy", ["learned", "entropy", "bald", "coreset", "random", "stratified-random"])
def test_celery_task_and_simulation_choose_the_same_regions(make_world: Callable[..., World], strategy: str) -> None:
    world = make_world(strategy=strategy, budget=4 * ROUNDS, seed=11)
    live_and_simulated_are_the_same(world, make_segmenter(), strategy)


@pytest.mark.parametrize("strategy", ["learned", "entropy", "diverse"])
def test_regions_of_several_sizes_are_the_same_live_and_in_simulation(
    make_world: Callable[..., World], strategy: str
) -> None:
    world = make_world(strategy=strategy, budget=4 * ROUNDS, seed=11, levels=2)
    live_and_simulated_are_the_same(world, make_segmenter(), strategy)
    with world.database.read() as session:
        regions = session.scalars(select(Region).where(Region.project_id == world.project.id)).all()
        assert regions_left(session, world.project) == 0  # of the budget
    assert sum(each.height * each.width for each in regions) == 4 * ROUNDS * 16 * 16
    assert len(regions) > 4 * ROUNDS


@pytest.mark.parametrize(("strategy", "cost"), [("entropy", "clicks"), ("margin", "clicks"), ("bvsb", "seconds")])
def test_value_for_cost_is_the_same_live_and_in_simulation(
    make_world: Callable[..., World], strategy: str, cost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A simulation knows no seconds of people, and goes by those that are assumed until there are labels enough.
    monkeypatch.setattr(costs, "FEWEST_LABELS", 1_000)
    world = make_world(strategy=strategy, budget=4 * ROUNDS, seed=11, levels=2, cost=cost)
    assert _settings(world).cost is not None
    live_and_simulated_are_the_same(world, make_segmenter(), strategy)


@pytest.mark.parametrize("strategy", ["learned", "class-balanced"])
def test_a_refitted_head_is_taught_the_same_live_and_in_simulation(
    make_world: Callable[..., World], strategy: str
) -> None:
    world = make_world(strategy=strategy, budget=4 * ROUNDS, seed=11, **FROZEN)
    live_and_simulated_are_the_same(world, fresh_segmenter(ARCHITECTURE, 3, [POOL], 5, "cpu"), strategy, known=[STATE])


@pytest.mark.parametrize("levels", [1, 2])
def test_a_blend_chooses_in_turn_the_same_live_and_in_simulation(make_world: Callable[..., World], levels: int) -> None:
    world = make_world(strategy="learned", budget=4 * ROUNDS, seed=11, levels=levels, **FROZEN)
    segmenter = fresh_segmenter(ARCHITECTURE, 3, [POOL], 5, "cpu")
    live_and_simulated_are_the_same(world, segmenter, "learned", known=[STATE], policy=Blend().eval())


@pytest.mark.parametrize("strategy", ["diverse", "bvsb"])
def test_where_nothing_is_labelled_the_first_round_is_the_same_live_and_in_simulation(
    make_world: Callable[..., World], strategy: str
) -> None:
    world = make_world(strategy=strategy, budget=4 * ROUNDS, seed=11, **FROZEN)
    world.add("pool", POOL, labelled=False).add("reward", REWARD)
    world.call("GET", "/next-regions", params={"project": world.project.id})
    world.work()
    segmenter = fresh_segmenter(ARCHITECTURE, 3, [POOL, REWARD], 11, "cpu")
    proposal = active_learner(world, segmenter, build_strategy(strategy)).ask(round_number=1)
    assert sorted(world.label_all()) == places(proposal)
    assert world.rounds()[0]["strategy"] == proposal.strategy


def active_learner(
    world: World, segmenter: Segmenter, strategy: Strategy, known: Sequence[Rectangles] = ()
) -> ActiveLearner:
    """What a simulation plays with."""
    return ActiveLearner(
        segmenter=segmenter,
        strategy=strategy,
        pool=pool_of(groups_of(POOL, _settings(world)), _settings(world).levels),
        labelled=LabelledSet(3),
        images=POOL,
        state=STATE,
        reward=REWARD,
        settings=_settings(world),
        seed=11,
        known=known,
    )


def places(proposal: Proposal) -> list[tuple[str, int]]:
    """Names of images and cells, as `label_all` says what it labelled."""
    return sorted((f"pool-{region.image:03}.png", region.cell) for region in proposal.regions)


def live_and_simulated_are_the_same(
    world: World,
    segmenter: Segmenter,
    strategy: str,
    known: Sequence[Rectangles] = (),
    policy: Policy | None = None,
) -> None:
    """Play the rounds of a project through the Celery task, then by hand, from the same networks."""
    world.add("pool", POOL, labelled=False).add("state", STATE).add("reward", REWARD)
    policy = policy or make_policy()
    world.add_checkpoint("segmenter", save_segmenter(segmenter, CLASSES))
    world.add_checkpoint("policy", save_policy(policy, CLASSES))

    live = []
    world.call("GET", "/next-regions", params={"project": world.project.id})
    for _ in range(ROUNDS):
        world.work()
        live.append(sorted(world.label_all()))
    world.work()

    by = build_strategy(strategy, policy if strategy == "learned" else None)
    learner = active_learner(world, segmenter, by, known)
    simulated, rewards, asked_by = [], [], []
    for number in range(1, ROUNDS + 1):
        proposal = learner.ask(round_number=number)
        simulated.append(places(proposal))
        asked_by.append(proposal.strategy)
        rewards.append(learner.tell(Oracle(POOL).answer(proposal), round_number=number).reward)

    assert live == simulated
    assert [each["reward"] for each in world.rounds()] == pytest.approx(rewards)
    assert [each["strategy"] for each in world.rounds()] == asked_by
    assert set(asked_by[1:]) == {strategy}  # the first round is another's where the head has learned from nothing


def _settings(world: World) -> LoopSettings:
    from types import SimpleNamespace

    worker = SimpleNamespace(database=world.database, blobs=world.blobs, decoded=None)
    return load_project(worker, world.project.id).loop  # type: ignore[arg-type]
