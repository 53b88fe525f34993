/**
 * samplegraph: run a compiled diffusion sampler from C. One file in, samples out; no Python, no framework.
 *
 *     sg_engine* engine = NULL;
 *     if (sg_engine_open("digits-ddim-25.onnx", NULL, &engine) != SG_OK) puts(sg_last_error());
 *     sg_request request = SG_REQUEST_INIT;
 *     request.seed_kind = SG_SEED_ONE;                              // noise as torch.randn draws it on the CPU
 *     sg_sample(engine, &request, output, sizeof output);
 *
 * Errors. A function that can fail returns an sg_status; sg_last_error() then holds one line of text: what is
 * wrong, its value, what is allowed, how to put it right. No exception leaves the library; it never aborts.
 *
 * Threads. sg_last_error is per thread. An sg_engine and an sg_manifest may be used by any number of threads at
 * once; each concurrent sg_sample has buffers of its own. Opening and closing: as for any object, nobody else
 * may use a handle while it is closed. An sg_stop may be requested and reset from any thread.
 *
 * Memory. After one call with as many samples (or sg_warm_up) sg_sample allocates nothing; the engine may.
 *
 * Structures begin with their size, so that a program keeps working with a newer library; set it with the
 * SG_..._INIT macros. New fields are added at the end; a zero field means "default".
 */
#ifndef SAMPLEGRAPH_H
#define SAMPLEGRAPH_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32) && !defined(SG_STATIC)
#ifdef SG_BUILDING
#define SG_API __declspec(dllexport)
#else
#define SG_API __declspec(dllimport)
#endif
#elif defined(__GNUC__)
#define SG_API __attribute__((visibility("default")))
#else
#define SG_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** Version of this interface; sg_abi_version() is that of the library at hand. Equal numbers fit. */
#define SG_ABI_VERSION 1

typedef enum sg_status {
  SG_OK = 0,
  SG_BAD_ARGUMENT = 1,  /**< an argument: name, dtype, shape, value, null pointer */
  SG_BAD_FILE = 2,      /**< a graph, manifest or weights file: missing, damaged, foreign, from the future */
  SG_NO_ENGINE = 3,     /**< ONNX Runtime, a provider, TensorRT, CUDA or the GPU is missing, another version, does not start */
  SG_ENGINE_FAILED = 4, /**< ONNX Runtime, TensorRT or the GPU failed at running the graph */
  SG_CANCELLED = 5,     /**< stopped by sg_stop_request or by the progress callback */
  SG_NO_MEMORY = 6,
  SG_INTERNAL = 7       /**< a defect of this library */
} sg_status;

typedef enum sg_dtype {
  SG_FLOAT32 = 1, SG_FLOAT16, SG_BFLOAT16, SG_FLOAT64,
  SG_INT64, SG_INT32, SG_INT16, SG_INT8,
  SG_UINT64, SG_UINT32, SG_UINT16, SG_UINT8,
  SG_BOOL               /**< one byte, 0 or 1 */
} sg_dtype;

/**
 * SG_IMAGE, SG_MASK, SG_INIT_SAMPLE: what an inpainting scheduler keeps, where, and the clean sample that a run starts
 * from, keeps in part, or leads back to its noise; given like conditions. SG_CARRIED, SG_X0: outputs of a graph that is
 * a part of a sampler; the last three are inputs of such a graph alone, and no caller's.
 */
typedef enum sg_role {
  SG_NOISE = 1, SG_STEP_NOISE, SG_CONDITION, SG_NEGATIVE, SG_GUIDANCE_SCALE, SG_OUTPUT, SG_IMAGE, SG_MASK,
  SG_INIT_SAMPLE, SG_CARRIED, SG_X0, SG_TIMESTEP, SG_COEFFICIENTS, SG_CONSTANTS
} sg_role;

/** What noise and step_noise hold: standard normals, or, of tokens, numbers in [0, 1) (float32, SG_TORCH only). */
typedef enum sg_noise_kind { SG_NORMAL = 0, SG_UNIFORM = 1 } sg_noise_kind;

