"""The machine on which is measured."""

import datetime
import os
import platform
import re
from pathlib import Path

# From this share of the processors' time on, what others do is said to disturb.
QUIET = 0.03


def describe(programs):
    """What the figures depend on."""
    processor = re.search(r"^model name\s*: (.*)", _text("/proc/cpuinfo"), re.MULTILINE)
    system = re.search(r'^PRETTY_NAME="(.*)"', _text("/etc/os-release"), re.MULTILINE)
    return {
        "date": datetime.date.today().isoformat(),
        "processor": processor.group(1) if processor else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "virtual": "hypervisor" in _text("/proc/cpuinfo"),
        "linux": platform.release(),
        "system": system.group(1) if system else "unknown system",
        "static": {name: _is_static(path) for name, path in programs.credimg.items()},
        "versions": programs.versions(),
        "rounds": os.environ.get("CREDIMG_BENCH_ROUNDS"),
    }


def _text(path):
    return Path(path).read_text(encoding="utf-8", errors="replace")


def _is_static(program):
    """Whether it is without a loader: the program names one in a header otherwise."""
    return b"/ld-" not in Path(program).read_bytes()[:4096]


def in_words(about):
    """The machine, in one line."""
    kind = "a virtual machine with " if about["virtual"] else ""
    processor = re.sub(r"\((R|TM)\)", "", about["processor"])
    return f"{kind}{about['cores']} cores of {processor}, Linux {about['linux']}, {about['system']}"


def versions(about):
    """What each program says that it is, the newest and Debian's own beside each other."""
    said = about["versions"]
    names = []
    for name, version in said.items():
        if name.startswith("credimg") or name.endswith(", Debian's"):
            continue
        own = said.get(f"{name}, Debian's")
        names.append(f"{name} {version}" + (f" (Debian's {own})" if own else ""))
    return f"credimg {said['credimg']}; {', '.join(names)}"


def quietness(about):
    """Whether the machine was quiet."""
    others, steal = about["load"]["others"], about["load"]["steal"]
    told = f"Other programs took {others:.1%} of the processors' time, other guests {steal:.1%}"
    if others + steal < QUIET:
        return f"{told}: the machine was quiet."
    return f"{told}: the machine was not quiet, and these figures do not hold."
