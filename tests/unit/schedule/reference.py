"""What times and offsets have to be, from Python's own zoneinfo and a walk minute by minute.

    reference.py times     zone TAB cron line TAB from TAB until TAB every time between the two
    reference.py offsets   zone TAB time TAB offset
"""
import random
import sys
import zoneinfo
from datetime import datetime, timedelta, timezone

ZONES = """UTC Europe/Berlin Europe/London Europe/Dublin America/New_York America/Los_Angeles America/St_Johns America/Sao_Paulo
Australia/Sydney Australia/Lord_Howe Pacific/Auckland Pacific/Chatham Pacific/Apia Asia/Kolkata Asia/Kathmandu Asia/Tehran
Africa/Casablanca Africa/Cairo America/Nuuk America/Santiago Antarctica/Troll Asia/Gaza""".split()
LINES = ["* * * * *", "*/15 * * * *", "0 * * * *", "30 2 * * *", "0 3 * * *", "15 0 * * *", "59 23 * * *", "*/20 1-3 * * *",
         "45 1,2 * * 0", "30 2 1-7 * 0", "0 0 1 * *", "7 5 */2 * 1-5", "0 12 29 2 *", "1 0 31 12 *"]
SPAN = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)]
EPOCH = datetime(1970, 1, 1)


def sets_of(line):
    sets = []
    for text, (low, high) in zip(line.split(), SPAN):
        values = set()
        for item in text.split(","):
            item, _, step = item.partition("/")
            first, _, last = item.partition("-")
            first, last = (low, high) if item == "*" else (int(first), int(last or first))
            values |= set(range(first, last + 1, int(step or 1)))
        sets.append(values)
    return sets, [text.startswith("*") for text in line.split()]


def fits(local, sets, star):
    day, weekday = local.day in sets[2], local.isoweekday() in sets[4] or local.isoweekday() % 7 in sets[4]
    fit = day and weekday if star[2] or star[4] else day or weekday
    return fit and local.minute in sets[0] and local.hour in sets[1] and local.month in sets[3]


def local_of(zone, time):
    return datetime.fromtimestamp(time, timezone.utc).astimezone(zone).replace(tzinfo=None)


def steps(zone, start, until):
    """Each minute of UTC with the local minutes that the zone's clock reaches, or passes, for the first time in it."""
    minute, reached = timedelta(minutes=1), max(local_of(zone, t) for t in range(start - 86400, start + 1, 60))
    for time in range(start + 60, until + 1, 60):
        local, new = local_of(zone, time), []
        while reached < local:
            reached += minute
            new.append(reached)
        yield time, new


def times(walk, line):
    sets, star = sets_of(line)
    return [time for time, new in walk if any(fits(local, sets, star) for local in new)]


def changes(zone, year):
    """The moments of the year at which the offset is another one."""
    start = int((datetime(year, 1, 1) - EPOCH).total_seconds())
    offsets = [(t, local_of(zone, t) - EPOCH - timedelta(seconds=t)) for t in range(start, start + 366 * 86400, 6 * 3600)]
    return [t for (_, before), (t, after) in zip(offsets, offsets[1:]) if before != after]


def print_times(chance):
    for name in ZONES:
        zone = zoneinfo.ZoneInfo(name)
        for year in (2011, 2026, 2040, 2099):
            near = changes(zone, year) + [int((datetime(year, 2, 27) - EPOCH).total_seconds()) + chance.randrange(300) * 86400]
            for middle in near:
                start = middle - chance.randrange(30, 60) * 3600
                until = start + 3 * 86400
                walk = list(steps(zone, start, until))
                for line in chance.sample(LINES, 4):
                    print(name, line, start, until, *times(walk, line), sep="\t")
    for name in ("Europe/Berlin", "Australia/Lord_Howe"):  # a whole year
        start = int((datetime(2026, 1, 1) - EPOCH).total_seconds())
        until = start + 366 * 86400
        print(name, "30 2 * * *", start, until, *times(steps(zoneinfo.ZoneInfo(name), start, until), "30 2 * * *"), sep="\t")


def print_offsets(chance):
    names = sorted(name for name in zoneinfo.available_timezones() if not name.startswith(("right/", "posix/", "Factory", "localtime")))
    for name in names:
        zone = zoneinfo.ZoneInfo(name)
        for _ in range(60):
            time = chance.randrange(-3_000_000_000, 6_000_000_000)
            offset = datetime.fromtimestamp(time, timezone.utc).astimezone(zone).utcoffset()
            print(name, time, int(offset.total_seconds()), sep="\t")


{"times": print_times, "offsets": print_offsets}[sys.argv[1]](random.Random(int(sys.argv[2])))
