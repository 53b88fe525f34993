"""Fetch pinned Debian packages into a folder, without touching the system's packages.

``python fetch.py SET FOLDER [--lock debs.lock]`` unpacks every package of SET below FOLDER (``FOLDER/usr/...``).
apt runs with lists, caches and sources of its own; each package must have the SHA-256 in the lock file, so the
archive and the mirror need not be trusted. A folder that already holds the set is left alone.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ARCHIVE = os.environ.get("DEBIAN_ARCHIVE", "http://deb.debian.org/debian")


@dataclass(frozen=True)
class Package:
    """One line of the lock file."""

    suite: str
    name: str
    version: str
    sha256: str


def read_lock(path: Path, wanted: str) -> list[Package]:
    """The packages of one set."""
    rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    packages = [Package(*row[1:]) for row in rows if len(row) == 5 and row[0] == wanted]
    if not packages:
        raise SystemExit(f"error: {path} has no set {wanted!r}")
    return packages


def apt_options(folder: Path, suites: set[str]) -> list[str]:
    """Options that keep apt inside ``folder``."""
    for name in ("lists/partial", "cache/archives/partial", "etc"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    sources = folder / "etc" / "sources.list"
    sources.write_text("".join(f"deb [trusted=yes] {ARCHIVE} {suite} main\n" for suite in sorted(suites)))
    settings = {
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": folder / "lists",
        "Dir::Cache": folder / "cache",
        "APT::Architecture": "amd64",
        "APT::Architectures": "amd64",
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
        "Debug::NoLocking": "1",
    }
    return [f"-o{key}={value}" for key, value in settings.items()]


def download(packages: list[Package], folder: Path) -> list[Path]:
    """The ``.deb`` files, checked."""
    folder.mkdir(parents=True, exist_ok=True)
    options = apt_options(folder.parent / "apt", {each.suite for each in packages})
    subprocess.run(["apt-get", *options, "-qq", "update"], check=True)
    names = [f"{each.name}={each.version}" for each in packages]
    subprocess.run(["apt-get", *options, "-qq", "download", *names], check=True, cwd=folder)
    files = []
    for each in packages:
        file = next(iter(folder.glob(f"{each.name}_*.deb")), None)
        digest = hashlib.sha256(file.read_bytes()).hexdigest() if file else "no file"
        if file is None or digest != each.sha256:
            raise SystemExit(f"error: {each.name}={each.version} has SHA-256 {digest}, pinned is {each.sha256}")
        files.append(file)
    return files


def fetch(packages: list[Package], folder: Path) -> None:
    """Unpack the packages below ``folder``, or leave it as it is where they are there."""
    stamp = folder / ".fetched"
    digest = "\n".join(each.sha256 for each in packages)
    if stamp.is_file() and stamp.read_text() == digest:
        return
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise SystemExit(f"error: {tool} is missing; configure CMake without these packages to fetch releases")
    if folder.exists():
        shutil.rmtree(folder)
    debs = folder.with_name(folder.name + ".debs")
    for file in download(packages, debs):
        subprocess.run(["dpkg-deb", "-x", str(file.resolve()), str(folder)], check=True)
    shutil.rmtree(debs)
    stamp.write_text(digest)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--lock", type=Path, default=Path(__file__).with_name("debs.lock"))
    arguments = parser.parse_args()
    try:
        fetch(read_lock(arguments.lock, arguments.set), arguments.folder.resolve())
    except subprocess.CalledProcessError as error:
        print(f"error: {' '.join(error.cmd[:1])} failed; is the network there?", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