/** SG_TORCH: the bits of torch.randn (and torch.rand) on the CPU. SG_PHILOX: counter-based; a row depends on nothing but its seed. */
typedef enum sg_rng { SG_TORCH = 0, SG_PHILOX = 1 } sg_rng;

/** SG_SEED_ONE: the noise of all samples is one draw, from `seed`. SG_SEED_EACH: sample m has the stream `seeds[m]`. */
typedef enum sg_seed_kind { SG_SEED_NONE = 0, SG_SEED_ONE = 1, SG_SEED_EACH = 2 } sg_seed_kind;

typedef struct sg_manifest sg_manifest; /**< what a compiled sampler is */
typedef struct sg_engine sg_engine;     /**< a compiled sampler, loaded */
typedef struct sg_stop sg_stop;         /**< a switch that stops calls */

/** What the library is. */
SG_API uint32_t sg_abi_version(void);
SG_API const char* sg_version(void);
/** One line about the last failure in this thread; "" if there was none. Valid until the next failure. */
SG_API const char* sg_last_error(void);
/** "float32" and so on; NULL for a number that is no sg_dtype. Bytes of one element; 0 for such a number. */
SG_API const char* sg_dtype_name(int32_t dtype);
SG_API size_t sg_dtype_size(int32_t dtype);

/* ------------------------------------------------------------------------------------------------ manifest */

typedef struct sg_info {
  size_t struct_size;
  const char *name, *layout, *model, *prediction_type, *scheduler;
  int64_t steps, nfe;           /**< scheduler steps; denoiser evaluations */
  int64_t batch;                /**< rows per call of the graph; -1 where any number goes */
  int64_t slices;               /**< K, slices of step_noise; 0: none */
  double init_noise_sigma;
  const char* guidance_mode;    /**< none, baked, input or per_step */
  double guidance_scale;        /**< baked or default scale; NaN: none, or one per step */
  const char* weights_file;     /**< beside the graph; NULL: embedded */
  size_t input_count, output_count;
  int32_t noise_kind, reserved; /**< sg_noise_kind; 0 */
  const char *builder, *builder_version, *target; /**< of an engine: "tensorrt-rtx", "1.7.1.116", "sm89"; NULL: a graph */
} sg_info;
#define SG_INFO_INIT { sizeof(sg_info), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

typedef struct sg_tensor_info {
  size_t struct_size;
  const char *name, *description;
  int32_t dtype, role;          /**< sg_dtype, sg_role */
  size_t rank;
  const int64_t* shape;         /**< rank axes; -1: a symbolic one */
  const char* const* axes;      /**< rank names of symbolic axes; NULL: a fixed one */
  double default_value, minimum, maximum; /**< NaN: none */
} sg_tensor_info;
#define SG_TENSOR_INFO_INIT { sizeof(sg_tensor_info), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/** Read the manifest of an .onnx file, of an engine in its sidecar, or of a sidecar .json; needs no inference engine. */
SG_API sg_status sg_manifest_open(const char* path, sg_manifest** manifest);
SG_API void sg_manifest_close(sg_manifest* manifest);
/** All pointers live as long as the manifest. */
SG_API sg_status sg_manifest_info(const sg_manifest* manifest, sg_info* info);
SG_API sg_status sg_manifest_input(const sg_manifest* manifest, size_t index, sg_tensor_info* info);
SG_API sg_status sg_manifest_output(const sg_manifest* manifest, size_t index, sg_tensor_info* info);
/** The manifest as it stands in the file; NULL for NULL. */
SG_API const char* sg_manifest_json(const sg_manifest* manifest);

/* -------------------------------------------------------------------------------------------------- engine */

/** An execution provider of ONNX Runtime by its short or long name ("cuda", "TensorrtExecutionProvider"); or "auto". */
typedef struct sg_provider {
  const char* name;
  const char* const* keys;      /**< option_count options, such as "device_id" */
  const char* const* values;
  size_t option_count;
} sg_provider;

