"""The kernel that notebooks of a batch run in, and how it is talked to."""

import os
import subprocess
import sys
from queue import Empty
from typing import Any
from uuid import uuid4

from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.channels import AsyncZMQSocketChannel
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from papermill.engines import NBClientEngine, papermill_engines

from bitskept import processes

SECONDS = 1.0  # between two looks for a reply
ENGINE, WRITTEN_EVERY = "bitskept", 5.0  # papermill's name of the engine below, and seconds


class PatientChannel(AsyncZMQSocketChannel):
    """Looks for a message anew each second.

    A message that is sent on the same socket meanwhile, as nbclient does for widgets, may use up the one signal that a
    reply has come, and whoever waits for that signal alone waits forever.
    """

    async def get_msg(self, timeout: float | None = None) -> dict[str, Any]:
        """The next message; Empty where none comes within the timeout (seconds)."""
        while timeout is None:
            try:
                return await super().get_msg(SECONDS)
            except Empty:
                continue
        return await super().get_msg(timeout)


class PatientClient(AsyncKernelClient):
    """Misses no reply of a kernel."""

    shell_channel_class = PatientChannel


class OwnKernel(AsyncKernelManager):
    """Starts the ipykernel of the running interpreter, whatever kernel the user has registered as `python3`: the one
    that waits beside this process (`processes`), or else a new one.

    It ends with this process. ipykernel sees to that only where orphans become children of process 1, which those of a
    desktop session do not.
    """

    client_factory = PatientClient

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.kernel_spec_manager = KernelSpecManager(kernel_dirs=[], parent=self)
        if sys.platform == "linux":  # names of its own, where kernels that start together may pick the same free port
            self.transport, self.ip = "ipc", f"@bitskept-{uuid4().hex}"

    def start_kernel(self, **options: Any) -> Any:
        # Its own log, not what cells write: shut down in the middle of a cell, it would print a traceback.
        watch = f"__import__('bitskept.parallel').parallel.end_with({os.getpid()})"
        arguments = [*options.pop("extra_arguments", []), f"--IPKernelApp.exec_lines={watch}"]
        return super().start_kernel(stderr=subprocess.DEVNULL, extra_arguments=arguments, **options)

    async def _async_launch_kernel(self, kernel_cmd: list[str], **options: Any) -> None:
        if not processes.waiting:
            await super()._async_launch_kernel(kernel_cmd, **options)
            return
        kernel = processes.waiting.pop()
        settings, folder = options.get("env") or dict(os.environ), options.get("cwd") or os.getcwd()
        kernel.begin(kernel_cmd[kernel_cmd.index("-f") :], settings, folder)
        self.provisioner.process, self.provisioner.pid, self.provisioner.pgid = kernel, kernel.pid, kernel.pid
        self._reconcile_connection_info(self.provisioner.connection_info)


class Engine(NBClientEngine):
    """Writes the executed copy every few seconds and at the end. papermill does before and after each cell, which takes
    as long as most cells once there are figures in it.
    """

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> None:
        write = nb_man.save

        def now_and_then(**given: Any) -> None:
            if (nb_man.now() - nb_man.last_save_time).total_seconds() > WRITTEN_EVERY:
                write(**given)

        nb_man.save = now_and_then
        try:
            super().execute_managed_notebook(nb_man, kernel_name, **options)
        finally:
            nb_man.save = write


papermill_engines.register(ENGINE, Engine)
