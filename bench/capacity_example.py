"""The worked example of deploy/CAPACITY.md: the sums of `sluice capacity` done once more, from the costs of its table.

`bench/capacity --write` puts the text there; tests/system/test_capacity.py compares both with what the program says.
"""
import math

ARGS = "--destinations 3 --connector hubspot --records-per-day 40M --rows 20M".split()
DESTINATIONS, RECORDS, ROWS, BATCH, DAY_LIMIT = 3, 40e6, 20e6, 100, 250_000
REQUEST_S, RECORD_BYTES, PEAK, READS, SLOTS, WINDOW, HISTORY = 0.2, 250, 1 / 8, 24, 32, 64e6, 128e6
STEPS = 100 + 1000  # of the windows of both limits that may be in use: 100 tokens in 10 s, a thousandth of a day each
HEADROOM = 1.5


def load():
    """A second of the busiest hour, of all three."""
    requests = DESTINATIONS * math.ceil(RECORDS / DESTINATIONS / BATCH) * PEAK / 3600
    records = RECORDS * PEAK / 3600
    return requests, records, records * RECORD_BYTES / 1024, ROWS * READS * PEAK / 3600


def reckon(c):
    """By the names of `sluice capacity --json`, and the sums before the reserve."""
    requests, records, kib, rows = load()
    sums = {
        "worker": requests * (c["worker_request_us"] + c["worker_https_request_us"]) + records * c["worker_record_us"]
        + kib * (c["worker_kib_us"] + c["worker_https_kib_us"]),
        "redis": requests * (c["redis_batch_us"] + c["redis_ask_us"]) + kib * c["redis_kib_us"] + DESTINATIONS * c["redis_quota_us"],
        "scheduler": (rows - records) * c["scheduler_unchanged_us"] + records * c["scheduler_sent_us"]
        + requests * c["scheduler_batch_us"] + DESTINATIONS * c["scheduler_quota_us"],
    }
    cores = {name: us / 1e6 * HEADROOM for name, us in sums.items()}
    workers = max(1, math.ceil(max(requests * REQUEST_S / SLOTS * HEADROOM, cores["worker"])))
    waiting = workers * c["redis_worker_us"] / 1e6 * HEADROOM
    payload = kib * 1024 * c["payload_body_ratio"]
    queued = WINDOW / payload * requests
    memory = c["redis_memory_kib"] * 1024 + WINDOW + queued * c["redis_queued_bytes"] + DESTINATIONS * (
        c["redis_quota_bytes"] + STEPS * c["redis_token_bytes"])
    return sums, {
        "requests_in_flight": requests * REQUEST_S,
        "workers": workers,
        "worker_cores": cores["worker"] + workers * c["worker_idle_us"] / 1e6,
        "redis_primaries": max(1, math.ceil(cores["redis"] / (1 - waiting))),
        "redis_cores": cores["redis"] + waiting,
        "redis_bytes": memory * HEADROOM,
        "redis_bytes_per_second": requests * c["redis_batch_net_bytes"] + 2 * payload,
        "scheduler_shards": max(1, math.ceil(cores["scheduler"])),
        "scheduler_cores": cores["scheduler"],
        "scheduler_bytes": (c["scheduler_memory_kib"] * 1024 + ROWS * c["scheduler_row_bits"] / 8) * HEADROOM,
        "disk_bytes": (ROWS * (c["state_row_bytes"] + c["spool_record_bytes"]) + HISTORY) * HEADROOM,
    }


def text(c):
    requests, records, kib, rows = load()
    sums, need = reckon(c)
    each = math.ceil(RECORDS / DESTINATIONS / BATCH)
    n = {name: f"{value:g}" for name, value in c.items()}
    lines = [
        ("requests a day, of each of three", "40,000,000 ÷ 3 ÷ 100", f"{each:,} of {DAY_LIMIT:,}: {each / DAY_LIMIT:.0%} of the day's limit"),
        ("busiest hour, all three", f"3 × {each:,} ÷ 8 ÷ 3,600", f"{requests:.2f} requests/s with {records:,.0f} records and {kib:.0f} KiB"),
        ("requests at a time", f"{requests:.2f} × 0.2 s", f"{need['requests_in_flight']:.1f}: {need['workers']} worker of 32 slots"),
        ("workers, µs a second", f"{requests:.2f} × ({n['worker_request_us']} + {n['worker_https_request_us']}) + {records:,.0f} × "
         f"{n['worker_record_us']} + {kib:.0f} × ({n['worker_kib_us']} + {n['worker_https_kib_us']})",
         f"{sums['worker']:,.0f}; × 1.5, and {n['worker_idle_us']} for the worker's being there: {need['worker_cores']:.4f} cores"),
        ("Redis, µs a second", f"{requests:.2f} × ({n['redis_batch_us']} + {n['redis_ask_us']}) + {kib:.0f} × {n['redis_kib_us']} + 3 × "
         f"{n['redis_quota_us']} + 1 × {n['redis_worker_us']}",
         f"{sums['redis'] + need['workers'] * c['redis_worker_us']:,.0f}; × 1.5: {need['redis_cores']:.4f} cores, {need['redis_primaries']} primary"),
        ("rows read, a second", "20,000,000 × 24 ÷ 8 ÷ 3,600", f"{rows:,.0f}"),
        ("scheduler, µs a second", f"({rows:,.0f} − {records:,.0f}) × {n['scheduler_unchanged_us']} + {records:,.0f} × {n['scheduler_sent_us']} + "
         f"{requests:.2f} × {n['scheduler_batch_us']} + 3 × {n['scheduler_quota_us']}",
         f"{sums['scheduler']:,.0f}; × 1.5: {need['scheduler_cores']:.3f} cores, {need['scheduler_shards']} shard"),
        ("disk", f"20,000,000 × ({n['state_row_bytes']} + {n['spool_record_bytes']}) + 128,000,000 of history",
         f"× 1.5: {need['disk_bytes'] / 1e9:.1f} GB"),
    ]
    return "| what | sum | comes to |\n|---|---|---|\n" + "".join("| " + " | ".join(line) + " |\n" for line in lines)
