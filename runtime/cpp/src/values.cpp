#include "values.hpp"

#include <cmath>
#include <limits>

#include "cast.hpp"
#include "text.hpp"

namespace sg {
namespace {

template <class T>
std::string shown(T value) {
  if constexpr (std::is_same_v<T, Truth>) return value.byte != 0 ? "True" : "False";
  else if constexpr (std::is_same_v<T, Half>) return float_repr(half_to_float(value));
  else if constexpr (std::is_floating_point_v<T>) return float_repr(value);
  else return std::to_string(value);
}

std::string element(const Given& given, std::size_t index) {
  return with_type(given.dtype, [&](auto type) { return shown(load<decltype(type)>(given.data, index)); });
}

/** " at [0, 2]" of a flat index; "" for a number alone. */
std::string place(const Given& given, std::size_t index) {
  if (given.elements == 1) return "";
  std::string out = "]";
  for (std::size_t axis = given.rank; axis-- > 0;) {
    const auto size = static_cast<std::size_t>(given.shape[axis]);
    out = std::to_string(index % size) + out;
    if (axis > 0) out = ", " + out;
    index /= size;
  }
  return " at [" + out;
}

/** Nested lists, as Python prints them. */
std::string list_text(const Given& given, std::size_t axis, std::size_t& next) {
  if (axis == given.rank) return element(given, next++);
  std::string out = "[";
  for (std::int64_t i = 0; i < given.shape[axis]; ++i) {
    if (i > 0) out += ", ";
    out += list_text(given, axis + 1, next);
  }
  return out + "]";
}

[[noreturn]] void wrong_dtype(const Tensor& tensor, const Given& given) {
  std::string values = cat(" of shape ", tuple_text(given.shape, given.rank));
  std::size_t next = 0;
  if (given.elements <= 4 && given.dtype != SG_BFLOAT16) {
    values = "=" + one_line(given.elements == 1 ? element(given, 0) : list_text(given, 0, next), 40);
  }
  const Kind kind = tensor.type().kind;
  const char* fix = kind == Kind::boolean ? "give true or false" : "give whole numbers";
  throw Failure(SG_BAD_ARGUMENT, cat(tensor.name, values, " is ", dtype_info(given.dtype)->name, "; allowed is ",
                                     tensor.type().name, "; ", kind == Kind::floating ? "give numbers" : fix));
}

/** The smallest and largest of whole numbers fit the input's type. */
template <class To, class From>
void check_fit(const Tensor& tensor, const Given& given) {
  From low = load<From>(given.data, 0), high = low;
  for (std::size_t i = 1; i < given.elements; ++i) {
    const From value = load<From>(given.data, i);
    if (value < low) low = value;
    if (value > high) high = value;
  }
  using Limits = std::numeric_limits<To>;
  bool under = false, over = false;
  if constexpr (std::is_signed_v<From>) {
    under = low < static_cast<std::int64_t>(Limits::min());
    over = high > static_cast<std::int64_t>(Limits::max());
  } else {
    over = high > static_cast<std::uint64_t>(Limits::max());
  }
  if (!under && !over) return;
  const std::string range = tensor.range_text();
  throw Failure(SG_BAD_ARGUMENT, cat(tensor.name, "=", shown(under ? low : high), " does not fit ", tensor.type().name,
                                     "; allowed ", range.empty() ? cat(std::int64_t{Limits::min()}, "..",
                                                                       std::int64_t{Limits::max()}) : range));
}

template <class To>
bool finite(To value) {
  if constexpr (std::is_same_v<To, Half>) return (value.bits & 0x7C00) != 0x7C00;
  else return std::isfinite(value);
}

template <class To, class From>
void check_finite(const Tensor& tensor, const Given& given) {
  for (std::size_t i = 0; i < given.elements; ++i) {
    if (finite(cast_value<To>(load<From>(given.data, i)))) continue;
    throw Failure(SG_BAD_ARGUMENT, cat(tensor.name, "=", element(given, i), place(given, i), " is not finite in ",
                                       tensor.type().name, "; give finite numbers"));
  }
}

/** Compared as numpy compares an array with a Python number: in the array's precision, where that is a float. */
template <class To, class From>
void check_range(const Tensor& tensor, const Given& given) {
  const auto wide = [](auto value) {
    if constexpr (std::is_same_v<decltype(value), Half>) return static_cast<double>(half_to_float(value));
    else if constexpr (std::is_same_v<decltype(value), Truth>) return value.byte != 0 ? 1.0 : 0.0;
    else return static_cast<double>(value);
  };
  const auto limit = [&](double value) {
    if constexpr (is_float<To>) return wide(cast_value<To>(value));
    else return value;
  };
  const double low = tensor.minimum ? limit(*tensor.minimum) : -std::numeric_limits<double>::infinity();
  const double high = tensor.maximum ? limit(*tensor.maximum) : std::numeric_limits<double>::infinity();
  if (!tensor.minimum && !tensor.maximum) return;
  for (std::size_t i = 0; i < given.elements; ++i) {
    const To value = cast_value<To>(load<From>(given.data, i));
    if (wide(value) >= low && wide(value) <= high) continue;
    throw Failure(SG_BAD_ARGUMENT, cat(tensor.name, "=", shown(value), place(given, i), " is out of range; allowed ",
                                       tensor.range_text()));
  }
}

}  // namespace

void check_values(const Tensor& tensor, const Given& given) {
  const bool allowed = with_cast(tensor.dtype, given.dtype, [&](auto to, auto from) {
    using To = decltype(to);
    using From = decltype(from);
    if constexpr (std::is_integral_v<To>) check_fit<To, From>(tensor, given);
    if constexpr (is_float<To>) check_finite<To, From>(tensor, given);
    check_range<To, From>(tensor, given);
  });
  if (!allowed) wrong_dtype(tensor, given);
}

}  // namespace sg
