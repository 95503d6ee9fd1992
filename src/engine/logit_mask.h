// LogitMask: which tokens may come next. Grammars, JSON schemas and tool-call structures plug in here; the engine knows
// no more.
//
// A mask has a state (what was accepted so far) that only advance and rollback change. The Sampler owns it, asks it
// before every other step of the pipeline and keeps it in step with its own history. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/result.h"
#include "text/vocab_spec.h"

namespace watra::engine {

class LogitMask {
 public:
  virtual ~LogitMask() = default;

  // Bit (id % 32) of bits[id / 32] := 1 where token `id` may come next. `bits` spans the row of logits, which may be
  // wider than the vocabulary (padding): every word must be written, padding with 0. Returns false when nothing is
  // forbidden; the bits are then not looked at.
  virtual bool fill(std::span<uint32_t> bits) = 0;

  // Takes the next token. An error means the token was not allowed; the state is then as before.
  virtual Status advance(text::TokenId token) = 0;

  // Undoes the last n calls of advance exactly; n is at most their number.
  virtual void rollback(size_t n) = 0;

  // An independent mask in the same state, rollback included.
  virtual std::unique_ptr<LogitMask> fork() const = 0;
};

inline size_t mask_words(size_t n_vocab) { return (n_vocab + 31) / 32; }

}  // namespace watra::engine
