#include "checkpoint/gguf_writer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/fault.h"
#include "checkpoint/internal/raw_gguf.h"

namespace watra::checkpoint {
namespace {

using tensor::DType;
using tensor::Shape;
using test::TempFolder;

MetaArray array_of(MetaType type) {
  MetaArray a;
  a.element_type = type;
  return a;
}

// Every metadata type with its extremes.
Metadata all_types() {
  Metadata m;
  m.set("general.architecture", MetaValue::of_string("llama"));
  m.set("t.u8", MetaValue::of_u8(255));
  m.set("t.i8", MetaValue::of_i8(-128));
  m.set("t.u16", MetaValue::of_u16(65535));
  m.set("t.i16", MetaValue::of_i16(-32768));
  m.set("t.u32", MetaValue::of_u32(4294967295u));
  m.set("t.i32", MetaValue::of_i32(std::numeric_limits<int32_t>::min()));
  m.set("t.u64", MetaValue::of_u64(std::numeric_limits<uint64_t>::max()));
  m.set("t.i64", MetaValue::of_i64(std::numeric_limits<int64_t>::min()));
  m.set("t.f32", MetaValue::of_f32(0.1f));
  m.set("t.f64", MetaValue::of_f64(-std::numeric_limits<double>::infinity()));
  m.set("t.nan", MetaValue::of_f64(std::numeric_limits<double>::quiet_NaN()));
  m.set("t.true", MetaValue::of_bool(true));
  m.set("t.false", MetaValue::of_bool(false));
  m.set("t.empty", MetaValue::of_string(""));
  m.set("t.bytes", MetaValue::of_string(std::string("\0\xff za\xc5\xbc\xc3\xb3\xc5\x82\xc4\x87", 14)));
  for (const MetaType type : {MetaType::u8, MetaType::u16, MetaType::u32, MetaType::u64, MetaType::boolean}) {
    MetaArray a = array_of(type);
    a.u64 = {0, 1, 1, 0};
    m.set(fmt::format("a.{}", meta_type_name(type)), MetaValue::of_array(a));
  }
  for (const MetaType type : {MetaType::i8, MetaType::i16, MetaType::i32, MetaType::i64}) {
    MetaArray a = array_of(type);
    for (int i = 0; i < 3000; ++i) a.i64.push_back(i % 256 - 128);
    m.set(fmt::format("a.{}", meta_type_name(type)), MetaValue::of_array(a));
  }
  for (const MetaType type : {MetaType::f32, MetaType::f64}) {
    MetaArray a = array_of(type);
    a.f64 = {0.5, -1.25, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()};
    m.set(fmt::format("a.{}", meta_type_name(type)), MetaValue::of_array(a));
  }
  MetaArray strings = array_of(MetaType::string), empty = array_of(MetaType::u32), inner = array_of(MetaType::array);
  strings.strings = {"", "a", std::string(100, 'x')};
  inner.nested = {MetaValue::of_array(strings), MetaValue::of_array(empty)};
  MetaArray outer = array_of(MetaType::array);
  outer.nested = {MetaValue::of_array(inner), MetaValue::of_array(array_of(MetaType::f32))};
  m.set("a.string", MetaValue::of_array(strings));
  m.set("a.none", MetaValue::of_array(empty));
  m.set("a.nested", MetaValue::of_array(outer));
  return m;
}

struct Tensor {
  std::string name;
  DType dtype;
  Shape shape;
  std::vector<std::byte> bytes;
};

// One tensor of every element type there is, with recognizable bytes; ranks 1 to 4 in turn.
std::vector<Tensor> all_dtypes_once() {
  std::vector<Tensor> out;
  for (const tensor::DTypeTraits& t : tensor::all_dtypes()) {
    const int64_t cols = t.block_elements * 2;
    const Shape shapes[] = {{cols}, {3, cols}, {2, 3, cols}, {1, 2, 3, cols}};
    const Shape& shape = shapes[out.size() % 4];
    Tensor tensor{fmt::format("blk.{}.{}", out.size(), t.name), t.dtype, shape, {}};
    tensor.bytes.resize(tensor::row_bytes(t.dtype, cols) * static_cast<uint64_t>(shape.rows()));
    for (size_t i = 0; i < tensor.bytes.size(); ++i) tensor.bytes[i] = static_cast<std::byte>(i * 7 + out.size());
    out.push_back(std::move(tensor));
  }
  return out;
}

Result<std::vector<fs::path>> write(const fs::path& path, const Metadata& metadata, const std::vector<Tensor>& tensors,
                                    GgufWriterOptions options = {}) {
  WATRA_ASSIGN(GgufWriter w, GgufWriter::create(path, metadata, options));
  for (const Tensor& t : tensors) WATRA_TRY(w.declare(t.name, t.dtype, t.shape));
  for (const Tensor& t : tensors) {  // in two pieces
    const size_t half = t.bytes.size() / 2;
    WATRA_TRY(w.write(std::span(t.bytes).first(half)));
    WATRA_TRY(w.write(std::span(t.bytes).subspan(half)));
  }
  return w.finish();
}

void expect_same(const Checkpoint& c, const Metadata& metadata, const std::vector<Tensor>& tensors) {
  for (const auto& [key, value] : metadata.entries()) {
    const MetaValue* found = c.metadata().find(key);
    ASSERT_NE(found, nullptr) << key;
    EXPECT_TRUE(*found == value) << key;
  }
  ASSERT_EQ(c.tensors().size(), tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    const TensorInfo& info = c.tensors()[i];
    EXPECT_EQ(info.name, tensors[i].name);
    EXPECT_EQ(info.dtype, tensors[i].dtype);
    EXPECT_EQ(info.shape, tensors[i].shape) << info.shape.to_string();
    ASSERT_EQ(info.size_bytes, tensors[i].bytes.size());
    std::vector<std::byte> bytes(info.size_bytes);
    ASSERT_TRUE(c.read(info, bytes));
    EXPECT_TRUE(bytes == tensors[i].bytes) << info.name;
    EXPECT_EQ(c.find(info.name), &info);
  }
}

TEST(GgufWriter, EveryTypeComesBackTheSame) {
  TempFolder folder;
  for (const uint32_t version : {2u, 3u}) {
    for (const uint32_t alignment : {8u, 32u, 64u, 4096u}) {
      SCOPED_TRACE(fmt::format("version {} alignment {}", version, alignment));
      const auto paths =
          write(folder / "m.gguf", all_types(), all_dtypes_once(), {.version = version, .alignment = alignment});
      ASSERT_TRUE(paths) << paths.error().to_string();
      EXPECT_EQ(*paths, std::vector<fs::path>{folder / "m.gguf"});
      const auto c = Checkpoint::open(folder / "m.gguf");
      ASSERT_TRUE(c) << c.error().to_string();
      EXPECT_EQ(c->gguf_version(), version);
      EXPECT_EQ(c->metadata().get_u64("general.alignment").value_or(32), alignment);
      EXPECT_EQ(c->metadata().entries().size(), all_types().entries().size() + (alignment != 32));
      for (const TensorInfo& t : c->tensors()) EXPECT_EQ(t.offset_bytes % alignment, 0u);
      EXPECT_EQ(c->file_bytes() % alignment, 0u);
      expect_same(*c, all_types(), all_dtypes_once());
      EXPECT_EQ(folder.names(), std::vector<std::string>{"m.gguf"});
    }
  }
}

TEST(GgufWriter, SplitsStayBelowTheirLimitAndOpenFromAnyPart) {
  TempFolder folder;
  const auto tensors = all_dtypes_once();
  const auto paths = write(folder / "big.model.gguf", all_types(), tensors, {.alignment = 64, .max_split_bytes = 6000});
  ASSERT_TRUE(paths) << paths.error().to_string();
  ASSERT_GT(paths->size(), 3u);
  EXPECT_EQ(paths->front().filename(), fmt::format("big.model-00001-of-{:05}.gguf", paths->size()));
  for (size_t i = 1; i < paths->size(); ++i) {
    EXPECT_LE(fs::file_size((*paths)[i]), 6000u) << i;
  }
  for (const fs::path& path : *paths) {
    const auto c = Checkpoint::open(path);
    ASSERT_TRUE(c) << c.error().to_string();
    EXPECT_EQ(c->paths(), *paths);
    EXPECT_EQ(c->metadata().get_u64("split.count"), paths->size());
    expect_same(*c, all_types(), tensors);
  }
}

TEST(GgufWriter, OnePartThatFitsIsAPlainFile) {
  TempFolder folder;
  const auto paths = write(folder / "m.gguf", all_types(), all_dtypes_once(), {.max_split_bytes = 1 << 30});
  ASSERT_TRUE(paths);
  EXPECT_EQ(*paths, std::vector<fs::path>{folder / "m.gguf"});
  EXPECT_FALSE(Checkpoint::open(folder / "m.gguf")->metadata().has("split.count"));
}

TEST(GgufWriter, KeysOfAFileAreNotCopiedIntoAnother) {
  TempFolder folder;
  const auto parts =
      write(folder / "s.gguf", all_types(), all_dtypes_once(), {.alignment = 64, .max_split_bytes = 6000});
  const auto split = Checkpoint::open(parts->front());
  ASSERT_TRUE(split);
  ASSERT_TRUE(write(folder / "whole.gguf", split->metadata(), all_dtypes_once()));
  const auto whole = Checkpoint::open(folder / "whole.gguf");
  ASSERT_TRUE(whole) << whole.error().to_string();
  EXPECT_FALSE(whole->metadata().has("split.no"));
  EXPECT_FALSE(whole->metadata().has("general.alignment"));
}

TEST(GgufWriter, WithoutTensorsItIsAVocabulary) {
  TempFolder folder;
  ASSERT_TRUE(write(folder / "v.gguf", all_types(), {}));
  const auto c = Checkpoint::open(folder / "v.gguf");
  ASSERT_TRUE(c);
  EXPECT_TRUE(c->tensors().empty());
}

TEST(GgufWriter, RefusesWhatItsReaderWould) {
  TempFolder folder;
  const auto code = [](const auto& result) { return result ? std::string("none") : result.error().code; };
  for (const uint32_t alignment : {0u, 1u, 4u, 24u, 1u << 31})
    EXPECT_EQ(code(GgufWriter::create(folder / "m", {}, {.alignment = alignment})), "checkpoint.bad_alignment");
  EXPECT_EQ(code(GgufWriter::create(folder / "m", {}, {.version = 1})), "checkpoint.unsupported_version");
  EXPECT_EQ(code(GgufWriter::create(folder.path(), {})), "checkpoint.not_a_file");
  const auto refused = [&](const std::string& key, MetaValue v) {
    Metadata m;
    m.set(key, std::move(v));
    return code(GgufWriter::create(folder / "m", m));
  };
  EXPECT_EQ(refused("", MetaValue::of_u8(1)), "checkpoint.bad_key");
  EXPECT_EQ(refused("a\nb", MetaValue::of_u8(1)), "checkpoint.bad_key");
  EXPECT_EQ(refused("a\xff", MetaValue::of_u8(1)), "checkpoint.bad_key");
  EXPECT_EQ(refused("k", MetaValue{MetaType::u8, uint64_t{256}}), "checkpoint.bad_value");
  EXPECT_EQ(refused("k", MetaValue{MetaType::i8, int64_t{-129}}), "checkpoint.bad_value");
  EXPECT_EQ(refused("k", MetaValue{MetaType::u8, int64_t{1}}), "checkpoint.bad_value");
  EXPECT_EQ(refused("k", MetaValue{MetaType::f32, 1e300}), "checkpoint.bad_value");
  MetaArray two_vectors = array_of(MetaType::u8);
  two_vectors.u64 = {1};
  two_vectors.strings = {"x"};
  EXPECT_EQ(refused("k", MetaValue::of_array(two_vectors)), "checkpoint.bad_value");
  MetaArray deep = array_of(MetaType::u8);
  for (int i = 0; i < 8; ++i) {
    MetaArray outer = array_of(MetaType::array);
    outer.nested = {MetaValue::of_array(deep)};
    deep = outer;
  }
  EXPECT_EQ(refused("k", MetaValue::of_array(deep)), "checkpoint.bad_value");

  auto w = std::move(*GgufWriter::create(folder / "m", {}));
  EXPECT_EQ(code(w.declare("", DType::f32, {4})), "checkpoint.bad_name");
  EXPECT_EQ(code(w.declare(std::string(64, 'n'), DType::f32, {4})), "checkpoint.bad_name");
  EXPECT_EQ(code(w.declare("t", DType::f32, {0})), "checkpoint.bad_shape");
  EXPECT_EQ(code(w.declare("t", DType::f32, {-1})), "checkpoint.bad_shape");
  EXPECT_EQ(code(w.declare("t", DType::f32, {})), "checkpoint.bad_shape");
  EXPECT_EQ(code(w.declare("t", DType::q8_0, {2, 33})), "checkpoint.bad_shape");
  EXPECT_EQ(code(w.declare("t", DType::f64, {int64_t{1} << 31, int64_t{1} << 31})), "checkpoint.bad_shape");
  EXPECT_TRUE(w.declare("t", DType::f32, {4}));
  EXPECT_EQ(code(w.declare("t", DType::f32, {4})), "checkpoint.duplicate_tensor");
  EXPECT_TRUE(folder.names().empty());
}

TEST(GgufWriter, OrderAndCompletenessAreChecked) {
  TempFolder folder;
  const std::vector<std::byte> bytes(17);
  {
    auto w = std::move(*GgufWriter::create(folder / "m", {}));
    ASSERT_TRUE(w.declare("t", DType::f32, {4}));
    ASSERT_TRUE(w.write(std::span(bytes).first(15)));
    EXPECT_EQ(w.declare("late", DType::f32, {4}).error().code, "checkpoint.writer_order");
    const auto paths = w.finish();
    ASSERT_FALSE(paths);
    EXPECT_NE(paths.error().message.find("15 of 16 bytes"), std::string::npos) << paths.error().message;
    EXPECT_EQ(w.write(std::span(bytes).first(1)).error().message, paths.error().message);
  }
  EXPECT_TRUE(folder.names().empty());
  {
    auto w = std::move(*GgufWriter::create(folder / "m", {}));
    ASSERT_TRUE(w.declare("t", DType::f32, {4}));
    EXPECT_EQ(w.write(bytes).error().code, "checkpoint.writer_order");
  }
  EXPECT_TRUE(folder.names().empty());
  {
    auto w = std::move(*GgufWriter::create(folder / "m", {}));
    ASSERT_TRUE(w.declare("t", DType::f32, {4}));
    ASSERT_TRUE(w.write(std::span(bytes).first(16)));
  }
  EXPECT_TRUE(folder.names().empty()) << "an unfinished writer leaves nothing";
}

TEST(GgufWriter, TwoWritersOfOneTargetDoNotMix) {
  TempFolder folder;
  auto a = std::move(*GgufWriter::create(folder / "m", {})), b = std::move(*GgufWriter::create(folder / "m", {}));
  const std::vector<std::byte> ones(16, std::byte{1}), twos(16, std::byte{2});
  ASSERT_TRUE(a.declare("t", DType::f32, {4}) && b.declare("t", DType::f32, {4}));
  ASSERT_TRUE(a.write(ones) && b.write(twos));
  ASSERT_TRUE(a.finish() && b.finish());
  EXPECT_EQ(folder.names(), std::vector<std::string>{"m"});
  const auto c = Checkpoint::open(folder / "m");
  std::vector<std::byte> bytes(16);
  ASSERT_TRUE(c && c->read(c->tensors()[0], bytes));
  EXPECT_TRUE(bytes == twos);
}

// Every open, write, sync and rename fails in turn, until a run gets through.
TEST(GgufWriter, NoFaultLeavesHalfAFile) {
  for (const uint64_t max_split_bytes : {uint64_t{0}, uint64_t{6000}}) {
    bool through = false;
    uint64_t n = 0;
    for (; !through; ++n) {
      ASSERT_LT(n, 2000u);
      TempFolder folder;
      fault::Arm arm("file.", n);
      const auto paths = write(folder / "m.gguf", all_types(), all_dtypes_once(), {.max_split_bytes = max_split_bytes});
      through = !arm.fired();
      ASSERT_EQ(paths.has_value(), through) << "passage " << n;
      EXPECT_EQ(folder.names().size(), through ? paths->size() : 0) << "passage " << n;
    }
    EXPECT_GT(n, 60u) << "the fault points were passed";
  }
}

TEST(GgufWriter, AFaultKeepsTheOldFile) {
  TempFolder folder;
  ASSERT_TRUE(write(folder / "m.gguf", all_types(), {}));
  const auto before = read_text_file(folder / "m.gguf");
  fault::Arm arm("file.rename", 0);
  ASSERT_FALSE(write(folder / "m.gguf", all_types(), all_dtypes_once()));
  ASSERT_TRUE(arm.fired());
  EXPECT_EQ(*read_text_file(folder / "m.gguf"), *before);
}

// Every open and read fails in turn: an error each time, never a crash or half a model.
TEST(Checkpoint, EveryReadFaultIsAnError) {
  TempFolder folder;
  const auto paths = write(folder / "m.gguf", all_types(), all_dtypes_once(), {.max_split_bytes = 6000});
  ASSERT_TRUE(paths);
  bool through = false;
  uint64_t n = 0;
  for (; !through; ++n) {
    fault::Arm arm("file.", n);
    const auto c = Checkpoint::open(paths->back());
    through = !arm.fired();
    ASSERT_EQ(c.has_value(), through) << "passage " << n;
    if (!through) {
      EXPECT_EQ(c.error().code, "file.io");
    }
  }
  EXPECT_GE(n, 2 * paths->size());
}

}  // namespace
}  // namespace watra::checkpoint
