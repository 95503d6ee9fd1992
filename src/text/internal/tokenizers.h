// The makers of the tokenizer kinds; tokenizer.cpp chooses.
#pragma once

#include "text/tokenizer.h"

namespace watra::text {

Result<std::unique_ptr<Tokenizer>> make_bpe(VocabSpec spec);
Result<std::unique_ptr<Tokenizer>> make_spm(VocabSpec spec);
Result<std::unique_ptr<Tokenizer>> make_unigram(VocabSpec spec);
Result<std::unique_ptr<Tokenizer>> make_wordpiece(VocabSpec spec);

}  // namespace watra::text
