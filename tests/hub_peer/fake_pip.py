"""Stands in for pip: copies a wheel from $FAKE_PIP_WHEELS into --dest and writes down each call in $FAKE_PIP_LOG; from the call on whose
number $FAKE_PIP_HANGS_FROM says (the first is 1) it never ends. The wheels' names follow pip's rule: package and version with underscores."""

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
with open(os.environ["FAKE_PIP_LOG"], "a+") as log:
    log.write(arguments[-1] + "\n")
    log.flush()
    log.seek(0)
    number = len(log.readlines())
name = f"{package.replace('-', '_')}-{version}-py3-none-any.whl"
source = pathlib.Path(os.environ["FAKE_PIP_WHEELS"]) / name
if not source.exists():
    print("WARNING: something beside the point", file=sys.stderr)
    print(f"ERROR: No matching distribution found for {arguments[-1]}", file=sys.stderr)
    sys.exit(1)
data = source.read_bytes()
with open(pathlib.Path(os.environ["TMPDIR"]) / name, "wb") as f:
    f.write(data[:len(data) // 2])
    f.flush()
    while number >= int(os.environ.get("FAKE_PIP_HANGS_FROM", "1000")):
        time.sleep(1)
    f.write(data[len(data) // 2:])
(pathlib.Path(os.environ["TMPDIR"]) / name).rename(destination / name)
