#include "onnx_metadata.hpp"

#include <array>
#include <stdexcept>

#include "error.hpp"
#include "file.hpp"
#include "text.hpp"

namespace sg {
namespace {

constexpr std::uint64_t kMetadataProps = 14;  // ModelProto.metadata_props, onnx.proto
enum Wire : std::uint64_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

[[noreturn]] void broken(const std::string& reason) { throw std::runtime_error(reason); }

/** Reads through a small window, so that a varint costs no call per byte. */
class Cursor {
 public:
  explicit Cursor(ByteSource& source) : source_(source), size_(source.size()) {}
  std::uint64_t position() const { return position_; }
  std::uint64_t left() const { return size_ - position_; }
  void skip(std::uint64_t count) { position_ += count; }

  std::uint8_t byte() {
    if (position_ >= size_) broken("it ends inside a number");
    if (position_ < start_ || position_ >= start_ + filled_) fill();
    return static_cast<std::uint8_t>(window_[static_cast<std::size_t>(position_++ - start_)]);
  }

  std::string bytes(std::uint64_t count) {
    std::string out(static_cast<std::size_t>(count), '\0');
    if (!source_.read(position_, out.data(), out.size())) broken("it cannot be read to its end");
    position_ += count;
    return out;
  }

 private:
  void fill() {
    start_ = position_;
    filled_ = static_cast<std::size_t>(left() < window_.size() ? left() : window_.size());
    if (!source_.read(start_, window_.data(), filled_)) broken("it cannot be read to its end");
  }

  ByteSource& source_;
  std::uint64_t size_, position_ = 0, start_ = 0;
  std::size_t filled_ = 0;
  std::array<char, 256> window_{};
};

/** A base 128 number; `next` gives one byte after another. */
template <class Next>
std::uint64_t varint(Next&& next) {
  std::uint64_t value = 0;
  for (int shift = 0; shift <= 63; shift += 7) {
    const std::uint64_t byte = next();
    if (shift == 63 && (byte & 0x7E) != 0) break;
    value |= (byte & 0x7F) << shift;
    if ((byte & 0x80) == 0) return value;
  }
  broken("a number of more than 64 bits");
}

/** A StringStringEntryProto: key = 1, value = 2. */
void parse_entry(const std::string& data, std::string& key, std::string& value) {
  std::size_t position = 0;
  const auto next = [&]() -> std::uint64_t {
    if (position >= data.size()) broken("a damaged number");
    return static_cast<std::uint8_t>(data[position++]);
  };
  while (position < data.size()) {
    const std::uint64_t tag = varint(next), length = varint(next);
    if ((tag & 7) != kBytes || length > data.size() - position) broken("a damaged metadata entry");
    const auto count = static_cast<std::size_t>(length);
    if (tag >> 3 == 1) key.assign(data, position, count);
    if (tag >> 3 == 2) value.assign(data, position, count);
    position += count;
  }
}

}  // namespace

std::optional<std::string> find_metadata(ByteSource& source, const std::string& wanted) {
  Cursor cursor(source);
  if (cursor.left() == 0) broken("it is empty");
  std::optional<std::string> found;
  while (cursor.left() > 0) {
    const std::uint64_t start = cursor.position();
    const std::uint64_t tag = varint([&] { return cursor.byte(); }), number = tag >> 3, wire = tag & 7;
    if (number == 0 || number > 64) broken(cat("field ", number, " at byte ", start));
    std::uint64_t length = wire == kFixed64 ? 8 : 4;
    if (wire == kVarint) {
      varint([&] { return cursor.byte(); });
      continue;
    }
    if (wire == kBytes) length = varint([&] { return cursor.byte(); });
    if (wire != kBytes && wire != kFixed64 && wire != kFixed32) broken(cat("wire type ", wire, " at byte ", start));
    if (length > cursor.left()) {
      broken(cat("a field at byte ", start, " ends ", length - cursor.left(), " bytes past the end"));
    }
    if (wire != kBytes || number != kMetadataProps) {
      cursor.skip(length);
      continue;
    }
    std::string key, value;
    parse_entry(cursor.bytes(length), key, value);
    if (key == wanted) found = std::move(value);
  }
  return found;
}

std::optional<std::string> read_metadata(const std::string& path, const std::string& key) {
  FileSource file(path, "give a file that `samplegraph export` wrote", "give a readable .onnx file");
  try {
    return find_metadata(file, key);
  } catch (const std::runtime_error& error) {
    throw Failure(SG_BAD_FILE, cat(path, ": truncated or not an ONNX file (", error.what(), "); export it again"));
  }
}

}  // namespace sg
