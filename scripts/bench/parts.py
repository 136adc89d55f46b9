"""What is measured: each part makes its files, and yields its tables."""

import re
import shutil
import subprocess
from pathlib import Path

import workloads
from measuring import Contender, Table
from programs import FORMATS


class Place:
    """Where inputs and images are."""

    def __init__(self, memory, disk, without):
        self.memory = memory  # on tmpfs
        self.disk = disk
        self.without = without  # the program without its promises, or none

    def image(self, on_disk=False):
        """The pattern of images' names."""
        return str((self.disk if on_disk else self.memory) / "images" / "image{}")

    def tree(self, name):
        """The files of a workload."""
        return self.memory / name


def forms_of_credimg(programs, tree, image):
    """All formats by each build of credimg, and one of them twice: what differs there is noise."""
    contenders = {}
    for program in programs.credimg:
        for kind in FORMATS:
            contenders[f"{program} {kind}"] = programs.build_of(program, tree, image, kind)
    contenders["credimg erofs, again"] = contenders["credimg erofs"]
    return contenders


def workload(name, seconds):
    """One of the file sets, uncompressed, by all programs."""

    def part(programs, place, bench):
        workloads.make(name, place.memory)
        tree, image = place.tree(name), place.image()
        contenders = {"floor": programs.floor(tree, image)}
        if name == "S":
            contenders["empty program"] = programs.nothing()
            bench.facts["system calls"] = system_calls(programs, tree, image)
        contenders |= forms_of_credimg(programs, tree, image)
        contenders |= programs.peers_of(name, tree, image)
        reference = "empty program" if name == "S" else "floor"
        yield Table(name, f"{name}: all formats", seconds, reference, contenders, batch=name == "S")

    return part


def system_calls(programs, tree, image):
    """How many system calls each build of credimg makes in each format, all threads together."""
    calls = {}
    for program in programs.credimg:
        for kind in FORMATS:
            command = programs.build_of(program, tree, image, kind).command
            log = Path(f"{image}.calls")
            strace = ["strace", "-f", "-qq", "-e", "signal=none", "-o", log]
            subprocess.run([*strace, *command], check=True, capture_output=True)
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            calls[f"{program} {kind}"] = sum(" resumed>" not in line for line in lines)
            log.unlink()
            Path(image).unlink()
    return calls


def fleet(programs, place, _bench):
    """500 different disks by 500 processes, by loops of the shell, and by one process."""
    workloads.make("fleet", place.memory)
    directory, image = place.tree("fleet"), place.image()
    tree = directory / "{}"
    contenders = {"empty program": programs.nothing(), "floor": programs.floor(tree, image)}
    contenders |= forms_of_credimg(programs, tree, image)
    contenders |= programs.peers_of("fleet", tree, image)
    loops = {
        f"shell loop of {name}": programs.in_shell(contenders[name], workloads.FLEET)
        for name in ("credimg erofs", "mkfs.erofs, Debian's")
    }
    for contender in contenders.values():
        contender.count = workloads.FLEET
    for program in programs.credimg:
        name = f"{program} fleet build, one process"
        loops[name] = programs.fleet(program, directory, image, workloads.FLEET)
    title = f"fleet: {workloads.FLEET} disks like S, one process each; figures are of one"
    yield Table("fleet", title, 70, "empty program", contenders | loops)


def fleets(programs, place, _bench):
    """Fleets of 500 and 10,000 machines, in memory and on a disk, by one process each."""
    workloads.make("large fleet", place.memory)
    directory = place.tree("fleet")
    few, many = workloads.FLEET, workloads.LARGE_FLEET
    contenders = {
        f"{machines:,} machines on {where}": programs.fleet(
            "credimg", directory, place.image(where == "disk"), machines
        )
        for machines, where in ((few, "tmpfs"), (many, "tmpfs"), (few, "disk"), (many, "disk"))
    }
    title = "fleets: disks like S, one process for all; figures are of one"
    yield Table("fleets", title, 40, f"{few:,} machines on tmpfs", contenders)


# Compressions of SquashFS, as credimg names them, with the time of their tables. On T xz takes half
# a minute a run.
COMPRESSIONS = ("gzip", "lz4", "zstd:1", "zstd:15", "xz")
COMPRESSED = {"S": (10, COMPRESSIONS), "M": (35, COMPRESSIONS), "T": (60, COMPRESSIONS[:-1])}