typedef struct sg_options {
  size_t struct_size;
  const char* onnxruntime;      /**< the library, or its folder; NULL: $SAMPLEGRAPH_ONNXRUNTIME, else the loader's path */
  const sg_provider* providers; /**< in order of preference; the CPU always stands last. "auto" alone: the best that starts */
  size_t provider_count;
  int32_t threads;              /**< threads within an operator; 0: one per core */
  int32_t inter_op_threads;     /**< 0: operators run one after another */
  const char* affinity;         /**< ONNX Runtime's intra_op_thread_affinities, such as "2;3"; NULL: free */
  int32_t no_spinning;          /**< 1: waiting threads sleep; frees cores for others, costs latency */
  const char* const* config_keys; /**< config_count further session settings of ONNX Runtime */
  const char* const* config_values;
  size_t config_count;
  const char* tensorrt;         /**< of an engine file: libnvinfer or libtensorrt_rtx, or its folder; NULL:
                                     $SAMPLEGRAPH_TENSORRT or $SAMPLEGRAPH_TENSORRT_RTX, else the loader's path */
  const char* cuda;             /**< libcudart, or its folder; NULL: $SAMPLEGRAPH_CUDA, else the loader's path */
  int32_t device;               /**< the GPU of an engine file, as CUDA numbers them */
  int32_t tf32;                 /**< 1: CUDA may multiply float32 matrices with 10 bits of mantissa; engines never do */
  int32_t no_cuda_graph;        /**< 1: a GPU does not replay captured work, which it does where it can */
  int32_t reserved;             /**< 0 */
  const char* kernel_cache;     /**< the folder where kernels are kept that TensorRT-RTX compiles in the first run, for the next
                                     start; "": nowhere; NULL: $SAMPLEGRAPH_CACHE, else that of the user's caches */
} sg_options;
#define SG_OPTIONS_INIT { sizeof(sg_options), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/**
 * Load `path`: a graph, or an engine file that `samplegraph build` made for this GPU, with its sidecar beside it.
 * `options` may be NULL. The weights file, if any, lies beside the graph; so do all chunks of a set, of which any may be
 * given, and `<path>.plan.json` with tables for further step counts.
 */
SG_API sg_status sg_engine_open(const char* path, const sg_options* options, sg_engine** engine);
SG_API void sg_engine_close(sg_engine* engine);
/** Borrowed: lives as long as the engine. NULL for NULL. */
SG_API const sg_manifest* sg_engine_manifest(const sg_engine* engine);
/** Providers in use, such as "cuda,cpu" or "tensorrt-rtx"; the version of what runs it. NULL for NULL. */
SG_API const char* sg_engine_providers(const sg_engine* engine);
SG_API const char* sg_engine_library_version(const sg_engine* engine);
/**
 * What a user may want to know of how it runs, so far: that a CUDA graph could not be captured, why "auto" passed over a
 * provider. One sentence per line. Writes at most `size` bytes with the final 0; returns the length of all of it.
 */
SG_API size_t sg_engine_notes(const sg_engine* engine, char* text, size_t size);
/** The step counts that sg_request.steps may have, the default first, and how many; lives as long as the engine. */
SG_API const int64_t* sg_engine_step_counts(const sg_engine* engine, size_t* count);

/** One input: C order, the caller's until the call returns. Host memory, but for `device_inputs`. */
typedef struct sg_array {
  const char* name;             /**< "noise", "step_noise", or an input of the graph */
  const void* data;
  const int64_t* shape;         /**< rank axes; a condition may leave out its row axis, or have one row for all */
  size_t rank;
  int32_t dtype;                /**< whole numbers do for floats; for whole numbers, floats do not */
  int32_t reserved;             /**< 0 */
} sg_array;

/** Called after each call of a whole graph, each chunk, each step; a value other than 0 stops. Must not throw. */
typedef int (*sg_progress)(void* data, int64_t done, int64_t total);

/** Where a call of sg_sample is. */
typedef struct sg_position {
  size_t struct_size;           /**< set by the library */
  int64_t done, total;          /**< calls of a whole graph, chunks, or steps, over all batches */
  int64_t step;                 /**< the scheduler's step that was last taken, from 0 */
  int64_t first_row;            /**< x0 is of samples first_row to first_row + shape[0] - 1 */
  const void* x0;               /**< the clean samples predicted last, dtype of output 0, C order, until the callback
                                     returns; NULL: a whole graph, or none predicted yet */
  const int64_t* shape;         /**< rank axes, those of x0 whether or not it is there: of a sample, before a module
                                     behind the sampler has made the output of it */
  size_t rank;
} sg_position;
/** Called as sg_progress is, before it; a value other than 0 stops. Must not throw. */
typedef int (*sg_watch)(void* data, const sg_position* position);

