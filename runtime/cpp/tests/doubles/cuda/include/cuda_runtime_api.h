/** What our double of TensorRT's header needs of CUDA's. */
#pragma once
typedef struct CUstream_st* cudaStream_t;
