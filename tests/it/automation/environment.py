"""Prints, as JSON, the words that systemd makes of $CREDIMG_OPTIONS in a unit's command with
each file of the directory as EnvironmentFile=, by systemd's own functions."""

import ctypes
import glob
import json
import os
import re
import sys

[library] = glob.glob("/usr/lib/*/systemd/libsystemd-shared-*.so") or glob.glob(
    "/usr/lib/systemd/libsystemd-shared-*.so"
)
version = int(re.search(r"shared-(\d+)", library)[1])
systemd = ctypes.CDLL(library)
strings = ctypes.POINTER(ctypes.c_char_p)


def words(path):
    variables, result = strings(), strings()
    code = systemd.load_env_file(None, path.encode(), ctypes.byref(variables))
    assert code >= 0, (path, code)
    arguments = (ctypes.c_char_p * 2)(b"$CREDIMG_OPTIONS", None)
    if version < 254:
        systemd.replace_env_argv.restype = strings
        result = systemd.replace_env_argv(arguments, variables)
    else:
        code = systemd.replace_env_argv(arguments, variables, ctypes.byref(result), None, None)
        assert code >= 0, (path, code)
    found = []
    while result[len(found)] is not None:
        found.append(result[len(found)])
    return [word.decode() for word in found]


directory = sys.argv[1]
print(json.dumps({name: words(f"{directory}/{name}") for name in os.listdir(directory)}))
