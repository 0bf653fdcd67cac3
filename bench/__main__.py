"""`python -m bench`: start what is measured, take the measurements in rounds, show what was found, stop what was started."""

import signal
import sys
import time
from argparse import ArgumentParser, Namespace
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from bench import report, stage
from bench.measure import Unexpected
from orchestrator.embedded import EngineError

if TYPE_CHECKING:
    from bench.calls import Measurements

ROOT = Path(__file__).resolve().parent.parent
LONGEST = 300  # seconds for all of it
WARM = 0.5  # seconds of each measurement before the first round


class Stopped(BaseException):
    """The time is over, or somebody wants it to end: whatever was started is stopped on the way out."""


def options() -> Namespace:
    """What the command line says."""
    parser = ArgumentParser(prog="python -m bench", description=sys.modules[__name__].__doc__)
    parser.add_argument("result", nargs="?", type=Path, default=ROOT / "var/bench/result.json", help="where the JSON goes")
    parser.add_argument("--home", type=Path, default=ROOT / "var/bench", help="where engines and data live; kept for the next run")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement in each round")
    parser.add_argument("--tiny", action="store_true", help="a thousandth of the rows: shows that it works, its figures mean nothing")
    return parser.parse_args()


def main() -> int:
    """0 when every row holds, 1 when one misses its floor or the run fails."""
    given = options()
    for number in (signal.SIGALRM, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    signal.alarm(LONGEST)
    sizes = stage.Sizes(work=(300, 300), small=(100, 10), large=(1000, 100)) if given.tiny else stage.Sizes()
    try:
        found = run(given, sizes)
    except (Stopped, Unexpected, EngineError) as why:
        say(f"stopped: {why}")
        return 1
    report.write(found, given.result)
    sys.stdout.write(f"{report.table(found)}\n")
    say(f"written to {given.result}")
    return 0 if found["holds"] else 1


def run(given: Namespace, sizes: stage.Sizes) -> dict[str, Any]:
    """On engines and servers of its own, from the first row to the figures."""
    url = stage.settle(given.home.resolve())
    say("the engines start")
    with ExitStack() as held:
        held.enter_context(stage.engines(given.home.resolve()))
        import django  # only now does the environment say what the settings read

        django.setup()
        from bench.calls import Measurements

        built = stage.build(url, sizes, held, say)
        rounds = take(Measurements(built), given.rounds, given.seconds)
        return report.result(rounds, sizes, given.seconds, stage.durability(url))


def take(measurements: "Measurements", rounds: int, seconds: float) -> report.Rounds:
    """Each measurement in turn, then the next round: what disturbs the machine for a while disturbs both sides of a ratio."""
    taken: report.Rounds = {}
    for number in range(rounds + 1):
        for name, measure in measurements.all().items():
            say(f"round {number} of {rounds}: {name}" if number else f"warming up: {name}")
            seen = measure(number, seconds if number else WARM)
            if number:
                taken.setdefault(name, []).append(seen)
    return taken


def say(line: str) -> None:
    """Progress, beside the table."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {line}\n")
    sys.stderr.flush()


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped(f"not done within {LONGEST} s" if number == signal.SIGALRM else signal.Signals(number).name)


if __name__ == "__main__":
    sys.exit(main())
