"""Cleans up after a coordinator that was killed: a shell that waits until the coordinator ends, and costs a megabyte.

A process that gets SIGKILL can remove nothing itself. Its embedded cluster mostly ends with it. But two of Ray's agents
stay for a minute, and the cluster's folder for ever.
"""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

# The folder comes by stdin, not as an argument: the script kills every process that has the folder on its command line.
# Ray's agents rename themselves, which clears their command lines, but they keep their log files in the folder open.
# So does the coordinator, if it is still there.
_SCRIPT = """
read -r folder && [ -n "$folder" ] || exit
real=$(readlink -f -- "$folder") && [ -n "$real" ] || real=$folder
read -r word && [ "$word" = done ] && exit
for round in 1 2 3 4 5; do
    found=
    [ -e "$folder" ] && found=yes
    for process in /proc/[0-9]*; do
        [ "$process" = "/proc/$PPID" ] && continue
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
    """If this process dies before `dismiss`, removes `folder` and ends the processes that name it or log into it."""

    def __init__(self, folder: str) -> None:
        quiet = subprocess.DEVNULL
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT],
            stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, cwd="/", start_new_session=True,
        )  # fmt: skip
        self._say(str(Path(folder).absolute()))

    def _say(self, line: str) -> None:
        assert self._shell.stdin is not None
        with contextlib.suppress(OSError):  # somebody may have ended the shell
            self._shell.stdin.write(f"{line}\n".encode())
            self._shell.stdin.flush()

    def dismiss(self) -> None:
        """Ends the shell: there is nothing left to clean up."""
        self._say("done")
        self.clean()

    def clean(self) -> None:
        """Has the shell do its work now, and waits for it."""
        with contextlib.suppress(OSError):
            self._shell.stdin.close()  # type: ignore[union-attr]
        self._shell.wait()
