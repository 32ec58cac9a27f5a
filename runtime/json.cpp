#include "runtime/json.h"

#include <fmt/format.h>

#include <set>
#include <vector>

namespace moec {

namespace {

/// Builds the value while watching depth and names. nlohmann's parser keeps its own stack on the heap, so depth costs
/// no C++ stack here.
class Builder : public nlohmann::json_sax<Json> {
public:
  Builder(int max_depth, Json &root, std::string &wrong) : max_depth_(max_depth), root_(root), wrong_(wrong) {}

  bool null() override { return put(nullptr); }
  bool boolean(bool v) override { return put(v); }
  bool number_integer(number_integer_t v) override { return put(v); }
  bool number_unsigned(number_unsigned_t v) override { return put(v); }
  bool number_float(number_float_t v, const string_t &) override { return put(v); }
  bool string(string_t &v) override { return put(std::move(v)); }
  bool binary(binary_t &) override { return false; }
  bool start_object(std::size_t) override { return open(Json::object()); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t &name) override {
    if (!open_.back().names.insert(name).second) {
      wrong_ = fmt::format("the name \"{}\" appears twice", name.substr(0, 200));
      return false;
    }
    key_ = std::move(name);
    return true;
  }
  bool parse_error(std::size_t position, const std::string &, const nlohmann::detail::exception &) override {
    wrong_ = fmt::format("it is not JSON at byte {}", position);
    return false;
  }

private:
  struct Level {
    Json *value;
    std::set<std::string> names;
  };
  Json *place(Json value) {
    if (open_.empty()) return root_ = std::move(value), &root_;
    Json &parent = *open_.back().value;
    if (parent.is_array()) return parent.push_back(std::move(value)), &parent.back();
    // Names are known to be new, so append: ordered_json looks for a name one by one otherwise.
    auto &members = parent.get_ref<Json::object_t &>();
    members.std::vector<std::pair<const std::string, Json>>::emplace_back(std::move(key_), std::move(value));
    return &members.back().second;
  }
  bool put(Json value) { return place(std::move(value)), true; }
  bool open(Json value) {
    if (static_cast<int>(open_.size()) >= max_depth_) {
      wrong_ = fmt::format("it is nested deeper than {} levels", max_depth_);
      return false;
    }
    Json *at = place(std::move(value));
    open_.push_back({at, {}});
    return true;
  }
  bool close() { return open_.pop_back(), true; }

  int max_depth_;
  Json &root_;
  std::string &wrong_;
  std::vector<Level> open_;
  std::string key_;
};

} // namespace

bool parse_json(std::string_view text, int max_depth, Json &value, std::string &wrong) {
  wrong.clear();
  Builder builder(max_depth, value, wrong);
  try {
    if (Json::sax_parse(text.begin(), text.end(), &builder)) return true;
  } catch (const std::exception &e) { // numbers out of range and the like
    wrong = e.what();
  }
  if (wrong.empty()) wrong = "it is not JSON";
  return false;
}

} // namespace moec
