"""A project folder that is watched: mounted, synced or checked out, good or bad, while runs go on."""
import json
import re
import shutil
import urllib.request

from harness.folders import Mounted, Repository, Synced
from harness.lab import RUN_DEADLINE_S, assert_clean
from harness.service import Service
from harness.sink import wait_until

SQL = "select id, email, amount from c"
OFF = {"listen": "127.0.0.1:0"}


def text_of(lab, *args, **options):
    """A project's YAML, without leaving it in the folder."""
    lab.simple(*args, **options)
    path = lab.project_dir / "sluice.yaml"
    text = path.read_text(encoding="utf-8")
    path.unlink()
    return text


def broken(text):
    bad = text.replace('"destination": "hook"', '"destination": "hok"')
    assert bad != text
    return bad


def read(url):
    with urllib.request.urlopen(url, timeout=RUN_DEADLINE_S) as answer:
        return answer.read().decode()


def metric(url, name):
    found = re.search(rf'^{name}(?:{{revision="(\w*)"}})? (\S+)$', read(url + "/metrics"), re.M)
    return found[1] or float(found[2])


def told(running, event):
    return re.findall(rf"^\S+ \w+ \S+ {event}\b.*$", running.err(), re.M)


def taken(service):
    return len(told(service.running, "reloaded"))


def takes(service, change):
    """The change is taken without anybody asking for it."""
    before = taken(service)
    change()
    service.wait(lambda: taken(service) > before, "the change is taken")
    assert service.get("/api/v1/status")["reload_error"] is None


def refuses(service, change, words):
    change()
    return service.wait(lambda: (s := service.get("/api/v1/status"))["reload_error"] and words in s["reload_error"] and s,
                        "the change is refused")


def test_a_mounted_folder_is_taken_refused_and_taken_again(lab, sinks):
    one, two = sinks(), sinks()
    lab.customers(10)
    first, second = (text_of(lab, sink, sql=SQL, settings=OFF, schedule={"every": "1s"}) for sink in (one, two))
    mount = Mounted(lab.root / "mount", {"sluice.yaml": first})
    service = Service(lab, None, "--watch", "-C", mount.folder)
    service.wait(lambda: len(one.state) == 10, "the first project runs")
    before = service.get("/api/v1/status")["config"]
    assert before["watched"] and before["revision"]

    status = refuses(service, lambda: mount.write({"sluice.yaml": broken(second)}), "hok")
    assert re.match(r"sluice\.yaml:\d+:\d+: ", status["reload_error"]), status
    assert status["config"]["refused_at"] and status["config"]["revision"] == before["revision"], "the old one is in force"
    assert metric(service.url, "sluice_config_valid") == 0
    assert re.search(r"sluice\.yaml:\d+:\d+: ", told(service.running, "reload_refused")[0])
    said = lab.command("status", "-C", mount.folder)
    assert said.rc == 0 and "hok" in said.out and "10 records accepted" in said.out, said
    said = lab.command("status", "--json", "-C", mount.folder)
    assert said.rc == 0 and any("hok" in p for p in said.lines[0]["config"]["problems"]), said
    assert said.lines[1]["sync"] == "s" and said.lines[1]["accepted"] == 10
    lab.sql("insert into c values (11, 'x', 'y', 1, true)")
    service.wait(lambda: len(one.state) == 11, "the old project runs on")

    takes(service, lambda: mount.write({"sluice.yaml": second}))
    assert service.get("/api/v1/status")["config"]["revision"] != before["revision"]
    assert metric(service.url, "sluice_config_valid") == 1
    said = lab.command("status", "-C", mount.folder)
    assert said.rc == 0 and "refused" not in said.out, said

    refuses(service, lambda: mount.write({"sluice.yaml": broken(second)}), "hok")
    takes(service, lambda: mount.write({"sluice.yaml": second}))  # the very one that is in force
    assert service.stop().rc == 0


def test_a_secret_that_rotates_is_a_change(lab, sink):
    lab.customers(3)
    url = lab.warehouse_url + ("&" if "?" in lab.warehouse_url else "?") + "application_name="
    secrets = Mounted(lab.root / "secrets", {"warehouse/url": url + "first"})
    lab.simple(sink, sql=SQL + " where current_setting('application_name') = 'second'", settings=OFF, schedule={"every": "1s"},
               source={"url": f"${{file:{secrets.folder}/warehouse/url}}"}, guard={"allow_empty": True})
    service = Service(lab, None, "--watch")
    revision = service.get("/api/v1/status")["config"]["revision"]
    takes(service, lambda: secrets.write({"warehouse/url": url + "second"}))
    service.wait(lambda: len(sink.state) == 3, "the new secret is used")
    assert service.get("/api/v1/status")["config"]["revision"] == revision, "no secret is in it"
    refuses(service, lambda: secrets.write({"other": ""}), "cannot be read")
    takes(service, lambda: secrets.write({"warehouse/url": url + "third"}))
    service.stop()


