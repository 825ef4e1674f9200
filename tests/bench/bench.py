"""What the benchmarks share. Run by hand: tests/bench/kill, advance, check, static, startup.

Each takes turns (A B A B ...) over what it compares, prints a table for people, the machine's numbers, and
last one line of JSON: {"bench": name, "runs": n, "ratios": {...}, "figures": {...}}. A ratio is the median of
the ratios within one turn, so that a machine that is busy for a while slows both sides of it. Nothing is asserted.

PHASEGATE_BIN: the program to measure, in its build folder; else build/release is built.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SRC = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(SRC, "tests", "lib"))
sys.dont_write_bytecode = True


def _run(command):
    """Silent unless it fails."""
    done = subprocess.run(command, cwd=SRC, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True)
    if done.returncode != 0:
        raise SystemExit("%s failed:\n%s" % (" ".join(command), done.stdout[-4000:]))


def build(*targets):
    """The build folder, with these targets made."""
    given = os.environ.get("PHASEGATE_BIN")
    folder = os.path.dirname(os.path.abspath(given)) if given else os.path.join(SRC, "build", "release")
    if not given:
        _run(["cmake", "--preset", "release"])
        targets += ("phasegate",)
    if targets:
        _run(["cmake", "--build", folder, "--target", *targets])
    return folder


def binary():
    path = os.environ.get("PHASEGATE_BIN")
    path = os.path.abspath(path) if path else os.path.join(build(), "phasegate")
    os.environ["PHASEGATE_BIN"] = path  # for tests/lib
    return path


def environment(**more):
    """Ours, without what would change the programs that are compared."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "PHASEGATE_", "DATABASE_URL", "SQITCH_"))}
    env.update(more)
    return env


def run(command, expect=0, **more):
    """Runs to the end and returns milliseconds, from before the start to after the end of the process."""
    more.setdefault("stdin", subprocess.DEVNULL)
    begin = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
    ms = (time.perf_counter() - begin) * 1000
    if done.returncode != expect:
        raise SystemExit("%s: exit %d\n%s%s" % (" ".join(map(str, command)), done.returncode,
                                                done.stdout.decode()[-2000:], done.stderr.decode()[-2000:]))
    return ms


def peak_mb(command, env=None):
    """Of the program alone, as the system saw it."""
    done = subprocess.run(["/usr/bin/env", "python3", "-c",
                           "import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, "
                           "stderr=subprocess.DEVNULL); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)",
                           *command], capture_output=True, text=True, check=True, env=env)
    return int(done.stdout) / 1024


class Turns:
    """add(name, ms) in every turn; then median(name), ratio(a, b)."""

    def __init__(self):
        self.ms = {}

    def add(self, name, ms):
        self.ms.setdefault(name, []).append(ms)

    def median(self, name):
        return statistics.median(self.ms[name])

    def ratio(self, a, b):
        return statistics.median(x / y for x, y in zip(self.ms[a], self.ms[b]))

    def table(self):
        width = max(map(len, self.ms))
        print("%-*s %10s %10s %10s" % (width, "ms", "median", "least", "most"))
        for name, ms in self.ms.items():
            print("%-*s %10.2f %10.2f %10.2f" % (width, name, statistics.median(ms), min(ms), max(ms)))


def _cpu():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            for line in f:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.machine()


def finish(name, runs, ratios, figures, notes=()):
    """The end of the output: ratios, notes, the machine, and the line for programs."""
    print()
    for key, (value, aim) in ratios.items():
        print("%-26s %6.2f   aim %s" % (key, value, aim))
    for note in notes:
        print(note)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = os.getloadavg()
    print("\n%d cores (%s), %.1f GiB, %s; load %.2f %.2f" % (os.cpu_count(), _cpu(), memory, platform.platform(), *load[:2]))
    print(json.dumps({"bench": name, "runs": runs, "ratios": {k: round(v, 3) for k, (v, _) in ratios.items()},
                      "figures": {k: round(v, 3) for k, v in figures.items()}}))
