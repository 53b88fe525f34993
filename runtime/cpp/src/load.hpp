/** From a file to a sampler: by which engine each of its graphs is run. */
#pragma once

#include <memory>
#include <string>

#include "notes.hpp"
#include "sampler.hpp"
#include "settings.hpp"

namespace sg {

/**
 * `manifest` is that of `path`, and outlives the sampler. Provider "auto" tries one after the other, for all graphs of a
 * set alike, and notes why it passes over one. Failure: see Sampler, and the load functions of the engines.
 */
std::unique_ptr<Sampler> load_sampler(const std::string& path, const Manifest& manifest, const Settings& settings,
                                      Notes& notes);

}  // namespace sg
