"""A stand-in for a monitor: tells as JSON what it has inherited.

Every descriptor above 2 is told, and whether its file can be changed by any way.
"""

import errno
import fcntl
import json
import mmap
import os
import stat
import sys

F_ADD_SEALS, F_GET_SEALS, F_SEAL_WRITE = 1033, 1034, 8


def refusal(change, *arguments):
    """The error of what must fail; none where it does not."""
    try:
        change(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    except ValueError as error:
        return str(error)
    return None


def changes(descriptor, size):
    """What comes of every attempt to change the file, by any descriptor of it."""
    other = os.open(f"/proc/self/fd/{descriptor}", os.O_RDWR)
    shared = (other, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
    outcomes = {
        "write": refusal(os.write, descriptor, b"x"),
        "truncate": refusal(os.ftruncate, descriptor, 0),
        "unseal": refusal(fcntl.fcntl, descriptor, F_ADD_SEALS, F_SEAL_WRITE),
        "write by another": refusal(os.write, other, b"x"),
        "shorten by another": refusal(os.ftruncate, other, 0),
        "lengthen by another": refusal(os.ftruncate, other, 1 << 30),
        "map by another": refusal(mmap.mmap, *shared),
        "unseal by another": refusal(fcntl.fcntl, other, F_ADD_SEALS, F_SEAL_WRITE),
    }
    os.close(other)
    return outcomes


def told(descriptor):
    status = os.fstat(descriptor)
    found = {"link": os.readlink(f"/proc/self/fd/{descriptor}")}
    if found["link"].startswith("/memfd:"):
        found["flags"] = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE
        found["seals"] = fcntl.fcntl(descriptor, F_GET_SEALS)
        found["mode"] = stat.S_IMODE(status.st_mode)
        found["content"] = os.pread(descriptor, status.st_size, 0).hex()
        found["changes"] = changes(descriptor, status.st_size)
    return found


def is_open(descriptor):
    return refusal(os.fstat, descriptor) is None


descriptors = [int(name) for name in os.listdir("/proc/self/fd")]
json.dump(
    {
        "pid": os.getpid(),
        "name": os.readlink("/proc/self/exe"),
        "arguments": [os.fsencode(argument).hex() for argument in sys.argv[1:]],
        "environment": dict(os.environ),
        "descriptors": {number: told(number) for number in descriptors if is_open(number)},
    },
    sys.stdout,
)
