/** The element types that cross the interface. */
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace sg {

enum class Kind { boolean, integer, floating };

/** numpy's name, bytes per element, kind. */
struct DTypeInfo {
  const char* name;
  std::size_t size;
  Kind kind;
};

/** What is known of an sg_dtype; null for any other number. */
const DTypeInfo* dtype_info(std::int32_t dtype);
/** The sg_dtype of that name, if there is one. */
std::optional<std::int32_t> dtype_named(std::string_view name);

}  // namespace sg
