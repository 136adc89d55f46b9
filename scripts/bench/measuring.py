"""Runs contenders in turn, and what can be said of the results."""

import itertools
import json
import os
import random
import statistics
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

# Places of the numbers of one run. Each is that of one process, or of one image of a fleet.
WALL_MS, CPU_MS, FAULTS, PEAK_KIB, IMAGE_KIB = range(5)

# Short runs are repeated until they take this long together: the clock, and what the processor
# has to load after a pause, would weigh on a single one.
BATCH_MS = 40
LARGEST_BATCH = 20

# No table has fewer or more rounds, whatever it takes.
FEWEST_ROUNDS = 3
MOST_ROUNDS = 101
# A contender that rests, and whose run takes this long, is measured once.
SLOW_MS = 5000


@dataclass
class Contender:
    """One program with its arguments; `{}` in them, and in `output`, is the number of the run."""

    command: list
    output: str | None = None
    count: int = 1  # processes in a row, each of which makes images of its own
    images: int = 1  # that one process makes
    # Once it had its share of the time it sits out the rounds that are left.
    rests: bool = False


@dataclass
class Table:
    """Contenders that are compared with one another, and how long that may take."""

    name: str
    title: str
    seconds: float
    reference: str
    contenders: dict
    batch: bool = False  # whether short runs are repeated in a row
    # Contenders that have a reference of their own; `reference` is then what these are called.
    pairs: dict = field(default_factory=dict)
    rounds: dict = field(default_factory=dict)  # of each contender, None where it sat out


class Bench:
    """Measures tables by the program `measure`, and keeps what was found."""

    def __init__(self, measure, progress):
        self.measure = measure
        self.progress = progress
        self.tables = {}
        self.facts = {}
        self.fixed_rounds = int(os.environ.get("CREDIMG_BENCH_ROUNDS", "0"))

    def once(self, contender, count):
        """One run of a contender: the numbers of a process, or of one of the images that it makes, as
        the mean of those in a row."""
        made = count * contender.images
        images = outputs(contender, made)
        for image in images:
            image.unlink(missing_ok=True)
        run = subprocess.run(
            [self.measure, str(count), *contender.command], capture_output=True, text=True
        )
        if run.returncode:
            raise SystemExit(f"bench: {' '.join(map(str, contender.command))}\n{run.stderr}")
        wall, cpu, peak, faults = map(int, run.stdout.split())
        size = sum(image.stat().st_size for image in images) / 1024
        for image in images:
            image.unlink()
        numbers = [wall / 1e6 / made, cpu / 1e6 / made, faults / made, peak, size / made]
        return [round(number, 4) for number in numbers]

    def first(self, table):
        """A run of each contender before the rounds: how often each runs in a row, and the results
        of those that are too slow to run again. The others' do not count: caches were cold."""
        batches, slow = {}, {}
        for name, contender in table.contenders.items():
            result = self.once(contender, min(contender.count, LARGEST_BATCH))
            wall = result[WALL_MS]
            if wall > SLOW_MS and contender.rests:
                slow[name] = result
            wanted = min(int(BATCH_MS / wall) or 1, LARGEST_BATCH) if table.batch else 1
            batches[name] = max(wanted, contender.count)
            self.progress.within(table.title, 0)
        return batches, slow

    def run(self, table):
        """Measures a table: all contenders in each round, in an order that is drawn anew."""
        os.sync()
        before, start = Load(), time.monotonic()
        batches, slow = self.first(table)
        spent = dict.fromkeys(table.contenders, 0)
        table.rounds = {name: [] for name in table.contenders}
        order = [name for name in table.contenders if name not in slow]
        for number in itertools.count(1):
            random.shuffle(order)
            for name in order:
                contender, result = table.contenders[name], None
                if not self.sits_out(table, name, spent[name]):
                    began = time.monotonic()
                    result = self.once(contender, batches[name])
                    spent[name] += time.monotonic() - began
                table.rounds[name].append(result)
            for name in slow:
                table.rounds[name].append(slow[name] if number == 1 else None)
            elapsed = time.monotonic() - start
            self.progress.within(table.title, number)
            if self.is_enough(number, elapsed, table.seconds):
                break
        self.keep(table, elapsed, before)
        self.progress.clear()
        print_table(table)

    def keep(self, table, elapsed, before):
        """Adds a table to what will be saved."""
        self.tables[table.name] = {
            "name": table.name,
            "title": table.title,
            "reference": table.reference,
            "pairs": table.pairs,
            "rounds": table.rounds,
            "seconds": round(elapsed, 1),
            "load": before.until_now(),
        }

    def is_enough(self, number, elapsed, seconds):
        """Whether a table needs no further round."""
        if self.fixed_rounds:
            return number >= self.fixed_rounds
        enough = elapsed >= seconds or number >= MOST_ROUNDS
        return enough and number >= FEWEST_ROUNDS

    def sits_out(self, table, name, spent):
        """Whether a contender has had its share of the time."""
        results = sum(result is not None for result in table.rounds[name])
        share = table.seconds / len(table.contenders)
        return table.contenders[name].rests and results >= FEWEST_ROUNDS and spent > share


