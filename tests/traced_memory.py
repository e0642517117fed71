"""What memory a piece of code takes, traced in a process of its own.

Tracing is on before any other thread is there and is never ended: in CPython 3.11 `tracemalloc.stop` while another
thread frees memory can crash the process.
"""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import os, sys, tracemalloc
{warm_up}
tracemalloc.reset_peak()
before, _ = tracemalloc.get_traced_memory()
{code}
_, peak = tracemalloc.get_traced_memory()
print(peak - before, flush=True)
os._exit(0)
"""


def peak_bytes(code: str, *arguments: str, warm_up: str = "") -> int:
    """The most bytes that were taken at once beyond what was there before.

    Args:
        code: lines of Python; what they raise fails the test.
        arguments: theirs, in sys.argv from 1 on.
        warm_up: lines that run before the measure, for imports and for what libraries keep for themselves.
    """
    program = _PROGRAM.format(warm_up=warm_up, code=code)
    command = [sys.executable, "-X", "tracemalloc", "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1])
