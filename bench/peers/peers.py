"""What the comparisons share: llama.cpp's tools built from the source package, our own command, requantized files, CPU pressure."""
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCE = ROOT / "build/peers/llama_cpp_python-0.3.36/vendor/llama.cpp"
BUILD = pathlib.Path(os.environ.get("LLAMA_BUILD_DIR", ROOT / "build/peers/llama.cpp-build"))
WATRA = pathlib.Path(os.environ.get("WATRA", ROOT / "build/release/bin/watra"))
TOOLS = ["llama-bench", "llama-perplexity", "llama-quantize"]


def build_llama() -> None:
    if all((BUILD / "bin" / t).exists() for t in TOOLS):
        return
    print("building llama.cpp's tools (ten minutes on two cores)", file=sys.stderr)
    subprocess.run(["cmake", "-S", SOURCE, "-B", BUILD, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DGGML_NATIVE=ON", "-DLLAMA_CURL=OFF",
                    "-DBUILD_SHARED_LIBS=OFF", "-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_BUILD_EXAMPLES=OFF"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", BUILD, "--target", *TOOLS], check=True, stdout=subprocess.DEVNULL)


def llama(tool: str, *args) -> subprocess.CompletedProcess:
    return subprocess.run([BUILD / "bin" / tool, *map(str, args)], check=True, capture_output=True, text=True)


def watra(*args) -> dict:
    out = subprocess.run([WATRA, *map(str, args), "--json"], check=True, capture_output=True, text=True).stdout
    return json.loads(out)


def model_path(name: str) -> pathlib.Path:
    """A file as it is, otherwise a name on the shelf (fetched if the catalog knows it)."""
    if pathlib.Path(name).is_file():
        return pathlib.Path(name)
    return pathlib.Path(watra("pull", name)["path"])


def requantized(path: pathlib.Path, kind: str) -> pathlib.Path:
    """The file in another format, made by llama.cpp's tool (F32: the same weights, dequantized)."""
    out = ROOT / "build/peers/requantized" / f"{path.stem}.{kind}.gguf"
    if not out.exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        llama("llama-quantize", "--allow-requantize", path, out, kind)
    return out


def cpu_pressure() -> str:
    try:
        return pathlib.Path("/proc/pressure/cpu").read_text().splitlines()[0]
    except OSError:
        return "unknown"


def cpu_model() -> str:
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return "unknown"
