// Beast's parser reads; answers are written by hand, they are few lines.
#include "server/connection.h"

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http.hpp>
#include <optional>

#include "base/log.h"
#include "server/ids.h"
#include "server/reply_head.h"
#include "server/request_body.h"

namespace watra::server {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using namespace asio::experimental::awaitable_operators;
using asio::redirect_error;
using asio::use_awaitable;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = Deadline::Clock;

constexpr size_t kReadPiece = 4096;

// Ends a handler whose answer would come in pieces, where its head alone was asked for.
struct HeadTold {};

// Stream: tcp::socket, or TLS over one.
template <class Stream>
class Connection final : public Exchange {
 public:
  Connection(Stream stream, Shared& shared)
      : stream_(std::move(stream)),
        shared_(shared),
        buffer_(shared.limits.head_bytes + shared.limits.pipelined_bytes + kReadPiece),
        deadline_(stream_.get_executor()) {}

  Awaitable<void> run() {
    co_await (requests_until_gone() || deadline_.watch(socket()));
    error_code ignored;
    socket().shutdown(tcp::socket::shutdown_both, ignored);
    socket().close(ignored);
  }

  std::string header(std::string_view name) const override {
    const auto it = parser_->get().find(beast::string_view(name.data(), name.size()));
    return it == parser_->get().end() ? std::string() : std::string(it->value());
  }
  asio::any_io_executor executor() const override { return const_cast<Stream&>(stream_).get_executor(); }
  bool streaming() const override { return streaming_; }

  Awaitable<void> reply(int status, std::string content_type, std::string content) override {
    std::string text = head(status, content_type);
    const bool has_body = status != 204 && status != 304;
    text += has_body ? fmt::format("Content-Length: {}\r\n\r\n", content.size()) : "\r\n";
    if (has_body && method != "HEAD") text += content;
    co_await send(std::move(text));
  }

  Awaitable<void> begin_stream(std::string content_type) override {
    chunked_ = version_ >= 11;
    if (!chunked_) keep_ = false;  // HTTP/1.0: the end of the connection is the end of the answer
    streaming_ = true;
    std::string text = head(200, content_type) + "X-Accel-Buffering: no\r\n";
    text += chunked_ ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n";
    co_await send(std::move(text));
    if (method == "HEAD") throw HeadTold{};
  }
  Awaitable<void> write(std::string piece) override {
    if (piece.empty()) co_return;  // an empty chunk would end the answer
    if (chunked_) piece = fmt::format("{:x}\r\n", piece.size()) + piece + "\r\n";
    co_await send(std::move(piece));
  }
  Awaitable<void> end_stream() override {
    if (chunked_) co_await send("0\r\n\r\n");
    streaming_ = false;
  }

 private:
  Awaitable<void> send(std::string text) {
    deadline_.set(shared_.limits.write);
    sending_ = true;
    co_await asio::async_write(stream_, asio::buffer(text), use_awaitable);
    sending_ = false;
    deadline_.lift();
  }

  std::string head(int status, std::string_view content_type) {
    status_ = status;
    if (shared_.state.draining) keep_ = false;
    const bool trustworthy = shared_.door.is_tls() || (parser_ && is_loopback_host(header("Host")));
    return reply_head({status, content_type, cache_control, keep_, extra_head, trustworthy});
  }

  // Of two that run side by side the one that throws would wait for the other: so neither throws.
  Awaitable<void> requests_until_gone() {
    try {
      co_await requests();
    } catch (const boost::system::system_error&) {
    } catch (const std::exception& e) {  // no memory even to say so, as a rule
      log::error("a connection ended: {}", e.what());
    }
  }

