#include "checkpoint/safetensors.h"

#include <gtest/gtest.h>

#include "base/fault.h"
#include "checkpoint/internal/raw_gguf.h"
#include "checkpoint/internal/safetensors_header.h"

namespace watra::checkpoint {
namespace {

using tensor::DType;
using test::TempFolder;

std::string file_of(std::string_view json, size_t data_bytes) {
  return test::RawGguf().text(json).zeros(data_bytes).bytes;
}

std::string refusal(std::string_view bytes) {
  HeaderBytes in(std::as_bytes(std::span(bytes.data(), bytes.size())));
  const auto header = parse_safetensors_header(in, "t.safetensors");
  if (header) return "none";
  EXPECT_NE(header.error().message.find("t.safetensors"), std::string::npos) << header.error().message;
  EXPECT_FALSE(header.error().hint.empty()) << header.error().message;
  return header.error().code;
}
std::string refusal(std::string_view json, size_t data_bytes) { return refusal(file_of(json, data_bytes)); }

struct Model {
  std::vector<std::vector<std::byte>> data;
  std::vector<SafetensorsEntry> entries;

  Model() {
    add("half", DType::f16, {3, 5});
    add("scalar", DType::f32, {});
    add("none", DType::f32, {4, 0});
    add("bytes", DType::i8, {7});
    add("wide", DType::f64, {2, 1, 3, 2});
    add("bf", DType::bf16, {2, 2});
    add("za\xc5\xbc\xc3\xb3\xc5\x82\xc4\x87 \"quoted\"", DType::i64, {1});
    add("i16", DType::i16, {9});
    add("i32", DType::i32, {2, 2, 2});
  }
  void add(std::string name, DType dtype, tensor::Shape shape) {
    std::vector<std::byte> bytes(static_cast<size_t>(shape.elements()) * tensor::traits(dtype).block_bytes);
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 11 + data.size());
    data.push_back(std::move(bytes));
    entries.push_back({std::move(name), dtype, shape, data.back()});
  }
};

void expect_same(const Safetensors& s, const Model& m) {
  EXPECT_EQ(s.tensors().size(), m.entries.size());
  for (const SafetensorsEntry& e : m.entries) {
    const TensorInfo* info = s.find(e.name);
    ASSERT_NE(info, nullptr) << e.name;
    EXPECT_EQ(info->dtype, e.dtype);
    EXPECT_EQ(info->shape, e.shape);
    ASSERT_EQ(info->size_bytes, e.data.size());
    std::vector<std::byte> bytes(e.data.size());
    ASSERT_TRUE(s.read(*info, bytes));
    EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), e.data.begin())) << e.name;
    EXPECT_EQ(info->offset_bytes % tensor::traits(e.dtype).block_bytes, 0u) << e.name << " is aligned to its elements";
  }
}

TEST(Safetensors, OneFileComesBackTheSame) {
  TempFolder folder;
  const Model m;
  const std::vector<std::pair<std::string, std::string>> metadata = {{"format", "pt"}, {"who", "us"}};
  ASSERT_TRUE(write_safetensors(folder / "model.safetensors", m.entries, metadata));
  for (const fs::path& path : {folder / "model.safetensors", folder.path()}) {
    const auto s = Safetensors::open(path);
    ASSERT_TRUE(s) << s.error().to_string();
    expect_same(*s, m);
    EXPECT_EQ(s->metadata(), metadata);
  }
  const auto s = Safetensors::open(folder.path());
  std::vector<std::byte> part(4);
  ASSERT_TRUE(s->read(*s->find("half"), part, 26));
  EXPECT_TRUE(std::equal(part.begin(), part.end(), m.data[0].begin() + 26));
  EXPECT_EQ(s->read(*s->find("half"), part, 27).error().code, "checkpoint.bad_range");
  EXPECT_EQ(s->read(*s->find("half"), part, ~uint64_t{0}).error().code, "checkpoint.bad_range");
}

TEST(Safetensors, ShardsComeBackTheSame) {
  TempFolder folder;
  const Model m;
  ASSERT_TRUE(write_safetensors(folder / "sub", m.entries, {}, 64));
  const auto s = Safetensors::open(folder / "sub");
  ASSERT_TRUE(s) << s.error().to_string();
  EXPECT_GT(s->files().size(), 2u);
  expect_same(*s, m);
  EXPECT_TRUE(Safetensors::open(folder / "sub/model.safetensors.index.json"));

  fs::remove(s->files()[1].path());
  const auto missing = Safetensors::open(folder / "sub");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, "checkpoint.split_missing");
}

