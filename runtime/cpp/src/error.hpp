/** Failures inside the library, and how they become a status and a line of text at the C interface. */
#pragma once

#include <exception>
#include <new>
#include <string>
#include <utility>

#include "samplegraph/samplegraph.h"

namespace sg {

/** One line of what is wrong, its value, what is allowed, the fix. */
class Failure : public std::exception {
 public:
  Failure(sg_status status, std::string text) : status_(status), text_(std::move(text)) {}
  const char* what() const noexcept override { return text_.c_str(); }
  sg_status status() const noexcept { return status_; }

 private:
  sg_status status_;
  std::string text_;
};

/** Sets the text of sg_last_error in this thread: runs of white space become one space; allocates nothing. */
void set_last_error(const char* text) noexcept;
const char* last_error() noexcept;

/** Run `body`; turn whatever it throws into a status and the last error. */
template <class Body>
sg_status guarded(Body&& body) noexcept {
  try {
    body();
    return SG_OK;
  } catch (const Failure& failure) {
    set_last_error(failure.what());
    return failure.status();
  } catch (const std::bad_alloc&) {
    set_last_error("out of memory; give fewer samples or a smaller batch");
    return SG_NO_MEMORY;
  } catch (const std::exception& error) {
    set_last_error(error.what());
    return SG_INTERNAL;
  } catch (...) {
    set_last_error("an error of no known kind");
    return SG_INTERNAL;
  }
}

}  // namespace sg
