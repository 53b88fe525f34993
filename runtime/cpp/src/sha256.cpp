#include "sha256.hpp"

#include <cstdint>
#include <cstring>

namespace sg {
namespace {

constexpr std::size_t kBlock = 64;

/** The first 32 bits of the fractions of the cube roots of the first 64 primes. */
constexpr std::uint32_t kRound[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01,
    0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc,
    0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08,
    0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

std::uint32_t rotate(std::uint32_t x, int by) { return x >> by | x << (32 - by); }

struct State {
  std::uint32_t h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

  void add(const unsigned char* block) {
    std::uint32_t w[64];
    for (std::size_t t = 0; t < 16; ++t) {
      const unsigned char* p = block + 4 * t;
      w[t] = std::uint32_t{p[0]} << 24 | std::uint32_t{p[1]} << 16 | std::uint32_t{p[2]} << 8 | p[3];
    }
    for (std::size_t t = 16; t < 64; ++t) {
      const std::uint32_t small0 = rotate(w[t - 15], 7) ^ rotate(w[t - 15], 18) ^ w[t - 15] >> 3;
      const std::uint32_t small1 = rotate(w[t - 2], 17) ^ rotate(w[t - 2], 19) ^ w[t - 2] >> 10;
      w[t] = w[t - 16] + small0 + w[t - 7] + small1;
    }
    std::uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], f = h[5], g = h[6], i = h[7];
    for (std::size_t t = 0; t < 64; ++t) {
      const std::uint32_t big1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25), choice = (e & f) ^ (~e & g);
      const std::uint32_t one = i + big1 + choice + kRound[t] + w[t];
      const std::uint32_t big0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22), majority = (a & b) ^ (a & c) ^ (b & c);
      i = g, g = f, f = e, e = d + one, d = c, c = b, b = a, a = one + big0 + majority;
    }
    const std::uint32_t more[8] = {a, b, c, d, e, f, g, i};
    for (std::size_t k = 0; k < 8; ++k) h[k] += more[k];
  }
};

}  // namespace

std::string sha256(const void* data, std::size_t bytes) {
  const auto* from = static_cast<const unsigned char*>(data);
  State state;
  const std::size_t whole = bytes / kBlock, rest = bytes % kBlock;
  for (std::size_t i = 0; i < whole; ++i) state.add(from + i * kBlock);
  unsigned char tail[2 * kBlock] = {};
  if (rest > 0) std::memcpy(tail, from + whole * kBlock, rest);
  tail[rest] = 0x80;
  const std::size_t end = rest + 9 <= kBlock ? kBlock : 2 * kBlock;
  std::uint64_t bits = std::uint64_t{bytes} * 8;
  for (std::size_t i = 1; i <= 8; ++i, bits >>= 8) tail[end - i] = static_cast<unsigned char>(bits);
  for (std::size_t i = 0; i < end; i += kBlock) state.add(tail + i);
  std::string out;
  for (const std::uint32_t word : state.h) {
    for (int shift = 28; shift >= 0; shift -= 4) out += "0123456789abcdef"[word >> shift & 15];
  }
  return out;
}

}  // namespace sg
