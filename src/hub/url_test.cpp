#include "hub/url.h"

#include <gtest/gtest.h>

#include "hub/http.h"

namespace watra::hub {
namespace {

std::string resolved(const char* base, const char* reference) {
  const auto url = resolve_url(parse_url(base).value(), reference);
  return url ? url->to_string() : url.error().code;
}

TEST(Url, Parts) {
  const auto url = parse_url("HTTPS://us%40er:p%3Aw@Example.ORG:8443/a/b%20c?d=e/f#g").value();
  EXPECT_EQ(url.scheme, "https");
  EXPECT_EQ(url.host, "example.org");
  EXPECT_EQ(url.port, "8443");
  EXPECT_EQ(url.target, "/a/b%20c?d=e/f");
  EXPECT_EQ(url.path(), "/a/b%20c");
  EXPECT_EQ(url.user_info, "us@er:p:w");
  EXPECT_EQ(url.to_string(), "https://example.org:8443/a/b%20c?d=e/f");
  EXPECT_EQ(parse_url("http://h").value().target, "/");
  EXPECT_EQ(parse_url("http://h?q").value().target, "/?q");
  EXPECT_EQ(parse_url("http://[::1]:80/x").value().authority(), "[::1]");
  EXPECT_TRUE(parse_url("http://[::1]:80/x").value().is_loopback());
}

TEST(Url, WhatIsNotOne) {
  for (const char* text : {"", "host/path", "ftp://h/", "http://", "http:///x", "http://h:0/", "http://h:99999/",
                           "http://h:8x/", "http://[::1/", "http://a b/", "http://a\r\nHost: b/"}) {
    const auto url = parse_url(text);
    ASSERT_FALSE(url) << text;
    EXPECT_EQ(url.error().code, "hub.bad_url");
  }
}

TEST(Url, NothingInATargetEndsTheRequestLine) {
  EXPECT_EQ(parse_url("http://h/a b\r\nX: y").value().target, "/a%20b%0D%0AX:%20y");
}

TEST(Url, RedirectsAsRfc3986HasThem) {
  const char* base = "http://a/b/c/d;p?q";
  EXPECT_EQ(resolved(base, "g"), "http://a/b/c/g");
  EXPECT_EQ(resolved(base, "./g"), "http://a/b/c/g");
  EXPECT_EQ(resolved(base, "g/"), "http://a/b/c/g/");
  EXPECT_EQ(resolved(base, "/g"), "http://a/g");
  EXPECT_EQ(resolved(base, "//g"), "http://g/");
  EXPECT_EQ(resolved(base, "?y"), "http://a/b/c/d;p?y");
  EXPECT_EQ(resolved(base, "g?y"), "http://a/b/c/g?y");
  EXPECT_EQ(resolved(base, ""), "http://a/b/c/d;p?q");
  EXPECT_EQ(resolved(base, "."), "http://a/b/c/");
  EXPECT_EQ(resolved(base, ".."), "http://a/b/");
  EXPECT_EQ(resolved(base, "../g"), "http://a/b/g");
  EXPECT_EQ(resolved(base, "../../../g"), "http://a/g");
  EXPECT_EQ(resolved(base, "/./g/../h"), "http://a/h");
  EXPECT_EQ(resolved(base, "https://x:1/y?u=http://z"), "https://x:1/y?u=http://z");
  EXPECT_EQ(resolved(base, "g?u=http://z"), "http://a/b/c/g?u=http://z");
  EXPECT_EQ(resolved(base, "ftp://x/y"), "hub.bad_url");
}

TEST(Url, EncodingThereAndBack) {
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  EXPECT_EQ(percent_decode(percent_encode(all, false)), all);
  EXPECT_EQ(percent_encode("a/b c", true), "a/b%20c");
  EXPECT_EQ(percent_encode("a/b c", false), "a%2Fb%20c");
  EXPECT_EQ(percent_decode("%4x%"), "%4x%");
}

TEST(Url, FileNamesFromOutside) {
  for (const char* good : {"m.gguf", "Qwen 2.5.gguf", "za\xC5\xBC\xC3\xB3\xC5\x82\xC4\x87.gguf", "a@b.gguf"})
    EXPECT_TRUE(is_safe_file_name(good)) << good;
  for (const char* bad : {"", ".", "..", ".hidden", "a/b", "a\\b", "a\nb", "c:d", "a\x7f", "*"})
    EXPECT_FALSE(is_safe_file_name(bad)) << bad;
  EXPECT_FALSE(is_safe_file_name(std::string(201, 'a')));
  EXPECT_FALSE(is_safe_file_name(std::string_view("a\0b", 3)));
}

TEST(Url, ContentDisposition) {
  EXPECT_EQ(disposition_file_name("attachment; filename=a.gguf"), "a.gguf");
  EXPECT_EQ(disposition_file_name("attachment; filename=\"a; \\\"b\\\".gguf\"; x=y"), "a; \"b\".gguf");
  EXPECT_EQ(disposition_file_name("inline; filename*=UTF-8''za%C5%BC.gguf; filename=\"za.gguf\""), "za\xC5\xBC.gguf");
  EXPECT_EQ(disposition_file_name("attachment"), "");
  EXPECT_EQ(disposition_file_name(""), "");
  EXPECT_EQ(disposition_file_name(";;;="), "");
}

TEST(Proxy, WhoGoesDirect) {
  ProxySettings p;
  p.http = "http://p:1";
  p.https = "http://p:2";
  p.none_for = "localhost, .example.org,other.net:8080,*.star.pl";
  const auto chosen = [&](const char* url) { return p.choose(parse_url(url).value()); };
  EXPECT_EQ(chosen("http://host/"), "http://p:1");
  EXPECT_EQ(chosen("https://host/"), "http://p:2");
  EXPECT_EQ(chosen("http://localhost:99/"), "");
  EXPECT_EQ(chosen("https://a.example.org/"), "");
  EXPECT_EQ(chosen("https://example.org/"), "");
  EXPECT_EQ(chosen("https://badexample.org/"), "http://p:2");
  EXPECT_EQ(chosen("http://other.net:8080/"), "");
  EXPECT_EQ(chosen("http://other.net/"), "http://p:1");
  EXPECT_EQ(chosen("http://x.star.pl/"), "");
  p.none_for = "*";
  EXPECT_EQ(chosen("http://host/"), "");
}

}  // namespace
}  // namespace watra::hub
