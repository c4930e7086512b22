"""The papermill engine `bitskept`: `papermill --engine bitskept IN OUT`, and the one that `bitskept run` uses.

Import papermill first: it imports this module, as an entry point, in the middle of its own import.
"""

import os
import subprocess
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from papermill.engines import NBClientEngine, papermill_engines

NAME = "bitskept"
SECONDS = 5.0
"""Between two times that the executed copy is written."""


class Engine(NBClientEngine):
    """Writes the executed copy every few seconds and at the end. papermill writes it before and after each cell, which
    takes longer than most cells once there are figures in it.
    """

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> None:
        write = nb_man.save

        def write_now_and_then(**given: Any) -> None:
            if (nb_man.now() - nb_man.last_save_time).total_seconds() > SECONDS:
                write(**given)

        nb_man.save = write_now_and_then
        try:
            super().execute_managed_notebook(nb_man, kernel_name, kernel_manager_class=OwnKernel, **options)
        finally:
            nb_man.save = write


class OwnKernel(AsyncKernelManager):
    """Starts the ipykernel of the running interpreter, whatever kernel the user has registered as `python3`. It ends
    with this process; ipykernel alone ends only if orphans become children of process 1, as not on every desktop.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.kernel_spec_manager = KernelSpecManager(kernel_dirs=[], parent=self)

    def start_kernel(self, **options: Any) -> Any:
        watch = f"__import__('bitskept.base.parallel').base.parallel.end_with({os.getpid()})"
        arguments = [*options.pop("extra_arguments", []), f"--IPKernelApp.exec_lines={watch}"]
        # The kernel's own log, not what cells print: a kernel that is stopped in a cell writes a traceback there.
        return super().start_kernel(stderr=subprocess.DEVNULL, extra_arguments=arguments, **options)


papermill_engines.register(NAME, Engine)  # whether the entry point is installed or not
