"""The file sets of the benchmark: the same bytes on every machine."""

import os
import random
from pathlib import Path

FLEET = 500  # images
LARGE_FLEET = 10_000

# Everything is kept, so that credimg does the same work as the others.
MANIFEST = """label: BENCH
files:
  - {{path: /, dir: {tree}, mode: keep, dir_mode: keep, owner: keep, mtime: keep}}
"""


# A time of whole seconds is one that every format can hold.
TIME = 1_700_000_000


def _write(tree, path, content):
    target = tree / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


def small(tree, seed=1):
    """One virtual machine's disk: 12 files of 200 B to 4 KiB in 3 directories."""
    chance = random.Random(seed)
    for number in range(12):
        content = chance.randbytes(chance.randint(200, 4096))
        _write(tree, f"service{number % 3}/secret{number}", content)


def many(tree):
    """2,000 files of 1 to 8 KiB in 50 directories."""
    chance = random.Random(2)
    for number in range(2000):
        content = chance.randbytes(chance.randint(1024, 8192))
        _write(tree, f"directory{number % 50}/file{number}", content)


def text(tree):
    """4,000 text files of 2 to 40 KiB, about 86 MB."""
    chance = random.Random(3)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(chance.choices(letters, k=chance.randint(2, 11))) for _ in range(5000)]
    # Paragraphs are drawn once and files made of them: drawing each word takes minutes.
    paragraphs = [" ".join(chance.choices(words, k=60)) + "\n" for _ in range(2000)]
    for number in range(4000):
        length = chance.randint(2048, 40960)
        content = "".join(chance.choices(paragraphs, k=length // 120))[:length]
        _write(tree, f"chapter{number % 40}/text{number}", content.encode())


def large(tree):
    """16 files of 32 MiB."""
    chance = random.Random(4)
    for number in range(16):
        _write(tree, f"large{number}", chance.randbytes(32 << 20))


def deep(tree):
    """One directory of 50,000 files of 64 bytes, and a path 60 deep."""
    chance = random.Random(5)
    for number in range(50000):
        _write(tree, f"wide/file{number}", chance.randbytes(64))
    _write(tree, "/".join(f"level{level}" for level in range(60)) + "/file", chance.randbytes(64))


def wide(directory, number):
    """One directory of so many files of 64 bytes, as directory/wideNUMBER, with its manifest."""
    tree = Path(directory) / f"wide{number}"
    tree.mkdir()
    chance = random.Random(6)
    for file in range(number):
        with open(f"{tree}/file{file}", "wb", buffering=0) as output:
            output.write(chance.randbytes(64))
    write_manifest(f"{tree}.yaml", tree)


def fleet(directory):
    """500 different sets of the kind of `small`, in directories 0 to 499."""
    for number in range(FLEET):
        small(directory / str(number), seed=1000 + number)
        write_manifest(directory / f"{number}.yaml", directory / str(number))
    write_fleet(directory, FLEET)


def large_fleet(directory):
    """10,000 different sets of the kind of `small`, and manifests of 500 and of all of them."""
    for number in range(LARGE_FLEET):
        small(directory / str(number), seed=1000 + number)
    for machines in (FLEET, LARGE_FLEET):
        write_fleet(directory, machines)


def write_fleet(directory, machines):
    """One manifest of so many machines, each with a whole tree: directory/fleetMACHINES.yaml."""
    manifest = f"""machines:
  "[0-{machines - 1}]": {{}}
files:
  - {{path: /, to: all, dir: "{{machine}}", mode: keep, dir_mode: keep, owner: keep, mtime: keep}}
"""
    (directory / f"fleet{machines}.yaml").write_text(manifest, encoding="utf-8")


def write_manifest(path, tree):
    """The manifest of one whole tree, whose files get their time."""
    for directory, _, files in os.walk(tree):
        for file in files:
            os.utime(f"{directory}/{file}", (TIME, TIME))
        os.utime(directory, (TIME, TIME))
    Path(path).write_text(MANIFEST.format(tree=tree), encoding="utf-8")


def make(name, directory):
    """Writes the set of that name as directory/NAME, with directory/NAME.yaml."""
    directory = Path(directory)
    if name == "fleet":
        fleet(directory / "fleet")
        return
    if name == "large fleet":
        large_fleet(directory / "fleet")
        return
    builders = {"S": small, "M": many, "T": text, "L": large, "D": deep}
    builders[name](directory / name)
    write_manifest(directory / f"{name}.yaml", directory / name)