def test_a_synced_repository_goes_from_a_good_commit_to_a_bad_one_and_back(lab, sinks):
    one, two = sinks(), sinks()
    lab.customers(10)
    first, second = (text_of(lab, sink, sql=SQL, settings=OFF, destination={"concurrency": 2}, schedule={"every": "1s"}) for sink in (one, two))
    repository = Repository(lab.root / "repository")
    good, bad, better = (repository.commit({"sluice/sluice.yaml": t}) for t in (first, broken(first), second))
    synced = Synced(repository, lab.root / "git")
    synced.show(good)
    service = Service(lab, None, "--watch", "-C", synced.link / "sluice")
    service.wait(lambda: len(one.state) == 10, "the first commit runs")
    refuses(service, lambda: synced.show(bad), "hok")
    lab.sql("insert into c values (11, 'x', 'y', 1, true)")
    service.wait(lambda: len(one.state) == 11, "it runs on, though its files are gone")
    takes(service, lambda: synced.show(better))
    service.wait(lambda: service.sync("s")["held"], "a run is held, since the target is another")
    assert not two.state
    service.stop()


def test_a_checkout_that_is_pulled_by_hand_loses_no_run_in_flight(lab, sinks):
    sink = sinks(delay_s=0.02)
    lab.customers(2000)
    def project(size):
        return text_of(lab, sink, sql=SQL, settings=OFF, batch_size=20, destination={"concurrency": size}, schedule={"every": "1h"})
    repository = Repository(lab.project_dir)
    first, bad, second = (repository.commit({"sluice.yaml": t, "notes.md": t}) for t in (project(2), broken(project(2)), project(3)))
    repository.git("checkout", "-q", first)
    service = Service(lab, None, "--watch")
    run = service.post("/api/v1/syncs/s/run")["run"]
    service.wait(lambda: len(sink.log) > 10, "it is sending")
    refuses(service, lambda: repository.git("checkout", "-q", bad), "hok")
    takes(service, lambda: repository.git("checkout", "-q", second))
    assert service.wait_run(run, lambda r: r["status"] not in ("reading", "planned"))["status"] in ("success", "cancelled")
    service.wait(lambda: len(sink.state) == 2000 and service.sync("s")["phase"] == "idle", "everything is there")
    lab.assert_same(sink.state, SQL)
    assert_clean(sink)
    service.stop()


def test_a_folder_that_is_away_for_a_moment_is_no_change(lab, sink):
    lab.customers(3)
    text = text_of(lab, sink, sql=SQL, settings=OFF, schedule={"every": "1s"})
    folder, aside = lab.root / "folder", lab.root / "aside"
    folder.mkdir()
    (folder / "sluice.yaml").write_text(text, encoding="utf-8")
    service = Service(lab, None, "--watch", "-C", folder)
    service.wait(lambda: len(sink.state) == 3, "it runs")
    folder.rename(aside)
    lab.sql("insert into c values (4, 'x', 'y', 1, true)")
    service.wait(lambda: len(sink.state) == 4, "the old project runs on")
    refuses(service, lambda: None, "cannot be opened")
    takes(service, lambda: aside.rename(folder))
    assert len(told(service.running, "reload_refused")) == 1
    service.stop()


def test_a_fleet_takes_a_rollout_one_after_the_other(lab, sinks, redis_servers):
    sink = sinks(delay_s=0.01)
    redis = redis_servers()
    lab.customers(1000)
    def project(size):
        return text_of(lab, sink, sql=SQL, settings={**OFF, "redis": redis.url}, batch_size=20, destination={"concurrency": size}, schedule={"every": "1h"})
    first, second = project(4), project(5)
    mounts = [Mounted(lab.root / f"mount{i}", {"sluice.yaml": first}) for i in range(3)]
    workers = [lab.start("--watch", "-C", m.folder, "--listen", "127.0.0.1:0", program="sluice-worker") for m in mounts[:2]]
    urls = [wait_until(lambda w=w: (t := told(w, "worker_listens")) and re.search(r"url=(\S+)", t[0])[1], RUN_DEADLINE_S, "it listens") for w in workers]
    service = Service(lab, None, "--watch", "-C", mounts[2].folder)
    revision = metric(service.url, "sluice_config_info")
    assert {metric(url, "sluice_worker_config_info") for url in urls} == {revision}, "the same files"
    run = service.post("/api/v1/syncs/s/run")["run"]
    service.wait(lambda: len(sink.log) > 5, "it is sending")
    mounts[0].write({"sluice.yaml": broken(second)})
    wait_until(lambda: metric(urls[0], "sluice_worker_config_valid") == 0, RUN_DEADLINE_S, "a worker refuses it")
    assert read(urls[0] + "/healthz").startswith("ok, but") and read(urls[0] + "/readyz") == "ok\n"
    assert "config_problem" in workers[0].err() and metric(urls[0], "sluice_worker_config_info") == revision
    for mount in mounts:
        mount.write({"sluice.yaml": second})
    wait_until(lambda: {metric(url, "sluice_worker_config_info") for url in urls} == {metric(service.url, "sluice_config_info")} != {revision},
               RUN_DEADLINE_S, "all have the new one")
    assert {metric(url, "sluice_worker_config_valid") for url in urls} == {1.0}
    service.wait_run(run, lambda r: r["status"] not in ("reading", "planned"))
    service.wait(lambda: len(sink.state) == 1000 and service.sync("s")["phase"] == "idle", "everything is there")
    lab.assert_same(sink.state, SQL)
    assert_clean(sink)
    service.stop()


