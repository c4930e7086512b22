"""Imported by the process that notebooks and their kernels are forked from: what they import, once for all of them."""

import gc
import sys
from importlib import import_module

IRIS = "rfc3987_syntax"  # grammars that take two seconds; jsonschema does without, and notebooks have no IRIs
NEEDED = (
    "jsonschema",
    "papermill",
    "bitskept.kernel",
    "bitskept.batch",
    "bitskept.figures",
    "bitskept.graph",
    "ipykernel.kernelapp",
    "matplotlib.pyplot",
    "pyarrow.parquet",
)

without = sys.modules.setdefault(IRIS, None) is None
for name in NEEDED:
    import_module(name)
if without:
    del sys.modules[IRIS]
gc.freeze()  # it stays: collectors need not look through it again, which would also copy the pages that are shared