def outputs(contender, count):
    """The images that runs of a contender make."""
    if not contender.output:
        return []
    return [Path(str(contender.output).replace("{}", str(run))) for run in range(count)]


class Load:
    """What else the machine did meanwhile."""

    def __init__(self):
        fields = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]
        user, nice, system, idle, iowait, irq, softirq, steal = map(int, fields)
        tick = os.sysconf("SC_CLK_TCK")
        self.steal = steal / tick
        self.all = (user + nice + system + idle + iowait + irq + softirq + steal) / tick
        self.busy = (user + nice + system + irq + softirq) / tick
        own = os.times()
        self.own = own.user + own.system + own.children_user + own.children_system

    def until_now(self):
        """Shares of all processors' time: that of other programs, and that of other guests."""
        now = Load()
        whole = max(now.all - self.all, 1e-9)
        others = (now.busy - self.busy) - (now.own - self.own)
        return {"others": max(others / whole, 0), "steal": (now.steal - self.steal) / whole}


def median(rounds, place):
    """The median of one number over the rounds; none where there was no round."""
    values = [run[place] for run in rounds or () if run]
    return statistics.median(values) if values else None


def ratio(rounds, others, place=WALL_MS):
    """Median and quartiles of the ratio of two contenders within a round; none without one."""
    pairs = zip(rounds or (), others or ())
    values = [one[place] / other[place] for one, other in pairs if one and other and other[place]]
    if not values:
        return None
    if len(values) == 1:
        return values * 3
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return [middle, low, high]


def print_table(table):
    """Prints a line a contender."""
    number = max(map(len, table.rounds.values()))
    print(f"\n{table.title} ({number} round{'s' if number > 1 else ''})")
    print(
        f"  {'':28}{'wall ms':>9}  {'to ' + table.reference:<26}"
        f"{'CPU ms':>9}{'faults':>8}{'peak MiB':>10}{'image KiB':>11}"
    )
    for name, rounds in table.rounds.items():
        wall, cpu, faults, peak, size = (median(rounds, place) for place in range(5))
        found = ratio(rounds, table.rounds.get(table.pairs.get(name, table.reference)))
        to = "{:.2f} [{:.2f} {:.2f}]".format(*found) if found else ""
        print(
            f"  {name:28}{wall:9.2f}  {to:<26}"
            f"{cpu:9.2f}{faults:8.0f}{peak / 1024:10.1f}{size:11.0f}",
            flush=True,
        )


def save(bench, machine, path):
    """Writes every run, so that another one can be compared with it."""
    results = {"machine": machine, "facts": bench.facts, "tables": bench.tables}
    path.write_text(json.dumps(results) + "\n", encoding="utf-8")
