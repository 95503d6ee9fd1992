// Exchange: one request and the ways to answer it. What a route handler sees; the connection implements it.
//
// Lives on the strand of its connection, as the handler does. A handler is a coroutine that replies once, or begins a
// stream and writes to it; writing waits while the client reads slowly. When the client goes away the handler is
// cancelled at the co_await it waits in: what it owns (Answers) stops the work. Errors are thrown as ApiError.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/passing_file.h"
#include "server/fields.h"

namespace watra::server {

namespace asio = boost::asio;
template <class T>
using Awaitable = asio::awaitable<T>;

class Exchange {
 public:
  virtual ~Exchange() = default;

  // The request. `path` without the query, percent-decoded by segment where the router took parameters from it.
  std::string method, path, query, body;
  std::shared_ptr<PassingFile> body_file;     // the body, on routes that keep it in a file; `body` is empty there
  std::map<std::string, std::string> params;  // of the route's pattern
  Dialect dialect = Dialect::openai;

  // Who asks: a program with the token, or a person by the session of a cookie; neither on open routes.
  struct Caller {
    bool has_token = false;
    std::string session;  // its id; empty = none
    std::string address;  // of the other machine
  };
  Caller caller;

  virtual std::string header(std::string_view name) const = 0;  // empty when absent
  virtual asio::any_io_executor executor() const = 0;

  // The body as a JSON object, parsed anew; an empty body is an empty object.
  Json json() const { return body.empty() ? Json::object() : parse_json(body); }

  // The whole answer.
  virtual Awaitable<void> reply(int status, std::string content_type, std::string content) = 0;
  Awaitable<void> reply_json(Json json, int status = 200) { return reply(status, "application/json", dump(json)); }

  // An answer in pieces. After begin_stream() errors can only be told inside the stream.
  virtual Awaitable<void> begin_stream(std::string content_type) = 0;
  virtual Awaitable<void> write(std::string piece) = 0;
  virtual Awaitable<void> end_stream() = 0;
  virtual bool streaming() const = 0;

  // Numbers for the log line (never texts).
  void note(std::string_view name, int64_t value) { notes_ += " " + std::string(name) + "=" + std::to_string(value); }

  // Of the reply's head: what may be kept of it, and further lines, each with its end.
  std::string cache_control = "no-store";
  std::string extra_head;

 protected:
  std::string notes_;
};

using Handler = std::function<Awaitable<void>(Exchange&)>;

}  // namespace watra::server