  Awaitable<void> requests() {
    error_code ec;
    socket().set_option(tcp::no_delay(true), ec);
    const auto here = socket().local_endpoint(ec), there = socket().remote_endpoint(ec);
    local_address_ = plain_address(here.address());
    remote_address_ = plain_address(there.address());
    if constexpr (!std::is_same_v<Stream, tcp::socket>) {
      deadline_.set(shared_.limits.head);
      co_await stream_.async_handshake(asio::ssl::stream_base::server, redirect_error(use_awaitable, ec));
      if (ec) co_return;
    }
    for (bool first = true; keep_; first = false) {
      parser_.emplace();
      parser_->header_limit(static_cast<uint32_t>(shared_.limits.head_bytes));
      parser_->body_limit(uint64_t{1} << 40);  // the route's own limit is looked at below
      if (buffer_.size() == 0) {
        deadline_.set(first ? shared_.limits.head : shared_.limits.idle);
        const size_t n =
            co_await stream_.async_read_some(buffer_.prepare(kReadPiece), redirect_error(use_awaitable, ec));
        if (ec) co_return;
        buffer_.commit(n);
      }
      deadline_.set(shared_.limits.head);
      co_await http::async_read_header(stream_, buffer_, *parser_, redirect_error(use_awaitable, ec));
      begin_exchange();
      if (ec) {
        co_await refuse_broken(ec);
        co_return;
      }
      if (auto error = doubtful_framing()) {
        keep_ = false;
        co_await refuse(*std::move(error));
        co_await linger();
        co_return;
      }
      ++shared_.state.n_busy;
      struct Busy {
        std::atomic<int>& n;
        ~Busy() { --n; }
      } busy{shared_.state.n_busy};
      co_await answer();
      if (gone_ || (ended_ && buffer_.size() == 0)) co_return;
    }
  }

  void begin_exchange() {
    const auto& request = parser_->get();
    started_ = Clock::now();
    version_ = request.version();
    keep_ = request.keep_alive();
    method = std::string(request.method_string());
    const std::string target = local_target(std::string(request.target()));
    const size_t question = target.find('?');
    path = target.substr(0, question);
    query = question == std::string::npos ? "" : target.substr(question + 1);
    dialect = dialect_of(shared_.router.inner(path).value_or(path));
    body.clear();
    body_file.reset();
    params.clear();
    // Clients of OpenAI's and Anthropic's APIs show it with their errors; the log line has it too.
    request_id_ = make_id("req_");
    extra_head = fmt::format("request-id: {0}\r\nx-request-id: {0}\r\n", request_id_);
    cache_control = "no-store";
    caller = {.address = remote_address_};
    status_ = 0;
    streaming_ = chunked_ = false;
  }

  // A target may name the server too, as it is written to proxies (RFC 9112, 3.2.2): its name is then looked at as that
  // of Host is.
  std::string local_target(std::string target) {
    target_host_.clear();
    const size_t scheme = target.find("://");
    if (target.starts_with('/') || scheme == std::string::npos) return target;
    const std::string name = target.substr(0, scheme);
    if (!beast::iequals(name, "http") && !beast::iequals(name, "https")) return target;
    const size_t begin = scheme + 3, end = std::min(target.find_first_of("/?", begin), target.size());
    target_host_ = target.substr(begin, end - begin);
    const std::string rest = target.substr(end);
    return rest.starts_with('/') ? rest : "/" + rest;
  }

  // Where two readers could disagree about where the body ends (RFC 9112, 6.1 and 6.3), what follows it could be taken
  // for another's request: nothing of it is read.
  std::optional<ApiError> doubtful_framing() const {
    const auto& head = parser_->get();
    const auto n_codings = head.count(http::field::transfer_encoding);
    if (n_codings > 0 && version_ < 11)
      return ApiError{.status = 400, .code = "bad_request", .message = "Transfer-Encoding is not of HTTP/1.0"};
    if (n_codings > 1 || (n_codings == 1 && !beast::iequals(header("Transfer-Encoding"), "chunked")))
      return ApiError{.status = 501, .code = "bad_request", .message = "bodies are taken whole or chunked alone"};
    if (head.count(http::field::content_length) > 1 || header("Content-Length").find(',') != std::string::npos)
      return ApiError{.status = 400, .code = "bad_request", .message = "Content-Length is told more than once"};
    return std::nullopt;
  }

