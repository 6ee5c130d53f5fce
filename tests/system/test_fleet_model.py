"""The modelled fleet of bench/fleet in small: the real scripts, many workers that die, and what the receivers saw."""
import pathlib
import re
import subprocess
import sys

import pytest

RUN = pathlib.Path(__file__).resolve().parents[2] / "bench" / "fleet" / "run"


@pytest.mark.parametrize("servers", [1, 2])
def test_limits_hold_and_nothing_is_lost_nor_sent_twice(servers):
    done = subprocess.run([sys.executable, RUN, "--sizes", "60/6", "--rates", "0", "3", "20", "--seconds", "8", "--rest", "0.1",
                           "--servers", str(servers), "--seed", "7"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines()[2:]]
    assert [row[2] for row in rows] == ["no work", "3", "20"]
    for row in rows[1:]:
        assert int(row[8].split("%")[0]) >= 90, row  # of the limits, on the mean, though the dead keep their tokens for a while
    assert re.search(r"[1-9]\d* again after a death", done.stderr), done.stderr
    assert float(rows[0][4]) <= servers * (60 / 8 + 1), rows[0]  # who waits asks once every eight seconds
