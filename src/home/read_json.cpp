#include "home/read_json.h"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

namespace watra::home {
namespace {

using Members = Json::object_t::Container;

// Bit i: member i has the key of one before it, whose value it replaces.
std::vector<bool> find_told_again(Members& members) {
  std::vector<size_t> order(members.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(order, [&](size_t a, size_t b) {
    const int way = members[a].first.compare(members[b].first);
    return way != 0 ? way < 0 : a < b;
  });
  std::vector<bool> told_again(members.size());
  size_t first = 0;  // of those with this key
  for (size_t i = 1; i < order.size(); ++i) {
    if (members[order[i]].first != members[order[first]].first) {
      first = i;
      continue;
    }
    members[order[first]].second = std::move(members[order[i]].second);
    told_again[order[i]] = true;
  }
  return told_again;
}

void keep_each_key_once(Json& object) {
  Members& members = object.get_ref<Json::object_t&>();
  const std::vector<bool> told_again = find_told_again(members);
  if (std::ranges::find(told_again, true) == told_again.end()) return;
  Members once;
  for (size_t i = 0; i < members.size(); ++i)
    if (!told_again[i]) once.emplace_back(members[i].first, std::move(members[i].second));
  members = std::move(once);
}

// Appends members without looking for their keys. A value that is open lies in the last place of the one around it, so
// pointers to the open ones hold.
class Builder : public nlohmann::json_sax<Json> {
 public:
  explicit Builder(Json& root) : root_(root) {}

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(int64_t value) override { return add(value); }
  bool number_unsigned(uint64_t value) override { return add(value); }
  bool number_float(double value, const std::string&) override { return add(value); }
  bool string(std::string& value) override { return add(std::move(value)); }
  bool binary(Json::binary_t&) override { return false; }  // JSON text has none
  bool start_object(size_t) override { return open(Json::object()); }
  bool start_array(size_t) override { return open(Json::array()); }
  bool key(std::string& name) override {
    Members& members = open_.back()->get_ref<Json::object_t&>();
    members.emplace_back(std::move(name), nullptr);
    member_ = &members.back().second;
    return true;
  }
  bool end_object() override {
    keep_each_key_once(*open_.back());
    open_.pop_back();
    return true;
  }
  bool end_array() override {
    open_.pop_back();
    return true;
  }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }

 private:
  template <class Value>
  Json& put(Value&& value) {
    if (open_.empty()) return root_ = std::forward<Value>(value);
    if (open_.back()->is_object()) return *member_ = std::forward<Value>(value);
    return open_.back()->emplace_back(std::forward<Value>(value));
  }
  template <class Value>
  bool add(Value&& value) {
    put(std::forward<Value>(value));
    return true;
  }
  bool open(Json empty) {
    open_.push_back(&put(std::move(empty)));
    return true;
  }

  Json& root_;
  std::vector<Json*> open_;
  Json* member_ = nullptr;  // whose key was read last
};

}  // namespace

std::optional<Json> read_json(std::string_view text) {
  Json root;
  Builder builder(root);
  if (!Json::sax_parse(text, &builder)) return std::nullopt;
  return root;
}

}  // namespace watra::home
