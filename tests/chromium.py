"""Finds Chromium for the browser tests and, where it may, installs it by the system's package manager."""

import os
import shutil
import subprocess
import sys


def executable() -> str | None:
    """Path of a Chromium or Chrome; CHROMIUM names another."""
    named = os.environ.get("CHROMIUM")
    if named:
        return named
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def main() -> int:
    """Installs Debian's Chromium if none is there and we are root; otherwise says how to."""
    if executable():
        return 0
    if os.geteuid() == 0 and shutil.which("apt-get"):
        sys.stderr.write("Installing Chromium for the browser tests …\n")
        quiet = {"stdout": subprocess.DEVNULL, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
        subprocess.run(["apt-get", "update", "-qq"], check=True, **quiet)
        subprocess.run(["apt-get", "install", "-y", "-qq", "chromium"], check=True, **quiet)
        return 0 if executable() else 1
    sys.stderr.write(
        "The browser tests need Chromium: apt-get install chromium (or set CHROMIUM to its path),\n"
        "or leave them out: make test ARGS='-m \"not browser\"'\n"
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
