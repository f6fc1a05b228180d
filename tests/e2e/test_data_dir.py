"""The data directory belongs to one user: what others put into it is not followed, and others leave nothing in it."""

import fcntl
import json
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

import otlp
from agent import PROGRAM, Agent, untrace

EX_NOPERM = 77
OTHER = 65534
AS_OTHER = ("setpriv", f"--reuid={OTHER}", f"--regid={OTHER}", "--clear-groups")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")


@pytest.fixture
def stopped(agent):
    one = agent()
    one.accept(otlp.request(10))
    one.stop()
    return one


def plant(kind, place, victim):
    place.unlink(missing_ok=True)
    if kind == "link":
        place.symlink_to(victim)
    elif kind == "name":
        os.link(victim, place)
    else:
        os.mkfifo(place)


@pytest.mark.parametrize("kind", ["link", "name", "pipe"])
@pytest.mark.parametrize("name", ["untrace.lock", "store.lock"])
def test_a_planted_file_is_not_written_to(stopped, tmp_path, name, kind):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    place = stopped.data_dir / name
    plant(kind, place, victim)
    for arguments in (["store", "compact", "--data-dir", stopped.data_dir], ["run", "--config", stopped.config_file]):
        done = untrace(*arguments)
        assert done.returncode != 0 and str(place) in done.stderr, done.stderr
        assert victim.read_text() == "precious"
    place.unlink()
    assert untrace("store", "compact", "--data-dir", stopped.data_dir).returncode == 0


@pytest.fixture
def of_other():
    """An agent of another user."""
    folder = Path(tempfile.mkdtemp())
    os.chown(folder, OTHER, OTHER)
    one = Agent(folder)
    one.start(prefix=AS_OTHER)
    one.accept(otlp.request(10))
    yield one
    one.close()
    shutil.rmtree(folder)


def owners(folder):
    return {path.stat().st_uid for path in folder.rglob("*")}


@needs_root
def test_a_command_of_another_user_leaves_no_files_of_its_own(of_other, tmp_path):
    name = pwd.getpwuid(OTHER).pw_name
    spans = tmp_path / "spans.json"
    spans.write_text(json.dumps(otlp.as_json(otlp.request(5))))
    data = ["--data-dir", of_other.data_dir]
    commands = (["store", "compact", *data], ["store", "cleanup", *data, "--older-than", "1d"], ["import", *data, spans])
    for arguments in commands:  # the agent does it, and its files stay its own
        assert untrace(*arguments).returncode == 0
    of_other.stop()
    (of_other.data_dir / "untrace.lock").unlink()
    for arguments in commands:
        done = untrace(*arguments)
        assert done.returncode == EX_NOPERM and f"sudo -u {name} untrace" in done.stderr, done.stderr
    assert not (of_other.data_dir / "untrace.lock").exists() and owners(of_other.data_dir) == {OTHER}
    of_other.start(prefix=AS_OTHER)
    of_other.accept(otlp.request(1))


@needs_root
def test_a_compaction_keeps_owner_and_mode_of_the_files(of_other):
    files = {of_other.data_dir / "store.mdb": 0o640, of_other.data_dir / "store.mdb-lock": 0o660}
    for file, mode in files.items():
        file.chmod(mode)
    inode = of_other.data_dir.joinpath("store.mdb").stat().st_ino
    assert untrace("store", "compact", "--data-dir", of_other.data_dir).returncode == 0
    for file, mode in files.items():
        now = file.stat()
        assert (now.st_uid, now.st_gid, now.st_mode & 0o777, now.st_ino != inode) == (OTHER, OTHER, mode, True)


@needs_root
def test_a_read_by_root_leaves_a_lock_file_that_the_agent_can_open(of_other):
    of_other.stop()
    lock = of_other.data_dir / "store.mdb-lock"
    lock.unlink()
    assert untrace("store", "verify", "--data-dir", of_other.data_dir).returncode == 0
    assert (lock.stat().st_uid, lock.stat().st_gid, lock.stat().st_mode & 0o777) == (OTHER, OTHER, 0o600)
    of_other.start(prefix=AS_OTHER)
    of_other.accept(otlp.request(1))


@needs_root
def test_a_lock_file_of_somebody_else_is_named(of_other):
    of_other.stop()
    lock = of_other.data_dir / "store.mdb-lock"
    os.chown(lock, 0, 0)
    of_other.start(prefix=AS_OTHER, wait=False)
    assert of_other.wait() == EX_NOPERM and f"{lock} cannot be opened" in of_other.log()
    os.chown(lock, OTHER, OTHER)


@needs_root
def test_a_copy_is_read_by_a_user_who_may_write_nothing_in_it(of_other):
    copy = Path(tempfile.mkdtemp())
    command = [*AS_OTHER, PROGRAM, "spans", "--data-dir", copy]
    of_other.stop()
    for file in of_other.data_dir.iterdir():
        shutil.copyfile(file, copy / file.name)
        (copy / file.name).chmod(0o644)
    copy.chmod(0o755)
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0 and len(done.stdout.splitlines()) >= 10, done.stderr
        with open(copy / "store.lock", "rb") as writer:  # as an agent would
            fcntl.flock(writer, fcntl.LOCK_EX)
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == EX_NOPERM and f"{copy}/store.mdb-lock cannot be opened" in done.stderr
        (copy / "store.mdb").chmod(0o600)
        (copy / "store.steady").touch(0o600)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == EX_NOPERM and f"{copy}/store.mdb may not be read" in done.stderr
    finally:
        shutil.rmtree(copy)
