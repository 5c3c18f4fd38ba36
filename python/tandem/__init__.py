# SPDX-License-Identifier: MIT
"""Simulate and plan the serving of large language models.

    import tandem
    result = tandem.run("default", {"cluster.replicas": 2})
    print(result.summary["ttft_s"]["p99"], result.slo_met)

Runs go through libtandem (ctypes); pages, sweeps' tables and plans through the program `tandem`. Both are part of the
wheel. Whatever goes wrong is an exception with the one sentence that the program would print."""

from ._library import BadInput, Error, IOFailure, NoMemory, RunFailed, load_plugin, version
from ._run import Requests, Result, run, sweep
from ._program import plan

__version__ = version()
__all__ = ["run", "sweep", "plan", "load_plugin", "version", "Result", "Requests", "Error", "BadInput", "IOFailure", "NoMemory",
           "RunFailed"]
