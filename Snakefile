"""The notebooks of a profile and the jobs that they need, as a graph: `snakemake --cores 2 --config profile=smoke`.

`bitskept jobs` lists the jobs, and each is one call of `bitskept`. Jobs leave their results in the store; the marker of a
job, a file in build/PROFILE/jobs, lists them. After --config on the command line: profile=NAME or a parameter file of your
own; threads=4, the cores of a job (default: those of --cores, one on a cluster); gpus=1, the GPUs of a job whose model is
large enough to gain from one. A job that `bitskept run` would do with one thread has one core here as well.
"""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

PROFILE = str(config.get("profile", "laptop"))
BUILD = f"build/{Path(PROFILE).stem if PROFILE.endswith(('.yaml', '.yml')) else PROFILE}"
QUOTED = shlex.quote(PROFILE)
BITSKEPT = f"{shlex.quote(sys.executable)} -m bitskept"
LISTING = Path(BUILD, "graph.json")
SMALL = 30_000_000  # weights of a model that a GPU would not help

os.environ["BITSKEPT_ROOT"] = os.getcwd()  # for the shells below

if workflow.is_main_process:  # the processes that it starts, on other machines as well, read what it wrote
    command = [sys.executable, "-m", "bitskept", "jobs", "--profile", PROFILE]
    listed = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if listed.returncode:
        sys.exit(listed.returncode)
    LISTING.parent.mkdir(parents=True, exist_ok=True)
    LISTING.write_text(listed.stdout)

GRAPH = json.loads(LISTING.read_text())
JOBS = {job["name"]: job for job in GRAPH["jobs"]}


def markers(names):
    return [f"{BUILD}/jobs/{name}.jsonl" for name in names]


def names_of(command):
    return "|".join(name for name, job in JOBS.items() if job["command"] == command) or "none"


def inputs(stem):
    """The markers that a notebook waits for; of optional jobs only those that have been done."""
    mine = [job for job in JOBS.values() if job["notebook"] == stem]
    needed = markers(job["name"] for job in mine if not job["optional"])
    return needed + [path for path in markers(job["name"] for job in mine if job["optional"]) if Path(path).exists()]


def key(described):
    """A parameter of a rule: it runs again when this changes. As a function, for braces in a string are wildcards."""
    return lambda wildcards: json.dumps(described["key"], sort_keys=True)


def memory(weights, attempt):
    """MB: a process with its libraries, and the weights as numbers of four bytes four times over."""
    return (3000 + 16 * weights // 10**6) * attempt


def minutes(weights, attempt):
    return (60 + weights // 10**7) * attempt


def gpus(weights):
    return config.get("gpus", 0) if weights >= SMALL else 0


def cores():
    """The cores of a job that may have as many as it likes: in `bitskept run` all of the machine."""
    if "threads" in config:
        return config["threads"]
    if not workflow.is_main_process:  # on a node, which counts its own cores and not those that the job asked for
        return 1
    try:
        return workflow.cores
    except WorkflowError:  # on a cluster, where nobody said how many there are
        return 1


def weights(wildcards):
    return JOBS[wildcards.job]["parameters"]


localrules: all, jobs


rule all:
    input:
        [f"{BUILD}/notebooks/{stem}.ipynb" for stem in GRAPH["notebooks"]],
        markers(JOBS),


rule jobs:
    input:
        markers(JOBS),


# A measurement of a model.
rule measure:
    wildcard_constraints: job=names_of("measure")
    input: lambda wildcards: markers(JOBS[wildcards.job]["needs"])
    output: f"{BUILD}/jobs/{{job}}.jsonl"
    params:
        call=lambda wildcards: shlex.join(JOBS[wildcards.job]["arguments"]),
        key=lambda wildcards: key(JOBS[wildcards.job])(wildcards),
    # Sums by two threads differ in the last digits: each job has the threads that it has in `bitskept run`.
    threads: lambda wildcards: 1 if JOBS[wildcards.job]["one_thread"] else cores()
    resources:
        mem_mb=lambda wildcards, attempt: memory(weights(wildcards), attempt),
        runtime=lambda wildcards, attempt: minutes(weights(wildcards), attempt),
        gpu=lambda wildcards: gpus(weights(wildcards)),
    shell:
        "touch {output} && BITSKEPT_RUN_LOG={output} BITSKEPT_PROCESSES={threads}"
        " {BITSKEPT} {params.call} --profile {QUOTED}"


# A fine-tuning run.
use rule measure as tune with:
    wildcard_constraints: job=names_of("tune")


# A twin, trained from nothing.
use rule measure as grow with:
    wildcard_constraints: job=names_of("grow")


for stem, notebook in GRAPH["notebooks"].items():

    rule:
        name: f"notebook_{stem}"
        input:
            f"notebooks/{stem}.ipynb",
            inputs(stem),
            notebook["reads"],
        output:
            # Figures and tables stay where they are until new ones take their place, whatever becomes of the run.
            pictures=[
                update(report(path, category=stem, labels={"figure": Path(path).stem}) if path.endswith("png") else path)
                for path in notebook["pictures"]
            ],
            tables=[update(path) for path in notebook["tables"]],
            executed=f"{BUILD}/notebooks/{stem}.ipynb",
        params:
            key=key(notebook),
            stem=stem,
        threads: cores()
        resources:
            mem_mb=lambda wildcards, attempt, most=notebook["parameters"]: memory(most, attempt),
            runtime=lambda wildcards, attempt, most=notebook["parameters"]: minutes(most, attempt),
        shell:
            "BITSKEPT_PROCESSES={threads} {BITSKEPT} run --profile {QUOTED} {params.stem}"
