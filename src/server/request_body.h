// The body of a request, read under its route's limit: into memory, or a piece at a time into a file that the threads
// of SlowWork write. The next piece is read when the last one is written, so that a client is not faster than the disk
// and a connection never holds more than a piece. Boost.Beast is known here and in connection.cpp alone.
//
// On the connection's strand.
#pragma once

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/optional.hpp>
#include <optional>
#include <string>

#include "server/connection.h"
#include "server/deadline.h"
#include "server/request_check.h"

namespace watra::server {

// What is held of a body that goes into a file, but for the last read: large enough that a disk is not asked for
// crumbs, small enough for a thousand connections.
constexpr size_t kBodyPiece = size_t{256} << 10;

// Where Beast's parser puts what it has read.
struct RequestBody {
  using value_type = std::string;

  class reader {
   public:
    template <bool is_request, class Fields>
    reader(boost::beast::http::header<is_request, Fields>&, value_type& body) : body_(body) {}

    // A length is believed only as far as bytes come.
    void init(const boost::optional<uint64_t>& length, boost::system::error_code& ec) {
      if (length) body_.reserve(std::min<uint64_t>(*length, kBodyPiece));
      ec = {};
    }
    template <class Buffers>
    size_t put(const Buffers& buffers, boost::system::error_code& ec) {
      ec = {};
      size_t n = 0;
      for (const boost::asio::const_buffer piece : boost::beast::buffers_range_ref(buffers)) {
        body_.append(static_cast<const char*>(piece.data()), piece.size());
        n += piece.size();
      }
      return n;
    }
    void finish(boost::system::error_code& ec) { ec = {}; }

   private:
    value_type& body_;
  };
};

using Parser = boost::beast::http::request_parser<RequestBody>;

template <class Stream>
struct BodySource {
  Stream& stream;
  boost::beast::flat_buffer& buffer;
  Parser& parser;  // behind the headers
  Deadline& deadline;
};

struct ReadBody {
  std::string text;
  std::shared_ptr<PassingFile> file;  // in place of `text`, on routes that keep bodies in files
  std::optional<ApiError> refused;
  bool gone = false;  // the client is
};

inline ApiError no_place(const Error& e) {
  return {.status = 507, .code = "disk.full", .message = "the body cannot be kept: " + e.message};
}

template <class Stream>
Awaitable<ReadBody> read_body(BodySource<Stream> from, const Route& route, Shared& shared) {
  namespace http = boost::beast::http;
  ReadBody out;
  std::string& held = from.parser.get().body();
  if (!route.body_folder.empty()) {
    const auto create = [&] { return PassingFile::create(route.body_folder); };
    Result<PassingFile> file = co_await shared.slow.run_in_line(create);
    if (!file) {
      out.refused = no_place(file.error());
      co_return out;
    }
    out.file = shared.slow.ends_here(std::move(*file));
  }
  from.parser.body_limit(route.max_body_bytes);
  from.parser.eager(true);
  const uint64_t length = from.parser.content_length().value_or(route.max_body_bytes);
  from.deadline.set(shared.limits.body + std::chrono::seconds(length / shared.limits.body_bytes_per_s));
  boost::system::error_code ec;
  while (!ec && !from.parser.is_done()) {
    co_await http::async_read_some(from.stream, from.buffer, from.parser,
                                   asio::redirect_error(asio::use_awaitable, ec));
    if (!out.file || (held.size() < kBodyPiece && !from.parser.is_done())) continue;
    const auto write = [&] { return out.file->file().append(held); };
    const Deadline::Pause pause(from.deadline);
    const Status written = co_await shared.slow.run_in_line(write);
    if (!written) {
      out.refused = no_place(written.error());
      co_return out;
    }
    held.clear();
  }
  if (!out.file) out.text = std::move(held);
  if (ec == http::error::body_limit)
    out.refused = body_too_large(route);
  else if (ec && ec.category() == http::make_error_code(http::error::bad_method).category() &&
           ec != http::error::partial_message)
    out.refused = ApiError{.status = 400, .code = "bad_request", .message = "the body is not sent as HTTP wants it"};
  else
    out.gone = bool(ec);
  co_return out;
}

}  // namespace watra::server
