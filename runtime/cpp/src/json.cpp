#include "json.hpp"

#include <limits>
#include <nlohmann/json.hpp>

#include "error.hpp"
#include "text.hpp"

namespace sg {

/** Builds the tree from the parser's events. Values wait on a stack until the group that holds them ends. */
class JsonBuilder {
 public:
  using Parser = nlohmann::json;

  bool null() { return add({}); }
  bool boolean(bool value) {
    Json json;
    json.kind_ = Json::Kind::boolean;
    json.truth_ = value;
    return add(std::move(json));
  }
  bool number_integer(std::int64_t value) {
    Json json;
    json.kind_ = Json::Kind::integer;
    json.integer_ = value;
    json.number_ = static_cast<double>(value);
    return add(std::move(json));
  }
  bool number_unsigned(std::uint64_t value) {
    if (value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      return number_integer(static_cast<std::int64_t>(value));
    }
    return number_float(static_cast<double>(value), "");
  }
  bool number_float(double value, const std::string&) {
    Json json;
    json.kind_ = Json::Kind::number;
    json.number_ = value;
    return add(std::move(json));
  }
  bool string(std::string& value) {
    Json json;
    json.kind_ = Json::Kind::text;
    json.text_ = std::move(value);
    return add(std::move(json));
  }
  bool binary(Parser::binary_t&) { return false; }
  bool start_object(std::size_t) { return start(Json::Kind::object); }
  bool start_array(std::size_t) { return start(Json::Kind::list); }
  bool key(std::string& value) {
    open_.back().keys_.push_back(std::move(value));
    return true;
  }
  bool end_object() { return end(); }
  bool end_array() { return end(); }
  bool parse_error(std::size_t, const std::string&, const Parser::exception& error) {
    const std::string what = error.what();
    const std::size_t number = what.rfind("[json.exception.", 0) == 0 ? what.find("] ") : std::string::npos;
    reason = one_line(number == std::string::npos ? what : what.substr(number + 2), 160);
    return false;
  }

  Json root;
  std::string reason = "it cannot be parsed";

 private:
  static constexpr std::size_t kDepth = 64;

  bool add(Json json) {
    if (open_.empty()) root = std::move(json);
    else open_.back().elements_.push_back(std::move(json));
    return true;
  }
  bool start(Json::Kind kind) {
    if (open_.size() == kDepth) {
      reason = cat("nested more than ", std::to_string(kDepth), " deep");
      return false;
    }
    open_.emplace_back().kind_ = kind;
    return true;
  }
  bool end() {
    Json done = std::move(open_.back());
    open_.pop_back();
    return add(std::move(done));
  }
  std::vector<Json> open_;
};

Json Json::parse(const std::string& text, const std::string& prefix, const std::string& suffix) {
  JsonBuilder builder;
  if (!nlohmann::json::sax_parse(text, &builder)) {
    throw Failure(SG_BAD_FILE, cat(prefix, " (", builder.reason, ")", suffix));
  }
  return std::move(builder.root);
}

const Json* Json::find(const char* key) const {
  for (std::size_t i = keys_.size(); i-- > 0;) {
    if (keys_[i] == key) return &elements_[i];
  }
  return nullptr;
}

std::string Json::shown() const {
  switch (kind_) {
    case Kind::null: return "null";
    case Kind::boolean: return truth_ ? "true" : "false";
    case Kind::integer: return std::to_string(integer_);
    case Kind::number: return float_repr(number_);
    case Kind::text: return one_line(in_quotes(text_), 40);
    case Kind::list: return "a list";
    case Kind::object: break;
  }
  return "an object";
}

}  // namespace sg
