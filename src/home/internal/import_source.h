// ImportSource: the bytes of what is imported, from the first to the last and never all of them at once: a file,
// something in memory, or an entry of a zip. TextReader takes lines and elements of a JSON list from one. Of one thread
// at a time; Failure is thrown where a file cannot be read.
#pragma once

#include <zip.h>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "home/failure.h"

namespace watra::home {

class ImportSource {
 public:
  virtual ~ImportSource() = default;
  virtual size_t read(std::span<char> out) = 0;  // up to that many; 0 at the end
  virtual bool broken() const { return false; }  // what was read is not all that there should have been
};

class FileSource final : public ImportSource {
 public:
  explicit FileSource(const fs::path& path) : file_(value_or_refuse(File::open(path, File::Mode::read))) {}
  size_t read(std::span<char> out) override;

 private:
  File file_;
  uint64_t at_ = 0;
};

class BytesSource final : public ImportSource {
 public:
  explicit BytesSource(std::string_view bytes) : rest_(bytes) {}  // borrowed
  size_t read(std::span<char> out) override;

 private:
  std::string_view rest_;
};

class TextReader {
 public:
  explicit TextReader(ImportSource& source) : source_(source) {}

  // What comes next that is neither white space nor a byte order mark, both of which are passed over; nothing at the
  // end.
  std::optional<char> first();

  enum class Got : uint8_t { nothing, whole, too_long };
  // The next line without its end. One longer than `most` is passed over.
  Got line(std::string& out, size_t most);
  // The list's '[', where it comes next; then its elements one by one, without looking into them. What a list that was
  // cut ends with comes as the last one.
  bool enter_list();
  Got element(std::string& out, size_t most);
  // Everything else is appended. False: there is more than `most`.
  bool rest(std::string& out, size_t most);

 private:
  int next();  // -1 at the end
  int peek();

  ImportSource& source_;
  std::string piece_;
  size_t at_ = 0;
  bool list_over_ = false;
};

// A zip and its entries.
class ZipArchive {
 public:
  explicit ZipArchive(const fs::path& file);
  explicit ZipArchive(std::string_view bytes);  // borrowed

  std::vector<std::string> names() const;
  bool has(const std::string& name) const;
  std::unique_ptr<ImportSource> open(const std::string& name) const;  // null: it is not there, or cannot be opened
  // Nothing when it is not there, cannot be unpacked, or holds more than `most`.
  std::optional<std::string> content(const std::string& name, size_t most) const;

 private:
  struct Discard {
    void operator()(zip_t* zip) const { zip_discard(zip); }
  };
  std::unique_ptr<zip_t, Discard> archive_;
};

}  // namespace watra::home
