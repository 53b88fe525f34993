/** What the double of the CUDA runtime lets tests and the double of TensorRT do with it. */
#pragma once

#include <cstddef>

struct CUstream_st;

extern "C" {

/** How often a function of the double was called, such as "cudaMalloc", or what another double counts. */
long double_count(const char* name);
void double_count_one(const char* name);
void double_reset_counts(void);

/**
 * The host's address of memory of the GPU; null where `bytes` from there on are none. Memory of the GPU has addresses
 * that fault on the host.
 */
void* double_host_address(const void* device, std::size_t bytes);

/** Let a stream do `run(data)` in its turn: when it is waited for, or, while it captures, whenever the graph is launched. */
void double_enqueue(CUstream_st* stream, void (*run)(void*), void* data);
bool double_is_capturing(CUstream_st* stream);
}
