"""Where the time of a policy's training goes: rounds of its game as a preset plays them, part by part.

theta_pre is replaced by fresh weights, which take the same time. The table is explained in docs/profile.md.

Run: python benchmarks/round.py [--preset lite | paper-camvid --root FOLDER] [--set name=value] [--rounds 10] [--device cpu]
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import gettempdir

import torch

from models.dqn import ReplayBuffer, Update
from models.segmenter import Segmenter
from models.strategies import Strategy
from workers.experiments.policies import ground_of
from workers.experiments.settings import Experiment
from workers.experiments.stages import Bench, fresh
from workers.policy.building import dqn_trainer
from workers.policy.game import Asked, Told
from workers.policy.labelling import LabellingGame
from workers.policy.trainer import Trainer
from workers.runs.options import chosen_experiment
from workers.runs.perform import kept_data
from workers.training.convergence import device_of
from workers.training.device import resolve_device

WARM_UP = 2  # rounds at least that are not counted: caches fill, and the replay buffer is too small for an update
SEGMENTER, NETWORK, NEITHER = "segmenter", "query network", "neither"
PARTS = {
    "draw": ("candidate pools are drawn", NEITHER),
    "encode": ("describe: the segmenter's encoder and decoder", SEGMENTER),
    "rows": ("describe: state and action rows", NEITHER),
    "score": ("score and choose", NETWORK),
    "train": ("train the segmenter", SEGMENTER),
    "measure": ("measure mIoU on D_R", SEGMENTER),
    "updates": ("DQN updates", NETWORK),
    "rest": ("rest", NEITHER),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One part of a round: its mean seconds, and its share of the round."""

    part: str
    seconds: float
    share: float


def timed(trainer: Trainer) -> defaultdict[str, float]:
    """Seconds of each part, from now on; what the trainer and its game compute stays the same."""
    seconds = defaultdict[str, float](float)
    (game,) = trainer.games
    assert isinstance(game, LabellingGame)
    ask, tell, learn = game.ask, game.tell, trainer.learn

    def timed_ask(strategy: Strategy, epsilon: float) -> Asked:
        segmenter, before = game.played.learner.segmenter, seconds["encode"]
        encode = segmenter.encode

        def timed_encode(images_B3HW: torch.Tensor) -> torch.Tensor:
            with _timed(seconds, "encode", images_B3HW.device):
                return encode(images_B3HW)

        segmenter.encode = timed_encode  # type: ignore[method-assign]
        asked = ask(strategy, epsilon)
        segmenter.encode = encode  # type: ignore[method-assign]
        for phase in ("draw", "score"):
            seconds[phase] += game.played.proposal.seconds.get(phase, 0.0)
        seconds["rows"] += game.played.proposal.seconds.get("describe", 0.0) - (seconds["encode"] - before)
        return asked

    def timed_tell() -> Told:
        told = tell()
        assert game.played.result is not None
        for phase, value in game.played.result.seconds.items():
            seconds[phase] += value
        return told

    def timed_learn(buffer: ReplayBuffer, number: int, *, imitate: float = 0.0) -> list[Update]:
        with _timed(seconds, "updates", device_of(trainer.dqn.online)):
            return learn(buffer, number, imitate=imitate)

    game.ask, game.tell, trainer.learn = timed_ask, timed_tell, timed_learn  # type: ignore[method-assign]
    return seconds


@contextmanager
def _timed(seconds: dict[str, float], part: str, device: torch.device) -> Iterator[None]:
    _wait(device)
    start = time.perf_counter()
    yield
    _wait(device)
    seconds[part] += time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def trainer_of(bench: Bench, policy: str) -> Trainer:
    """The trainer of a policy that plays on D_T alone, as workers.policy makes it, but from fresh weights."""
    settings = bench.experiment.policy(policy)
    weights = fresh(bench, 0).state_dict()

    def begin() -> Segmenter:
        segmenter = fresh(bench, 0)
        segmenter.load_state_dict(weights)
        return segmenter

    ground = replace(ground_of(bench, policy), start=begin)
    for source in ground.splits.values():  # decoded here, not in a round
        for number in range(len(source)):
            source.label_map(number)
            source.image(number)
    return dqn_trainer(settings, ground, 0)


def profile(trainer: Trainer, rounds: int) -> list[Share]:
    """Play the rounds, after those of the warm-up; the parts of the mean round, in the order of PARTS."""
    spent = timed(trainer)
    while trainer.rounds_done < WARM_UP or len(trainer.buffers[0]) < trainer.settings.dqn.batch:
        trainer.play_round()
    spent.clear()
    start = time.perf_counter()
    for _ in range(rounds):
        trainer.play_round()
    whole = time.perf_counter() - start
    seconds = {part: spent[part] for part in PARTS if part != "rest"}
    seconds["rest"] = whole - sum(seconds.values())
    return [Share(part=part, seconds=seconds[part] / rounds, share=seconds[part] / whole) for part in PARTS]


def table(shares: Sequence[Share]) -> str:
    """The parts as Markdown, and the share of each owner below."""
    lines = ["| part of a round | ms | share | whose |", "|---|---|---|---|"]
    for each in shares:
        title, whose = PARTS[each.part]
        lines.append(f"| {title} | {1000 * each.seconds:,.1f} | {100 * each.share:.1f} % | {whose} |")
    lines.append(f"| a round | {1000 * sum(each.seconds for each in shares):,.1f} | 100.0 % | |")
    owned = {
        owner: sum(each.share for each in shares if PARTS[each.part][1] == owner)
        for owner in (SEGMENTER, NETWORK, NEITHER)
    }
    lines += ["", ", ".join(f"{owner} {100 * share:.1f} %" for owner, share in owned.items())]
    return "\n".join(lines)


def bench_of(experiment: Experiment, root: Path | None, device: str) -> Bench:
    """Where the rounds are played. Nothing is trained before them, so nothing is written to its cache."""
    return Bench(
        experiment=experiment,
        dataset=kept_data(experiment, root, device),
        cache=Path(gettempdir()) / "regionwise-unused",
        device=device,
        report=lambda done, text: None,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="lite", help="a preset's name or the path of a .toml file")
    parser.add_argument("--dataset", help="camvid, cityscapes, folder or streets; without it the preset's, or streets")
    parser.add_argument("--root", type=Path, help="folder of the data set; not needed for streets")
    parser.add_argument("--set", action="append", default=[], metavar="name=value", help="over the preset")
    parser.add_argument("--policy", default="paper", help="a policy that plays on D_T alone")
    parser.add_argument("--rounds", type=int, help="rounds that are counted; without it one episode")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--threads", type=int, default=1, help="of torch; a simulation trains policies on one")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.use_deterministic_algorithms(True, warn_only=True)  # as in a simulation
    device = resolve_device(given.device)
    bench = bench_of(chosen_experiment(given.preset, given.dataset, given.set, None), given.root, device)
    trainer = trainer_of(bench, given.policy)
    rounds = given.rounds or trainer.games[0].rounds
    print(
        f"{bench.experiment.name} on {bench.experiment.dataset}, {device}, threads {given.threads}, rounds {rounds}\n"
    )
    print(table(profile(trainer, rounds)))


if __name__ == "__main__":
    main()
