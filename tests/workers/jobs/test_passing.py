"""Which failures pass by themselves: what is away, full or busy, and nothing that the input or the code causes."""

import errno

import pytest
import torch
from kombu.exceptions import OperationalError as BrokerAway
from PIL import UnidentifiedImageError
from redis.exceptions import BusyLoadingError
from sqlalchemy.exc import IntegrityError, OperationalError

from models.smp import EncoderOutOfReach
from service.errors import Conflict
from workers.jobs.passing import passes


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EIO, "Input/output error"),
        OSError(errno.ESTALE, "Stale file handle"),
        ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
        TimeoutError("the blobs do not answer"),
        OperationalError("SELECT 1", {}, Exception("database or disk is full")),
        BrokerAway("away"),
        BusyLoadingError("loading"),
        EncoderOutOfReach("the hub does not answer"),
        MemoryError("Unable to allocate 3 GiB"),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_is_away_or_full_passes(error: Exception) -> None:
    assert passes(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("crop larger than the image"),
        RuntimeError("the card fell off the bus"),
        FileNotFoundError(errno.ENOENT, "No such file"),
        PermissionError(errno.EACCES, "Permission denied"),
        UnidentifiedImageError("cannot identify image file"),
        OSError("image file is truncated"),
        IntegrityError("INSERT", {}, Exception("UNIQUE constraint failed")),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_would_fail_again_is_counted(error: Exception) -> None:
    assert not passes(error)


def test_what_was_raised_from_something_that_is_away_passes_too() -> None:
    error = Conflict("The image cannot be read now.", code="reference_lost")
    error.__cause__ = ConnectionResetError(errno.ECONNRESET, "reset")
    assert passes(error)
