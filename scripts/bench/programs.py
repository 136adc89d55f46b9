"""The programs that are compared: where they are, their versions, and how each is called."""

import os
import re
import shlex
import subprocess
from pathlib import Path

from measuring import Contender

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("CREDIMG_CACHE", HERE.parent.parent / ".cache"))

FORMATS = ("erofs", "squashfs", "iso9660", "joliet")

# credimg reads no extended attributes either unless a manifest asks for them.
NO_XATTRS = ("-x-1",)
# Its check for duplicates takes 28 s on D, and longer than that on more files.
WITHOUT_DUPLICATES = ("D",)
# They take minutes for one image of D, or for those of the fleet.
WITHOUT_XORRISO = ("D", "fleet")


def version(command, pattern=r"\d+(\.\d+)+\S*"):
    """The first version that a program tells of itself."""
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(pattern, answer.stdout + answer.stderr)
    return found.group().rstrip(",") if found else "unknown"


class Programs:
    """Commands of all programs, each for one tree and one image."""

    def __init__(self, credimg, glibc, directory):
        self.credimg = {"credimg": credimg}
        if glibc:
            self.credimg["credimg-glibc"] = glibc
        self.directory = directory
        self.build()

    def build(self):
        """Compiles the measuring program, the floor, the empty program and the libraries' ones."""
        for name in ("measure", "floor"):
            source, program = HERE / f"{name}.c", self.directory / name
            subprocess.run(["gcc", "-O2", "-Wall", "-static", "-o", program, source], check=True)
        nothing = ["rustc", "-O", "-o", self.directory / "nothing", HERE / "nothing.rs"]
        subprocess.run(nothing, check=True)
        target = Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent.parent / "target"))
        self.peers = target.resolve() / "peers"
        manifest = HERE / "peers/Cargo.toml"
        cargo = ["cargo", "build", "--release", "--locked", "--quiet", "--manifest-path", manifest]
        subprocess.run([*cargo, "--target-dir", self.peers], check=True)

    def newer(self, name):
        """The command of a program that newer-tools unpacked, by its own loader and libraries."""
        newer = CACHE / "newer/usr"
        if not (newer / "bin" / name).exists():
            raise SystemExit(f"bench: {name} is missing: run scripts/bench/newer-tools")
        loader = newer / "lib64/ld-linux-x86-64.so.2"
        return [loader, "--library-path", newer / "lib/x86_64-linux-gnu", newer / "bin" / name]

    def both(self, name):
        """The newest release of a tool, and this Debian's own."""
        return {name: self.newer(name), f"{name}, Debian's": [f"/usr/bin/{name}"]}

    def versions(self):
        """What each program says that it is."""
        versions = {name: version([path, "--version"]) for name, path in self.credimg.items()}
        for name in ("mkfs.erofs", "mksquashfs", "xorriso"):
            for label, command in self.both(name).items():
                option = "-version" if name != "mkfs.erofs" else "--version"
                versions[label] = version([*command, option])
        versions["genisoimage"] = version(["/usr/bin/genisoimage", "--version"])
        lock = (HERE / "peers/Cargo.lock").read_text(encoding="utf-8")
        for name in ("backhand", "hadris-iso"):
            versions[name] = re.search(rf'name = "{name}"\nversion = "(.*)"', lock).group(1)
        return versions

    def floor(self, tree, image):
        """The least work that is possible."""
        return Contender([self.directory / "floor", tree, image], image)

    def nothing(self):
        """A Rust program that does nothing."""
        return Contender([self.directory / "nothing"])

    def build_of(self, program, tree, image, kind, *more):
        """credimg with one of FORMATS."""
        options = ["--format", "iso9660" if kind == "joliet" else kind]
        options += ["--joliet"] if kind == "joliet" else []
        command = [self.credimg.get(program, program), "build", f"{tree}.yaml", "-o", image]
        return Contender([*command, *options, "--args", "none", "--quiet", *more], image)

    def fleet(self, program, directory, image, machines):
        """credimg with the images of so many machines, in one process."""
        manifest, output = directory / f"fleet{machines}.yaml", image.replace("{}", "{machine}")
        options = ["--format", "erofs", "--args", "none", "--quiet"]
        command = [self.credimg[program], "fleet", "build", manifest, "-o", output, *options]
        return Contender(command, image, images=machines)

    def in_shell(self, contender, images):
        """A loop of the shell that calls the contender's program for each of so many images."""
        words = [shlex.quote(str(word)).replace("{}", "'$i'") for word in contender.command]
        loop = f"i=0; while [ $i -lt {images} ]; do {' '.join(words)} || exit; i=$((i+1)); done"
        return Contender(["/bin/sh", "-c", loop], contender.output, images=images, rests=True)

    def squashfs_tools(self, name, tree, image, compression):
        """mksquashfs, new and Debian's, and backhand, with one compression."""
        algorithm, _, level = compression.partition(":")
        options = [tree, image, "-quiet", "-no-progress", "-noappend", "-no-xattrs"]
        options += ["-noI", "-noD", "-noF", "-noX"] if algorithm == "none" else ["-comp", algorithm]
        options += ["-Xcompression-level", level] if level else []
        options += ["-no-duplicates"] if name in WITHOUT_DUPLICATES else []
        tools = {label: [*tool, *options] for label, tool in self.both("mksquashfs").items()}
        tools["backhand"] = [self.peers / "release/backhand", tree, image, compression]
        return resting(tools, image)

    def veritysetup(self, tree, image):
        """mkfs.erofs, and veritysetup, which reads the image again and adds the tree behind it."""
        make = shlex.join(str(word) for word in self.newer("mkfs.erofs"))
        # `measure` fills in the number of the run once a word.
        words = f'{make} --quiet {" ".join(NO_XATTRS)} "$1" "$2"'
        add = '/usr/sbin/veritysetup format "$1" "$1" --hash-offset=$(stat -c %s "$1")'
        script = f"{words} && {add} >/dev/null"
        command = ["/bin/sh", "-c", script, "sh", image, tree]
        return resting({"mkfs.erofs, veritysetup": command}, image)

    def peers_of(self, name, tree, image):
        """Every other program that makes an image of that workload, with no compression."""
        tools = {}
        for label, tool in self.both("mkfs.erofs").items():
            tools[label] = [*tool, "--quiet", *NO_XATTRS, image, tree]
        # Both pad by 300 KiB unless told not to.
        options = ["-quiet", "-no-pad", "-R", "-o", image, tree]
        tools["genisoimage"] = ["/usr/bin/genisoimage", *options]
        tools["hadris-iso"] = [self.peers / "release/hadris-iso", tree, image]
        if name != "fleet":
            tools["genisoimage -J"] = ["/usr/bin/genisoimage", "-J", *options]
        if name not in WITHOUT_XORRISO:
            for label, tool in self.both("xorriso").items():
                tools[label.replace("xorriso", "xorriso -J")] = [
                    *tool, "-as", "mkisofs", "-J", *options
                ]
        return resting(tools, image) | self.squashfs_tools(name, tree, image, "none")


def resting(commands, image):
    """Contenders that sit out once they had their share of the time."""
    return {name: Contender(command, image, rests=True) for name, command in commands.items()}


# Whose images are compared in size: the reference tools of each format.
REFERENCES = {
    "erofs": ("mkfs.erofs", "mkfs.erofs, Debian's"),
    "squashfs": ("mksquashfs", "mksquashfs, Debian's"),
    "iso9660": ("genisoimage",),
    "joliet": ("genisoimage -J", "xorriso -J", "xorriso -J, Debian's"),
}
# Whose times are: also the libraries.
PEERS = REFERENCES | {
    "squashfs": (*REFERENCES["squashfs"], "backhand"),
    "iso9660": ("genisoimage", "hadris-iso"),
}
