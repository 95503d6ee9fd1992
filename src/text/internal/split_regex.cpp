#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/internal/split_regex.h"

#include <pcre2.h>

#include <cassert>

namespace watra::text {
namespace {

// One per thread: the JIT's machine stack and the place for a match's bounds.
struct MatchMemory {
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  pcre2_jit_stack* stack = pcre2_jit_stack_create(64 << 10, 16 << 20, nullptr);
  pcre2_match_data* data = pcre2_match_data_create(1, nullptr);

  MatchMemory() {
    if (context && stack) pcre2_jit_stack_assign(context, nullptr, stack);
    if (context) {  // limits count backtracking; our patterns have next to none, but a long text may still pass the
                    // defaults
      pcre2_set_match_limit(context, UINT32_MAX);
      pcre2_set_heap_limit(context, 1 << 20);  // KiB
    }
  }
  MatchMemory(const MatchMemory&) = delete;
  ~MatchMemory() {
    pcre2_match_data_free(data);
    pcre2_jit_stack_free(stack);
    pcre2_match_context_free(context);
  }
};

}  // namespace

struct SplitRegex::Compiled {
  pcre2_code* code = nullptr;
  ~Compiled() { pcre2_code_free(code); }
};

SplitRegex::SplitRegex(std::string_view pattern) {
  auto compiled = std::make_unique<Compiled>();
  int error = 0;
  PCRE2_SIZE where = 0;
  compiled->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                 PCRE2_UTF | PCRE2_UCP | PCRE2_NO_UTF_CHECK, &error, &where, nullptr);
  assert(compiled->code != nullptr);  // the patterns are constants of this program; pretokenizer_test compiles each
  if (compiled->code) pcre2_jit_compile(compiled->code, PCRE2_JIT_COMPLETE);
  compiled_ = std::move(compiled);
}

SplitRegex::SplitRegex(SplitRegex&&) noexcept = default;
SplitRegex::~SplitRegex() = default;

void SplitRegex::split(std::string_view text, size_t offset, std::vector<size_t>& ends) const {
  thread_local MatchMemory memory;
  size_t at = 0;
  size_t piece = 0;  // start of the stretch that no match has claimed
  while (at < text.size() && compiled_->code && memory.data) {
    const int rc = pcre2_match(compiled_->code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), at,
                               PCRE2_NO_UTF_CHECK, memory.data, memory.context);
    if (rc < 0) break;
    const PCRE2_SIZE* const bounds = pcre2_get_ovector_pointer(memory.data);
    if (bounds[1] <= at) break;  // an empty match cuts nothing
    if (bounds[0] > piece) ends.push_back(offset + bounds[0]);
    ends.push_back(offset + bounds[1]);
    at = piece = bounds[1];
  }
  if (piece < text.size()) ends.push_back(offset + text.size());
}

}  // namespace watra::text
