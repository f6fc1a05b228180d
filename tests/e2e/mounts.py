"""Mounts that only one program sees."""

import shutil
import subprocess


def private_mounts():
    """The command that gives a program mounts of its own, or None where that is not allowed."""
    for command in (["unshare", "-m", "--propagation", "private"], ["unshare", "-rm", "--propagation", "private"]):
        if shutil.which("unshare") and subprocess.run([*command, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True,
                                                      check=False).returncode == 0:
            return command
    return None
