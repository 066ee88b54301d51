"""Whether freed blocks go back to the system, in a process of its own, whose memory nobody else uses."""

import os
import subprocess
import sys

import pytest

MIB = 1 << 20
# Blocks of 4 MiB with small ones between them, which stay. A larger one is freed before: glibc then takes blocks of 4 MiB from
# its heap, and keeps them.
ALLOCATE = """
from pathlib import Path
import torch
from models.memory import blocks_given_back

def resident():
    return 4096 * int(Path("/proc/self/statm").read_text().split()[1])

def use():
    blocks = [(torch.ones(1 << 20), torch.ones(1000)) for _ in range(40)]
    return [small for _, small in blocks]

torch.ones(7 << 20)
before = resident()
{within}
print(resident() - before)
"""


def growth(within: str) -> int:
    """Bytes that a process holds more after it has used 160 MiB and freed them."""
    done = subprocess.run([sys.executable, "-c", ALLOCATE.format(within=within)], capture_output=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not hasattr(os, "confstr") or "CS_GNU_LIBC_VERSION" not in os.confstr_names, reason="glibc only")
def test_what_is_freed_within_is_not_held() -> None:
    assert growth("with blocks_given_back():\n    kept = use()") < 16 * MIB
