// RequestBody: where Beast's parser puts the body of a request: into a text, or into a file as it comes. Of
// connection.cpp alone, on its strand.
#pragma once

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/optional.hpp>
#include <optional>
#include <string>

#include "base/passing_file.h"

namespace watra::server {

struct RequestBody {
  struct value_type {
    std::string text;
    std::optional<PassingFile> file;  // there before the body is read: it goes there
    std::optional<Error> failure;     // of writing to it; the parser stops with an error
  };

  class reader {
   public:
    template <bool is_request, class Fields>
    reader(boost::beast::http::header<is_request, Fields>&, value_type& body) : body_(body) {}

    // A length is believed only as far as bytes come.
    void init(const boost::optional<uint64_t>& length, boost::system::error_code& ec) {
      constexpr uint64_t kMostReserved = 1 << 20;
      if (length && !body_.file) body_.text.reserve(std::min(*length, kMostReserved));
      ec = {};
    }
    template <class Buffers>
    size_t put(const Buffers& buffers, boost::system::error_code& ec) {
      ec = {};
      size_t n = 0;
      for (const boost::asio::const_buffer piece : boost::beast::buffers_range_ref(buffers)) {
        const std::string_view bytes(static_cast<const char*>(piece.data()), piece.size());
        n += bytes.size();
        if (!body_.file) {
          body_.text += bytes;
        } else if (const Status written = body_.file->file().append(bytes); !written) {
          body_.failure = written.error();
          ec = make_error_code(boost::system::errc::io_error);
          return 0;
        }
      }
      return n;
    }
    void finish(boost::system::error_code& ec) { ec = {}; }

   private:
    value_type& body_;
  };
};

}  // namespace watra::server