def test_a_file_that_is_written_slowly_in_place_is_refused_until_it_is_whole(lab, sinks):
    one, two = sinks(), sinks()
    lab.customers(10)
    first, second = (text_of(lab, sink, sql=SQL, settings=OFF, schedule={"every": "1s"}, mode="upsert") for sink in (one, two))
    path = lab.project_dir / "sluice.yaml"
    path.write_text(first, encoding="utf-8")
    service = Service(lab, None, "--watch")
    service.wait(lambda: len(one.state) == 10, "it runs")
    with open(path, "w", encoding="utf-8") as file:  # which is empty now, as any editor or cp leaves it
        refuses(service, lambda: None, "no YAML file")
        refuses(service, lambda: (file.write(second[:len(second) // 2]), file.flush()), "sluice.yaml:")
        lab.sql("insert into c values (11, 'x', 'y', 1, true)")
        service.wait(lambda: len(one.state) == 11, "the old project runs on")
        takes(service, lambda: (file.write(second[len(second) // 2:]), file.flush()))
    service.wait(lambda: service.sync("s")["held"], "the new target waits for approval")
    assert not two.state
    service.stop()


def test_a_sync_that_is_away_for_a_moment_goes_on_where_it_was(lab, sink):
    """One file of several is empty for longer than anybody waits: that is a project without its syncs."""
    lab.customers(10)
    lab.simple(sink, sql=SQL, settings=OFF, schedule={"every": "1s"})
    project = json.loads((lab.project_dir / "sluice.yaml").read_text(encoding="utf-8"))
    syncs = lab.project_dir / "syncs.yaml"
    syncs.write_text(json.dumps({"syncs": {"s": project["syncs"].pop("s")}}), encoding="utf-8")
    (lab.project_dir / "sluice.yaml").write_text(json.dumps(project), encoding="utf-8")
    service = Service(lab, None, "--watch")
    service.wait(lambda: len(sink.state) == 10, "it runs")
    service.post("/api/v1/syncs/s/pause")
    text = syncs.read_text(encoding="utf-8")
    takes(service, lambda: syncs.write_text("", encoding="utf-8"))
    assert [s["name"] for s in service.get("/api/v1/syncs")["syncs"]] == []
    takes(service, lambda: syncs.write_text(text, encoding="utf-8"))
    assert service.sync("s")["paused"], "a pause is of the sync, not of the project that has it"
    mark = len(sink.log)
    lab.sql("insert into c values (11, 'x', 'y', 1, true); delete from c where id = 1")
    service.post("/api/v1/syncs/s/resume")
    service.wait(lambda: len(sink.sent_since(mark)) >= 2 and service.sync("s")["phase"] == "idle", "what changed is sent")
    lab.assert_same(sink.state, SQL)
    assert sink.ids_since(mark) == [1, 11], "and nothing else"
    service.stop()


def test_a_start_with_mistakes_says_them_and_touches_nothing(lab, sink):
    lab.customers(10)
    text = text_of(lab, sink, sql=SQL, settings=OFF, schedule={"every": "1s"})
    mount = Mounted(lab.root / "mount", {"sluice.yaml": text})
    service = Service(lab, None, "--watch", "-C", mount.folder)
    service.wait(lambda: len(sink.state) == 10, "it runs")
    mark = len(sink.log)
    refuses(service, lambda: mount.write({"sluice.yaml": broken(text)}), "hok")
    assert service.stop().rc == 0
    done = lab.start("--watch", "-C", mount.folder, program="sluice-scheduler").wait()
    assert done.rc == 78 and re.search(r"sluice\.yaml:\d+:\d+: .*hok", done.err), done
    lab.sql("update c set email = 'x' where id = 3")
    mount.write({"sluice.yaml": text})
    service.start()
    service.wait(lambda: len(sink.log) > mark, "it goes on where it was")
    service.wait(lambda: service.sync("s")["last_run"]["status"] == "success" and service.sync("s")["phase"] == "idle", "the run ends")
    assert len(sink.sent_since(mark)) == 1
    service.stop()
