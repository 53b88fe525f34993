#include "inputs.hpp"

#include "text.hpp"
#include "values.hpp"

namespace sg {
namespace {

[[noreturn]] void refuse(const std::string& text) { throw Failure(SG_BAD_ARGUMENT, text); }

Given plain(const Tensor& tensor, const sg_array& array) {
  if (dtype_info(array.dtype) == nullptr) {
    refuse(cat(tensor.name, " has dtype ", array.dtype, ", which is none; set one of sg_dtype"));
  }
  if (array.rank > kMaxRank) {
    refuse(cat(tensor.name, " has ", std::to_string(array.rank), " axes; allowed is ", tensor.shape_text()));
  }
  if (array.rank > 0 && array.shape == nullptr) refuse(cat(tensor.name, " has no shape (a null pointer)"));
  Given given;
  given.data = array.data;
  given.dtype = array.dtype;
  given.rank = array.rank;
  for (std::size_t axis = 0; axis < array.rank; ++axis) given.shape[axis] = array.shape[axis];
  return given;
}

/** The number of elements; 0 also where a size is negative. */
std::size_t elements(const Tensor& tensor, const Given& given) {
  std::size_t count = 1;
  for (std::size_t axis = 0; axis < given.rank; ++axis) {
    if (given.shape[axis] <= 0) return 0;
    if (__builtin_mul_overflow(count, static_cast<std::size_t>(given.shape[axis]), &count)) {
      refuse(cat(tensor.name, " has shape ", tuple_text(given.shape, given.rank), ", which no memory holds"));
    }
  }
  return count;
}

void add_row_axis(const Tensor& tensor, Given& given) {
  const bool rows_first = tensor.row_axis() == std::size_t{0} && tensor.role != SG_NOISE;
  if (!rows_first || given.rank + 1 != tensor.shape.size()) return;
  for (std::size_t axis = given.rank; axis > 0; --axis) given.shape[axis] = given.shape[axis - 1];
  given.shape[0] = 1;
  ++given.rank;
}

void check_shape(const Tensor& tensor, Given& given) {
  add_row_axis(tensor, given);
  bool fits = given.rank == tensor.shape.size();
  for (std::size_t axis = 0; fits && axis < given.rank; ++axis) {
    const Axis& wanted = tensor.shape[axis];
    fits = axis == tensor.row_axis() || wanted.symbolic() || wanted.size == given.shape[axis];
  }
  const auto shape = [&] { return tuple_text(given.shape, given.rank); };
  if (!fits) {
    refuse(cat(tensor.name, " has shape ", shape(), "; allowed is ", tensor.shape_text(), "; ",
               tensor.row_axis() ? "M is the number of samples" : "give a single number"));
  }
  given.elements = elements(tensor, given);
  if (given.elements == 0) {
    refuse(cat(tensor.name, " is empty, shape ", shape(), "; give at least one row of ", tensor.shape_text()));
  }
  std::size_t bytes;
  if (__builtin_mul_overflow(given.elements, std::size_t{8}, &bytes)) {
    refuse(cat(tensor.name, " has shape ", shape(), ", which no memory holds"));
  }
}

}  // namespace

Given check_input(const Tensor& tensor, const sg_array& array, bool on_device) {
  Given given = plain(tensor, array);
  check_shape(tensor, given);
  if (given.data == nullptr) refuse(cat(tensor.name, " has no data (a null pointer)"));
  given.on_device = on_device;
  if (!on_device) {
    check_values(tensor, given);
  } else if (given.dtype != tensor.dtype) {
    refuse(cat(tensor.name, " is ", dtype_info(given.dtype)->name, " on the GPU; give it as ", tensor.type().name));
  }
  return given;
}

Failure missing(const Tensor& tensor, const char* note) {
  const std::string range = tensor.range_text();
  return {SG_BAD_ARGUMENT, cat(tensor.name, " is missing; give ", tensor.type().name, " values",
                               range.empty() ? "" : cat(" in ", range), ", ",
                               tensor.shape.empty() ? "a single number" : tensor.shape_text(), note)};
}

}  // namespace sg
