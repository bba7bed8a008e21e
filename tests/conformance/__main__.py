"""Kubernetes' own conformance tests on the lab.

    python -m tests.conformance run                       # what has no result yet, on the bare host and with default values
    python -m tests.conformance run host                  # one target only
    python -m tests.conformance run --values FILE         # a virtual cluster with these values, named after the file
    python -m tests.conformance run default --again       # what failed too
    python -m tests.conformance publish                   # put results into the file that docs/conformance.md is made of
    python -m tests.conformance subset                    # the chosen ones, with default values; fails when one of them does

Results and reports are in build/conformance. The lab is brought up if it is not, and left as it was found. Needs root.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from lab.errors import LabError
from tests.conformance import published, results, suite, targets
from tests.conformance.campaign import Campaign
from tests.conformance.results import PASSED
from tests.conformance.targets import DEFAULT, HOST, Target

SUBSET = Path(__file__).with_name("subset.txt")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return int(options.do(options))
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: run the same command again to go on", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.conformance", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="run what has no result yet")
    run.add_argument("target", nargs="*", choices=[HOST, DEFAULT, []], help="default: both, unless --values is given")
    run.add_argument("--values", type=Path, action="append", default=[], metavar="FILE", help="one more target")
    run.add_argument("--again", action="store_true", help="run those that failed again, too")
    run.add_argument("--only", default="", metavar="REGEX", help="only specs that match")
    run.add_argument("--procs", type=int, default=6, metavar="N", help="specs side by side (default: %(default)s)")
    run.set_defaults(do=_run)

    subset = commands.add_parser("subset", help="run the chosen specs with default values")
    subset.add_argument("--procs", type=int, default=6, metavar="N", help="specs side by side (default: %(default)s)")
    subset.set_defaults(do=_subset)

    publish = commands.add_parser("publish", help="put the results into the repository")
    publish.set_defaults(do=lambda _: published.write())
    return parser


def _run(options: argparse.Namespace) -> int:
    wanted = [Target(name=name) for name in options.target]
    wanted += [Target(name=file.stem, values=file.resolve()) for file in options.values]
    complete = True
    with targets.lab():
        specs = [name for name in suite.conformance_specs() if re.search(options.only, name)]
        for target in wanted or [Target(name=HOST), Target(name=DEFAULT)]:
            todo = results.remaining(specs, results.load(target.results), again=options.again)
            if todo:
                with targets.kubeconfig(target) as kubeconfig:
                    Campaign(target=target, kubeconfig=kubeconfig, side_by_side=options.procs).run(todo)
            known = results.load(target.results)
            complete &= _summary(target.name, specs, known)
            (target.folder / "about.json").write_text(json.dumps(targets.about()))
    return 0 if complete else 1


def _subset(options: argparse.Namespace) -> int:
    specs = chosen(SUBSET.read_text())
    target = Target(name="subset")
    target.results.unlink(missing_ok=True)
    with targets.lab(), targets.kubeconfig(target) as kubeconfig:
        campaign = Campaign(target=target, kubeconfig=kubeconfig, side_by_side=options.procs, second_chance=False)
        outcomes = campaign.run(specs)
    _summary("subset", specs, outcomes)
    for name, outcome in outcomes.items():
        if outcome.status != PASSED:
            print(f"\n{outcome.status}: {name}\n{outcome.message}", file=sys.stderr)
    return 0 if all(name in outcomes and outcomes[name].status == PASSED for name in specs) else 1


def chosen(text: str) -> list[str]:
    """The names in a file with one on each line; lines that begin with # are remarks."""
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def _summary(target: str, specs: Sequence[str], known: results.Outcomes) -> bool:
    """Prints how many came to which end; returns whether all have a result."""
    counts = [
        f"{sum(known[name].status == status for name in specs if name in known)} {status}" for status in results.ALL
    ]
    missing = sum(name not in known for name in specs)
    print(f"{target}: {', '.join(counts)}, {missing} without a result", flush=True)
    return not missing


if __name__ == "__main__":
    sys.exit(main())
