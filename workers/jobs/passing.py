"""Which failures of a job pass by themselves, so that it is tried again for as long as it takes."""

import errno
from collections.abc import Iterator

from sqlalchemy import exc
from torch import OutOfMemoryError

# Of these nothing is known but their makers: what is far away, and what carries messages.
_FAR = frozenset({"aiohttp", "botocore", "kombu", "redis", "urllib3"})
# What an operating system says of a place that is wrong, not of one that is away.
_WRONG_PLACE = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError)
_WRONG_CALL = frozenset({errno.EINVAL, errno.ENAMETOOLONG, errno.ENOTEMPTY, errno.EBADF, errno.EFBIG})


def passes(error: BaseException) -> bool:
    """Whether what failed is away, full or busy: database, broker, disk, blobs, network, memory of the machine."""
    return any(_passes(each) for each in _chain(error))


def _passes(error: BaseException) -> bool:
    match error:
        case exc.OperationalError() | exc.InterfaceError() | exc.TimeoutError():
            return True
        case exc.DBAPIError():
            return error.connection_invalidated
        case ConnectionError() | TimeoutError() | MemoryError() | OutOfMemoryError():
            return True
        case OSError():
            return not isinstance(error, _WRONG_PLACE) and error.errno is not None and error.errno not in _WRONG_CALL
        case RuntimeError():
            return "DefaultCPUAllocator" in str(error)  # torch has no other name for it
        case _:
            return type(error).__module__.partition(".")[0] in _FAR


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, and what it was raised from."""
    each: BaseException | None = error
    while each is not None:
        yield each
        each = each.__cause__
