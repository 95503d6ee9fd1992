#include "hub/receipt.h"

#include <nlohmann/json.hpp>
#include <system_error>

namespace watra::hub {
namespace {

using nlohmann::json;

int64_t written_at(const fs::path& path) {
  std::error_code ec;
  return static_cast<int64_t>(fs::last_write_time(path, ec).time_since_epoch().count());
}

}  // namespace

std::optional<Receipt> read_receipt(const Shelf& shelf, const fs::path& relative) {
  const auto text = read_text_file(shelf.receipt_path(relative), 1 << 20);
  if (!text) return std::nullopt;
  const json j = json::parse(*text, nullptr, false);
  if (!j.is_object()) return std::nullopt;
  const auto string = [&](const char* key) {
    return j.contains(key) && j[key].is_string() ? j[key].get<std::string>() : "";
  };
  const auto number = [&](const char* key) {
    return j.contains(key) && j[key].is_number_integer() ? j[key].get<int64_t>() : -1;
  };
  std::error_code ec;
  const auto size = fs::file_size(shelf.folder() / relative, ec);
  if (ec || number("bytes") != static_cast<int64_t>(size)) return std::nullopt;
  if (number("written_at") != written_at(shelf.folder() / relative)) return std::nullopt;
  return Receipt{string("source"), string("identity"), string("sha256"), size};
}

Status write_receipt(const Shelf& shelf, const fs::path& relative, const Receipt& receipt) {
  const json j = {{"source", receipt.source},
                  {"identity", receipt.identity},
                  {"sha256", receipt.sha256},
                  {"bytes", receipt.bytes},
                  {"written_at", written_at(shelf.folder() / relative)}};
  const fs::path path = shelf.receipt_path(relative);
  WATRA_TRY(make_folders(path.parent_path()));
  return write_file_atomic(path, j.dump(1, ' ', false, json::error_handler_t::replace) + "\n");
}

}  // namespace watra::hub
