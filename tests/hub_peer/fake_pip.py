"""Stands in for pip: copies a wheel from $FAKE_PIP_WHEELS into --dest, slowly if $FAKE_PIP_SECONDS says so, and writes down
each call in $FAKE_PIP_LOG. The wheels' names follow pip's rule: package and version with underscores."""

import os
import pathlib
import sys
import time

arguments = sys.argv[1:]
if arguments == ["--version"]:
    print("pip 0.0 (fake)")
    sys.exit(0)
assert arguments[0] == "download" and "--no-deps" in arguments and "--only-binary=:all:" in arguments, arguments
destination = pathlib.Path(arguments[arguments.index("--dest") + 1])
package, version = arguments[-1].split("==")
with open(os.environ["FAKE_PIP_LOG"], "a") as log:
    log.write(arguments[-1] + "\n")
name = f"{package.replace('-', '_')}-{version}-py3-none-any.whl"
source = pathlib.Path(os.environ["FAKE_PIP_WHEELS"]) / name
if not source.exists():
    print("WARNING: something beside the point", file=sys.stderr)
    print(f"ERROR: No matching distribution found for {arguments[-1]}", file=sys.stderr)
    sys.exit(1)
data = source.read_bytes()
seconds = float(os.environ.get("FAKE_PIP_SECONDS", "0"))
with open(pathlib.Path(os.environ["TMPDIR"]) / name, "wb") as f:
    for i in range(10):
        f.write(data[len(data) * i // 10:len(data) * (i + 1) // 10])
        f.flush()
        time.sleep(seconds / 10)
(pathlib.Path(os.environ["TMPDIR"]) / name).rename(destination / name)
