/** The step and repeated layouts: a graph of one or K evaluations, driven through a sampler by a table. */
#pragma once

#include <memory>
#include <string>

#include "backend.hpp"
#include "manifest.hpp"

namespace sg {

/** Failure SG_BAD_FILE: the graph's inputs and outputs are not those of such a graph, or not float32. */
void check_evaluation(const std::string& path, const Manifest& manifest);

/** What a caller sees of the sampler that `table` makes of the graph: other slices of step_noise. Failure SG_BAD_FILE. */
Manifest with_table(const Manifest& manifest, const CoefficientTable& table);

/**
 * Calls the graph once per K rows of `table`, which is one of for_calls; each call that ends a step ends a part. `manifest` is of with_table, its graph is checked.
 *
 * The registers begin as the table's combination of noise and init_sample, and zeros.
 */
std::unique_ptr<Backend> by_evaluations(const Manifest& manifest, std::shared_ptr<Graph> graph,
                                        const CoefficientTable& table);

}  // namespace sg
