"""What ours must reach beside the rivals in the same run."""

# Below this many bytes a pass, memory is not what rules: barriers, small ops and sampling do, and the bar is higher.
SMALL_PASS_BYTES = 200e6
DEEP = 8192


def met(yes: bool) -> str:
    return "met" if yes else "MISSED"


def pass_seconds(m: int, pass_bytes: int, pass_macs: int, bytes_per_s: float, macs_per_s: float) -> float:
    """The longest that a pass over m tokens may take."""
    return 1.15 * max(pass_bytes / bytes_per_s, 1.4 * m * pass_macs / macs_per_s)


def ahead(llama: float, ik, of_llama: float, of_ik: float) -> tuple:
    """(what is asked, reached): so many times each rival that there is."""
    if ik is None:
        return f"{of_llama}x llama.cpp", llama >= of_llama
    return f"{of_llama}x llama.cpp and {of_ik}x ik_llama.cpp", llama >= of_llama and ik >= of_ik


def beside(test) -> str:
    """The name of the test that the verdict on this one looks at as well, empty where it looks at none."""
    if test.batch == 8:
        return test.name.replace("@b8", "@b1")
    return f"tg{test.n_gen}" if test.depth >= DEEP else ""


def speed(test, ours: str, ratios: dict, share: float, medians: dict, pass_bytes: int) -> str:
    """The verdict on one test, empty where there is no bar. ratios: ours by rival; medians: rate by test and runtime."""
    llama, ik = ratios["llama.cpp"], ratios.get("ik_llama.cpp")
    rate = medians[test.name][ours]
    if test.n_prompt:
        asked, reached = ahead(llama, ik, 1.5, 1.1)
        return f"{asked}: {met(reached)}"
    if test.batch == 8:
        one = medians.get(beside(test))
        return f"4x llama.cpp's one sequence: {rate / one['llama.cpp']:.1f}x {met(rate >= 4 * one['llama.cpp'])}" if one else ""
    if test.depth >= DEEP:
        empty = medians.get(beside(test))
        kept = f"70 % of empty: {100 * rate / empty[ours]:.0f} % {met(rate >= 0.7 * empty[ours])}, " if empty else ""
        return f"{kept}2x llama.cpp: {met(llama >= 2)}"
    if test.depth or test.is_batch():
        return ""
    asked, reached = ahead(llama, ik, 1.3, 1.05)
    verdict = f"90 % of peak, or {asked}: {met(share >= 0.9 or reached)}"
    return verdict + (f", 1.5x llama.cpp: {met(llama >= 1.5)}" if pass_bytes < SMALL_PASS_BYTES else "")
