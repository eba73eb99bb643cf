import json
import os

from pipepita.machine import cores, machine


def test_machine_can_be_printed():
    found = json.loads(json.dumps(machine()))
    assert found["cores"] == cores() <= (os.cpu_count() or 1)
    assert found["torch"] and found["cpu"]
