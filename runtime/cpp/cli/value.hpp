/** "name=value" on the command line: what `samplegraph run --set` takes. */
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "samplegraph/samplegraph.hpp"

namespace cli {

/** A value as the user wrote it: an array of numbers, or something that is none. */
struct Value {
  enum class Kind { none, array, other };
  Kind kind = Kind::none;
  // array: as numpy makes it of the text (int64, uint64, float64 or bool), or as the .npy file says
  sg_dtype dtype = SG_FLOAT64;
  std::vector<std::int64_t> shape;
  std::vector<char> bytes;
  // other: how an error shows it ("='three'"), and what it is ("text", "object"); or what is wrong with the list
  std::string shown, type, broken;

  std::size_t size() const;
};

struct Setting {
  std::string name;
  Value value;
};

/** Parse "class_labels=3,1,4", "scale=2.5", "prompt=@file.npy", "x=[[1, 2]]", "flag=true". Throws UsageError. */
Setting parse_setting(const std::string& item);

/** A number, true, false, null, a comma list of them, JSON, @file.npy, or a word. Throws UsageError. */
Value parse_value(const std::string& text, const std::string& name);

/** "0" or "0,1,2": one seed, or (`each`) one per sample. Throws UsageError. */
struct Seeds {
  bool each = false;
  std::vector<std::uint64_t> values;
};
Seeds parse_seeds(const std::string& text);

}  // namespace cli
