// Attachments: files the person handed in, kept beside home.db under attachments/ by the SHA-256 of their bytes, so
// that the same file is kept once. They go when the last message that shows them is erased. Any thread may call.
#pragma once

#include "base/file.h"
#include "home/database.h"

namespace watra::home {

constexpr size_t kMostAttachmentBytes = size_t{64} << 20;

struct Attachment {
  std::string hash, name, mime;
  int64_t bytes = 0;
  std::optional<int64_t> width, height;  // of an image
  bool is_text() const;                  // its words can enter a prompt
};

class Attachments {
 public:
  // What a killed write left in the folder is taken away.
  Attachments(Database& db, fs::path folder) : db_(db), folder_(std::move(folder)) {
    remove_unfinished_writes(folder_);
  }
  const fs::path& folder() const { return folder_; }

  // `from`: a file of the same disk that holds exactly this content already; it is moved here and not written again.
  // Errors: "request.invalid" for an unusable name or type, "request.too_large", those of writing the file.
  Result<Attachment> keep(std::string_view content, const std::string& name, const std::string& mime,
                          const fs::path& from = {});
  Result<Attachment> find(const std::string& hash) const;      // "attachment.unknown"
  Result<std::string> content(const std::string& hash) const;  // the same

 private:
  Database& db_;
  fs::path folder_;
};

// Width and height of PNG, JPEG, GIF or WebP bytes; nothing for others.
std::optional<std::pair<int64_t, int64_t>> image_size(std::string_view bytes);

}  // namespace watra::home
