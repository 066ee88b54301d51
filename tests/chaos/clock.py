"""The clock on the wall of the processes under test, moved for all at once; that which only goes forward is left alone."""

import shutil
import struct
import subprocess
import time
from pathlib import Path

# What a machine's clock is asked by: the wall's time is shifted by the seconds that stand in a file, which all processes map.
# libfaketime shifts the clock that only goes forward, too, or makes sleep() fail.
_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static volatile const long long *shift;
static int (*real_clock)(clockid_t, struct timespec *);
static int (*real_wait)(sem_t *, const struct timespec *);

__attribute__((constructor)) static void begin(void) {
    static const long long none = 0;
    const char *path = getenv("CHAOS_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *mapped = file < 0 ? MAP_FAILED : mmap(0, sizeof none, PROT_READ, MAP_SHARED, file, 0);
    real_clock = dlsym(RTLD_NEXT, "clock_gettime");
    real_wait = dlsym(RTLD_NEXT, "sem_timedwait");
    shift = mapped == MAP_FAILED ? &none : mapped;
}

int clock_gettime(clockid_t which, struct timespec *at) {
    if (!real_clock) begin();
    int failed = real_clock(which, at);
    if (!failed && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) at->tv_sec += *shift;
    return failed;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    struct timespec now;
    int failed = clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return failed;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}

int sem_timedwait(sem_t *restrict sem, const struct timespec *restrict until) {
    struct timespec real = *until;
    real.tv_sec -= *shift;
    return real_wait(sem, &real);
}
"""


class Clock:
    """The processes' time, and when it was moved, by this process's clock that only goes forward."""

    def __init__(self, folder: Path) -> None:
        """Compiles what moves it; without a compiler it stays where it is."""
        self._file, self._library = folder / "clock", folder / "clock.so"
        self._file.write_bytes(struct.pack("q", 0))
        self._moves: list[tuple[float, int]] = [(float("-inf"), 0)]
        self._zero = time.time() - time.monotonic()
        self.missing = "" if self._compiled() else "no C compiler is here"

    def _compiled(self) -> bool:
        compiler = shutil.which("cc")
        if compiler is None:
            return False
        command = [compiler, "-shared", "-fPIC", "-O1", "-x", "c", "-", "-o", str(self._library), "-ldl", "-lpthread"]
        return subprocess.run(command, input=_SOURCE.encode(), capture_output=True, check=False).returncode == 0

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to live by this clock."""
        return {} if self.missing else {"LD_PRELOAD": str(self._library), "CHAOS_CLOCK": str(self._file)}

    @property
    def shift(self) -> int:
        """Seconds by which it is ahead now."""
        return self._moves[-1][1]

    def move(self, shift: int) -> None:
        """Have it be ahead by so many seconds."""
        self._moves.append((time.monotonic(), shift))
        with self._file.open("r+b") as file:
            file.write(struct.pack("q", shift))

    def latest(self, begin: float, end: float) -> float:
        """The latest time, in seconds since 1970, that a process may have read between two moments."""
        before = [shift for at, shift in self._moves if at <= begin][-1]
        return self._zero + end + max([before, *(shift for at, shift in self._moves if begin < at <= end)])
