"""Makes tests/golden: for every family a tiny random model as a Hugging Face folder, and its logits by transformers.

    .venv/bin/python tools/golden/make_models.py [--out tests/golden] [NAME...]

Weights come from one seeded stream per tensor name, are rounded to the dtype they are stored in, and are scaled so that
attention and logits are lively; norm weights and biases are far from one and zero. Logits are computed in float32 with eager
attention, one thread, from the rounded weights, and compared with a float64 run. tests/golden/README.md has the formats.
"""

import argparse
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

import families
from families import FAMILIES, N_TOKENS, Family

SEED = 20240607
STD_EMBEDDING = 0.2
STD_MATRIX = 0.14
STD_NORM = 0.3
STD_BIAS = 0.5
MAX_FLOAT64_DIFFERENCE = 3e-5
MIN_TRAP_DIFFERENCE = 0.05


def random_tensor(family: Family, name: str, shape: torch.Size) -> torch.Tensor:
    rng = np.random.Generator(np.random.PCG64([SEED, zlib.crc32(f"{family.name}/{name}".encode())]))
    values = rng.standard_normal(tuple(shape))
    if name.endswith("norm.weight"):
        values = values * STD_NORM + (0.0 if family.norm_is_offset else 1.0)
    elif name.endswith(".bias"):
        values *= STD_BIAS
    elif "embed_tokens" in name:
        values *= STD_EMBEDDING
    else:
        values *= family.std or STD_MATRIX * (64 / shape[-1]) ** 0.5
    return torch.from_numpy(values).to(getattr(torch, family.dtype))


def build(config):
    assert config.vocab_size == families.N_VOCAB
    return AutoModelForCausalLM.from_config(config, attn_implementation="eager", dtype=torch.float32).eval()


def load(model, weights: dict[str, torch.Tensor]) -> None:
    missing, unexpected = model.load_state_dict({n: t.float() for n, t in weights.items()}, strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    model.tie_weights()


def run(model, ids: list[int], dtype: torch.dtype) -> np.ndarray:
    with torch.no_grad():
        return model.to(dtype)(input_ids=torch.tensor([ids]), use_cache=False).logits[0].numpy().copy()


def check_traps(family: Family, folder: Path, weights: dict, ids: list[int], logits: np.ndarray) -> None:
    """Each setting named in family.traps must matter: with it changed the logits are clearly others."""
    for name, spoil in family.traps.items():
        config = text_config(folder)
        spoil(config)
        spoiled = build(config)
        load(spoiled, weights)
        difference = float(np.abs(run(spoiled, ids, torch.float32) - logits).max())
        print(f"    without {name}: differs by {difference:.3f}")
        assert difference > MIN_TRAP_DIFFERENCE, (family.name, name)


def text_config(folder: Path):
    config = AutoConfig.from_pretrained(folder)
    config = config.get_text_config()
    config._attn_implementation = "eager"
    return config


def tokens(family: Family) -> list[int]:
    rng = np.random.Generator(np.random.PCG64([SEED, zlib.crc32(family.name.encode())]))
    return rng.integers(3, families.N_VOCAB, N_TOKENS).tolist()


def write_weights(folder: Path, family: Family, weights: dict[str, torch.Tensor]) -> None:
    old, new = family.prefix
    stored = {(new + name[len(old):] if name.startswith(old) else name): t for name, t in weights.items()}
    if family.vision_stub:
        for name, shape in (("vision_tower.vision_model.embeddings.position_embedding.weight", (4, 8)),
                            ("multi_modal_projector.mm_soft_emb_norm.weight", (8,))):
            stored[name] = random_tensor(family, name, torch.Size(shape))
    if family.n_shards == 1:
        save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
        return
    names = sorted(stored)
    weight_map = {}
    for shard in range(family.n_shards):
        file = f"model-{shard + 1:05d}-of-{family.n_shards:05d}.safetensors"
        part = names[shard::family.n_shards]
        save_file({n: stored[n] for n in part}, folder / file, metadata={"format": "pt"})
        weight_map |= {n: file for n in part}
    total = sum(t.numel() * t.element_size() for t in stored.values())
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}, indent=1) + "\n")


def write_logits(path: Path, ids: list[int], logits: np.ndarray) -> None:
    assert logits.dtype == np.float32 and logits.shape[0] == len(ids) and np.isfinite(logits).all()
    with open(path, "wb") as f:
        f.write(struct.pack("<4sIII", b"WGLD", 1, len(ids), logits.shape[1]))
        f.write(np.asarray(ids, "<i4").tobytes())
        f.write(logits.astype("<f4").tobytes())


def make(family: Family, out: Path) -> list[str]:
    folder = out / family.name
    folder.mkdir(parents=True, exist_ok=True)
    config_json = family.config | {"torch_dtype": family.dtype}
    (folder / "config.json").write_text(json.dumps(config_json, indent=1) + "\n")
    family.tokenizer(folder)

    model = build(text_config(folder))
    tied = model.config.tie_word_embeddings
    weights = {name: random_tensor(family, name, p.shape) for name, p in model.state_dict().items()
               if not (tied and name == "lm_head.weight")}
    load(model, weights)
    write_weights(folder, family, weights)

    lines = []
    ids = tokens(family)
    for n in [N_TOKENS] + ([family.short_tokens] if family.short_tokens else []):
        exact = run(model, ids[:n], torch.float64)
        logits = run(model, ids[:n], torch.float32)
        difference = float(np.abs(logits - exact).max())
        suffix = "" if n == N_TOKENS else "-short"
        n_ctx = 128 if n == N_TOKENS else n
        write_logits(folder / f"logits{suffix}.bin", ids[:n], logits)
        lines.append(f"{family.name}{suffix} {family.name} logits{suffix}.bin {n_ctx}")
        print(f"{family.name + suffix:24} params {model.num_parameters():7}  logits std {logits.std():.3f} "
              f"max {np.abs(logits).max():7.3f}  float64 differs by {difference:.1e}")
        if n == N_TOKENS:
            check_traps(family, folder, weights, ids, logits)
        assert difference < MAX_FLOAT64_DIFFERENCE and 0.3 < logits.std() < 10
    for file in folder.iterdir():
        assert file.stat().st_size < 300_000, file
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parents[2] / "tests/golden")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    torch.set_num_threads(1)
    lines = []
    for family in FAMILIES:
        if not args.names or family.name in args.names:
            lines += make(family, args.out)
    if not args.names:
        (args.out / "models.txt").write_text("# name  folder  logits  n_ctx\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
