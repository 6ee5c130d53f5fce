"""Backup and restore, by the commands of the manifests' README."""
from kubernetes.fleet import DEADLINE_S, OVERLAY, ROWS, SCHEDULER

RESTORE = OVERLAY.parents[2] / "deploy" / "kubernetes" / "restore.yaml"
CHANGES = 50_000


def export(fleet):
    return fleet.kubectl("exec", SCHEDULER, "--", "sluice", "state", "export", "-", text=False).stdout


def restore(fleet, exported):
    """Into a volume that holds nothing; no scheduler runs."""
    fleet.kubectl("apply", "-f", RESTORE)
    fleet.kubectl("wait", "--for=condition=Ready", "pod/sluice-restore", f"--timeout={DEADLINE_S}s")
    fleet.kubectl("attach", "-i", "sluice-restore", given=exported, text=False)
    said = fleet.kubectl("logs", "sluice-restore").stdout
    assert fleet.get("pod", "sluice-restore")["status"]["phase"] != "Failed", said
    fleet.kubectl("delete", "pod", "sluice-restore")
    fleet.scale_schedulers(1)
    return said


def test_what_was_lost_with_redis_is_restored(fleet):
    """As on another cluster, or where somebody knows that nothing was sent since and empties Redis: nothing is sent again."""
    fleet.at_rest(4)
    exported = export(fleet)
    fleet.scale_schedulers(0)
    fleet.lose_state()
    fleet.lose_redis()
    fleet.roll_out()
    restore(fleet, exported)
    fleet.assert_good(fleet.finish(fleet.begin()), limited=False, rows=ROWS, unchanged=ROWS, planned=0)


def test_an_older_backup_is_noticed(fleet):
    """Redis knows that there was more: every row is sent again."""
    fleet.at_rest(4)
    exported = export(fleet)
    fleet.assert_good(fleet.finish(fleet.change(CHANGES)), changed=CHANGES, succeeded=CHANGES)
    fleet.scale_schedulers(0)
    fleet.lose_state()
    restore(fleet, exported)
    fleet.assert_good(fleet.finish(fleet.begin()), rows=ROWS, changed=ROWS, succeeded=ROWS)
    fleet.assert_once(ROWS)
