"""The kinds of jobs. A contract test holds them against the requests that start them and the handlers that do them."""

from typing import Literal, get_args

# Queued by the service as a round goes on, never by a caller; the others are started by an admin.
RoundKind = Literal["ask", "tell"]
ROUND_KINDS: tuple[RoundKind, ...] = get_args(RoundKind)

JobKind = Literal[RoundKind, "pretrain", "train-policy", "finish", "evaluate"]
JOB_KINDS: tuple[JobKind, ...] = get_args(JobKind)
