"""The smoke graph on a real Slurm, on this one machine: a job is killed and the node lost on the way, and the tables
have to equal those of a local run of the graph, and of the notebooks run without it.

All of it runs in name spaces and a temporary folder of its own: no file of the machine is written, and no daemon
outlives this script. What stays is Debian's packages, where they had to be installed, and on a machine with systemd the
service of munge, which its package starts.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from one_node import MEMORY, PROGRAMS, Cluster, Job, jobs, kill, tail

CHECKOUT = Path(__file__).resolve().parents[2]
PROJECT = ("Snakefile", "notebooks", "params", "profiles", "src", "pyproject.toml")  # what a run reads
COMPUTED = ("store", "models/tuned", "models/twins")  # what it computes under BITSKEPT_HOME: cold here
# This cluster has no accounting database, hence no account, and squeue; and a look every five seconds will do.
WITHOUT_ACCOUNTING = (
    "--slurm-no-account",
    "--slurm-status-command=squeue",
    "--slurm-init-seconds-before-status-checks=5",
)
CORES = str(os.cpu_count())  # of a job: a sum by two threads is not that by one, and the notebooks use them all
LARGE = "smollm2-135m"  # the model of the smoke profile that is to have a GPU
RIPE = 10  # seconds: a job that has run for so long is in the middle of its work


def main() -> int:
    arguments = parser().parse_args()
    try:
        if arguments.inside:
            return inside(Path(arguments.inside), arguments.targets)
        return outside(arguments.targets)
    except KeyboardInterrupt:
        return 130


def outside(targets: list[str]) -> int:
    """Starts this script again, in name spaces and a folder of its own."""
    refuse_where_impossible()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop("stopped"))
    install()
    with tempfile.TemporaryDirectory(prefix="bitskept-slurm-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)  # munged runs as its own user, and wants a socket that everybody can reach
        isolated = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        first = ["sh", "-c", '"$@"; exit $?', "sh"]  # the first process of the name space has to bury the dead: a shell
        again = [sys.executable, __file__, "--inside", folder, *targets]
        return subprocess.run([*isolated, *first, *again]).returncode


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="tests/cluster/slurm.py",
        description="Run the smoke graph on a Slurm of one node on this machine, kill a job, lose the node, and "
        "compare the tables with those of local runs. Needs root and Debian or Ubuntu; installs slurm-wlm and munge "
        "with apt where they are missing, and leaves nothing else behind. Takes models and texts from BITSKEPT_HOME, "
        "but no results.",
    )
    top.add_argument("targets", nargs="*", metavar="TARGET", help="files or rules of the graph (default: all of it)")
    top.add_argument("--inside", help=argparse.SUPPRESS)
    return top


def stop(reason: str) -> NoReturn:
    sys.exit(f"{parser().prog}: {reason}")


def refuse_where_impossible() -> None:
    """Ends this script, with what is missing, on a machine that it cannot run on."""
    if not shutil.which("apt-get"):
        stop("needs Debian or Ubuntu, for their packages slurm-wlm and munge")
    if os.geteuid():
        stop("needs root, to start Slurm's daemons: run it with sudo, or in a container")
    if subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "true"], capture_output=True
    ).returncode:
        stop("may not make name spaces of its own: a container has to be started with --privileged")
    if not shutil.which("snakemake", path=path()):
        stop(f"there is no snakemake beside {sys.executable}: run it as make test-cluster does")


def path() -> str:
    """PATH with the programs of this Python first, as in an activated environment, and the daemons' folder last."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath), "/usr/sbin"])


def install() -> None:
    """Slurm and munge from apt, where they are missing."""
    missing = [name for name in PROGRAMS if not shutil.which(name, path=path())]
    if not missing:
        return
    print(f"installing slurm-wlm and munge, for there is no {missing[0]}", flush=True)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    packages = ["apt-get", "install", "--yes", "--quiet=2", "--no-install-recommends", "slurm-wlm", "munge"]
    for command in (["apt-get", "update", "--quiet=2"], packages):
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            stop(f"{' '.join(command)} failed: {(done.stderr or done.stdout).strip()}")


