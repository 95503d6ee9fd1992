// Which table this machine uses: the last usable one of the list below, unless WATRA_ISA or --isa names another.
#include <cstdlib>
#include <string>
#include <vector>

#include "base/cpu.h"
#include "kernels/tables.h"

namespace watra::kernels {
namespace {

struct Entry {
  const Kernels& (*table)();
  bool (*usable)(const CpuFeatures&);
  const char* needs;  // for people
};

bool has_avx2(const CpuFeatures& f) { return f.avx2 && f.fma && f.f16c; }
bool has_avx512(const CpuFeatures& f) { return has_avx2(f) && f.avx512 && f.avx512_vnni; }
bool has_amx(const CpuFeatures& f) { return has_avx512(f) && f.avx512_bf16 && f.amx_int8; }
bool has_avx512_bf16(const CpuFeatures& f) { return has_avx512(f) && f.avx512_bf16; }

// Slowest first. The scalar truths are only used when they are named.
constexpr Entry kEntries[] = {
    {ref_table, [](const CpuFeatures&) { return true; }, "nothing"},
    {ref_int8_table, [](const CpuFeatures&) { return true; }, "nothing"},
    {generic_table, [](const CpuFeatures&) { return true; }, "nothing"},
#if defined(__x86_64__)
    {avx2_table, has_avx2, "AVX2, FMA and F16C"},
    // One name, whichever form this processor has: what is measured here in EVEX form is the reference machine's code.
    {avxvnni_evex_table, [](const CpuFeatures& f) { return has_avx512(f) && !f.avx_vnni; }, "AVX-512 VNNI"},
    {avxvnni_table, [](const CpuFeatures& f) { return has_avx2(f) && f.avx_vnni; }, "AVX-VNNI or AVX-512 VNNI"},
    {avx512_table, [](const CpuFeatures& f) { return has_avx512(f) && !has_avx512_bf16(f); },
     "AVX-512 (F, BW, DQ, VL) and its VNNI"},
    {avx512_bf16_table, has_avx512_bf16, "AVX-512 (F, BW, DQ, VL), its VNNI and BF16"},
    {amx_table, has_amx, "AMX (tiles and INT8) beside AVX-512 with VNNI and BF16"},
#endif
};

}  // namespace

std::span<const Kernels* const> available() {
  static const std::vector<const Kernels*> tables = [] {
    std::vector<const Kernels*> usable;
    for (const Entry& e : kEntries)
      if (e.usable(cpu_info().features)) usable.push_back(&e.table());
    return usable;
  }();
  return tables;
}

Result<const Kernels*> select(std::string_view name) {
  if (name.empty())
    if (const char* forced = std::getenv("WATRA_ISA")) name = forced;
  if (name.empty()) return available().back();
  std::string names;
  for (const Kernels* k : available()) {
    if (k->isa == name) return k;
    names += (names.empty() ? "" : ", ") + std::string(k->isa);
  }
  for (const Entry& e : kEntries)
    if (e.table().isa == name)
      return fail("kernels.isa_not_here",
                  fmt::format("the kernels '{}' need {}, which this processor ({}) does not have", name, e.needs,
                              cpu_info().model_name),
                  fmt::format("choose one of: {}", names));
  return fail("kernels.unknown_isa", fmt::format("there are no kernels called '{}'", name),
              fmt::format("choose one of: {}", names));
}

}  // namespace watra::kernels
