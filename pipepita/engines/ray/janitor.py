"""Who cleans up after a coordinator that was killed: a shell that waits for its end, and costs a megabyte.

A process that gets SIGKILL can remove nothing itself. Its embedded cluster mostly ends with it, but two of Ray's agents
stay for a minute, and the folder for ever.
"""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

# The folder comes by stdin, so that this shell is not taken for one of the processes with it on their command line.
# Ray's agents rename themselves, which takes it off theirs, but their logs in it stay open.
_SCRIPT = """
read -r folder && [ -n "$folder" ] || exit
real=$(readlink -f -- "$folder") && [ -n "$real" ] || real=$folder
read -r word && [ "$word" = done ] && exit
for round in 1 2 3 4 5; do
    found=
    [ -e "$folder" ] && found=yes
    for process in /proc/[0-9]*; do
        if grep -qaF -e "$folder" "$process/cmdline" || readlink "$process"/fd/* | grep -qF -e "$real/"; then
            kill -9 "${process#/proc/}"
            found=yes
        fi
    done
    rm -rf -- "$folder"
    [ "$found" ] || exit
    sleep 1
done
"""


class Janitor:
    """Removes `folder` and the processes that were started with it or log into it, if this one dies undismissed."""

    def __init__(self, folder: str) -> None:
        quiet = subprocess.DEVNULL
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT],
            stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, cwd="/", start_new_session=True,
        )  # fmt: skip
        self._say(str(Path(folder).absolute()))

    def _say(self, line: str) -> None:
        assert self._shell.stdin is not None
        with contextlib.suppress(OSError):  # somebody may have ended it
            self._shell.stdin.write(f"{line}\n".encode())
            self._shell.stdin.flush()

    def dismiss(self) -> None:
        """All is clean."""
        self._say("done")
        with contextlib.suppress(OSError):
            self._shell.stdin.close()  # type: ignore[union-attr]
        self._shell.wait()
