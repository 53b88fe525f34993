#include "cli/value.hpp"

#include <charconv>
#include <nlohmann/json.hpp>

#include "cli/error.hpp"
#include "cli/npy.hpp"

namespace cli {
namespace {

using Json = nlohmann::json;

std::string strip(const std::string& text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n"), last = text.find_last_not_of(" \t\r\n");
  return first == std::string::npos ? "" : text.substr(first, last - first + 1);
}

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return text;
}

/** A whole number of 64 bits, a float, true, false, null, or the word itself. */
Json scalar(const std::string& text, const std::string& name) {
  if (text.empty()) refuse(name, ": an empty entry in a list; write it as ", name, "=0,1,2");
  const std::string word = lower(text);
  if (word == "true" || word == "false") return word == "true";
  if (word == "null" || word == "none") return nullptr;
  const char* begin = text.data() + (text[0] == '+' ? 1 : 0);
  const char* end = text.data() + text.size();
  std::int64_t whole = 0;
  if (const auto [at, error] = std::from_chars(begin, end, whole); error == std::errc() && at == end) return whole;
  std::uint64_t large = 0;
  if (const auto [at, error] = std::from_chars(begin, end, large); error == std::errc() && at == end) return large;
  if (text.find_first_not_of("+-0123456789") == std::string::npos && begin != end) return text;  // beyond 64 bits
  double number = 0;
  const auto [at, error] = std::from_chars(begin, end, number);
  if (at == end && error != std::errc::invalid_argument) {
    if (error == std::errc::result_out_of_range) number = text.find("e-") == std::string::npos ? HUGE_VAL : 0.0;
    return number;
  }
  return text;
}

/** Follow the first elements down; every list on one level has one length. */
bool shape_of(const Json& data, std::vector<std::int64_t>& shape) {
  shape.clear();
  for (const Json* at = &data; at->is_array(); at = &at->front()) {
    shape.push_back(static_cast<std::int64_t>(at->size()));
    if (at->empty()) break;
  }
  const std::vector<std::int64_t> wanted = shape;
  const auto fits = [&](auto&& self, const Json& each, std::size_t depth) -> bool {
    if (!each.is_array()) return depth == wanted.size();
    if (depth >= wanted.size() || static_cast<std::int64_t>(each.size()) != wanted[depth]) return false;
    for (const Json& inner : each) {
      if (!self(self, inner, depth + 1)) return false;
    }
    return true;
  };
  return fits(fits, data, 0);
}

void leaves(const Json& data, std::vector<const Json*>& out) {
  if (!data.is_array()) out.push_back(&data);
  else for (const Json& each : data) leaves(each, out);
}

template <class T>
void append(Value& value, T number) {
  const char* bytes = reinterpret_cast<const char*>(&number);
  value.bytes.insert(value.bytes.end(), bytes, bytes + sizeof number);
}

/** Python's way of showing a word: in single quotes; all else as JSON does. */
std::string shown(const Json& data) {
  if (data.is_string()) return "'" + data.get<std::string>() + "'";
  if (!data.is_array()) return data.dump();
  std::string out = "[";
  for (const Json& each : data) out += (out.size() > 1 ? ", " : "") + shown(each);
  return out + "]";
}

bool is_digits(const Json& leaf) {
  return leaf.is_string() && leaf.get_ref<const std::string&>().find_first_not_of("+-0123456789") == std::string::npos;
}

Value other(const Json& data, const std::vector<const Json*>& all, const char* type) {
  Value out;
  out.kind = Value::Kind::other;
  out.type = type;
  bool digits = !all.empty();
  for (const Json* leaf : all) digits = digits && (is_digits(*leaf) || leaf->is_number_integer());
  if (digits) out.type = "object";  // whole numbers beyond 64 bits
  std::string text = digits && data.is_string() ? data.get<std::string>() : shown(data);
  if (text.size() > 40) text = text.substr(0, 37) + "...";
  out.shown = all.size() > 4 ? " of " + std::to_string(all.size()) + " entries" : "=" + text;
  return out;
}

/** What numpy.asarray makes of it. */
Value from_json(const Json& data) {
  Value out;
  if (data.is_null()) return out;
  std::vector<const Json*> all;
  leaves(data, all);
  if (!shape_of(data, out.shape)) {
    out.kind = Value::Kind::other;
    out.broken = "its rows differ in length";
    return out;
  }
  bool floats = false, large = false, truths = !all.empty(), numbers = true, words = false;
  for (const Json* leaf : all) {
    floats = floats || leaf->is_number_float();
    large = large || (leaf->is_number_unsigned() && leaf->get<std::uint64_t>() > INT64_MAX);
    truths = truths && leaf->is_boolean();
    numbers = numbers && (leaf->is_number() || leaf->is_boolean());
    words = words || leaf->is_string();
  }
  if (!numbers) return other(data, all, words ? "text" : "object");
  out.kind = Value::Kind::array;
  out.dtype = truths ? SG_BOOL : floats || all.empty() ? SG_FLOAT64 : large ? SG_UINT64 : SG_INT64;
  for (const Json* leaf : all) {
    const double truth = leaf->is_boolean() && leaf->get<bool>() ? 1 : 0;
    if (out.dtype == SG_BOOL) append(out, static_cast<std::uint8_t>(truth));
    else if (out.dtype == SG_FLOAT64) append(out, leaf->is_boolean() ? truth : leaf->get<double>());
    else if (leaf->is_boolean()) append(out, static_cast<std::int64_t>(truth));
    else if (large) append(out, leaf->get<std::uint64_t>());
    else append(out, leaf->get<std::int64_t>());
  }
  return out;
}

}  // namespace

