"""A control group with a memory limit for programs that are compared, and files dropped from the page cache. Needs the right to make control
groups (version 1 or 2)."""
import os
import pathlib
import shlex
import subprocess
import sys
import time

# What a program's group counts and its resident set does not: page tables, descriptors, the pages of its file header.
GROUP_BYTES = 8 << 20


class MemoryGroup:
    """A control group with a limit; removed at the end."""

    def __init__(self, limit: int):
        root = pathlib.Path("/sys/fs/cgroup")
        v1 = root / "memory"
        self.folder = (v1 if v1.is_dir() else root) / f"watra-peers-{os.getpid()}"
        self.folder.mkdir()
        (self.folder / ("memory.limit_in_bytes" if v1.is_dir() else "memory.max")).write_text(str(limit))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for _ in range(50):  # the last process may still be leaving
            try:
                return self.folder.rmdir()
            except OSError:
                time.sleep(0.1)

    def run(self, command: list) -> str:
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              preexec_fn=lambda: (self.folder / "cgroup.procs").write_text(str(os.getpid())))
        if done.returncode != 0:
            sys.exit(f"{shlex.join(map(str, command))}\nfailed with {done.returncode}:\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
        return done.stdout


def drop_from_page_cache(path: pathlib.Path) -> None:
    """Pages that another group paid for would make the limit meaningless."""
    with open(path, "rb") as f:
        os.fsync(f.fileno())
        os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
