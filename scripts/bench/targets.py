"""What credimg is to reach, beside what was measured: the first tables of BENCHMARKS.md."""

from dataclasses import dataclass

from measuring import CPU_MS, FAULTS, IMAGE_KIB, PEAK_KIB, WALL_MS, median, ratio
from parts import BESIDE, COMPRESSED, COMPRESSIONS, MANY
from programs import FORMATS, PEERS, REFERENCES
from workloads import FLEET, LARGE_FLEET

WORKLOADS = ("S", "M", "T", "L", "D")
NAMES = {
    "erofs": "EROFS",
    "squashfs": "SquashFS",
    "iso9660": "ISO 9660",
    "joliet": "ISO 9660 with Joliet",
}

# Wall time: that of S as a ratio to the empty program's, the others to the floor's.
TIME = {kind: {"S": 1.05, "M": 1.05, "T": 0.9, "L": 1.0, "D": 0.9} for kind in FORMATS}
TIME["iso9660"]["D"] = 1.0
TIME["joliet"]["D"] = 1.1
PEAK_MIB = {"S": 8, "M": 8, "T": 8, "L": 8, "D": 48}
COMPRESSED_WORKLOADS = ("M", "T")
# An image may be larger than the smallest of the reference tools by the one or the other.
LARGER_PERCENT, LARGER_KIB = 1, 8


@dataclass
class Cell:
    """A figure and the most that it may be."""

    value: float | None
    limit: float
    digits: int = 2
    unit: str = ""
    sign: str = ""

    def __str__(self):
        limit = f"{self.limit:g}{self.unit}"
        if self.value is None:
            return f"?{self.unit} ≤ {limit}"
        value = f"{self.value:{self.sign}.{self.digits}f}"
        # What is shown is judged, so that nobody reads that 1.05 is more than 1.05.
        return f"{value}{self.unit} {'≤' if float(value) <= self.limit else '>'} {limit}"


class Results:
    """What a run of the benchmark found; nothing where a part was not measured."""

    def __init__(self, results):
        self.tables = results["tables"]
        self.facts = results["facts"]

    def rounds(self, table, contender):
        """All runs of a contender."""
        return self.tables.get(table, {"rounds": {}})["rounds"].get(contender)

    def median(self, table, contender, place=WALL_MS):
        """The median of one number."""
        return median(self.rounds(table, contender), place)

    def ratio(self, table, one, other, place=WALL_MS):
        """Median and quartiles of a ratio."""
        return ratio(self.rounds(table, one), self.rounds(table, other), place)

    def to_reference(self, table, contender):
        """The ratio to what the table compares a contender with."""
        measured = self.tables[table]
        reference = measured["pairs"].get(contender, measured["reference"])
        return self.ratio(table, contender, reference)

    def middle(self, table, one, other, place=WALL_MS):
        """The median of a ratio."""
        found = self.ratio(table, one, other, place)
        return found[0] if found else None


def matrix(results):
    """A row for each format and what is limited, with a cell for each workload."""
    rows = {}
    for kind in FORMATS:
        rows[f"time, {NAMES[kind]}"] = [time(results, kind, name) for name in WORKLOADS]
    for kind in FORMATS:
        rows[f"peak MiB, {NAMES[kind]}"] = [peak(results, kind, name) for name in WORKLOADS]
    for kind in FORMATS:
        rows[f"size, {NAMES[kind]}"] = [size(results, kind, name) for name in WORKLOADS]
    return rows


def time(results, kind, name):
    """Wall time to the floor, or of S to the empty program."""
    reference = "empty program" if name == "S" else "floor"
    return Cell(results.middle(name, f"credimg {kind}", reference), TIME[kind][name])


def peak(results, kind, name):
    """The most memory that was resident."""
    kib = results.median(name, f"credimg {kind}", PEAK_KIB)
    return Cell(kib and kib / 1024, PEAK_MIB[name], 1)


def size(results, kind, name):
    """How much larger an image is than the smallest of the reference tools."""
    own = results.median(name, f"credimg {kind}", IMAGE_KIB)
    others = [results.median(name, tool, IMAGE_KIB) for tool in REFERENCES[kind]]
    others = [other for other in others if other]
    if not own or not others:
        return Cell(None, LARGER_PERCENT, unit=" %")
    more = own - min(others)
    percent = more / min(others) * 100
    if percent > LARGER_PERCENT and more <= LARGER_KIB:
        return Cell(more, LARGER_KIB, 0, " KiB", "+")
    return Cell(percent, LARGER_PERCENT, 1, " %", "+")


