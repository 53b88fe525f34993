#include "json_fields.hpp"

#include <stdexcept>

#include "text.hpp"

namespace sg::fields {

void damaged(const std::string& reason) { throw std::runtime_error(reason); }

const Json& member(const Json& data, const char* key) {
  if (!data.is(Json::Kind::object)) damaged(cat("what holds ", in_quotes(key), " is not an object"));
  const Json* found = data.find(key);
  if (found == nullptr) damaged(cat(in_quotes(key), " is missing"));
  return *found;
}

std::string text(const Json& data, const char* key) {
  const Json& value = member(data, key);
  if (!value.is(Json::Kind::text)) damaged(cat(key, " is not text"));
  return value.text();
}

std::int64_t whole(const Json& value, const std::string& name, std::int64_t low) {
  if (!value.is(Json::Kind::integer) || value.integer() < low) damaged(cat(name, " is ", value.shown()));
  return value.integer();
}

std::optional<double> number(const Json& data, const char* key) {
  const Json* found = optional(data, key);
  if (found == nullptr) return std::nullopt;
  if (!found->is_number()) damaged(cat(key, " is not a number"));
  return found->number();
}

const std::vector<Json>& list(const Json& data, const char* key) {
  const Json& value = member(data, key);
  if (!value.is(Json::Kind::list)) damaged(cat(key, " is not a list"));
  return value.elements();
}

const Json* optional(const Json& data, const char* key) {
  const Json* found = data.find(key);
  return found == nullptr || found->is(Json::Kind::null) ? nullptr : found;
}

}  // namespace sg::fields
