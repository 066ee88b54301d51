"""The kinds of jobs, their queues, and levels of their logs. A contract test holds the kinds against requests and handlers."""

from collections.abc import Mapping
from typing import Literal, get_args

# Queued by the service as a round goes on, never by a caller; the others are started by an admin.
RoundKind = Literal["ask", "tell"]
ROUND_KINDS: tuple[RoundKind, ...] = get_args(RoundKind)

JobKind = Literal[RoundKind, "pretrain", "train-policy", "finish", "evaluate"]
JOB_KINDS: tuple[JobKind, ...] = get_args(JobKind)

# `rounds`: annotators wait for them, and any machine is quick enough. `gpu`: training of networks. `cpu`: whatever is long and
# wants cores rather than a GPU.
Queue = Literal["rounds", "cpu", "gpu"]
QUEUES: tuple[Queue, ...] = get_args(Queue)

QUEUE_OF: Mapping[JobKind, Queue] = {
    "ask": "rounds",
    "tell": "rounds",
    "pretrain": "gpu",
    "train-policy": "cpu",
    "finish": "gpu",
    "evaluate": "cpu",
}

LineLevel = Literal["info", "warning", "error"]
"""Of a line of a job's log."""