def compressed(programs, place, _bench):
    """SquashFS in each compression, beside mksquashfs with the same one."""
    for name, (seconds, compressions) in COMPRESSED.items():
        workloads.make(name, place.memory)
        tree, image = place.tree(name), place.image()
        contenders, pairs = {}, {}
        for compression in compressions:
            more = ("--compression", compression)
            tools = {"credimg": programs.build_of("credimg", tree, image, "squashfs", *more)}
            tools |= programs.squashfs_tools(name, tree, image, compression)
            contenders |= {f"{tool} {compression}": tools[tool] for tool in tools}
            pairs |= {f"{tool} {compression}": f"mksquashfs {compression}" for tool in tools}
        key, title = f"compressed {name}", f"{name}: SquashFS, compressed"
        batch = name == "S"
        yield Table(key, title, seconds, "mksquashfs", contenders, batch=batch, pairs=pairs)


# The sectors in which each is encrypted, in bytes.
SECTORS = {"luks1": "512", "luks2": "4096"}


def luks(programs, place, bench):
    """What encryption adds, to a small image and to a large one."""
    key = place.memory / "key"
    subprocess.run([programs.credimg["credimg"], "genkey", "--luks", key], check=True)
    bench.facts["OpenSSL's bytes a second"] = {
        kind: openssl_speed(sector) for kind, sector in SECTORS.items()
    }
    for name, seconds in (("S", 10), ("L", 15)):
        workloads.make(name, place.memory)
        tree, image = place.tree(name), place.image()
        contenders = {"floor": programs.floor(tree, image)}
        contenders["plain"] = programs.build_of("credimg", tree, image, "erofs")
        for kind in SECTORS:
            more = ("--encrypt", kind, "--key-file", key)
            contenders[kind] = programs.build_of("credimg", tree, image, "erofs", *more)
        title = f"{name}: EROFS within LUKS"
        yield Table(f"luks {name}", title, seconds, "plain", contenders, batch=name == "S")


def verity(programs, place, _bench):
    """What a hash tree adds, to a small image and to a large one."""
    for name, seconds in (("S", 10), ("L", 15)):
        workloads.make(name, place.memory)
        tree, image = place.tree(name), place.image()
        contenders = {
            "plain": programs.build_of("credimg", tree, image, "erofs"),
            "verity": programs.build_of("credimg", tree, image, "erofs", "--verity"),
            **programs.veritysetup(tree, image),
        }
        title = f"{name}: EROFS with a hash tree"
        yield Table(f"verity {name}", title, seconds, "plain", contenders, batch=name == "S")


def openssl_speed(sector):
    """Bytes a second that OpenSSL encrypts on one core, in sectors of a size."""
    speed = ["openssl", "speed", "-seconds", "1", "-bytes", sector, "-evp", "aes-256-xts"]
    answer = subprocess.run(speed, check=True, capture_output=True, text=True).stdout
    return float(re.search(r"(\d+\.\d+)k$", answer.strip(), re.MULTILINE).group(1)) * 1000


def readers(programs, place, _bench):
    """Listing many files, and checking large ones."""
    credimg, images = programs.credimg["credimg"], place.memory
    for name, kind in (("D", "erofs"), ("D", "squashfs"), ("L", "erofs"), ("L", "iso9660")):
        if not place.tree(name).exists():
            workloads.make(name, place.memory)
        image = images / f"{name}.{kind}"
        built = programs.build_of("credimg", place.tree(name), image, kind)
        subprocess.run(built.command, check=True)
    unsquashfs, fsck = programs.newer("unsquashfs"), programs.newer("fsck.erofs")
    xorriso = [*programs.newer("xorriso"), "-indev", f"stdio:{images}/L.iso9660"]
    lists = {
        "ls -R, EROFS": [credimg, "ls", "-R", images / "D.erofs"],
        "ls -R, SquashFS": [credimg, "ls", "-R", images / "D.squashfs"],
        "ls -lR, SquashFS": [credimg, "ls", "-lR", images / "D.squashfs"],
        "unsquashfs -lln": [*unsquashfs, "-lln", images / "D.squashfs"],
    }
    checks = {
        "verify, EROFS": [credimg, "verify", images / "L.erofs"],
        "fsck.erofs --extract": [*fsck, "--extract", images / "L.erofs"],
        "verify, ISO 9660": [credimg, "verify", images / "L.iso9660"],
        "xorriso -check_media": [*xorriso, "-check_media", "--"],
    }
    yield reading("readers D", "D: listing the image", lists)
    yield reading("readers L", "L: checking the image", checks)


# Each way of credimg to read, and the other program that does so.
READERS = {
    "ls -lR, SquashFS": "unsquashfs -lln",
    "verify, EROFS": "fsck.erofs --extract",
    "verify, ISO 9660": "xorriso -check_media",
}


