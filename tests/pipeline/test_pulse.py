"""Where a process runs, and for whom its id means that process."""

import os
from dataclasses import replace

from pipepita.pipeline.pulse import Place


def test_an_id_of_another_container_is_not_known_here():
    here = Place.here("host", "127.0.0.1", 2, "node")
    assert (here.pid, here.cores, here.node) == (os.getpid(), 2, "node")
    assert here.is_known_here()
    assert not replace(here, namespace=f"{here.namespace}1").is_known_here()
