#include "home/export.h"
#include "home/import.h"
#include "server/house_conversations.h"
#include "server/house_fields.h"
#include "server/page/page.h"

namespace watra::server {
namespace {

constexpr size_t kImportBytes = size_t{4} << 30;  // on the disk; the whole export of years is smaller
constexpr size_t kWritePiece = size_t{1} << 20;

Json attachment_json(Household& house, const home::Attachment& a, const std::string& content) {
  Json out = {{"hash", a.hash}, {"name", a.name}, {"mime", a.mime}, {"bytes", a.bytes}, {"n_tokens", nullptr}};
  // Counted by the model that is loaded; a megabyte of text takes it a fraction of a second.
  if (const auto model = house.room.current(); model && a.is_text())
    out["n_tokens"] = model->encode(content, false, false).size();
  if (a.width) out["width"] = *a.width;
  if (a.height) out["height"] = *a.height;
  return out;
}

// Reads it whole and may count its tokens: for the threads of SlowWork.
Json keep_attachment(Exchange& x, Household& house) {
  std::string name;
  if (!percent_decode(x.header("X-Watra-Name"), name)) throw request_invalid("X-Watra-Name", "a percent-encoded name");
  if (name.empty()) name = "file";
  std::string mime = x.header("Content-Type");
  if (mime.empty()) mime = "application/octet-stream";
  const fs::path& file = x.body_file->path();
  const std::string content = house_value(read_text_file(file, home::kMostAttachmentBytes));
  return attachment_json(house, house_value(house.home.attachments().keep(content, name, mime, file)), content);
}

// Only what cannot run in a page keeps its type; the rest is bytes to be saved.
std::string harmless_type(const home::Attachment& a) {
  for (const char* shown : {"image/png", "image/jpeg", "image/gif", "image/webp", "text/plain"})
    if (a.mime == shown) return a.mime;
  return a.is_text() ? "text/plain; charset=utf-8" : "application/octet-stream";
}

Awaitable<void> reply_attachment(Exchange& x, Household& house) {
  const home::Attachment found = house_value(house.home.attachments().find(x.params["hash"]));
  const auto read = [&] { return house_value(house.home.attachments().content(found.hash)); };
  std::string content = co_await house.slow.run(read);
  std::string type = harmless_type(found);
  co_await x.reply(200, std::move(type), std::move(content));
}

// What a file for people is written in: the page's language.
std::string language_here(const Exchange& x, Household& house) {
  const auto chosen = house.home.settings().value("look.language");
  return chosen && chosen->is_string() ? chosen->get<std::string>() : language_of(x.header("Accept-Language"));
}

Awaitable<void> reply_thread(Exchange& x, Household& house) {
  const std::string format = query_text(x, "format").value_or("");
  const home::ExportManner manner{.language = language_here(x, house)};
  const auto write = [&] { return house_value(home::export_thread(house.home, x.params["id"], format, manner)); };
  std::string content = co_await house.slow.run(write);
  std::string type = format == "json" ? "application/json" : "text/markdown; charset=utf-8";
  x.extra_head += fmt::format("Content-Disposition: attachment; filename=\"{}.{}\"\r\n", x.params["id"], format);
  co_await x.reply(200, std::move(type), std::move(content));
}

Awaitable<void> reply_house(Exchange& x, Household& house) {
  const auto make = [&] { return house.slow.ends_here(house_value(PassingFile::create(house.home.passing_folder()))); };
  const std::shared_ptr<PassingFile> zip = co_await house.slow.run(make);
  const home::ExportManner manner{.language = language_here(x, house)};
  const auto write = [&] {
    house_value(home::export_house(
        house.home, zip->path(), [&] { return !house.slow.ending(); }, manner));
    return house_value(File::open(zip->path(), File::Mode::read));
  };
  const File file = co_await house.slow.run(write);  // another file than was made: the zip was put in its place
  x.extra_head += "Content-Disposition: attachment; filename=\"watra.zip\"\r\n";
  std::string type = "application/zip";
  co_await x.begin_stream(std::move(type));
  for (uint64_t at = 0;;) {
    const auto read = [&] {
      std::string piece(kWritePiece, '\0');
      piece.resize(house_value(file.read_some_at(at, std::as_writable_bytes(std::span(piece)))));
      return piece;
    };
    std::string piece = co_await house.slow.run(read);
    if (piece.empty()) break;
    at += piece.size();
    co_await x.write(std::move(piece));
  }
  co_await x.end_stream();
}

Json start_import(Exchange& x, Household& house) {
  const auto dry = query_text(x, "dry");
  if (dry && *dry != "true" && *dry != "false") throw request_invalid("dry", "true or false");
  const std::shared_ptr<PassingFile> file = x.body_file;  // gone with the job
  const uint64_t n_bytes = file->file().position();
  if (n_bytes == 0) throw request_invalid("body", "the file to be imported");
  home::Jobs::Wish wish{.kind = "import", .title = "import", .total_bytes = n_bytes};
  wish.work = [&home = house.home, file, is_dry = dry == "true"](home::JobControl& job) -> Result<Json> {
    WATRA_ASSIGN(const auto report, home::import_file(home, file->path(), is_dry, [&job] { return !job.cancelled(); }));
    return report.json();
  };
  return house_value(house.jobs.start(std::move(wish))).json();
}

}  // namespace

void add_house_files(Router& router, Household& house) {
  Route attachments = house_route("POST", "/attachments", [&house](Exchange& x) -> Awaitable<void> {
    const auto keep = [&] { return keep_attachment(x, house); };
    Json reply = co_await house.slow.run(keep);
    co_await x.reply_json(std::move(reply), 201);
  });
  attachments.max_body_bytes = home::kMostAttachmentBytes;
  attachments.body_folder = house.home.passing_folder();
  router.add(std::move(attachments));
  router.add(house_route("GET", "/attachments/{hash}", [&house](Exchange& x) { return reply_attachment(x, house); }));
  router.add(house_route("GET", "/threads/{id}/export", [&house](Exchange& x) { return reply_thread(x, house); }));
  router.add(house_route("GET", "/export", [&house](Exchange& x) { return reply_house(x, house); }));
  Route import = house_route("POST", "/import", [&house](Exchange& x) -> Awaitable<void> {
    Json reply = start_import(x, house);
    co_await x.reply_json(std::move(reply), 202);
  });
  import.max_body_bytes = kImportBytes;
  import.body_folder = house.home.passing_folder();
  router.add(std::move(import));
  add_json(router, "DELETE", "/imports/{id}", 200, [&house](Exchange& x) -> Json {
    return {{"erased", house_value(home::take_back_import(house.home.ledger(), x.params["id"]))}};
  });
}

}  // namespace watra::server
