import os
import re
import socket

import numpy as np
import psutil

from bitskept.base import provenance


def test_the_machine_is_described_without_its_name():
    machine = provenance.machine()
    assert machine["cores"] == provenance.cores() >= 1
    assert machine["memory_bytes"] == psutil.virtual_memory().total
    assert machine["cpu"]
    assert not re.search(rf"\b{re.escape(socket.gethostname())}\b|{re.escape(os.sep)}home", str(machine))


def test_versions_are_those_of_the_installed_packages():
    versions = provenance.versions()
    assert versions["numpy"] == np.__version__
    assert set(versions) == {"python", "bitskept", *provenance.PACKAGES}