TEST(Safetensors, ForeignTypesAreCheckedAndSetAside) {
  TempFolder folder;
  folder.put("m.safetensors", file_of(R"({"mask":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]},)"
                                      R"("conv":{"dtype":"F16","shape":[1,1,1,1,2],"data_offsets":[3,7]},)"
                                      R"("f4":{"dtype":"F4","shape":[2],"data_offsets":[7,8]},)"
                                      R"("w":{"dtype":"I8","shape":[2],"data_offsets":[8,10]}}   )",
                                      10));
  const auto s = Safetensors::open(folder.path());
  ASSERT_TRUE(s) << s.error().to_string();
  ASSERT_EQ(s->tensors().size(), 1u);
  ASSERT_EQ(s->foreign().size(), 3u);
  EXPECT_EQ(s->foreign()[0].name, "mask");
  EXPECT_EQ(s->foreign()[0].dtype, "BOOL");
  EXPECT_EQ(s->foreign()[1].dims.size(), 5u);
  EXPECT_EQ(s->find("mask"), nullptr);
  EXPECT_EQ(refusal(R"({"f4":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}})", 1), "checkpoint.bad_shape");
}

TEST(Safetensors, AttacksAreRefused) {
  EXPECT_EQ(refusal(""), "checkpoint.empty_file");
  EXPECT_EQ(refusal("\x10\0\0"), "checkpoint.cut_file");
  EXPECT_EQ(refusal(test::RawGguf().u64(~uint64_t{0}).raw("{}").bytes), "checkpoint.not_safetensors");
  EXPECT_EQ(refusal(test::RawGguf().u64(99'999'999).raw("{}").bytes), "checkpoint.cut_file");
  EXPECT_EQ(refusal(std::string_view("GGUF\3\0\0\0aaa", 11)), "checkpoint.not_safetensors");
  EXPECT_EQ(refusal("", 0), "checkpoint.not_safetensors");
  EXPECT_EQ(refusal("[]", 0), "checkpoint.not_safetensors");
  EXPECT_EQ(refusal("{", 0), "checkpoint.bad_json");
  EXPECT_EQ(refusal("{}{}", 0), "checkpoint.bad_json");
  EXPECT_EQ(refusal("{\"a\xff\":1}", 0), "checkpoint.bad_json");
  EXPECT_EQ(refusal("{" + std::string(1000, '['), 0), "checkpoint.bad_json");
  EXPECT_EQ(refusal("{\"a\":" + std::string(100000, '['), 0), "checkpoint.bad_header");
  EXPECT_EQ(refusal("{}", 1), "checkpoint.bad_offset");
  EXPECT_EQ(refusal(R"({"a":1})", 0), "checkpoint.bad_header");
  EXPECT_EQ(refusal(R"({"a":{}})", 0), "checkpoint.bad_header");
  EXPECT_EQ(refusal(R"({"a":{"dtype":"F32","shape":[1]}})", 4), "checkpoint.bad_header");
  EXPECT_EQ(refusal(R"({"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4),
            "checkpoint.bad_header");
  EXPECT_EQ(refusal(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"more":1}})", 4), "checkpoint.bad_header");
  EXPECT_EQ(refusal(R"({"__metadata__":{"a":1}})", 0), "checkpoint.bad_header");
  EXPECT_EQ(refusal(R"({"__metadata__":{"a":{}}})", 0), "checkpoint.bad_header");
  const auto tensor = [](std::string_view dtype, std::string_view shape, std::string_view offsets) {
    return fmt::format(R"({{"a":{{"dtype":{},"shape":{},"data_offsets":{}}}}})", dtype, shape, offsets);
  };
  EXPECT_EQ(refusal(tensor("\"F32\"", "[2]", "[0,8]"), 8), "none");
  EXPECT_EQ(refusal(tensor("\"F32\"", "[2]", "[0,8]"), 7), "checkpoint.cut_file");
  EXPECT_EQ(refusal(tensor("\"F32\"", "[2]", "[0,8]"), 9), "checkpoint.bad_offset");
  EXPECT_EQ(refusal(tensor("\"F32\"", "[2]", "[8,0]"), 8), "checkpoint.bad_offset");
  EXPECT_EQ(refusal(tensor("\"F32\"", "[2]", "[0]"), 8), "checkpoint.bad_offset");
  EXPECT_EQ(refusal(tensor("\"F32\"", "[2]", "[0,8,8]"), 8), "checkpoint.bad_shape");
  EXPECT_EQ(refusal(tensor("\"F32\"", "[2]", "[1,9]"), 9), "checkpoint.bad_offset");
  EXPECT_EQ(refusal(tensor("\"F32\"", "[2]", "[-1,7]"), 8), "checkpoint.bad_header");
  EXPECT_EQ(refusal(tensor("\"F32\"", "[2.0]", "[0,8]"), 8), "checkpoint.bad_header");
  EXPECT_EQ(refusal(tensor("\"F32\"", "[\"2\"]", "[0,8]"), 8), "checkpoint.bad_header");
  EXPECT_EQ(refusal(tensor("\"F32\"", "[[2]]", "[0,8]"), 8), "checkpoint.bad_header");
  EXPECT_EQ(refusal(tensor("\"F32\"", "2", "[0,8]"), 8), "checkpoint.bad_header");
  EXPECT_EQ(refusal(tensor("null", "[2]", "[0,8]"), 8), "checkpoint.bad_header");
  EXPECT_EQ(refusal(tensor("\"F31\"", "[2]", "[0,8]"), 8), "checkpoint.unknown_dtype");
  EXPECT_EQ(refusal(tensor("\"F32\"", "[3]", "[0,8]"), 8), "checkpoint.bad_shape");
  EXPECT_EQ(refusal(tensor("\"F32\"", "[4294967296,4294967296]", "[0,8]"), 8), "checkpoint.bad_shape");
  EXPECT_EQ(refusal(tensor("\"F32\"", "[0,18446744073709551615]", "[0,0]"), 0), "checkpoint.bad_shape");
  EXPECT_EQ(refusal(tensor("\"F32\"", "[99999999999999999999999]", "[0,8]"), 8), "checkpoint.bad_header");
  EXPECT_EQ(refusal(tensor("\"F32\"", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "[0,4]"), 4), "checkpoint.bad_shape");

  const auto two = [](std::string_view name, std::string_view offsets) {
    return fmt::format(
        R"({{"a":{{"dtype":"I8","shape":[4],"data_offsets":[0,4]}},"{}":{{"dtype":"I8","shape":[4],"data_offsets":{}}}}})",
        name, offsets);
  };
  EXPECT_EQ(refusal(two("b", "[4,8]"), 8), "none");
  EXPECT_EQ(refusal(two("a", "[4,8]"), 8), "checkpoint.duplicate_tensor");
  EXPECT_EQ(refusal(two("", "[4,8]"), 8), "checkpoint.bad_name");
  EXPECT_EQ(refusal(two("\\u0000", "[4,8]"), 8), "checkpoint.bad_name");
  EXPECT_EQ(refusal(two("b", "[2,6]"), 6), "checkpoint.overlap");
  EXPECT_EQ(refusal(two("b", "[6,10]"), 10), "checkpoint.bad_offset");
}

