#!/usr/bin/env python3
"""Runs behaviour tests (README.md beside this file). usage: run_logic.py WATRA HOME FILE.test ..."""
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

# So little that smollm2's weights stay on disk: most of it is the cache of 4096 positions.
STREAMING_RAM = "192MiB"

CONFIGS = {
    "default": ({}, []),
    "one thread": ({}, ["--threads", "1"]),
    "generic kernels": ({"WATRA_ISA": "generic"}, []),
    "streamed": ({}, ["--ram", STREAMING_RAM]),
    "streamed, generic kernels, one thread": ({"WATRA_ISA": "generic"}, ["--ram", STREAMING_RAM, "--threads", "1"]),
}


class Dot(dict):
    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the JSON has no field {name}; it has {list(self)}") from None


def run_file(path, watra, home):
    lines = path.read_text(encoding="utf-8").splitlines()
    wanted = next((l.partition(":")[2].strip() for l in lines if l.startswith("configs:")), "default")
    configs = {name: c for name, c in CONFIGS.items() if wanted == "all" or name == "default" or (wanted == "in ram" and "streamed" not in name)}
    saved, failures, n_checks = {}, [], 0
    for config, (env, options) in configs.items():
        with tempfile.TemporaryDirectory() as folder:
            result, stdin = {}, None
            for number, line in enumerate(lines, 1):
                key, _, value = line.partition(":")
                key, value = key.strip(), value.strip()
                where = f"{path.name}:{number} ({config})"
                if not line.strip() or line.startswith("#") or key in ("name", "configs"):
                    continue
                if key.startswith("file "):
                    (pathlib.Path(folder) / key[5:].strip()).write_text(value.encode().decode("unicode_escape").encode("latin-1").decode("utf-8") if "\\" in value else value)
                elif key == "in":
                    stdin = value.encode().decode("unicode_escape")
                elif key == "run":
                    argv = shlex.split(re.sub(r"@\{(\w+)\}", lambda m: str(saved[m[1]]), value))
                    assert argv[0] == "watra", where
                    done = subprocess.run([watra, *argv[1:], *options], cwd=folder, input=stdin or "", capture_output=True, text=True, timeout=1200,
                                          env={**os.environ, "WATRA_HOME": home, **env})
                    stdin = None
                    result = {"exit": done.returncode, "out": done.stdout, "err": done.stderr}
                    try:
                        result["json"] = json.loads(done.stdout, object_hook=Dot)
                    except ValueError:
                        result["json"] = None
                elif key in ("expect", "save"):
                    n_checks += 1
                    try:
                        if key == "expect":
                            if not eval(value, {**saved, **result}):
                                failures.append(f"{where}: {value}\n    exit {result['exit']}\n    out {result['out'][:1500]}\n    err {result['err'][:800]}")
                        else:
                            name, _, expression = value.partition("=")
                            got = eval(expression, {**saved, **result})
                            if saved.setdefault(name.strip(), got) != got:
                                failures.append(f"{where}: {name.strip()} is {got!r}, under the first configuration it was {saved[name.strip()]!r}")
                    except Exception as e:  # a broken expectation is a failure of the test
                        failures.append(f"{where}: {value}: {e!r}\n    exit {result.get('exit')}\n    out {result.get('out', '')[:1500]}\n    err {result.get('err', '')[:800]}")
                else:
                    failures.append(f"{where}: cannot read this line: {line}")
    if n_checks == 0:
        failures.append(f"{path.name}: nothing was checked")
    return failures, n_checks


def main():
    watra, home = sys.argv[1:3]
    failed = 0
    for name in sys.argv[3:]:
        failures, n = run_file(pathlib.Path(name), watra, home)
        failed += bool(failures)
        print(f"{'FAILED' if failures else 'ok'}: {pathlib.Path(name).name} ({n} checks)")
        for f in failures:
            print("  " + f)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
