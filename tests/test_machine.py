import json
import os

from pipepita.machine import cores, machine


def test_machine_can_be_printed():
    facts = json.loads(json.dumps(machine()))
    assert facts["cores"] == cores() <= (os.cpu_count() or 1)
    assert facts["torch"] and facts["cpu"]