def inside(folder: Path, targets: list[str]) -> int:
    """The test itself; all that it starts ends with it."""
    os.environ["PATH"] = path()
    remote, local, batch = (copy(folder / name) for name in ("slurm", "local", "batch"))
    graph = ["snakemake", *targets, "--show-failed-logs"]
    on_slurm = ["--profile", "profiles/slurm", *WITHOUT_ACCOUNTING]
    run("the graph here", local, [*graph, "--cores", CORES, "--config", "profile=smoke"])
    if not targets:
        run("the notebooks", batch, [sys.executable, "-m", "bitskept", "run", "--profile", "smoke"])
    try:
        with Cluster(folder) as cluster:
            faults = Faults(cluster)
            options = ["--config", "profile=smoke", "gpus=1", f"threads={CORES}"]
            run("the graph on Slurm", remote, [*graph, *on_slurm, *options], faults.strike)
            faults.check(jobs())
    except RuntimeError as error:
        stop(str(error))
    others = [local] if targets else [local, batch]
    results, *expected = [root / "build" / "smoke" / "results" for root in (remote, *others)]
    compare = [sys.executable, CHECKOUT / "tests" / "compare_tables.py", results]
    return max(subprocess.run([*compare, one]).returncode for one in expected)


def copy(root: Path) -> Path:
    """A copy of the project, and beside it a BITSKEPT_HOME with the models and texts of the given one, no results."""
    root.mkdir()
    for name in PROJECT:
        if (CHECKOUT / name).is_dir():
            shutil.copytree(CHECKOUT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(CHECKOUT / name, root / name)
    home = Path(f"{root}-home")
    (home / "models").mkdir(parents=True)
    given = Path(os.environ.get("BITSKEPT_HOME", CHECKOUT / ".cache")).expanduser().resolve()
    for found in (*given.glob("*"), *given.glob("models/*")):
        name = found.relative_to(given)
        if str(name) not in (*COMPUTED, "models"):
            (home / name).symlink_to(found)
    return root


def run(what: str, root: Path, command: list[str], meanwhile: Callable[[], None] = lambda: None) -> None:
    """Run a command in a copy, with a call of `meanwhile` every second. Ends this script where it fails."""
    started = time.monotonic()
    own = {"BITSKEPT_HOME": f"{root}-home", "PYTHONPATH": str(root / "src"), "XDG_CACHE_HOME": f"{root}-cache"}
    log = root / "run.log"
    with log.open("wb") as output:
        running = subprocess.Popen(command, cwd=root, env=os.environ | own, stdout=output, stderr=output)
        while running.poll() is None:
            meanwhile()
            time.sleep(1)
    if running.returncode:
        stop(f"{what} failed, with exit status {running.returncode}; the log ends with:\n{tail(log)}")
    print(f"ran {what}: {time.monotonic() - started:.0f} s", flush=True)


class Faults:
    """What goes wrong on the way: first a job is killed, then the node is lost under another."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.since: dict[str, float] = {}  # when each job was first seen running
        self.killed: Job | None = None
        self.lost: Job | None = None

    def strike(self) -> None:
        """To be called again and again while the graph runs."""
        now, known = time.monotonic(), jobs()
        unharmed = {job.id for job in known if job.state == "COMPLETED" and not job.restarts}
        if self.killed and self.killed.id in unharmed:  # it ended in the very moment
            self.killed = None
        if self.lost and self.lost.id in unharmed:
            self.lost = None
        running = [job for job in known if job.state == "RUNNING"]
        ripe = [job for job in running if now - self.since.setdefault(job.id, now) > RIPE]
        if not self.killed and (there := [job for job in ripe if 2 * job.memory < MEMORY]):
            self.killed = there[0]
            kill([self.killed])
            print(f"killed job {self.killed.id}, {self.killed.name}", flush=True)
        elif self.killed and not self.lost and (ripe := [job for job in ripe if job.name != self.killed.name]):
            self.lost = ripe[0]
            self.cluster.lose_node()
            print(f"lost the node under job {self.lost.id}, {self.lost.name}", flush=True)

    def check(self, ended: list[Job]) -> None:
        """Ends this script unless the killed job was submitted anew with twice the memory, the lost one requeued."""
        if not self.killed or not self.lost:
            stop(f"fewer than two jobs ran for longer than {RIPE} seconds, so nothing was tried: name more targets")
        again = [job for job in ended if job.name == self.killed.name and job.id != self.killed.id]
        if [(job.state, job.memory) for job in again] != [("COMPLETED", 2 * self.killed.memory)]:
            stop(f"{self.killed} was killed; it should have been submitted once more, with twice the memory: {again}")
        requeued = [job for job in ended if job.id == self.lost.id]
        if [(job.state, job.restarts) for job in requeued] != [("COMPLETED", 1)]:
            stop(f"the node was lost under {self.lost}; Slurm should have begun it once more: {requeued}")
        if small := [job for job in ended if LARGE in job.name and not job.gpu]:
            stop(f"jobs of a model so large should have asked for a GPU: {small}")
        print(f"{len(ended)} jobs, {sum(job.gpu for job in ended)} with a GPU; the killed and the lost one ran again")


if __name__ == "__main__":
    sys.exit(main())
