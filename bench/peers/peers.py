"""What the comparisons share: the rivals' tools built from their sources, our own command, requantized files, the machine."""
import json
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PEERS = ROOT / "build/peers"
WATRA = pathlib.Path(os.environ.get("WATRA", ROOT / "build/release/bin/watra"))
LLAMA_SOURCE = PEERS / "llama_cpp_python-0.3.36/vendor/llama.cpp"
LLAMA_BUILD = pathlib.Path(os.environ.get("LLAMA_BUILD_DIR", PEERS / "llama.cpp-build"))
IK_SOURCE = os.environ.get("IK_LLAMA_DIR")
IK_BUILD = pathlib.Path(os.environ.get("IK_LLAMA_BUILD_DIR", PEERS / "ik_llama.cpp-build"))
SPEED_TOOLS = ["llama-bench", "llama-batched-bench"]
QUALITY_TOOLS = ["llama-perplexity", "llama-quantize"]


def build(source, folder: pathlib.Path, tools: list) -> None:
    """The tools in folder/bin, with this processor's own instructions; nothing to do where they are already there."""
    if all((folder / "bin" / t).exists() for t in tools):
        return
    # GCC 12 believes that loading a tile configuration reads its first bytes only, and leaves the others unwritten: llama.cpp's tiles then die
    # of an illegal instruction.
    flags = ["-DCMAKE_CXX_FLAGS=-fno-dse -fno-tree-dse"] if "amx_tile" in pathlib.Path("/proc/cpuinfo").read_text() else []
    print(f"building {', '.join(tools)} in {folder} (a quarter of an hour on two cores)", file=sys.stderr)
    subprocess.run(["cmake", "-S", source, "-B", folder, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DGGML_NATIVE=ON", "-DLLAMA_CURL=OFF",
                    "-DBUILD_SHARED_LIBS=OFF", "-DLLAMA_BUILD_TESTS=OFF", *flags], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", folder, "--target", *tools], check=True, stdout=subprocess.DEVNULL)


def build_llama(tools: list) -> None:
    build(LLAMA_SOURCE, LLAMA_BUILD, tools)


def build_ik() -> bool:
    """False where neither a checkout nor a finished build of ik_llama.cpp is named."""
    if IK_SOURCE:
        build(IK_SOURCE, IK_BUILD, SPEED_TOOLS)
    return bool(IK_SOURCE or "IK_LLAMA_BUILD_DIR" in os.environ)


def tool(folder: pathlib.Path, name: str, *args) -> subprocess.CompletedProcess:
    return run([folder / "bin" / name, *map(str, args)])


def run(command: list) -> subprocess.CompletedProcess:
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\nfailed with {done.returncode}:\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
    return done


def watra(*args) -> dict:
    return json.loads(run([WATRA, *map(str, args), "--json"]).stdout)


def model_path(name: str) -> pathlib.Path:
    """A file as it is; otherwise a name on the shelf (fetched if the catalog knows it), NAME:TYPE requantized to that type, or
    synthetic:SHAPE:QUANT, random weights in a file that every runtime reads."""
    if pathlib.Path(name).is_file():
        return pathlib.Path(name)
    if name.startswith("synthetic:"):
        return synthetic(name)
    name, _, kind = name.partition(":")
    path = model_path(name) if pathlib.Path(name).is_file() else pathlib.Path(watra("pull", name)["path"])
    return requantized(path, kind) if kind else path


def is_there(name: str) -> bool:
    """Whether model_path(name) has nothing to fetch, requantize or write."""
    if pathlib.Path(name).is_file():
        return True
    if name.startswith("synthetic:"):
        return synthetic_path(name).exists()
    base, _, kind = name.partition(":")
    if not pathlib.Path(base).is_file() and all(m["name"] != base for m in watra("list")["models"]):
        return False
    return not kind or requantized_path(model_path(base), kind).exists()


def requantized_path(path: pathlib.Path, kind: str) -> pathlib.Path:
    return PEERS / "requantized" / f"{path.stem}.{kind}.gguf"


def requantized(path: pathlib.Path, kind: str) -> pathlib.Path:
    """The file in another format, made by llama.cpp's tool (F32: the same weights, dequantized)."""
    out = requantized_path(path, kind)
    if not out.exists():
        build_llama(QUALITY_TOOLS)
        out.parent.mkdir(parents=True, exist_ok=True)
        part = out.with_suffix(".part")
        tool(LLAMA_BUILD, "llama-quantize", "--allow-requantize", path, part, kind)
        part.rename(out)
    return out


def synthetic_path(name: str) -> pathlib.Path:
    return PEERS / "synthetic" / f"{name.removeprefix('synthetic:').replace(':', '.')}.gguf"


def synthetic(name: str) -> pathlib.Path:
    out = synthetic_path(name)
    if not out.exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        watra("convert", name, out)
    return out


class Pressure:
    """Share of the time between two moments in which some process waited for a processor (/proc/pressure/cpu)."""

    def __init__(self):
        self.start = self.now()

    @staticmethod
    def now():
        try:
            some = pathlib.Path("/proc/pressure/cpu").read_text().splitlines()[0]
        except OSError:
            return None
        return time.monotonic(), int(some.rpartition("total=")[2]) / 1e6

    def percent(self):
        end = self.now()
        return 100 * (end[1] - self.start[1]) / (end[0] - self.start[0]) if self.start else float("nan")


def cpu_model() -> str:
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return "unknown"


def commit() -> str:
    return run(["git", "-C", ROOT, "describe", "--always", "--dirty"]).stdout.strip()


def write_section(name: str, text: str) -> None:
    """Replaces what stands between the markers of that name in docs/measurements.md."""
    page = ROOT / "docs/measurements.md"
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    before, found_begin, rest = page.read_text().partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        sys.exit(f"{page} has no markers {begin.strip()} and {end}")
    page.write_text(f"{before}{begin}{text}\n{end}{after}")
