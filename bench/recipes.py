"""google_email over the addresses of bench/recipes_bench.c by hashlib, one core: python3 bench/recipes.py [records]"""
import hashlib
import re
import sys
import time

RECORDS = int(sys.argv[1]) if len(sys.argv) > 1 else 1000000
HASHED = re.compile(r"\s*[0-9a-fA-F]{64}\s*")
ADDRESS = re.compile(r"[^\s@]+@[^\s@]+")


def google_email(value):
    email = value.strip().lower()
    if HASHED.fullmatch(email):
        return email
    if not ADDRESS.fullmatch(email):
        return None
    user, domain = email.split("@")
    if domain in ("gmail.com", "googlemail.com"):
        email = user.replace(".", "") + "@" + domain
    return hashlib.sha256(email.encode()).hexdigest()


values = [f" Jane.Doe.{i}@{'example.com' if i % 3 else 'Gmail.com'}" for i in range(RECORDS)]
best, total = None, 0
for _ in range(3):
    begin = time.monotonic()
    total = sum(int(google_email(value)[:8], 16) for value in values)
    seconds = time.monotonic() - begin
    best = min(best or seconds, seconds)
print(f"{'python google_email':28} {RECORDS / best:10.0f} records/s   checksum {total}")
