// What is wrong in a GGUF file is told precisely, and costs no more memory than the file has bytes.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/fault.h"
#include "checkpoint/internal/allocation_count.h"
#include "checkpoint/internal/gguf_header.h"
#include "checkpoint/internal/raw_gguf.h"

namespace watra::checkpoint {
namespace {

using test::allocated_bytes;
using test::RawGguf;
using test::TempFolder;

constexpr uint32_t kF32 = 0, kQ8_0 = 8, kQ4K = 12;

Result<GgufHeader> parse(std::string_view bytes) {
  HeaderBytes in(std::as_bytes(std::span(bytes.data(), bytes.size())));
  return parse_gguf_header(in, "t.gguf");
}

// The code of the refusal, after checking that it has all its parts, names the object and was cheap.
std::string refusal(const std::string& bytes, std::string_view names = "") {
  const uint64_t before = allocated_bytes;
  const auto header = parse(bytes);
  const uint64_t cost = allocated_bytes - before;
  EXPECT_LE(cost, 16384 + 40 * bytes.size()) << "an allocation was not justified by the file";
  if (header) return "none";
  const Error& e = header.error();
  EXPECT_NE(e.message.find("t.gguf"), std::string::npos) << e.message;
  EXPECT_NE(e.message.find(names), std::string::npos) << e.message;
  EXPECT_FALSE(e.hint.empty()) << e.message;
  return e.code;
}
std::string refusal(const RawGguf& raw, std::string_view names = "") { return refusal(raw.bytes, names); }

// Two keys, two tensors of 32 and 64 bytes, all right.
RawGguf honest() {
  return RawGguf()
      .preamble(2, 2)
      .key_text("general.architecture", "llama")
      .key_u32("llama.block_count", 1)
      .tensor("a", {4, 2}, kF32, 0)
      .tensor("b", {16}, kF32, 32)
      .pad()
      .zeros(96);
}

TEST(GgufAttack, TheHonestFileOpens) {
  const auto h = parse(honest().bytes);
  ASSERT_TRUE(h) << h.error().to_string();
  EXPECT_EQ(h->tensors[0].shape, (tensor::Shape{2, 4}));
  EXPECT_EQ(h->tensors[1].offset_bytes, h->data_offset + 32);
  EXPECT_EQ(*h->metadata.require_string("general.architecture"), "llama");
}

TEST(GgufAttack, CutAnywhereItIsRefused) {
  const std::string whole = honest().bytes;
  EXPECT_EQ(refusal(""), "checkpoint.empty_file");
  for (size_t n = 1; n < whole.size(); ++n) {
    const std::string code = refusal(whole.substr(0, n));
    // A count is compared with the bytes left first: in a cut file it may be the one that does not fit.
    EXPECT_TRUE(code == "checkpoint.cut_file" || code == "checkpoint.bad_count") << n << ": " << code;
  }
}

// Every byte of the header, every value of it: refused or opened, never a crash; and cheap.
TEST(GgufAttack, AnyByteMayBeAnything) {
  const std::string whole = honest().bytes;
  for (size_t at = 0; at + 96 < whole.size(); ++at)
    for (int v = 0; v < 256; ++v) {
      std::string bytes = whole;
      bytes[at] = static_cast<char>(v);
      refusal(bytes);
    }
}

TEST(GgufAttack, MagicAndVersion) {
  EXPECT_EQ(refusal("GG"), "checkpoint.cut_file");
  EXPECT_EQ(refusal("GGML\1\0\0\0"), "checkpoint.not_gguf");
  EXPECT_EQ(refusal(std::string(64, '\0')), "checkpoint.not_gguf");
  EXPECT_EQ(refusal("<!DOCTYPE html>"), "checkpoint.not_gguf");
  EXPECT_NE(parse("<!DOCTYPE html>").error().hint.find("web page"), std::string::npos);
  EXPECT_NE(parse("version https://git-lfs").error().hint.find("git lfs pull"), std::string::npos);
  EXPECT_EQ(refusal("GGUF"), "checkpoint.cut_file");
  EXPECT_EQ(refusal(RawGguf().preamble(0, 0, 0)), "checkpoint.unsupported_version");
  EXPECT_EQ(refusal(RawGguf().preamble(0, 0, 1)), "checkpoint.unsupported_version");
  EXPECT_EQ(refusal(RawGguf().preamble(0, 0, 4)), "checkpoint.unsupported_version");
  EXPECT_EQ(refusal(RawGguf().preamble(0, 0, 0x03000000), "version 3"), "checkpoint.big_endian");
  EXPECT_EQ(refusal(RawGguf().preamble(0, 0, 2)), "none");
  EXPECT_EQ(refusal(RawGguf().preamble(0, 0, 3)), "none");
}

// CVE-2026-27940 and before it CVE-2025-53630: sums and products of what the header claims ran over.
TEST(GgufAttack, HugeCounts) {
  for (const uint64_t n : {uint64_t{1} << 60, ~uint64_t{0}, uint64_t{1} << 63, uint64_t{1} << 32, uint64_t{2}}) {
    EXPECT_EQ(refusal(RawGguf().preamble(0, n)), "checkpoint.bad_count") << n;
    EXPECT_EQ(refusal(RawGguf().preamble(n, 0)), "checkpoint.bad_count") << n;
    EXPECT_EQ(refusal(RawGguf().preamble(0, 1).u64(n).zeros(40)),
              n == 2 ? "checkpoint.bad_key" : "checkpoint.name_too_long")
        << n;
    if (n == 2) continue;
    EXPECT_EQ(refusal(RawGguf().preamble(0, 1).text("k").u32(8).u64(n).zeros(40), "'k'"),
              n >> 28 ? "checkpoint.name_too_long" : "checkpoint.cut_file");
    for (uint32_t type = 0; type <= 12; ++type)  // arrays of every type
      EXPECT_EQ(refusal(RawGguf().preamble(0, 1).text("k").u32(9).u32(type).u64(n).zeros(40), "'k'"),
                "checkpoint.bad_count")
          << type;
    EXPECT_EQ(refusal(RawGguf().preamble(1, 0).u64(n).zeros(40)), "checkpoint.name_too_long");
  }
}

TEST(GgufAttack, WrongTypes) {
  EXPECT_EQ(refusal(RawGguf().preamble(0, 1).text("k").u32(13).zeros(40), "'k'"), "checkpoint.bad_type");
  EXPECT_EQ(refusal(RawGguf().preamble(0, 1).text("k").u32(~0u).zeros(40), "'k'"), "checkpoint.bad_type");
  EXPECT_EQ(refusal(RawGguf().preamble(0, 1).text("k").u32(9).u32(13).u64(0).zeros(40), "'k'"), "checkpoint.bad_type");
  EXPECT_EQ(refusal(RawGguf().preamble(0, 1).text("k").u32(7).raw("\2").zeros(9), "'k'"), "checkpoint.bad_bool");
  EXPECT_EQ(refusal(RawGguf().preamble(0, 1).text("k").u32(9).u32(7).u64(3).raw("\1\1\7").zeros(9), "'k'"),
            "checkpoint.bad_bool");
  const auto h = parse(honest().bytes);
  ASSERT_TRUE(h);
  const auto wrong = h->metadata.require_u64("general.architecture");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, "checkpoint.wrong_type");
  EXPECT_NE(wrong.error().message.find("string 'llama'"), std::string::npos) << wrong.error().message;
  EXPECT_EQ(h->metadata.require_string("absent").error().code, "checkpoint.missing_key");
  EXPECT_EQ(h->metadata.require_string("llama.block_count").error().code, "checkpoint.wrong_type");
}

TEST(GgufAttack, DepthOfArrays) {
  const auto nested = [](int depth) {
    RawGguf raw = RawGguf().preamble(0, 1).text("k").u32(9);
    for (int i = 1; i < depth; ++i) raw.u32(9).u64(1);
    return raw.u32(0).u64(1).raw("x");
  };
  EXPECT_EQ(refusal(nested(8)), "none");
  EXPECT_EQ(refusal(nested(9), "'k'"), "checkpoint.too_deep");
  EXPECT_EQ(refusal(nested(100000), "'k'"), "checkpoint.too_deep");
  // As many empty arrays as fit: the widest thing a file can ask for.
  RawGguf wide = RawGguf().preamble(0, 1).text("k").u32(9).u32(9).u64(100000);
  for (int i = 0; i < 100000; ++i) wide.u32(0).u64(0);
  EXPECT_EQ(refusal(wide), "none");
}

TEST(GgufAttack, Keys) {
  EXPECT_EQ(refusal(RawGguf().preamble(0, 2).key_u32("k", 1).key_u32("k", 2), "'k'"), "checkpoint.duplicate_key");
  EXPECT_EQ(refusal(RawGguf().preamble(0, 1).key_u32("", 1).zeros(9)), "checkpoint.bad_key");
  EXPECT_EQ(refusal(RawGguf().preamble(0, 1).key_u32("a\xc3\x28", 1), "\\xc3("), "checkpoint.bad_key");
  EXPECT_EQ(refusal(RawGguf().preamble(0, 1).key_u32("a\xed\xa0\x80", 1)), "checkpoint.bad_key");  // a surrogate
  EXPECT_EQ(refusal(RawGguf().preamble(0, 1).key_u32("a\xc0\x80", 1)), "checkpoint.bad_key");      // an overlong NUL
  EXPECT_EQ(refusal(RawGguf().preamble(0, 1).key_u32("a\x1b[2J", 1), "\\x1b"), "checkpoint.bad_key");
  EXPECT_EQ(refusal(RawGguf().preamble(0, 1).key_u32(std::string(65535, 'k'), 1)), "none");
  EXPECT_EQ(refusal(RawGguf().preamble(0, 1).key_u32(std::string(65536, 'k'), 1)), "checkpoint.name_too_long");
  EXPECT_EQ(refusal(RawGguf().preamble(0, 1).key_u32("\xc5\xbc\xc3\xb3\xc5\x82w", 1)), "none");
  EXPECT_EQ(refusal(RawGguf().preamble(0, 1).key_text("k", "any \xff bytes")), "none");  // tokens need not be UTF-8
}

TEST(GgufAttack, Alignment) {
  const auto with = [](uint32_t a) {
    return RawGguf().preamble(1, 1).key_u32("general.alignment", a).tensor("a", {8}, kF32, 0).pad(4096).zeros(4096);
  };
  for (const uint32_t a : {1u, 8u, 32u, 64u, 4096u}) EXPECT_EQ(refusal(with(a)), "none") << a;
  for (const uint32_t a : {0u, 3u, 33u, 1u << 25, 1u << 31, ~0u})
    EXPECT_EQ(refusal(with(a), "general.alignment"), "checkpoint.bad_alignment") << a;
  EXPECT_EQ(refusal(with(1u << 24)), "checkpoint.cut_file");
  EXPECT_EQ(refusal(RawGguf().preamble(0, 1).key_text("general.alignment", "32")), "checkpoint.bad_alignment");
  EXPECT_EQ(refusal(RawGguf().preamble(0, 1).key_u16("general.alignment", 32)), "checkpoint.bad_alignment");
}

TEST(GgufAttack, Shapes) {
  const auto with = [](const std::vector<uint64_t>& dims, uint32_t type = kF32) {
    return RawGguf().preamble(1, 0).tensor("the.tensor", dims, type, 0).pad().zeros(1024);
  };
  EXPECT_EQ(refusal(with({4, 4, 4, 4})), "none");
  EXPECT_EQ(refusal(with({}), "'the.tensor'"), "checkpoint.bad_shape");
  EXPECT_EQ(refusal(with({1, 1, 1, 1, 1}), "'the.tensor'"), "checkpoint.bad_shape");
  EXPECT_EQ(refusal(RawGguf().preamble(1, 0).text("t").u32(~0u).zeros(99)), "checkpoint.bad_shape");
  EXPECT_EQ(refusal(with({0}), "'the.tensor'"), "checkpoint.bad_shape");
  EXPECT_EQ(refusal(with({4, 0}), "'the.tensor'"), "checkpoint.bad_shape");
  EXPECT_EQ(refusal(with({uint64_t{1} << 63})), "checkpoint.bad_shape");
  EXPECT_EQ(refusal(with({~uint64_t{0}, ~uint64_t{0}})), "checkpoint.bad_shape");
  EXPECT_EQ(refusal(with({uint64_t{1} << 32, uint64_t{1} << 32})), "checkpoint.bad_shape");  // 2^64 = 0 unchecked
  EXPECT_EQ(refusal(with({uint64_t{1} << 31, uint64_t{1} << 31})),
            "checkpoint.bad_shape");  // 2^62 elements, 2^64 bytes
  EXPECT_EQ(refusal(with({uint64_t{1} << 30, uint64_t{1} << 30}), "'the.tensor'"), "checkpoint.cut_file");
  EXPECT_EQ(refusal(with({32, 2}, kQ8_0)), "none");
  EXPECT_EQ(refusal(with({33, 2}, kQ8_0), "32 elements"), "checkpoint.bad_shape");
  EXPECT_EQ(refusal(with({32, 8}, kQ4K), "256 elements"), "checkpoint.bad_shape");  // 256 in all, but no row of 256
  for (const uint32_t type : {4u, 5u, 31u, 36u, 1000u, ~0u})
    EXPECT_EQ(refusal(with({4}, type), "'the.tensor'"), "checkpoint.unknown_dtype") << type;
}

TEST(GgufAttack, Names) {
  const auto with = [](std::string_view name) {
    return RawGguf().preamble(1, 0).tensor(name, {8}, kF32, 0).pad().zeros(32);
  };
  EXPECT_EQ(refusal(with(std::string(127, 'n'))), "none");
  EXPECT_EQ(refusal(with(std::string(128, 'n'))), "checkpoint.name_too_long");
  EXPECT_EQ(refusal(with("")), "checkpoint.bad_name");
  EXPECT_EQ(refusal(with(std::string_view("a\0b", 3))), "checkpoint.bad_name");
  EXPECT_EQ(refusal(with("\xff")), "checkpoint.bad_name");
  EXPECT_EQ(
      refusal(RawGguf().preamble(2, 0).tensor("a", {8}, kF32, 0).tensor("a", {8}, kF32, 32).pad().zeros(64), "'a'"),
      "checkpoint.duplicate_tensor");
}

// CVE-2026-7482: sizes that were not held against the file let memory behind it be read.
TEST(GgufAttack, Offsets) {
  const auto with = [](uint64_t a, uint64_t b, size_t data = 96) {
    return RawGguf().preamble(2, 0).tensor("a", {4, 2}, kF32, a).tensor("b", {16}, kF32, b).pad().zeros(data);
  };
  EXPECT_EQ(refusal(with(0, 32)), "none");
  EXPECT_EQ(refusal(with(64, 0)), "none") << "any order will do";
  EXPECT_EQ(refusal(with(0, 64, 128)), "none") << "a gap is no harm";
  EXPECT_EQ(refusal(with(0, 33, 97), "'b'"), "checkpoint.bad_offset");
  EXPECT_EQ(refusal(with(4, 32), "'a'"), "checkpoint.bad_offset");
  EXPECT_EQ(refusal(with(0, 0), "overlap"), "checkpoint.overlap");
  EXPECT_EQ(refusal(with(32, 0), "overlap"), "checkpoint.overlap");
  EXPECT_EQ(refusal(with(0, 32, 95), "'b'"), "checkpoint.cut_file");
  EXPECT_EQ(refusal(with(0, 1 << 20), "'b'"), "checkpoint.cut_file");
  EXPECT_EQ(refusal(with(0, ~uint64_t{31}), "'b'"), "checkpoint.cut_file") << "the sum wraps";
  EXPECT_EQ(refusal(with(uint64_t{1} << 63, 0), "'a'"), "checkpoint.cut_file");
  // Without its data, and even without the padding before it.
  EXPECT_EQ(refusal(RawGguf().preamble(1, 0).tensor("a", {8}, kF32, 0).bytes), "checkpoint.cut_file");
}

TEST(GgufAttack, MessagesTellPositionNeededAndFound) {
  const auto e =
      parse(
          RawGguf().preamble(0, 1).text("tokenizer.ggml.tokens").u32(9).u32(8).u64(uint64_t{1} << 40).zeros(100).bytes)
          .error();
  EXPECT_EQ(e.message,
            "t.gguf: metadata key 0 ('tokenizer.ggml.tokens'), the number of its elements at byte 69: 1099511627776 "
            "need at least 8 "
            "bytes each, found 100 bytes left");
}

TEST(CheckpointOpen, WhatIsNotAFile) {
  TempFolder folder;
  const auto code = [](const fs::path& path) {
    const auto c = Checkpoint::open(path);
    return c ? std::string("none") : c.error().code;
  };
  EXPECT_EQ(code(folder.path()), "file.is_folder");
  EXPECT_EQ(code(folder / "absent.gguf"), "file.not_found");
  EXPECT_EQ(code(folder.put("empty.gguf", "")), "checkpoint.empty_file");
  ASSERT_EQ(::mkfifo((folder / "pipe.gguf").c_str(), 0600), 0);
  EXPECT_EQ(code(folder / "pipe.gguf"), "checkpoint.not_a_file");
  EXPECT_EQ(code("/dev/zero"), "checkpoint.not_a_file");
  EXPECT_EQ(code(folder.put("honest.gguf", honest().bytes)), "none");
}

TEST(CheckpointOpen, ReadsStayInsideTheTensor) {
  TempFolder folder;
  const auto c = Checkpoint::open(folder.put("m.gguf", honest().bytes));
  ASSERT_TRUE(c);
  std::vector<std::byte> out(64);
  const TensorInfo& b = *c->find("b");
  EXPECT_TRUE(c->read(b, out));
  EXPECT_TRUE(c->read(b, std::span(out).first(4), 60));
  EXPECT_TRUE(c->read(b, {}, 64));
  EXPECT_EQ(c->read(b, std::span(out).first(5), 60).error().code, "checkpoint.bad_range");
  EXPECT_EQ(c->read(b, std::span(out).first(1), ~uint64_t{0}).error().code, "checkpoint.bad_range");
  TensorInfo elsewhere = b;
  elsewhere.file_index = 7;
  EXPECT_EQ(c->read(elsewhere, out).error().code, "checkpoint.bad_range");
  fs::resize_file(folder / "m.gguf", 100);  // cut after it was opened
  EXPECT_EQ(c->read(b, out).error().code, "file.short_read");
}

// 250 GB, of which only the header is written: one read opens it.
TEST(CheckpointOpen, ASparseGiantOpensWithOneRead) {
  TempFolder folder;
  RawGguf raw = RawGguf().preamble(932, 1).key_text("general.architecture", "llama");
  constexpr uint64_t kRows = 1 << 16, kBytes = kRows * 1024 * 4;  // 256 MiB each
  for (uint64_t i = 0; i < 932; ++i) raw.tensor(fmt::format("blk.{}.weight", i), {1024, kRows}, kF32, i * kBytes);
  raw.pad();
  const fs::path path = folder.put("giant.gguf", raw.bytes);
  std::error_code ec;
  fs::resize_file(path, raw.bytes.size() + 932 * kBytes, ec);
  if (ec) GTEST_SKIP() << "this file system has no sparse files: " << ec.message();
  const uint64_t before = allocated_bytes;
  fault::Arm count("file.read", ~uint64_t{0});
  const auto c = Checkpoint::open(path);
  ASSERT_TRUE(c) << c.error().to_string();
  EXPECT_GT(c->file_bytes(), 250'000'000'000u);
  EXPECT_EQ(count.passages(), 1u);
  EXPECT_LT(allocated_bytes - before, uint64_t{2} << 20);
  std::vector<std::byte> last(16);
  EXPECT_TRUE(c->read(c->tensors().back(), last, kBytes - 16));
}

// A sparse file can hold any count; then the limit on headers holds.
TEST(CheckpointOpen, ASparseGiantCannotClaimAGiantHeader) {
  TempFolder folder;
  for (const uint32_t type : {8u, 9u, 0u, 10u}) {  // strings, arrays, bytes, 64-bit numbers
    const fs::path path =
        folder.put("m.gguf", RawGguf().preamble(0, 1).text("k").u32(9).u32(type).u64(uint64_t{1} << 34).bytes);
    std::error_code ec;
    fs::resize_file(path, uint64_t{250} << 30, ec);
    if (ec) GTEST_SKIP() << "this file system has no sparse files: " << ec.message();
    const uint64_t before = allocated_bytes;
    const auto c = Checkpoint::open(path);
    ASSERT_FALSE(c);
    EXPECT_EQ(c.error().code, "checkpoint.bad_count");
    EXPECT_LT(allocated_bytes - before, uint64_t{1} << 20);
  }
}

}  // namespace
}  // namespace watra::checkpoint
