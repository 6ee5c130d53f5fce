#!/usr/bin/python3
"""The demo's destination: a webhook receiver that keeps what it is sent, in memory. Standard library only.

POST any path: takes a batch. GET /: what came so far, in one JSON object. GET /records: one line per record,
[key, fields], sorted by key. It prints its port as the first line; --compare URL reads the same lines from
standard input and says whether the receiver at URL holds exactly that.
"""
import argparse
import asyncio
import json
import sys
import urllib.request


class Receiver:
    def __init__(self):
        self.records = {}
        self.requests = 0
        self.ops = {}

    def take(self, body):
        batch = json.loads(body)
        self.requests += 1
        for record in batch["records"]:
            op, key = record["op"], json.dumps(record["key"])
            self.ops[op] = self.ops.get(op, 0) + 1
            if op == "delete":
                self.records.pop(key, None)
            else:
                self.records[key] = record["fields"]

    def answer(self, method, path, body):
        if method == "POST":
            self.take(body)
            return "{}"
        if path == "/records":
            return "".join(sorted(f"[{key}, {json.dumps(fields, sort_keys=True)}]\n" for key, fields in self.records.items()))
        return json.dumps({"records": len(self.records), "requests": self.requests, "ops": self.ops}) + "\n"

    async def serve(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin1").split("\r\n")
                method, path, _ = head[0].split(" ")
                headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in head[1:] if ":" in line)}
                if headers.get("expect", "").lower() == "100-continue":
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                out = self.answer(method, path, body).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(out) + out)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


async def listen(port):
    server = await asyncio.start_server(Receiver().serve, "127.0.0.1", port, limit=64 << 20)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def compare(url):
    def read(lines):
        return {json.dumps(key): fields for key, fields in map(json.loads, lines)}
    want = read(sys.stdin)
    with urllib.request.urlopen(url + "/records") as response:
        have = read(line.decode() for line in response)
    missing, extra = want.keys() - have.keys(), have.keys() - want.keys()
    wrong = [key for key in want.keys() & have.keys() if want[key] != have[key]]
    if missing or extra or wrong:
        for word, keys in (("missing", missing), ("not in the model", extra), ("different", wrong)):
            if keys:
                print(f"{len(keys)} {word}, for example {sorted(keys)[0]}")
        return 1
    print(f"destination equals model: {len(have)} records, every field the same")
    return 0


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--port", type=int, default=0)
    arguments.add_argument("--compare", metavar="URL")
    options = arguments.parse_args()
    if options.compare:
        return compare(options.compare)
    try:
        asyncio.run(listen(options.port))
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