  // What is not HTTP as we take it. Nothing can be asked on this connection afterwards.
  Awaitable<void> refuse_broken(const error_code& ec) {
    keep_ = false;
    if (ec == http::error::end_of_stream || ec == http::error::partial_message ||
        ec.category() != http::make_error_code(http::error::bad_method).category())
      co_return;
    ApiError error{.status = 400, .code = "bad_request", .message = "this is not an HTTP request: " + ec.message()};
    if (ec == http::error::header_limit || ec == http::error::buffer_overflow)
      error = {.status = 431,
               .code = "header_too_large",
               .message = fmt::format("the headers are longer than {} bytes", shared_.limits.head_bytes)};
    co_await refuse(std::move(error));  // a braced temporary here is destroyed twice by GCC 12
    co_await linger();
  }

  Json told(const ApiError& error) const {
    Json body = error_body(error, dialect);
    if (dialect == Dialect::anthropic) body["request_id"] = request_id_;
    return body;
  }

  Awaitable<void> refuse(ApiError error) {
    if (error.retry_after_s > 0) extra_head += fmt::format("Retry-After: {}\r\n", error.retry_after_s);
    co_await reply(error.status, "application/json", dump(told(error)));
    log_line();
  }

  // The client may still be sending: an immediate close would make its system throw away our answer unread.
  Awaitable<void> linger() {
    error_code ec;
    socket().shutdown(tcp::socket::shutdown_send, ec);
    deadline_.set(std::chrono::seconds(1));
    std::array<char, kReadPiece> waste;
    while (!ec) co_await stream_.async_read_some(asio::buffer(waste), redirect_error(use_awaitable, ec));
  }

  void log_line() {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - started_).count();
    log::info("{} {} {} ms={}{} id={}", method, path, status_, ms, notes_and_reset(), request_id_);
  }
  std::string notes_and_reset() { return std::exchange(notes_, {}); }