std::size_t Value::size() const {
  std::size_t count = 1;
  for (const std::int64_t axis : shape) count *= static_cast<std::size_t>(axis);
  return count;
}

Setting parse_setting(const std::string& item) {
  const std::size_t equals = item.find('=');
  const std::string name = strip(item.substr(0, equals));
  if (equals == std::string::npos || name.empty()) {
    refuse("--set '", item, "' is not name=value; write for example --set class_labels=0,1,2");
  }
  return {name, parse_value(item.substr(equals + 1), name)};
}

Value parse_value(const std::string& given, const std::string& name) {
  std::string text = strip(given);
  if (text.empty()) refuse(name, "= has no value; give a number, a list such as 0,1,2, or @file.npy");
  if (text[0] == '@') return read_npy(text.substr(1), name);
  if (text[0] == '[' || text[0] == '{' || text[0] == '"') {
    try {
      return from_json(Json::parse(text));
    } catch (const Json::exception&) {
      refuse(name, "=", text, " is not JSON; write for example ", name, "=[1,2,3]");
    }
  }
  if (text.find(',') == std::string::npos) return from_json(scalar(text, name));
  if (text.back() == ',') text.pop_back();
  Json list = Json::array();
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t comma = std::min(text.find(',', start), text.size());
    list.push_back(scalar(strip(text.substr(start, comma - start)), name));
    start = comma + 1;
  }
  return from_json(list);
}

Seeds parse_seeds(const std::string& text) {
  const Value value = parse_value(text, "seed");
  if (value.type == "object") refuse("seed=", text, ": allowed is an int from 0 to 2**64 - 1 = ", UINT64_MAX, "; use seed % 2**64");
  const bool whole = value.dtype == SG_INT64 || value.dtype == SG_UINT64;
  if (value.kind != Value::Kind::array || !whole || value.shape.size() > 1 || value.size() == 0) {
    refuse("seed=", text, " is not allowed; give a whole number, or one per sample such as 0,1,2");
  }
  Seeds out;
  out.each = !value.shape.empty();
  for (std::size_t i = 0; i < value.size(); ++i) {
    std::uint64_t seed;
    std::memcpy(&seed, value.bytes.data() + 8 * i, sizeof seed);
    if (value.dtype == SG_INT64 && static_cast<std::int64_t>(seed) < 0) {
      refuse("seed", out.each ? "[" + std::to_string(i) + "]" : "", "=", static_cast<std::int64_t>(seed),
             ": allowed is an int from 0 to 2**64 - 1 = ", UINT64_MAX,
             "; use seed % 2**64, which is what torch makes of a negative seed");
    }
    out.values.push_back(seed);
  }
  return out;
}

}  // namespace cli
