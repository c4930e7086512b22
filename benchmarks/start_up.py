"""How long the command line takes to start: what only lists something should not wait for torch.

    python benchmarks/start_up.py

Seconds of wall clock and of CPU, medians of several starts taken in turn, beside those of `python -c pass`.
"""

import os
import statistics
import subprocess
import sys
import time

import record

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "bitskept --help": ["-m", "bitskept", "--help"],
    "bitskept models": ["-m", "bitskept", "models"],
    "bitskept corpora": ["-m", "bitskept", "corpora"],
    "bitskept tasks": ["-m", "bitskept", "tasks"],
}


def start(arguments: list[str]) -> tuple[float, float]:
    """Seconds of wall clock and of CPU that one start of Python took."""
    before, clock = os.times(), time.perf_counter()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    wall, after = time.perf_counter() - clock, os.times()
    return wall, after.children_user + after.children_system - before.children_user - before.children_system


def medians(commands: dict[str, list[str]], starts: int) -> list[dict[str, str | float]]:
    """A row a command, the first row for comparison; one start of each before fills the caches and does not count."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for turn in range(starts + 1):
        for name, arguments in commands.items():
            seconds = start(arguments)
            if turn:
                taken[name].append(seconds)
    rows = []
    for name, seconds in taken.items():
        wall, cpu = (statistics.median(column) for column in zip(*seconds, strict=True))
        ratio = wall / rows[0]["seconds"] if rows else 1.0
        rows.append(
            {"command": name, "seconds": round(wall, 3), "cpu_seconds": round(cpu, 3), "ratio": round(ratio, 1)}
        )
    return rows


def main(arguments: list[str] | None = None) -> None:
    parser = record.parser(__doc__)
    parser.add_argument("--starts", type=int, help="of each command (default: 15, quick: 3)")
    options = parser.parse_args(arguments)
    rows = medians(COMMANDS, options.starts or (3 if options.quick else 15))
    print(f"{'':18}{'seconds':>9}{'CPU':>9}{'ratio':>7}")
    for row in rows:
        print(f"{row['command']:18}{row['seconds']:9.3f}{row['cpu_seconds']:9.3f}{row['ratio']:7.1f}")
    print("bitskept --help: at most 0.5 s is asked for")
    record.append("start_up", options, rows)


if __name__ == "__main__":
    main()
