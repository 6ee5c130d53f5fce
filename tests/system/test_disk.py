"""A full disk pauses a run and loses nothing."""
import os
import subprocess

import pytest

from harness.lab import assert_clean
from harness.sink import wait_until

RESERVE = 16 << 20


@pytest.fixture
def small_disk(lab):
    folder = lab.root / "disk"
    folder.mkdir()
    if os.getuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", folder], check=False).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield folder
    for running in lab.started:
        if running.process.poll() is None:
            running.kill_everything()
    subprocess.run(["umount", folder], check=True)


def fill(folder, leave_bytes):
    """A file that takes all but leave_bytes of the disk."""
    space = os.statvfs(folder)
    size = space.f_bavail * space.f_frsize - leave_bytes
    with open(folder / "filler", "wb") as f:
        os.posix_fallocate(f.fileno(), 0, size)
    return folder / "filler"


def test_a_full_disk_pauses_the_run_until_there_is_room_again(lab, sink, small_disk):
    lab.customers(20000)
    lab.simple(sink, batch_size=100, settings={"state_dir": str(small_disk / "state"), "disk_reserve": RESERVE})
    lab.good_run()
    lab.sql("update c set name = repeat(md5(id::text), 20)")
    filler = fill(small_disk, RESERVE + (2 << 20))
    running = lab.start_run()
    wait_until(lambda: "disk" in running.err().lower() or running.process.poll() is not None, 60, "a word about the disk")
    assert running.process.poll() is None, running.err()
    filler.unlink()
    done = running.wait()
    assert done.rc == 0 and done.counts("changed", "succeeded") == (20000, 20000)
    lab.assert_same(sink.state)
    assert_clean(sink)


def test_a_run_killed_on_a_full_disk_is_finished_later(lab, sink, small_disk):
    lab.customers(20000)
    lab.simple(sink, batch_size=100, settings={"state_dir": str(small_disk / "state"), "disk_reserve": RESERVE})
    lab.good_run()
    lab.sql("update c set name = repeat(md5(id::text), 20)")
    filler = fill(small_disk, RESERVE + (2 << 20))
    running = lab.start_run()
    wait_until(lambda: "disk" in running.err().lower() or running.process.poll() is not None, 60, "a word about the disk")
    running.kill_everything()
    filler.unlink()
    lab.run()
    lab.good_run()
    lab.assert_same(sink.state)
    assert_clean(sink)
