"""Types lines into a real shell on a terminal, each with a tab at its end, and prints what became
of each: completions.py PROGRAMS SHELL SCRIPT <LINES. PROGRAMS is a directory that comes first in
PATH, SCRIPT has the completions."""
import os
import pty
import select
import sys
import tempfile
import time

# How each shell starts; its first line, which also says how `monitor-of-a-test` is completed.
BASH = ["bash", "--norc", "--noprofile", "-i"]
RECORD = 'record() { echo "$*" >>"$RECORD"; }'
WORDS = "complete -W '--alpha --beta' monitor-of-a-test"
SHELLS = {
    "bash": (BASH, f"{RECORD}; {WORDS}"),
    "bash-completion": (
        BASH,
        f"{RECORD}; . /usr/share/bash-completion/bash_completion; {WORDS}",
    ),
    "zsh": (
        ["zsh", "-f", "-i"],
        f"{RECORD}; autoload -U compinit; compinit -u -D; "
        "_monitor() { compadd -- --alpha --beta }; compdef _monitor monitor-of-a-test",
    ),
    "fish": (
        ["fish", "--no-config", "-i"],
        "function record; echo $argv >>$RECORD; end; "
        "complete -c monitor-of-a-test -l alpha; complete -c monitor-of-a-test -l beta",
    ),
}


class Terminal:
    """A shell on a terminal of its own."""

    def __init__(self, programs, shell, record):
        command, self.first_line = SHELLS[shell]
        self.record = record
        process, self.file = pty.fork()
        if process == 0:
            path = f"{programs}:{os.environ['PATH']}"
            os.environ.update(PATH=path, RECORD=record, TERM="vt100", LC_ALL="C.UTF-8")
            os.execvp(command[0], command)

    def type(self, text, seconds=0.15):
        """Types, and lets the shell answer until it has nothing more to say for so long."""
        os.write(self.file, text.encode())
        while select.select([self.file], [], [], seconds)[0]:
            os.read(self.file, 65536)

    def recorded(self, count):
        """Waits for as many lines, and returns the last."""
        end = time.monotonic() + 30
        while True:
            with open(self.record) as file:
                lines = file.read().splitlines()
            if len(lines) == count:
                return lines[-1]
            if time.monotonic() > end:
                sys.exit(f"expected {count} lines, got {lines}")
            time.sleep(0.05)


def main():
    programs, shell, script = sys.argv[1:]
    with tempfile.NamedTemporaryFile() as record:
        terminal = Terminal(programs, shell, record.name)
        terminal.type("", 1.0)
        terminal.type(f"{terminal.first_line}; source {script}\n", 0.5)
        terminal.type("record ready\n")
        terminal.recorded(1)
        for count, line in enumerate(sys.stdin.read().splitlines(), 2):
            terminal.type(line)
            terminal.type("\t")
            # To the line's beginning, and what was a command becomes words to be recorded.
            terminal.type("\x01record \n")
            print(terminal.recorded(count), flush=True)
        os.write(terminal.file, b"exit\n")


main()
