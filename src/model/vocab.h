// load_vocab: the tokenizer.ggml.* keys of a model file as the plain data that text/ works with, with llama.cpp's
// defaults where keys are missing, and what files commonly get wrong put right (types of control tokens, the tokens
// that end an answer).
#pragma once

#include "checkpoint/checkpoint.h"
#include "text/vocab_spec.h"

namespace watra::model {

// Errors: "model.bad_vocab" (keys of the wrong kind or length), "model.unknown_tokenizer". A file whose
// tokenizer.ggml.model is "none" or "no_vocab" gives VocabKind::none.
Result<text::VocabSpec> load_vocab(const checkpoint::Checkpoint& checkpoint);

}  // namespace watra::model
