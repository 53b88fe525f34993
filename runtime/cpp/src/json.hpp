/** JSON text as a tree of values. */
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace sg {

/**
 * One JSON value. Reading is nlohmann's; the tree is ours, because that of nlohmann ends the program where memory
 * runs out in its destructor.
 */
class Json {
 public:
  enum class Kind { null, boolean, integer, number, text, list, object };

  /**
   * Parse a document. Failure SG_BAD_FILE with `prefix`, the parser's reason in brackets and `suffix`, where the text
   * is no JSON or is nested more than 64 deep.
   */
  static Json parse(const std::string& text, const std::string& prefix, const std::string& suffix);

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  bool is_number() const { return kind_ == Kind::integer || kind_ == Kind::number; }

  /** A member of an object; null where there is none, and for other kinds. Of equal keys the last counts. */
  const Json* find(const char* key) const;
  /** Elements of a list. */
  const std::vector<Json>& elements() const { return elements_; }
  const std::string& text() const { return text_; }
  bool truth() const { return truth_; }
  /** A whole number; one beyond 63 bits is a `number`. */
  std::int64_t integer() const { return integer_; }
  /** Of an integer or a number. */
  double number() const { return number_; }
  /** How an error shows it: the value, or what it is. */
  std::string shown() const;

 private:
  friend class JsonBuilder;
  Kind kind_ = Kind::null;
  bool truth_ = false;
  std::int64_t integer_ = 0;
  double number_ = 0;
  std::string text_;
  std::vector<std::string> keys_;
  std::vector<Json> elements_;
};

}  // namespace sg
