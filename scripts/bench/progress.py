"""Tells on standard error which table is measured, and how long the rest will take."""

import sys
import time


class Progress:
    """The place in a list of parts, each with the seconds that it takes."""

    def __init__(self, parts):
        self.parts = parts
        self.names = list(parts)
        self.place = 0
        self.began = time.monotonic()
        self.live = sys.stderr.isatty()
        self.title = ""

    def enter(self, name):
        """The next part begins."""
        self.place = self.names.index(name)
        self.began = time.monotonic()

    def within(self, title, number):
        """A round of a table is done. Without a terminal each table is told of once."""
        if self.live:
            print(f"\r\x1b[K{self.line(title, number)}", end="", file=sys.stderr, flush=True)
        elif title != self.title:
            print(self.line(title, number), file=sys.stderr, flush=True)
        self.title = title

    def line(self, title, number):
        """Part, table, round, and the time that is left."""
        left = max(self.parts[self.names[self.place]] - (time.monotonic() - self.began), 0)
        left += sum(self.parts[name] for name in self.names[self.place + 1 :])
        which = f"[{self.place + 1} of {len(self.names)}] {title}"
        turn = f", round {number}" if number else ""
        return f"{which}{turn}; about {left / 60:.0f} min left"

    def clear(self):
        """Makes room for a table on standard output."""
        if self.live:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
