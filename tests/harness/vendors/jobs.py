"""Asynchronous jobs: phases with durations, effects that come with the end, results that vanish, jobs that hang."""
import time


class Job:
    """phases: (state, seconds) in order, then `last`. finish() is called once, when the last phase is reached."""

    def __init__(self, number, phases, last, finish, info):
        self.number, self.phases, self.last, self.info = number, phases, last, info
        self.started, self.done_t, self.stuck = time.monotonic(), None, False
        self._finish = finish

    @property
    def age_s(self):
        return time.monotonic() - self.started

    @property
    def done(self):
        return self.done_t is not None

    def state(self):
        if self.done:
            return self.last
        age = self.age_s
        for name, seconds in self.phases:
            if age < seconds:
                return name
            age -= seconds
        return self.phases[-1][0] if self.phases else self.last

    def advance(self):
        if not self.done and not self.stuck and self.age_s >= sum(seconds for _, seconds in self.phases):
            self.done_t = time.monotonic()
            self.last = self._finish(self) or self.last


class Jobs:
    """keep_s: how long a finished job can be asked for. most_open: how many may be unfinished at a time."""

    def __init__(self, keep_s, most_open=None):
        self.keep_s, self.most_open = keep_s, most_open
        self.by_number, self.hang = {}, 0
        self.most_seen = 0

    def full(self):
        self.advance()
        return self.most_open is not None and self.count_open() >= self.most_open

    def count_open(self):
        return sum(not job.done for job in self.by_number.values())

    def start(self, phases, last, finish, number=None, **info):
        job = Job(number or len(self.by_number) + 1, phases, last, finish, info)
        if self.hang > 0:
            job.stuck, self.hang = True, self.hang - 1
        self.by_number[job.number] = job
        self.most_seen = max(self.most_seen, self.count_open())
        self.advance()
        return job

    def find(self, number):
        """The job, or None when there is none or its time is over."""
        self.advance()
        job = self.by_number.get(number)
        if job and job.done and time.monotonic() - job.done_t > self.keep_s:
            return None
        return job

    def advance(self):
        for job in list(self.by_number.values()):
            job.advance()