typedef struct sg_request {
  size_t struct_size;
  int32_t rng;                  /**< sg_rng */
  int32_t seed_kind;            /**< sg_seed_kind; SG_SEED_NONE: the inputs hold the noise, or the graph takes none */
  uint64_t seed;
  const uint64_t* seeds;
  size_t seed_count;
  int64_t samples;              /**< M; 0: as many as seeds, noise and conditions have rows, at least 1 */
  const sg_array* inputs;
  size_t input_count;
  sg_progress progress;         /**< or NULL */
  void* progress_data;
  sg_stop* stop;                /**< or NULL */
  sg_watch watch;               /**< or NULL */
  void* watch_data;
  int64_t steps;                /**< of layout step: one of sg_engine_step_counts; 0: the first */
  const sg_array* device_inputs; /**< further inputs, in memory of the GPU that runs the engine (CUDA's; so are addresses
                                     of DLPack tensors): of the input's own dtype, their values are not checked */
  size_t device_input_count;
  void* device_stream;          /**< a cudaStream_t whose earlier work makes them; NULL: they are there */
} sg_request;
#define SG_REQUEST_INIT { sizeof(sg_request), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/** M, the number of samples that `request` asks for; checks it as sg_sample does. */
SG_API sg_status sg_count(const sg_engine* engine, const sg_request* request, int64_t* samples);
/**
 * Draw M samples into `output`, shape (M, ...) of output 0 of the manifest, C order.
 *
 * A sampler of static batch B is called ceil(M / B) times, the last call padded. `bytes` is the size of
 * `output`: at least M samples. On an error `output` is not defined.
 */
SG_API sg_status sg_sample(sg_engine* engine, const sg_request* request, void* output, size_t bytes);
/** The same into memory of the GPU that runs the engine; all is there on return. */
SG_API sg_status sg_sample_device(sg_engine* engine, const sg_request* request, void* output, size_t bytes);
/**
 * Make `contexts` concurrent calls of such a request free of allocation, and run each once.
 * `request` NULL: one batch with seed 0 and every condition at its default, else its minimum, else 0.
 */
SG_API sg_status sg_warm_up(sg_engine* engine, const sg_request* request, int32_t contexts);

/** A switch for requests to this engine, of one call or of several at once. */
SG_API sg_status sg_stop_create(sg_engine* engine, sg_stop** stop);
SG_API void sg_stop_destroy(sg_stop* stop);
/**
 * Calls that hold it, now or later, return SG_CANCELLED soon, within a step, too; until sg_stop_reset. An engine file
 * stops between chunks and steps only.
 */
SG_API void sg_stop_request(sg_stop* stop);
SG_API void sg_stop_reset(sg_stop* stop);

/* --------------------------------------------------------------------------------------------------- noise */

/**
 * The noise of M samples alone: `noise` (M, shape...) and `step_noise` (slices, M, shape...), SG_FLOAT32 or
 * SG_FLOAT16. `seeds` holds one seed for SG_SEED_ONE, M for SG_SEED_EACH. `step_noise` may be NULL for 0 slices.
 * A graph of K slices without "noise" (an inversion that draws) takes `noise` as its first slice, and K - 1 others.
 */
SG_API sg_status sg_draw_noise(int32_t rng, int32_t seed_kind, const uint64_t* seeds, int64_t samples,
                               const int64_t* shape, size_t rank, int64_t slices, int32_t dtype,
                               void* noise, void* step_noise);
/** The same of uniforms in [0, 1): the bits of torch.rand on the CPU, SG_FLOAT32. */
SG_API sg_status sg_draw_uniform(int32_t seed_kind, const uint64_t* seeds, int64_t samples, const int64_t* shape,
                                 size_t rank, int64_t slices, float* noise, float* step_noise);

#ifdef __cplusplus
}
#endif
#endif
