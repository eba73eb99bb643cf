import json
import os
import platform
import subprocess
import sys

import pytest

from pipepita.machine import cores, machine


def test_machine_can_be_printed():
    facts = json.loads(json.dumps(machine()))
    assert facts["cores"] == cores() <= (os.cpu_count() or 1)
    assert facts["torch"] and facts["cpu"]


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left as they are")
def test_freed_memory_is_used_again():
    """A process that makes and frees blocks of 16 MB does not have them mapped again and again.

    By itself, glibc may or may not do so: its threshold moves, and what lies behind a freed block matters. A threshold
    that is set from outside does not move.
    """
    script = """
import resource, torch
from pipepita.machine import keep_freed_memory
torch.set_num_threads(1)
x = torch.ones(4 << 20)
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        (x + 1)[0].item()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
given = faults()
keep_freed_memory()
faults()
print(given, faults())
"""
    fixed = os.environ | {"MALLOC_MMAP_THRESHOLD_": "131072", "GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=131072"}
    done = subprocess.run([sys.executable, "-c", script], env=fixed, capture_output=True, text=True, check=True)
    given, kept = map(int, done.stdout.split())
    assert kept < given / 2
