#include "home/internal/import_source.h"

#include <algorithm>

namespace watra::home {
namespace {

constexpr size_t kPieceBytes = size_t{256} << 10;
constexpr uint64_t kMostInEntry = uint64_t{16} << 30;  // a zip of kilobytes can unpack for days

bool is_space(int c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

class ZipSource final : public ImportSource {
 public:
  ZipSource(zip_file_t* file, uint64_t claimed_bytes) : file_(file), left_(claimed_bytes) {}
  // What an entry claims to hold is believed only as far as it unpacks, and no further.
  size_t read(std::span<char> out) override {
    if (broken_) return 0;
    const zip_int64_t n = zip_fread(file_.get(), out.data(), out.size());
    broken_ = n < 0 || static_cast<uint64_t>(n) > left_ || (n == 0 && left_ > 0);
    if (n <= 0 || broken_) return 0;
    left_ -= static_cast<uint64_t>(n);
    return static_cast<size_t>(n);
  }
  bool broken() const override { return broken_; }

 private:
  struct Close {
    void operator()(zip_file_t* file) const { zip_fclose(file); }
  };
  std::unique_ptr<zip_file_t, Close> file_;
  uint64_t left_;
  bool broken_ = false;
};

[[noreturn]] void refuse_zip() { refuse("import.unreadable", "the zip is damaged"); }

}  // namespace

size_t FileSource::read(std::span<char> out) {
  const size_t n = value_or_refuse(file_.read_some_at(at_, std::as_writable_bytes(out)));
  at_ += n;
  return n;
}

size_t BytesSource::read(std::span<char> out) {
  const size_t n = std::min(out.size(), rest_.size());
  std::copy_n(rest_.begin(), n, out.begin());
  rest_.remove_prefix(n);
  return n;
}

int TextReader::peek() {
  if (at_ == piece_.size()) {
    piece_.resize(kPieceBytes);
    piece_.resize(source_.read(piece_));
    at_ = 0;
    if (piece_.empty()) return -1;
  }
  return static_cast<unsigned char>(piece_[at_]);
}

int TextReader::next() {
  const int c = peek();
  if (c >= 0) ++at_;
  return c;
}

std::optional<char> TextReader::first() {
  const auto is_mark = [](int c) { return c == 0xef || c == 0xbb || c == 0xbf; };
  int c = peek();
  while (is_space(c) || is_mark(c)) {
    ++at_;
    c = peek();
  }
  if (c < 0) return std::nullopt;
  return static_cast<char>(c);
}

TextReader::Got TextReader::line(std::string& out, size_t most) {
  out.clear();
  if (peek() < 0) return Got::nothing;
  bool fits = true;
  for (int c = next(); c >= 0 && c != '\n'; c = next()) {
    fits = fits && out.size() < most;
    if (fits) out.push_back(static_cast<char>(c));
  }
  return fits ? Got::whole : Got::too_long;
}

bool TextReader::enter_list() {
  if (first() != '[') return false;
  ++at_;
  return true;
}

TextReader::Got TextReader::element(std::string& out, size_t most) {
  out.clear();
  int64_t depth = 0;  // a zip may unpack to more brackets than an int counts
  bool in_string = false, escaped = false, fits = true, is_there = false;
  while (!list_over_) {
    const int c = next();
    list_over_ = c < 0;
    if (in_string) {
      in_string = escaped || c != '"';
      escaped = !escaped && c == '\\';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']') {
      list_over_ = depth-- == 0;
    } else if (c == ',' && depth == 0) {
      if (is_there) break;
      continue;
    }
    if (list_over_) break;
    is_there = is_there || !is_space(c);
    fits = fits && out.size() < most;
    if (fits) out.push_back(static_cast<char>(c));
  }
  return !is_there ? Got::nothing : fits ? Got::whole : Got::too_long;
}

bool TextReader::rest(std::string& out, size_t most) {
  while (peek() >= 0) {
    if (out.size() + piece_.size() - at_ > most) return false;
    out.append(piece_, at_);
    at_ = piece_.size();
  }
  return true;
}

ZipArchive::ZipArchive(const fs::path& file) {
  int error = 0;
  archive_.reset(zip_open(file.c_str(), ZIP_RDONLY, &error));
  if (!archive_) refuse_zip();
}

ZipArchive::ZipArchive(std::string_view bytes) {
  zip_error_t error{};
  zip_source_t* source = zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error);
  if (!source) refuse_zip();
  archive_.reset(zip_open_from_source(source, ZIP_RDONLY, &error));
  if (archive_) return;
  zip_source_free(source);
  refuse_zip();
}

std::vector<std::string> ZipArchive::names() const {
  std::vector<std::string> out;
  for (zip_int64_t i = 0; i < zip_get_num_entries(archive_.get(), 0); ++i)
    if (const char* name = zip_get_name(archive_.get(), static_cast<zip_uint64_t>(i), 0)) out.emplace_back(name);
  return out;
}

bool ZipArchive::has(const std::string& name) const { return zip_name_locate(archive_.get(), name.c_str(), 0) >= 0; }

std::unique_ptr<ImportSource> ZipArchive::open(const std::string& name) const {
  zip_stat_t stat{};
  if (zip_stat(archive_.get(), name.c_str(), 0, &stat) != 0) return nullptr;
  if (stat.size > kMostInEntry) return nullptr;
  zip_file_t* file = zip_fopen(archive_.get(), name.c_str(), 0);
  return file ? std::make_unique<ZipSource>(file, stat.size) : nullptr;
}

std::optional<std::string> ZipArchive::content(const std::string& name, size_t most) const {
  const auto source = open(name);
  if (!source) return std::nullopt;
  std::string text;
  if (!TextReader(*source).rest(text, most) || source->broken()) return std::nullopt;
  return text;
}

}  // namespace watra::home