def others(results):
    """The targets that are not of every workload: a row each."""
    rows = {}
    for kind in FORMATS:
        calls = results.facts.get("system calls", {}).get(f"credimg {kind}")
        rows[f"S, system calls, {NAMES[kind]}"] = Cell(calls, 150, 0)
    for kind in FORMATS:
        faults = results.median("S", f"credimg {kind}", FAULTS)
        rows[f"S, page faults, {NAMES[kind]}"] = Cell(faults, 90, 0)
    for kind in FORMATS:
        ratios = [results.middle("S", f"credimg {kind}", tool) for tool in PEERS[kind]]
        fastest = max((found for found in ratios if found), default=None)
        rows[f"S, time to the fastest other program, {NAMES[kind]}"] = Cell(fastest, 1)
    few = f"beside {BESIDE[0]:,}"
    for number in BESIDE[1:]:
        more = results.middle("beside", f"beside {number:,}", few)
        rows[f"S beside {number:,} files, to S beside {BESIDE[0]}"] = Cell(more, 1.03)
    rows |= of_fleets(results) | of_many(results) | of_luks(results)
    return rows | of_verity(results) | of_commands(results)


def of_fleets(results):
    """What one machine costs of those that one process builds."""
    rows = {}
    for machines in (f"{FLEET:,}", f"{LARGE_FLEET:,}"):
        for where, wall in (("tmpfs", 0.12), ("disk", 0.2)):
            name = f"{machines} machines on {where}"
            rows[f"{name}, wall ms a machine"] = Cell(results.median("fleets", name), wall)
        cpu = results.median("fleets", f"{machines} machines on tmpfs", CPU_MS)
        rows[f"{machines} machines on tmpfs, CPU ms a machine"] = Cell(cpu, 0.18)
    return rows


def of_many(results):
    """Time must grow as the number of files does, and memory must stay small."""
    rows = {}
    for kind in FORMATS[:3]:
        few, many = (f"credimg {kind}, {number:,}" for number in MANY)
        grown = results.middle("many", many, few)
        factor = MANY[1] / MANY[0]
        label = f"{MANY[1]:,} files, time to {factor:g} times that of {MANY[0]:,}, {NAMES[kind]}"
        rows[label] = Cell(grown and grown / factor, 1.1)
    for kind in FORMATS[:3]:
        kib = results.median("many", f"credimg {kind}, {MANY[1]:,}", PEAK_KIB)
        rows[f"{MANY[1]:,} files, KiB a file, {NAMES[kind]}"] = Cell(kib and kib / MANY[1], 0.4)
    return rows


def compressed(results):
    """A row for each compression: neither slower nor much larger than mksquashfs at that level."""
    rows = {}
    for compression in COMPRESSIONS:
        rows[f"SquashFS, {compression}"] = cells = []
        for name in COMPRESSED_WORKLOADS:
            if compression not in COMPRESSED[name][1]:
                cells += ["", ""]
                continue
            pair = f"compressed {name}", f"credimg {compression}", f"mksquashfs {compression}"
            larger = results.middle(*pair, IMAGE_KIB)
            larger = larger and (larger - 1) * 100
            cells.append(Cell(results.middle(*pair), 1))
            cells.append(Cell(larger, LARGER_PERCENT, 1, " %", "+"))
    return rows


def of_luks(results):
    """The processor's time that encryption adds, for each byte, to that of OpenSSL."""
    rows = {}
    speeds = results.facts.get("OpenSSL's bytes a second", {})
    for kind in ("luks1", "luks2"):
        speed = speeds.get(kind)
        cpu, plain = (results.median("luks L", name, CPU_MS) for name in (kind, "plain"))
        image = results.median("luks L", "plain", IMAGE_KIB)
        more = speed and image and (cpu - plain) / 1000 / (image * 1024 / speed)
        rows[f"{kind}, time to OpenSSL's AES-XTS"] = Cell(more, 1.5)
    return rows


def of_verity(results):
    """The time that a hash tree adds to a small image, and the processor's to a large one."""
    small, plain = (results.median("verity S", name) for name in ("verity", "plain"))
    cpu, less = (results.median("verity L", name, CPU_MS) for name in ("verity", "plain"))
    image = results.median("verity L", "plain", IMAGE_KIB)
    a_gigabyte = cpu and image and (cpu - less) / 1000 / (image * 1024 / 1e9)
    return {
        "S, ms that a hash tree adds": Cell(small and plain and small - plain, 0.3),
        "L, seconds of the processor that a hash tree adds a GB": Cell(a_gigabyte, 1),
    }


def of_commands(results):
    """Commands that wait do so side by side."""
    waited = results.median("commands", "20 commands of 0.2 s")
    return {"20 commands of 0.2 s, seconds": Cell(waited and waited / 1000, 1.5)}
