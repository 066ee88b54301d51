"""`make chaos`: plays a run, says how it goes every few seconds, and what came of it. Ends with 1 where not all holds."""

import argparse
import json
import random
import sys
from typing import Any

from tests.chaos.installation import installed
from tests.chaos.options import Options
from tests.chaos.run import Run
from tests.chaos.servers import missing_servers
from tests.chaos.table import table
from tests.chaos.verdict import faults


def played(options: Options) -> list[str]:
    """Play a run, and say what was done; returns what does not hold."""
    _say(f"seed {options.seed}, {options.labels} labels, {options.annotators} annotators, settings {options.settings}")
    with installed(options) as installation:
        if options.keep:
            _say(f"logs in {installation.folder}")
        run = Run(installation, _say)
        course = run.play()
        installation.stop()
        if installation.postgresql is not None:
            installation.postgresql.start()
            installation.postgresql.ready()
        found = faults(installation, run.journal, course)
        _say(table(course, run.journal, installation.processes, run.striker.left_out))
        assert not found, f"Seed {options.seed}:\n" + "\n".join(found)
    return found


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _setting(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def main() -> None:
    """Read what is asked for, play it, and end with a status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="draws the plan; a new one without")
    parser.add_argument("--labels", type=int, default=2000)
    parser.add_argument("--minutes", type=float, default=20.0, help="after which nothing is broken any more")
    parser.add_argument("--strikes", type=int, default=None, help="one for every twenty labels without")
    parser.add_argument("--keep", action="store_true", help="keep the logs of all processes, also where all holds")
    parser.add_argument("--embedded", action="store_true", help="SQLite and the worker inside one server")
    parser.add_argument(
        "--set", type=_setting, action="append", default=[], help="a project's setting, such as overlap=2"
    )
    given = parser.parse_args()
    if not given.embedded and (why := missing_servers()):
        sys.exit(f"Chaos needs servers of its own: {why}. --embedded needs none.")
    options = Options(
        seed=random.randrange(1 << 30) if given.seed is None else given.seed,
        labels=given.labels,
        minutes=given.minutes,
        strikes=given.labels // 20 if given.strikes is None else given.strikes,
        embedded=given.embedded,
        keep=given.keep,
        settings=Options(seed=0).settings | dict(given.set),
    )
    try:
        played(options)
    except AssertionError as error:
        sys.exit("\n".join([str(error), *getattr(error, "__notes__", [])]))


if __name__ == "__main__":
    main()
