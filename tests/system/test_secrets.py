"""Secrets are never printed, logged, kept in state or sent through Redis."""
from harness.sink import refuse, wait_until

SECRETS = {"HOOK_TOKEN": "tok-6f1c9e", "SIGN_SECRET": "sign-8d2b4a", "HEADER_KEY": "hdr-3e7f5c", "PG_WORD": "pgw-9a4d1b"}


def secret_project(lab, sink, server):
    lab.warehouse_url = lab.postgres.url(lab.database, password="${PG_WORD}")
    (lab.root / "token").write_text("file-5b8e2d\n", encoding="utf-8")
    lab.simple(sink, settings={"redis": server.url}, batch_size=20, destination={
        "bearer": "${HOOK_TOKEN}", "sign": {"secret": "${SIGN_SECRET}"},
        "headers": {"X-Key": "${HEADER_KEY}", "X-File": "${file:" + str(lab.root / "token") + "}"}})


def assert_nowhere(lab, server, texts):
    secrets = [*SECRETS.values(), "file-5b8e2d"]
    for path in lab.state_dir.rglob("*"):
        if path.is_file():
            texts[str(path)] = path.read_bytes().decode("latin1")
    texts["redis"] = server.everything()
    for place, text in texts.items():
        found = [s for s in secrets if s in text]
        assert not found, f"{found} in {place}"


def test_no_secret_is_found_outside_requests_to_its_destination(lab, sink, redis_servers):
    server = redis_servers()
    lab.customers(400)
    secret_project(lab, sink, server)
    sink.behave = lambda q: refuse(422, "refused") if 13 in q.ids else None
    sink.hold(lambda q: len(sink.log) > 5)
    running = lab.start_run(env=SECRETS)
    wait_until(lambda: sink.count_held() >= 1, 30, "a request that hangs")
    texts = {"redis in the middle": server.everything()}
    sink.release()
    done = running.wait()
    assert done.rc == 1 and sink.log[0].headers["authorization"] == "Bearer " + SECRETS["HOOK_TOKEN"]
    assert sink.log[0].headers["x-key"] == SECRETS["HEADER_KEY"] and sink.log[0].headers["x-file"] == "file-5b8e2d"
    texts["run"] = done.text
    for command in (["check"], ["errors", "s"], ["runs"], ["status"], ["check", "--json"]):
        texts[" ".join(command)] = lab.command(*command, env=SECRETS).text
    assert_nowhere(lab, server, texts)


def test_failures_do_not_show_secrets_either(lab, sink, redis_servers):
    server = redis_servers()
    lab.customers(10)
    secret_project(lab, sink, server)
    sink.behave = lambda q: refuse(401, "bad token " + q.headers["authorization"])
    texts = {"401": lab.command("run", env=SECRETS).text}
    lab.warehouse_url = f"postgresql://postgres:${{PG_WORD}}@/{lab.database}?host=/nowhere"
    lab.simple(sink, settings={"redis": server.url}, destination={"bearer": "${HOOK_TOKEN}"})
    texts["no warehouse"] = lab.command("run", env=SECRETS).text
    lab.simple(sink, settings={"redis": server.url}, destination={"bearer": "${HOOK_TOKEN}", "timeout": "${SIGN_SECRET}",
                                                                  "url": "nonsense ${HEADER_KEY}"})
    texts["mistakes"] = lab.command("check", env=SECRETS).text
    assert_nowhere(lab, server, texts)


def test_secrets_are_not_on_any_command_line(lab, sink, redis_servers):
    server = redis_servers("tcp", "redis-pw-77")
    lab.customers(2000)
    secret_project(lab, sink, server)
    sink.hold()
    running = lab.start_run(env=SECRETS)
    wait_until(lambda: sink.count_held() >= 1, 30, "a request that hangs")
    lines = ""
    for pid in [running.pid, *running.family()]:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8") as f:
            lines += f.read()
    sink.release()
    running.wait()
    assert not [s for s in [*SECRETS.values(), "redis-pw-77"] if s in lines]


def test_contents_of_rows_are_not_in_output_or_logs(lab, sink):
    lab.customers(50)
    lab.sql("update c set name = 'row-content-4711'")
    lab.simple(sink, mappings=[{"from": "name", "to": "n", "transform": ["to_number"]}])
    done = lab.run()
    assert done.rc == 1 and done.last["invalid"] == 50
    assert "row-content-4711" not in done.text + lab.command("errors", "s").text