def reading(name, title, commands):
    """A table of programs that read."""
    contenders = {label: Contender(command) for label, command in commands.items()}
    pairs = {label: other for label, other in READERS.items() if label in commands}
    return Table(name, title, 8, "the other program", contenders, pairs=pairs)


BESIDE = (10, 10_000, 100_000)


def beside(programs, place, _bench):
    """S into directories that hold other files."""
    workloads.make("S", place.memory)
    contenders = {}
    for number in BESIDE:
        directory = place.memory / f"beside-{number}"
        directory.mkdir()
        for other in range(number):
            (directory / f"other{other}").touch()
        image = str(directory / "image{}")
        built = programs.build_of("credimg", place.tree("S"), image, "erofs")
        contenders[f"beside {number:,}"] = built
    title = "S: beside other files"
    yield Table("beside", title, 15, f"beside {BESIDE[0]}", contenders, batch=True)


MANY = (100_000, 300_000)


def many(programs, place, _bench):
    """Very many files: does time grow as they do, and how much memory does each take?"""
    contenders = {}
    for number in MANY:
        workloads.wide(place.memory, number)
        tree, image = place.tree(f"wide{number}"), place.image()
        contenders[f"floor, {number:,}"] = programs.floor(tree, image)
        for kind in FORMATS[:3]:
            built = programs.build_of("credimg", tree, image, kind)
            contenders[f"credimg {kind}, {number:,}"] = built
    title = "files of 64 bytes in one directory"
    yield Table("many", title, 30, f"floor, {MANY[0]:,}", contenders)


def commands(programs, place, _bench):
    """20 commands that wait for 0.2 s each, and 20 that wait for nothing."""
    contenders = {}
    waits, at_once = "20 commands of 0.2 s", "20 commands of no time"
    for name, command in ((waits, "sleep 0.2; echo secret"), (at_once, "echo secret")):
        manifest = place.memory / f"{name}.yaml"
        entry = '  - {{path: /secret{}, shell: "{}"}}\n'
        entries = "".join(entry.format(number, command) for number in range(20))
        manifest.write_text(f"label: BENCH\nfiles:\n{entries}", encoding="utf-8")
        tree = str(manifest).removesuffix(".yaml")
        contenders[name] = programs.build_of("credimg", tree, place.image(), "erofs")
        more = ("--jobs", "1")
        alone = programs.build_of("credimg", tree, place.image(), "erofs", *more)
        contenders[f"{name}, one at a time"] = alone
    pairs = {waits: f"{waits}, one at a time", at_once: f"{at_once}, one at a time"}
    yield Table("commands", "20 commands", 16, "one at a time", contenders, pairs=pairs)


def promises(programs, place, _bench):
    """What the promises cost: the same program with them switched off at compile time."""
    if not place.without:
        return
    for name, seconds in (("S", 8), ("L", 12)):
        workloads.make(name, place.memory)
        for where, on_disk in (("tmpfs", False), ("disk", True)):
            tree, image = place.tree(name), place.image(on_disk)
            contenders = {
                "without": programs.build_of(place.without, tree, image, "erofs"),
                "with promises": programs.build_of("credimg", tree, image, "erofs"),
            }
            title = f"{name}: promises, image on {where}"
            key = f"promises {name} {where}"
            yield Table(key, title, seconds, "without", contenders, batch=name == "S")


# What can be named on the command line, with about how many seconds it takes.
PARTS = {
    "S": (workload("S", 30), 33),
    "M": (workload("M", 40), 44),
    "T": (workload("T", 45), 50),
    "L": (workload("L", 45), 55),
    "D": (workload("D", 75), 85),
    "fleet": (fleet, 85),
    "fleets": (fleets, 60),
    "compressed": (compressed, 130),
    "luks": (luks, 32),
    "verity": (verity, 30),
    "readers": (readers, 30),
    "beside": (beside, 22),
    "many": (many, 50),
    "commands": (commands, 22),
    "promises": (promises, 45),
}


def run(names, programs, place, bench):
    """Measures the parts of these names."""
    for name in names:
        bench.progress.enter(name)
        (place.memory / "images").mkdir()
        (place.disk / "images").mkdir(exist_ok=True)
        for table in PARTS[name][0](programs, place, bench):
            bench.run(table)
        for left in place.memory.iterdir():
            if left.is_dir():
                shutil.rmtree(left)
            elif left.name not in ("measure", "floor", "nothing"):
                left.unlink()
