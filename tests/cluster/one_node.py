"""A real Slurm whose only node is this machine, with a munge of its own, and everything in one temporary folder.

It is for a process in mount and PID name spaces of its own (see `slurm.py`), so that its configuration can lie in
/etc/slurm without being there for anybody else, and no daemon can outlive it.
"""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import psutil

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol")
NODE = socket.gethostname().partition(".")[0]
MEMORY = psutil.virtual_memory().total // 2**20  # MiB
# A lost node is noticed after 20 seconds and not 300; a job that it held waits for 10 (cred_expire) and not 120.
CONFIGURATION = """
ClusterName=smoke
SlurmctldHost={node}(127.0.0.1)
SlurmctldPort={control_port}
SlurmdPort={node_port}
CommunicationParameters=NoInAddrAny
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=10
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
SlurmdTimeout=20
MessageTimeout=60
ReturnToService=2
MinJobAge=3600
StateSaveLocation={folder}/control
SlurmdSpoolDir={folder}/node
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
GresTypes=gpu
NodeName={node} NodeAddr=127.0.0.1 CPUs={cores} RealMemory={memory} Gres=gpu:1 State=UNKNOWN
PartitionName=smoke Nodes={node} Default=YES MaxTime=INFINITE State=UP
"""
GPU = "Name=gpu File=/dev/null\n"  # for jobs to ask for; it computes nothing
PATIENCE = 120  # seconds that a daemon has for what is asked of it


class Job(NamedTuple):
    """A line of squeue: the rule and its wildcards, what it asked for (MiB, and whether a GPU), and how often Slurm
    itself began it anew.
    """

    id: str
    name: str
    state: str
    memory: int
    gpu: bool
    restarts: int


class Cluster:
    """Slurm and munge, running in this folder for the time of a `with`. RuntimeError, with logs, if they do not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> "Cluster":
        for name in ("etc", "control", "node", "munge"):
            (self.folder / name).mkdir()
        control_port, node_port = _free_ports()
        configuration = CONFIGURATION.format(
            node=NODE, folder=self.folder, control_port=control_port, node_port=node_port,
            cores=os.cpu_count(), memory=MEMORY,
        )  # fmt: skip
        (self.folder / "etc" / "slurm.conf").write_text(configuration)
        (self.folder / "etc" / "gres.conf").write_text(GPU)
        # SLURM_CONF would not do: the executor plugin takes it out of the environment of a job's steps.
        subprocess.run(["mount", "--bind", self.folder / "etc", "/etc/slurm"], check=True)
        self._start_munged()
        self._start("slurmctld", "-D")
        self._start("slurmd", "-D")
        self._wait(lambda: _state_of_node() == "idle", "the node is not idle")
        return self

    def __exit__(self, *_: object) -> None:
        for daemon in reversed(self.daemons.values()):
            daemon.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):  # the end of the name space ends it anyway
                daemon.wait(PATIENCE)

    def lose_node(self) -> None:
        """The node dies, with all that runs on it; Slurm notices; it comes back."""
        self.daemons["slurmd"].kill()
        self.daemons["slurmd"].wait()
        for process in psutil.process_iter(["name"]):
            if process.info["name"] == "slurmstepd":
                process.kill()
        kill(jobs())
        self._wait(lambda: _state_of_node().startswith("down"), "the loss of the node is not noticed")
        self._start("slurmd", "-D")

    def _start_munged(self) -> None:
        folder = self.folder / "munge"
        key = folder / "key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        for path in (folder, key):
            shutil.chown(path, "munge", "munge")
        files = [
            f"--{name}={folder / name.partition('-')[0]}" for name in ("key-file", "pid-file", "log-file", "seed-file")
        ]
        self._start("runuser", "-u", "munge", "--", "munged", "--foreground", f"--socket={folder / 'socket'}", *files)
        self._wait((folder / "socket").exists, "munged opens no socket")

    def _start(self, *command: str) -> None:
        with (self.folder / f"{command[0]}.log").open("ab") as log:
            self.daemons[command[0]] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _wait(self, met: Callable[[], bool], otherwise: str) -> None:
        last = time.monotonic() + PATIENCE
        while not met():
            if time.monotonic() > last:
                logs = [tail(self.folder / f"{name}.log") for name in self.daemons]
                raise RuntimeError("\n".join([f"{otherwise} after {PATIENCE} seconds; the logs end with:", *logs]))
            time.sleep(0.5)


def jobs() -> list[Job]:
    """All jobs that Slurm knows of, in the order of their submission; none while it does not answer."""
    columns = "JobID:|,Comment:|,State:|,MinMemory:|,tres-per-job:|,RestartCnt:|"
    squeue = ["squeue", "--noheader", "--states=all", "--sort=i", "--Format", columns]
    lines = subprocess.run(squeue, capture_output=True, text=True).stdout.splitlines()
    rows = [line.split("|") for line in lines]
    return [
        Job(id, name, state, _mebibytes(memory), "gpu" in resources, int(restarts))
        for id, name, state, memory, resources, restarts, *_ in rows
    ]


def kill(victims: Iterable[Job]) -> None:
    """SIGKILL to all processes of these jobs, as from a kernel that is out of memory."""
    ids = {job.id for job in victims}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):  # it has ended in the meantime, or is a thread of the kernel
            if process.environ().get("SLURM_JOB_ID") in ids and process.name() != "slurmstepd":
                process.kill()


def tail(log: Path, lines: int = 60) -> str:
    """The end of a log."""
    return "\n".join(log.read_text("utf-8", errors="replace").splitlines()[-lines:])


def _mebibytes(written: str) -> int:
    """Slurm's way of writing memory, as 1500M or 2G."""
    return int(float(written[:-1]) * {"M": 1, "G": 1024, "T": 1024**2}[written[-1]])


def _state_of_node() -> str:
    command = ["sinfo", "--noheader", "--format=%T"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        for one in (first, second):
            one.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]