  Awaitable<void> answer() {
    std::optional<ApiError> error;
    const Route* route = nullptr;
    bool is_preflight = false;
    try {
      const auto checked = check_request(*this, shared_,
                                         {.n_hosts = parser_->get().count(http::field::host),
                                          .target_host = target_host_,
                                          .content_length = length_of_body(),
                                          .local_address = local_address_});
      route = checked.route;
      is_preflight = checked.is_preflight;
    } catch (const ApiError& e) {
      error = e;
    }
    if (is_preflight) {
      co_await reply(204, "", "");
      co_return;
    }
    if (!error) {
      if (beast::iequals(header("Expect"), "100-continue")) co_await send("HTTP/1.1 100 Continue\r\n\r\n");
      error = co_await take_body(*route);
      if (gone_) co_return;
    }
    if (error) {
      const bool unread = !parser_->is_done();
      if (unread) keep_ = false;
      co_await refuse(*error);
      if (unread) co_await linger();
      co_return;
    }
    deadline_.lift();
    const auto winner = co_await (handle(*route) || watch() || shared_.state.last_call.wait(stream_.get_executor()));
    body_file.reset();  // whoever needs it longer has taken a share
    if (winner.index() == 1) gone_ = true;
    if (winner.index() == 2) co_await tell_the_end();
    if (gone_) {
      log::info("{} {} gone after {} ms{}", method, path,
                std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - started_).count(),
                notes_and_reset());
    } else {
      log_line();
    }
  }

  std::optional<uint64_t> length_of_body() const {
    const auto length = parser_->content_length();
    return length ? std::optional<uint64_t>(*length) : std::nullopt;
  }

  Awaitable<std::optional<ApiError>> take_body(const Route& route) {
    BodySource<Stream> from{stream_, buffer_, *parser_, deadline_};
    ReadBody read = co_await read_body(from, route, shared_);
    gone_ = read.gone;
    body = std::move(read.text);
    body_file = std::move(read.file);
    co_return std::move(read.refused);
  }

  Awaitable<void> handle(const Route& route) {
    try {
      co_await handle_or_tell(route);
    } catch (const boost::system::system_error&) {  // the client is gone, or too slow
      gone_ = true;
    } catch (const std::exception& e) {  // in the middle of telling an error: nothing more can be said
      log::error("{} {}: {}", method, path, e.what());
      gone_ = true;
    }
  }

  Awaitable<void> handle_or_tell(const Route& route) {
    std::optional<ApiError> error;
    try {
      co_await route.handler(*this);
      co_return;
    } catch (const HeadTold&) {
      co_return;
    } catch (const ApiError& e) {
      error = e;
    } catch (const boost::system::system_error&) {
      throw;
    } catch (const std::bad_alloc&) {
      error = ApiError{.status = 503, .code = "out_of_memory", .message = "there is no memory for this request"};
    } catch (const std::exception& e) {
      log::error("{} {}: {}", method, path, e.what());
      error = unexpected();
    } catch (...) {  // errors of a module that are no std::exception
      log::error("{} {}: an error that no route knows", method, path);
      error = unexpected();
    }
    if (!streaming_) {
      co_await refuse(*error);
      co_return;
    }
    co_await tell_in_stream(*error);
  }

  static ApiError unexpected() {
    return {.status = 500, .code = "internal", .message = "an unexpected error ended this request"};
  }

  // Too late for a status: an event tells, and the connection ends so that nobody takes the answer for whole.
  Awaitable<void> tell_in_stream(const ApiError& error) {
    keep_ = false;
    const std::string text = dump(told(error));
    if (dialect == Dialect::ollama)
      co_await write(text + "\n");
    else
      co_await write((dialect == Dialect::anthropic ? "event: error\ndata: " : "data: ") + text + "\n\n");
    co_await end_stream();
  }

  // The server waits no longer: the handler was cut where it waited. In the middle of a piece nothing more can be said.
  Awaitable<void> tell_the_end() {
    keep_ = false;
    gone_ = sending_;
    if (gone_) co_return;
    if (streaming_)
      co_await tell_in_stream(server_stopping());
    else if (status_ == 0)
      co_await refuse(server_stopping());
  }

  // Returns when the client is gone; reads ahead what it pipelines. An end that is read here is never told again: who
  // read once more would wait for the idle limit.
  Awaitable<void> watch() {
    for (;;) {
      error_code ec;
      if (ended_ || buffer_.size() >= shared_.limits.pipelined_bytes) {
        asio::steady_timer forever(stream_.get_executor(), Clock::time_point::max());
        co_await forever.async_wait(redirect_error(use_awaitable, ec));
        co_return;
      }
      const size_t n = co_await stream_.async_read_some(buffer_.prepare(kReadPiece), redirect_error(use_awaitable, ec));
      ended_ = ec && ec != asio::error::operation_aborted;
      if (ec) co_return;
      buffer_.commit(n);
    }
  }

  typename Stream::lowest_layer_type& socket() { return stream_.lowest_layer(); }

  // As a Host header would have it: an IPv4 address also where the socket is of IPv6.
  static std::string plain_address(const asio::ip::address& address) {
    if (address.is_v6() && address.to_v6().is_v4_mapped())
      return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).to_string();
    return address.to_string();
  }

  Stream stream_;
  Shared& shared_;
  std::string local_address_, remote_address_;
  std::string target_host_;  // of a target that names the server; else empty
  std::string request_id_;
  beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  Deadline deadline_;
  Clock::time_point started_;
  unsigned version_ = 11;
  int status_ = 0;
  bool keep_ = true, streaming_ = false, chunked_ = false, sending_ = false;
  bool gone_ = false;   // there is nobody to answer
  bool ended_ = false;  // the client sends no more
};

}  // namespace

Awaitable<void> serve_connection(tcp::socket socket, Shared& shared) {
  try {
    if (shared.tls) {
      Connection<asio::ssl::stream<tcp::socket>> connection(
          asio::ssl::stream<tcp::socket>(std::move(socket), shared.tls->context), shared);
      co_await connection.run();
    } else {
      Connection<tcp::socket> connection(std::move(socket), shared);
      co_await connection.run();
    }
  } catch (const boost::system::system_error&) {  // the client is gone
  }
}

}  // namespace watra::server
