"""The notebooks of a profile and all that they need, as a graph of jobs: `snakemake --cores 2 --config profile=smoke`.

What there is to do comes from `bitskept jobs`, and doing it is one call of `bitskept` each. Jobs leave their results in
the store; the marker of a job, a file of build/PROFILE/jobs, lists them. More on the command line, after --config:
threads=4, cores of a job (default: those of --cores, one on a cluster); gpus=1, GPUs of a job whose model is large
enough to gain from one. What `bitskept run` does side by side, one core each, has one core here as well.
"""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

PROFILE = config.get("profile", "laptop")
BUILD = f"build/{PROFILE}"
BITSKEPT = f"{shlex.quote(sys.executable)} -m bitskept"
LISTING = Path(BUILD, "graph.json")
SMALL = 30_000_000  # weights of a model that a GPU would not help

os.environ["BITSKEPT_ROOT"] = os.getcwd()  # for the shells below

if workflow.is_main_process:  # those that it starts, on other machines as well, read what it wrote
    called = [sys.executable, "-m", "bitskept", "jobs", "--profile", PROFILE]
    listed = subprocess.run(called, stdout=subprocess.PIPE, text=True)
    if listed.returncode:
        sys.exit(listed.returncode)
    LISTING.parent.mkdir(parents=True, exist_ok=True)
    LISTING.write_text(listed.stdout)

GRAPH = json.loads(LISTING.read_text())
JOBS = {job["name"]: job for job in GRAPH["jobs"]}


def markers(names):
    return [f"{BUILD}/jobs/{name}.jsonl" for name in names]


def of(command):
    return "|".join(name for name, job in JOBS.items() if job["command"] == command) or "none"


def asked(stem):
    """The markers that a notebook waits for, and of the jobs that it can do without those that are done."""
    mine = [job for job in JOBS.values() if job["notebook"] == stem]
    needed = markers(job["name"] for job in mine if not job["optional"])
    return needed + [path for path in markers(job["name"] for job in mine if job["optional"]) if Path(path).exists()]


def memory(weights, attempt):
    """MB: a process with its libraries, and the weights as numbers of four bytes four times over."""
    return (3000 + 16 * weights // 10**6) * attempt


def minutes(weights, attempt):
    return (60 + weights // 10**7) * attempt


def gpus(weights):
    return config.get("gpus", 0) if weights >= SMALL else 0


def cores():
    """Those of a job that has as many as it may: in `bitskept run` all of the machine."""
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
    wildcard_constraints: job=of("measure")
    input: lambda wildcards: markers(JOBS[wildcards.job]["needs"])
    output: f"{BUILD}/jobs/{{job}}.jsonl"
    params:
        call=lambda wildcards: shlex.join(JOBS[wildcards.job]["arguments"]),
        key=lambda wildcards: json.dumps(JOBS[wildcards.job]["key"], sort_keys=True),
    # A sum by two threads is not that by one: each job has the threads that it has in `bitskept run`.
    threads: lambda wildcards: 1 if JOBS[wildcards.job]["one_thread"] else cores()
    resources:
        mem_mb=lambda wildcards, attempt: memory(weights(wildcards), attempt),
        runtime=lambda wildcards, attempt: minutes(weights(wildcards), attempt),
        gpu=lambda wildcards: gpus(weights(wildcards)),
    shell:
        "touch {output} && BITSKEPT_RUN_LOG={output} BITSKEPT_PROCESSES={threads}"
        " {BITSKEPT} {params.call} --profile {PROFILE}"


# A fine-tuning run.
use rule measure as tune with:
    wildcard_constraints: job=of("tune")


# A twin, trained from nothing.
use rule measure as grow with:
    wildcard_constraints: job=of("grow")


for stem, notebook in GRAPH["notebooks"].items():

    rule:
        name: f"notebook_{stem}"
        input:
            f"notebooks/{stem}.ipynb",
            asked(stem),
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
            key=json.dumps(notebook["key"], sort_keys=True),
            stem=stem,
        threads: cores()
        resources:
            mem_mb=lambda wildcards, attempt, most=notebook["parameters"]: memory(most, attempt),
            runtime=lambda wildcards, attempt, most=notebook["parameters"]: minutes(most, attempt),
        shell:
            "BITSKEPT_PROCESSES={threads} {BITSKEPT} run --profile {PROFILE} {params.stem}"
