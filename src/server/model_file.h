// ModelFiles: what model files say about themselves, read without loading them: for lists and for /api/show.
//
// A file that did not change is opened once; of one that is gone nothing is kept. Any thread may call; it opens files,
// so not the threads that serve.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/file.h"
#include "hub/shelf.h"
#include "server/api_error.h"

namespace watra::server {

struct ModelFacts {
  FileStamp stamp;
  std::string architecture, quant, chat_template, licence;
  std::string sha256;  // the file was installed with; empty = not known
  uint64_t n_params = 0, file_bytes = 0;
  int64_t n_vocab = 0;      // 0 = its vocabulary is not known here
  bool fills_in = false;    // its vocabulary has fill-in-the-middle tokens
  bool is_encoder = false;  // it gives vectors and writes nothing
  Json metadata;            // every entry; the long lists of the tokenizer are null
};

class ModelFiles {
 public:
  explicit ModelFiles(const fs::path& home) : shelf_(home) {}
  // Errors: those of Checkpoint::open.
  Result<std::shared_ptr<const ModelFacts>> facts(const fs::path& path);
  size_t n_known() const;  // files of which facts are kept

 private:
  const hub::Shelf shelf_;
  mutable std::mutex mutex_;
  std::map<fs::path, std::shared_ptr<const ModelFacts>> known_;
};

// 64 hexadecimal digits that stay while the file stays as it is, for clients that tell models apart by them: its
// SHA-256 where that is known, else one of name, size and date.
std::string digest_of(const std::string& id, const ModelFacts& facts);

// "134.52M", "1.5B", "7B", as Ollama writes it.
std::string parameter_size(uint64_t n_params);

}  // namespace watra::server
