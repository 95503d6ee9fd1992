"""Writes src/tensor/internal/codebook_bits.inc: the codebooks of the IQ formats as membership bitmaps.

A codebook lists, in ascending order, which of all possible entries are in use, an entry being read as a number whose digit i
(least significant first, base = number of levels) is the level of weight i. So one bit per possible entry says everything:
the n-th set bit is entry n. The entries are facts of the formats; they are taken from the `gguf` package.

  python tools/golden/codebook_bits.py [PATH]
"""

import sys
from pathlib import Path

import numpy as np
from gguf import quants

HERE = Path(__file__).resolve().parent
DEFAULT = HERE.parents[1] / "src/tensor/internal/codebook_bits.inc"
BOOKS = [("kIQ2XXSBits", quants.IQ2_XXS), ("kIQ2XSBits", quants.IQ2_XS), ("kIQ2SBits", quants.IQ2_S),
         ("kIQ3XXSBits", quants.IQ3_XXS), ("kIQ3SBits", quants.IQ3_S), ("kIQ1SBits", quants.IQ1_S)]


def bitmap(book) -> list[int]:
    book.init_grid()
    levels = {value: i for i, value in enumerate(book.grid_map)}
    entries = [[levels[v] for v in entry] for entry in book.grid.reshape(book.grid_shape).tolist()]
    numbers = [sum(d * len(levels)**i for i, d in enumerate(entry)) for entry in entries]
    assert numbers == sorted(set(numbers)), book.__name__
    words = [0] * (-(-len(levels)**book.grid_shape[1] // 64))
    for n in numbers:
        words[n // 64] |= 1 << (n % 64)
    return words


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT
    lines = ["// Written by tools/golden/codebook_bits.py; do not edit. Bit n % 64 of word n / 64: is entry number n in the book?"]
    for name, book in BOOKS:
        words = bitmap(book)
        lines.append(f"\ninline constexpr std::array<uint64_t, {len(words)}> {name} = {{")
        for i in range(0, len(words), 6):
            lines.append("    " + " ".join(f"0x{w:x}," for w in words[i:i + 6]))
        lines.append("};")
    out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
