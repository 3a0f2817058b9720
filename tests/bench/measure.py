"""Measuring: processor time and memory of groups of processes from /proc, wrk, paired runs, the table of results."""

import json
import os
import pathlib
import statistics
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent
TICK = os.sysconf("SC_CLK_TCK")


def descendants(pid):
    """The process and all below it."""
    found, todo = [], [pid]
    while todo:
        p = todo.pop()
        found.append(p)
        for task in pathlib.Path(f"/proc/{p}/task").glob("*/children"):
            try:
                todo += map(int, task.read_text().split())
            except OSError:
                pass
    return found


def cpu_of(pid):
    """Seconds of one process, and of its children that have ended and were waited for."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / TICK


class Group:
    """The processes that a server consists of, named by the pid files that tests/servers wrote."""

    def __init__(self, name, *pid_files):
        self.name, self.pid_files = name, pid_files

    def pids(self):
        return [p for f in self.pid_files for p in descendants(int(pathlib.Path(f).read_text()))]

    def cpu(self):
        return sum(map(cpu_of, self.pids()))

    def pss_kib(self):
        total = 0
        for pid in self.pids():
            try:
                text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            total += int(text.partition("\nPss:")[2].split()[0])
        return total


class Span:
    """Processor and wall seconds of some groups during a with block."""

    def __init__(self, *groups):
        self.groups = groups

    def __enter__(self):
        self.before = [g.cpu() for g in self.groups]
        self.began = time.monotonic()
        return self

    def __exit__(self, *_):
        self.wall = time.monotonic() - self.began
        self.cpu = {g.name: g.cpu() - b for g, b in zip(self.groups, self.before)}
        self.total = sum(self.cpu.values())


class Load:
    """What one run of wrk saw; groups: whose processor time is taken. program: tests/bench/head instead of wrk, for HEAD."""

    def __init__(self, url, requests, tokens=None, seconds=2.0, connections=16, start=0, groups=(), program=None):
        words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", "-s", str(HERE / "load.lua"),
                 url, "--", str(requests), str(tokens or "/dev/null"), str(start)]
        if program:
            host = url.partition("://")[2]
            words = [str(program), host.rpartition(":")[2], host, str(connections), str(seconds), str(requests), str(tokens or "/dev/null")]
        with Span(*groups) as span:
            began = os.times()
            r = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            ended = os.times()
        line = next((x for x in r.stdout.splitlines() if x.startswith("RESULT ")), None)
        if line is None:
            raise RuntimeError(f"wrk: {r.stdout}")
        self.requests, us, self.refused, self.broken, self.p50_us, self.p99_us, self.max_us, self.bytes = map(int, line.split()[1:])
        if self.refused or self.broken or not self.requests:
            raise RuntimeError(f"{url}: {self.requests} requests, {self.refused} answered with an error, {self.broken} broken")
        self.rate = self.requests / (us / 1e6)
        self.client_cpu = ended.children_user + ended.children_system - began.children_user - began.children_system
        self.cpu, self.wall = span.cpu, span.wall
        self.us_each = span.total / self.requests * 1e6


def pairs(count, one, other):
    """A B A B …: the results of both, in two lists; the order within a pair alternates."""
    a, b = [], []
    for i in range(count):
        for side in ((one, a), (other, b)) if i % 2 == 0 else ((other, b), (one, a)):
            side[1].append(side[0]())
    return a, b


class Table:
    """One line for each target: what was measured and whether it was reached."""

    def __init__(self):
        self.lines = []

    def add(self, work, target, ratios, passed, detail="", **values):
        """ratios: one for each pair, or a single number; passed(value) or None where there is no target."""
        many = list(ratios) if isinstance(ratios, (list, tuple)) else [ratios]
        value = statistics.median(many)
        line = {"work": work, "target": target, "value": value, "low": min(many), "high": max(many), "runs": len(many),
                "reached": None if passed is None else bool(passed(value)), "detail": detail, **values}
        self.lines.append(line)
        print(self.text(line), flush=True)

    def skip(self, work, reason):
        self.lines.append({"work": work, "skipped": reason})
        print(self.text(self.lines[-1]), flush=True)

    def broken(self, work, reason):
        self.lines.append({"work": work, "broken": reason})
        print(self.text(self.lines[-1]), flush=True)

    @staticmethod
    def text(x):
        if "skipped" in x:
            return f"{'skip':5} {x['work']}: {x['skipped']}"
        if "broken" in x:
            return f"{'FAIL':5} {x['work']}: {x['broken']}"
        mark = {True: "pass", False: "MISS", None: "-"}[x["reached"]]
        spread = f" ({x['low']:.3g}–{x['high']:.3g})" if x["runs"] > 1 else ""
        return f"{mark:5} {x['work']:62} {x['target']:>16}  {x['value']:.3g}{spread}  {x['detail']}"

    def show(self):
        print("\n".join(map(self.text, self.lines)))
        n = [x.get("reached") for x in self.lines]
        print(f"{n.count(True)} targets reached, {n.count(False)} missed, {sum('skipped' in x for x in self.lines)} skipped, "
              f"{sum('broken' in x for x in self.lines)} failed")

    def write(self, file, **about):
        pathlib.Path(file).write_text(json.dumps({**about, "results": self.lines}, indent=1) + "\n")


def median_of(runs, what):
    return statistics.median(what(r) for r in runs)


def ratios(a, b, what):
    return [what(x) / what(y) for x, y in zip(a, b)]
