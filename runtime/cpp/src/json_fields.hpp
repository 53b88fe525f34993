/** Fields of a JSON object that a reader relies on; what is missing or of another type is an error that names it. */
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "json.hpp"

namespace sg::fields {

/** The file does not hold what it has to: std::runtime_error, which the reader of the file turns into a Failure. */
[[noreturn]] void damaged(const std::string& reason);

const Json& member(const Json& data, const char* key);
std::string text(const Json& data, const char* key);
/** A whole number of at least `low`; `name` is for the error. */
std::int64_t whole(const Json& value, const std::string& name, std::int64_t low);
/** None where the key is missing or null. */
std::optional<double> number(const Json& data, const char* key);
const std::vector<Json>& list(const Json& data, const char* key);
/** The member of that name; null where it is missing or null. */
const Json* optional(const Json& data, const char* key);

}  // namespace sg::fields
