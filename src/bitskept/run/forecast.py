"""What a measurement will take, said before it starts: models, gigabytes, hours."""

import time
from collections.abc import Sequence

from bitskept.instruments.job import Job
from bitskept.sources import model_files

BYTES = 2
"""Of a weight on the hub: most are published in 16 bits."""
INSTRUMENTS = 3
"""A measurement takes so many times the forward pass: 2.5 to 3.5 for models of 20 to 135 million weights on a CPU; less
for larger ones."""
SIDE, LEAST_SECONDS = 1024, 0.3
"""The side of the matrices that are multiplied to time this machine, and for how long at least."""


def forecast(chosen: Sequence[Job]) -> str:
    """In words: how many jobs and models, how many gigabytes are still to download, the largest model, and about how
    many hours at most at the speed of this machine, `operations_a_second`.

    Results that are in the store take no time, and are counted all the same.
    """
    sizes = {job.subject: job.parameters for job in chosen if job.parameters}
    here = {row["id"]: row["here"] != "no" for row in model_files.catalogue()}
    missing = {name: size for name, size in sizes.items() if not here.get(name.partition("@")[0], True)}
    speed = operations_a_second()
    known = [job for job in chosen if job.tokens]
    seconds = INSTRUMENTS * sum(2 * job.parameters * job.tokens for job in known) / speed
    lines = [f"{len(chosen)} jobs on {len(sizes)} models. Results that are in the store are not computed again."]
    gigabytes = BYTES * sum(missing.values()) / 1e9
    lines.append(f"Models that are not here: {len(missing)}, about {gigabytes:,.1f} GB to download.")
    if sizes:
        largest = max(sizes, key=sizes.__getitem__)
        lines.append(
            f"The largest is {largest}: {4 * sizes[largest] / 1e9:,.1f} GB of memory in float32, half in bfloat16."
        )
    if known:
        pace = f"at the {speed / 1e9:,.0f} GFLOP/s that a product of matrices has here"
        lines.append(f"At most about {seconds / 3600:,.1f} hours for {len(known)} of these jobs, {pace}.")
    if len(known) < len(chosen):
        lines.append(f"No time can be said for the other {len(chosen) - len(known)}.")
    return "\n".join(lines)


def operations_a_second(device: str | None = None) -> float:
    """Floating-point operations a second of a product of matrices in float32, on a GPU if there is one."""
    import torch

    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    matrix = torch.ones(SIDE, SIDE, device=device)
    (matrix @ matrix).sum().item()
    products, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < LEAST_SECONDS:
        (matrix @ matrix)[0, 0].item()
        products += 1
    return 2 * products * SIDE**3 / passed


def core_speed() -> float:
    """The operations a second of one core."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return operations_a_second("cpu")
    finally:
        torch.set_num_threads(threads)