TEST(Safetensors, CutAnywhereItIsRefused) {
  TempFolder folder;
  ASSERT_TRUE(write_safetensors(folder / "m.safetensors", Model().entries));
  const std::string whole = *read_text_file(folder / "m.safetensors");
  ASSERT_EQ(refusal(whole), "none");
  for (size_t n = 0; n < whole.size(); ++n) ASSERT_NE(refusal(std::string_view(whole).substr(0, n)), "none") << n;
}

TEST(Safetensors, AnIndexCannotLeadAstray) {
  TempFolder folder;
  const auto code = [&](std::string_view json) {
    folder.put("model.safetensors.index.json", json);
    const auto s = Safetensors::open(folder.path());
    return s ? std::string("none") : s.error().code;
  };
  folder.put("m.safetensors", file_of(R"({"a":{"dtype":"I8","shape":[1],"data_offsets":[0,1]}})", 1));
  folder.put("n.safetensors", file_of(R"({"a":{"dtype":"I8","shape":[1],"data_offsets":[0,1]}})", 1));
  EXPECT_EQ(code(R"({"metadata":{"total_size":1,"x":[{}]},"weight_map":{"a":"m.safetensors"}})"), "none");
  EXPECT_EQ(code(R"({"weight_map":{"a":"../m.safetensors"}})"), "checkpoint.bad_index");
  EXPECT_EQ(code(R"({"weight_map":{"a":"/etc/passwd"}})"), "checkpoint.bad_index");
  EXPECT_EQ(code(R"({"weight_map":{"a":"passwd"}})"), "checkpoint.bad_index");
  EXPECT_EQ(code(R"({"weight_map":{"a":1}})"), "checkpoint.bad_index");
  EXPECT_EQ(code(R"({"weight_map":{"a":["m.safetensors"]}})"), "checkpoint.bad_index");
  EXPECT_EQ(code(R"({"weight_map":1})"), "checkpoint.bad_index");
  EXPECT_EQ(code(R"({"other":{}})"), "checkpoint.bad_index");
  EXPECT_EQ(code(R"([])"), "checkpoint.bad_index");
  EXPECT_EQ(code(R"("x")"), "checkpoint.bad_index");
  EXPECT_EQ(code("{"), "checkpoint.bad_json");
  EXPECT_EQ(code("{\"metadata\":" + std::string(1000, '[')), "checkpoint.too_deep");
  EXPECT_EQ(code(R"({"weight_map":{"b":"m.safetensors"}})"), "checkpoint.bad_index");
  EXPECT_EQ(code(R"({"weight_map":{"a":"m.safetensors","a":"m.safetensors"}})"), "checkpoint.duplicate_tensor");
  EXPECT_EQ(code(R"({"weight_map":{"a":"absent.safetensors"}})"), "checkpoint.split_missing");
  folder.put(
      "o.safetensors",
      file_of(
          R"({"a":{"dtype":"I8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"I8","shape":[1],"data_offsets":[1,2]}})",
          2));
  EXPECT_EQ(code(R"({"weight_map":{"a":"m.safetensors","b":"o.safetensors"}})"), "checkpoint.duplicate_tensor");
}

