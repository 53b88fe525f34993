#include "dtype.hpp"

#include "samplegraph/samplegraph.h"

namespace sg {
namespace {

constexpr DTypeInfo kInfo[] = {
    {"float32", 4, Kind::floating}, {"float16", 2, Kind::floating}, {"bfloat16", 2, Kind::floating},
    {"float64", 8, Kind::floating}, {"int64", 8, Kind::integer},    {"int32", 4, Kind::integer},
    {"int16", 2, Kind::integer},    {"int8", 1, Kind::integer},     {"uint64", 8, Kind::integer},
    {"uint32", 4, Kind::integer},   {"uint16", 2, Kind::integer},   {"uint8", 1, Kind::integer},
    {"bool", 1, Kind::boolean},
};
static_assert(sizeof kInfo / sizeof kInfo[0] == SG_BOOL, "one row per sg_dtype, in its order");

}  // namespace

const DTypeInfo* dtype_info(std::int32_t dtype) {
  return dtype < SG_FLOAT32 || dtype > SG_BOOL ? nullptr : &kInfo[dtype - SG_FLOAT32];
}

std::optional<std::int32_t> dtype_named(std::string_view name) {
  for (std::int32_t dtype = SG_FLOAT32; dtype <= SG_BOOL; ++dtype) {
    if (name == kInfo[dtype - SG_FLOAT32].name) return dtype;
  }
  return std::nullopt;
}

}  // namespace sg
