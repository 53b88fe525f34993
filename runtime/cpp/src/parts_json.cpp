/** Chunks and coefficient tables in JSON: their numbers, and that all sizes agree before anything is run by them. */
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "error.hpp"
#include "file.hpp"
#include "json_fields.hpp"
#include "parts.hpp"
#include "text.hpp"

namespace sg {
namespace {
using namespace fields;

constexpr double kLargest = 9223372036854775808.0;  // 2^63
constexpr double kLatest = 2147483647;              // a timestep, which may be int32
constexpr std::int64_t kMost = 1 << 20;             // registers, slices, evaluations

double finite(const Json& value, const char* name) {
  if (!value.is_number() || !(std::abs(value.number()) <= kLargest)) damaged(cat(name, " holds ", value.shown()));
  return value.number();
}

const std::vector<Json>& rows_of(const Json& value, const char* name) {
  if (!value.is(Json::Kind::list)) damaged(cat(name, " holds what is no list"));
  return value.elements();
}

/** The checks of CoefficientTable.check in samplegraph.runtime.manifest, on the JSON itself. */
void check_sizes(const Json& data, std::int64_t steps, const Recurrence& known) {
  const std::string which = cat("the table of ", steps, " steps ");
  const std::vector<Json>& coefficients = list(data, "coefficients");
  const std::size_t count = coefficients.size();
  for (const char* key : {"step_of", "timesteps", "slices"}) {
    if (count == 0 || list(data, key).size() != count) damaged(which + "is not of one length");
  }
  const auto high = static_cast<std::size_t>(2 + known.registers);
  const auto wide = static_cast<std::size_t>(known.registers + known.slices + 2);
  for (const Json& rows : coefficients) {
    bool fits = rows_of(rows, "coefficients").size() == high;
    for (const Json& row : rows.elements()) fits = fits && rows_of(row, "coefficients").size() == wide;
    if (!fits) damaged(cat(which, "does not fit ", known.registers, " registers and ", known.slices, " slices"));
  }
}

CoefficientTable table(const Json& data, const Recurrence& known) {
  CoefficientTable out;
  out.steps = whole(member(data, "steps"), "steps", 1);
  out.noise_slices = whole(member(data, "noise_slices"), "noise_slices", 0);
  out.init_noise_sigma = finite(member(data, "init_noise_sigma"), "init_noise_sigma");
  if (optional(data, "init_sample_scale")) out.init_sample_scale = finite(member(data, "init_sample_scale"), "init_sample_scale");
  if (optional(data, "first_constants")) {
    out.first_constants = whole(member(data, "first_constants"), "first_constants", 0);
  }
  check_sizes(data, out.steps, known);
  const std::string which = cat("the table of ", out.steps, " steps ");
  for (const Json& step : list(data, "step_of")) {
    out.step_of.push_back(whole(step, "step_of", 0));
    if (out.step_of.back() >= out.steps) damaged(which + "has more steps");
  }
  for (const Json& value : list(data, "timesteps")) {
    out.timesteps.push_back(finite(value, "timesteps"));
    if (std::abs(out.timesteps.back()) > kLatest) damaged(cat("timesteps holds ", value.shown()));
  }
  for (const Json& read : list(data, "slices")) {
    std::vector<std::int64_t>& slices = out.slices.emplace_back();
    for (const Json& slice : rows_of(read, "slices")) {
      slices.push_back(whole(slice, "slices", 0));
      if (slices.back() >= out.noise_slices) damaged(which + "reads slices that are not there");
    }
    if (static_cast<std::int64_t>(slices.size()) > known.slices) damaged(which + "reads slices that are not there");
  }
  for (const Json& rows : list(data, "coefficients")) {
    for (const Json& row : rows.elements()) {
      for (const Json& value : row.elements()) {
        out.coefficients.push_back(static_cast<float>(finite(value, "coefficients")));
      }
    }
  }
  if (known.constants) {
    const auto rows = static_cast<std::int64_t>(out.evaluations());
    if (out.first_constants > known.constants->rows - rows) damaged(which + "reads constants that are not there");
  }
  return out;
}

Constants constants(const Json& data) {
  Constants out;
  out.file = text(data, "file");
  out.rows = whole(member(data, "rows"), "constants.rows", 1);
  out.width = whole(member(data, "width"), "constants.width", 1);
  const bool plain = !out.file.empty() && out.file != "." && out.file != ".." &&
                     out.file.find_first_of(std::string("/\\\0", 3)) == std::string::npos;
  if (!plain) damaged(cat("constants.file is ", in_quotes(out.file)));
  if (out.rows > kMost || out.width > kMost) damaged("constants is too large");
  return out;
}

/** Rows `first` to `first + count - 1` of the file of constants. */
std::vector<float> read_constants(const std::string& graph, const Constants& told, std::int64_t first, std::size_t count) {
  const std::size_t cut = graph.find_last_of("/\\");
  const std::string path = (cut == std::string::npos ? "" : graph.substr(0, cut + 1)) + told.file;
  if (!is_file(path)) {
    throw Failure(SG_BAD_FILE, cat(graph, ": its constants file ", in_quotes(told.file),
                                   " cannot be read (No such file or directory); put it beside the graph"));
  }
  FileSource source(path, "put it beside the graph", "put it beside the graph");
  const auto row = static_cast<std::uint64_t>(told.width) * sizeof(float);
  const std::uint64_t expected = static_cast<std::uint64_t>(told.rows) * row;
  std::vector<float> out(count * static_cast<std::size_t>(told.width));
  const bool whole_file = source.size() == expected &&
                          source.read(static_cast<std::uint64_t>(first) * row, reinterpret_cast<char*>(out.data()),
                                      out.size() * sizeof(float));
  if (!whole_file) {
    throw Failure(SG_BAD_FILE, cat(path, ": has ", source.size(), " bytes, not ", expected, "; export the graph again"));
  }
  return out;
}

}  // namespace

CoefficientTable for_calls(const std::string& graph, const Recurrence& known, CoefficientTable table) {
  const std::size_t count = table.evaluations(), size = static_cast<std::size_t>(known.evaluations);
  if (known.constants) table.constants = read_constants(graph, *known.constants, table.first_constants, count);
  const std::size_t padding = (size - count % size) % size;
  const auto wide = static_cast<std::size_t>(known.registers + known.slices + 2);
  const std::size_t row = static_cast<std::size_t>(2 + known.registers) * wide;
  std::vector<float> idle(table.coefficients.begin(), table.coefficients.begin() + static_cast<std::ptrdiff_t>(row));
  std::fill(idle.begin() + static_cast<std::ptrdiff_t>(2 * wide), idle.end(), 0.0f);
  for (std::size_t r = 0; r < static_cast<std::size_t>(known.registers); ++r) idle[(2 + r) * wide + r] = 1.0f;
  const std::size_t width = table.constants.size() / count;
  const std::vector<float> first(table.constants.begin(), table.constants.begin() + static_cast<std::ptrdiff_t>(width));
  for (std::size_t k = 0; k < padding; ++k) {
    table.step_of.insert(table.step_of.begin(), table.step_of.front());
    table.timesteps.insert(table.timesteps.begin(), table.timesteps.front());
    table.slices.insert(table.slices.begin(), std::vector<std::int64_t>{});
    table.coefficients.insert(table.coefficients.begin(), idle.begin(), idle.end());
    table.constants.insert(table.constants.begin(), first.begin(), first.end());
  }
  return table;
}

bool CoefficientTable::ends_step(std::size_t e) const {
  const auto next = step_of.begin() + static_cast<std::ptrdiff_t>(e) + 1;
  return std::find(next, step_of.end(), step_of[e]) == step_of.end();
}

Chunk read_chunk(const Json& data) {
  Chunk out;
  out.index = whole(member(data, "index"), "chunk.index", 0);
  out.count = whole(member(data, "count"), "chunk.count", out.index + 1);
  out.first = whole(member(data, "first"), "chunk.first", 0);
  out.last = whole(member(data, "last"), "chunk.last", out.first + 1);
  const std::vector<Json>& slices = list(data, "slices");
  if (slices.size() != 2) damaged("chunk.slices is no pair");
  out.from = whole(slices[0], "chunk.slices", 0);
  out.to = whole(slices[1], "chunk.slices", out.from);
  if (out.count > kMost) damaged(cat("chunk.count is ", out.count));
  return out;
}

Recurrence read_recurrence(const Json& data) {
  Recurrence out;
  const std::vector<Json>& registers = list(data, "registers");
  out.registers = static_cast<std::int64_t>(registers.size());
  out.slices = whole(member(data, "slices"), "recurrence.slices", 0);
  out.sampler = text(data, "sampler");
  const std::vector<Json>& tables = list(data, "tables");
  if (optional(data, "evaluations")) {
    out.evaluations = whole(member(data, "evaluations"), "recurrence.evaluations", 1);
  }
  if (const Json* told = optional(data, "constants")) out.constants = constants(*told);
  if (registers.empty() || tables.empty()) damaged("recurrence has no registers or no tables");
  if (out.registers > kMost || out.slices > kMost || out.evaluations > kMost) damaged("recurrence is too large");
  for (const Json& each : tables) out.tables.push_back(table(each, out));
  return out;
}

std::vector<CoefficientTable> read_plan(const std::string& graph, const Recurrence& known) {
  const std::string path = graph + ".plan.json";
  std::vector<CoefficientTable> out;
  if (!is_file(path)) return out;
  const char* again = "; make it again with `samplegraph plan`";
  const Json data = Json::parse(read_text(path), cat(path, ": cannot be used"), again);
  try {
    if (text(data, "format") != "samplegraph-plan" || text(data, "sampler") != known.sampler) {
      damaged("it is for another sampler");
    }
    for (const Json& each : list(data, "tables")) out.push_back(table(each, known));
  } catch (const std::runtime_error& error) {
    throw Failure(SG_BAD_FILE, cat(path, ": cannot be used (", one_line(error.what(), 160), ")", again));
  }
  return out;
}

}  // namespace sg