TEST(Safetensors, FoldersWithoutAModelSaySo) {
  TempFolder folder;
  EXPECT_EQ(Safetensors::open(folder.path()).error().code, "checkpoint.no_model");
  EXPECT_EQ(Safetensors::open(folder / "absent").error().code, "file.not_found");
  folder.put("a.safetensors", file_of("{}", 0));
  EXPECT_TRUE(Safetensors::open(folder.path()));
  folder.put("b.safetensors", file_of("{}", 0));
  EXPECT_EQ(Safetensors::open(folder.path()).error().code, "checkpoint.no_index");
}

TEST(SafetensorsWriter, RefusesWhatTheFormatCannotSay) {
  TempFolder folder;
  const std::vector<std::byte> bytes(4096);
  const auto code = [&](std::vector<SafetensorsEntry> entries) {
    const auto s = write_safetensors(folder / "m", entries);
    return s ? std::string("none") : s.error().code;
  };
  EXPECT_EQ(code({{"q", DType::q8_0, {32}, std::span(bytes).first(34)}}), "checkpoint.unknown_dtype");
  EXPECT_EQ(code({{"__metadata__", DType::i8, {1}, std::span(bytes).first(1)}}), "checkpoint.bad_name");
  EXPECT_EQ(code({{"a\xff", DType::i8, {1}, std::span(bytes).first(1)}}), "checkpoint.bad_name");
  EXPECT_EQ(code({{"a", DType::i16, {2}, std::span(bytes).first(3)}}), "checkpoint.bad_shape");
  EXPECT_EQ(code({{"a", DType::i8, {-1}, {}}}), "checkpoint.bad_shape");
  const SafetensorsEntry one{"a", DType::i8, {1}, std::span(bytes).first(1)};
  EXPECT_EQ(code({one, one}), "checkpoint.duplicate_tensor");
  EXPECT_TRUE(folder.names().empty());
}

TEST(SafetensorsWriter, NoFaultLeavesHalfAFile) {
  const Model m;
  for (const uint64_t max_shard_bytes : {uint64_t{0}, uint64_t{64}}) {
    bool through = false;
    uint64_t n = 0;
    for (; !through; ++n) {
      ASSERT_LT(n, 500u);
      TempFolder folder;
      fault::Arm arm("file.", n);
      const auto status =
          write_safetensors(max_shard_bytes ? folder.path() : folder / "m", m.entries, {}, max_shard_bytes);
      through = !arm.fired();
      ASSERT_EQ(status.has_value(), through) << "passage " << n;
      EXPECT_EQ(folder.names().empty(), !through) << "passage " << n;
    }
    EXPECT_GT(n, 10u);
  }
}

TEST(Safetensors, EveryReadFaultIsAnError) {
  TempFolder folder;
  ASSERT_TRUE(write_safetensors(folder.path(), Model().entries, {}, 64));
  bool through = false;
  for (uint64_t n = 0; !through; ++n) {
    fault::Arm arm("file.", n);
    const auto s = Safetensors::open(folder.path());
    through = !arm.fired();
    ASSERT_EQ(s.has_value(), through) << "passage " << n;
  }
}

}  // namespace
}  // namespace watra::checkpoint
