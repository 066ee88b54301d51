"""Runs every benchmark, one after the other; `make bench`."""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    """Each in a process of its own, so that one's memory and threads do not weigh on the next."""
    postgres = os.environ.get("REGIONWISE_TEST_POSTGRES")
    for name, arguments in {
        "selection": [],
        "similarity": [],
        "turns": [],
        "pool": [],
        "streets": [],
        "round": [],
        "exports": [],
        "pairs": ["--postgres", postgres] if postgres else [],
    }.items():
        print(f"\n== {name}", flush=True)
        seeing_tests = {**os.environ, "PYTHONPATH": str(HERE.parent)}
        subprocess.run([sys.executable, HERE / f"{name}.py", *arguments], check=True, env=seeing_tests)


if __name__ == "__main__":
    main()
