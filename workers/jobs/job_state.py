"""What slices of a job leave for each other, in the blobs."""

from collections.abc import Callable

from service.blobs import Blobs


class JobState:
    """A StateStore in the blobs."""

    def __init__(
        self,
        blobs: Blobs,
        key: str,
        check: Callable[[], None] = lambda: None,
        saved: Callable[[], None] = lambda: None,
    ) -> None:
        """`check` raises where what is kept is not this worker's to change any more; `saved` is called when it was changed."""
        self._blobs, self._key, self._check, self._saved = blobs, key, check, saved

    def load(self) -> bytes | None:
        """What was saved last, or None."""
        return self._blobs.get(self._key) if self._blobs.exists(self._key) else None

    def save(self, data: bytes) -> None:
        """Keep these bytes in place of the last."""
        self._check()
        self._blobs.replace(self._key, data)
        self._saved()

    def clear(self) -> None:
        """Forget."""
        self._check()
        self._blobs.delete(self._key)
