#include "library_file.hpp"

#if defined(__linux__)
#include <link.h>

#include <cstdio>
#include <cstring>
#include <memory>

#include "text.hpp"
#endif

namespace sg {

#if defined(__linux__)
namespace {

/** The bytes that the loader would map, from the program headers; -1 where these are not all there. */
long mapped_end(std::FILE* file, const ElfW(Ehdr) & header, long size) {
  long end = 0;
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    ElfW(Phdr) part;
    const auto at = header.e_phoff + std::size_t{i} * header.e_phentsize;
    if (at > static_cast<std::size_t>(size) || std::fseek(file, static_cast<long>(at), SEEK_SET) != 0) return -1;
    if (std::fread(&part, sizeof part, 1, file) != 1) return -1;
    long until = 0;
    if (part.p_type != PT_LOAD) continue;
    if (__builtin_add_overflow(part.p_offset, part.p_filesz, &until)) return -1;
    if (until > end) end = until;
  }
  return end;
}

}  // namespace

std::string library_fault(const std::string& path) {
  if (path.find('/') == std::string::npos) return "";  // looked for on the loader's path
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  if (!file) return "";  // dlopen says why
  ElfW(Ehdr) header{};
  const bool whole = std::fread(&header, sizeof header, 1, file.get()) == 1;
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return "not a shared library";
  if (whole && header.e_ident[EI_CLASS] != (sizeof(void*) == 8 ? ELFCLASS64 : ELFCLASS32)) return "";
  std::fseek(file.get(), 0, SEEK_END);
  const long size = std::ftell(file.get()), end = whole ? mapped_end(file.get(), header, size) : -1;
  if (end < 0 || end > size) return cat("cut off after ", std::to_string(size), " bytes");
  return "";
}
#else
std::string library_fault(const std::string&) { return ""; }
#endif

}  // namespace sg
