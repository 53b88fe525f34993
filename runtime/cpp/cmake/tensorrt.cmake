# The back ends for engine files. Headers only: the libraries are opened at run time, so that one libsamplegraph runs
# with and without them.
#
# TENSORRT_ROOT      folder of TensorRT 10 or newer, with include/NvInferRuntime.h
# TENSORRT_RTX_ROOT  the same of TensorRT-RTX; TENSORRT_ROOT may be it, too
#
# Both include cuda_runtime_api.h, which find_package(CUDAToolkit) finds, or SAMPLEGRAPH_CUDA_INCLUDE says.
set(TENSORRT_ROOT "" CACHE PATH "Folder of TensorRT, with include/")
set(TENSORRT_RTX_ROOT "" CACHE PATH "Folder of TensorRT-RTX, with include/")
set(SAMPLEGRAPH_CUDA_INCLUDE "" CACHE PATH "Folder of cuda_runtime_api.h")
set(SAMPLEGRAPH_TENSORRT_OBJECTS)

if(NOT SAMPLEGRAPH_CUDA_INCLUDE)
  find_package(CUDAToolkit QUIET)
  if(NOT CUDAToolkit_FOUND)
    message(FATAL_ERROR "SAMPLEGRAPH_TENSORRT=ON needs the headers of the CUDA toolkit; set CUDAToolkit_ROOT to its folder")
  endif()
  set(SAMPLEGRAPH_CUDA_INCLUDE ${CUDAToolkit_INCLUDE_DIRS})
endif()

if(TENSORRT_ROOT AND NOT TENSORRT_RTX_ROOT AND EXISTS "${TENSORRT_ROOT}/include/NvInferVersion.h")
  file(STRINGS "${TENSORRT_ROOT}/include/NvInferVersion.h" found REGEX "define TRT_MAJOR_RTX")
  if(found)
    set(TENSORRT_RTX_ROOT "${TENSORRT_ROOT}")
    set(TENSORRT_ROOT "")
  endif()
endif()

# Each against its own headers, in which the same names mean other classes: so the namespace is renamed in one of them.
function(samplegraph_add_vendor vendor root)
  if(NOT EXISTS "${root}/include/NvInferRuntime.h")
    message(FATAL_ERROR "${root} has no include/NvInferRuntime.h; give the folder of an unpacked release")
  endif()
  add_library(samplegraph_${vendor} OBJECT src/tensorrt/nvinfer.cpp)
  target_include_directories(samplegraph_${vendor} PRIVATE include src)
  target_include_directories(samplegraph_${vendor} SYSTEM PRIVATE "${root}/include" ${SAMPLEGRAPH_CUDA_INCLUDE})
  target_compile_definitions(samplegraph_${vendor} PRIVATE SG_BUILDING ${ARGN})
  target_compile_options(samplegraph_${vendor} PRIVATE -Os -Wno-deprecated-declarations)
  target_link_libraries(samplegraph_${vendor} PRIVATE samplegraph_flags)
  string(TOUPPER ${vendor} name)
  target_compile_definitions(samplegraph_objects PRIVATE SG_HAVE_${name})
  set(SAMPLEGRAPH_TENSORRT_OBJECTS ${SAMPLEGRAPH_TENSORRT_OBJECTS} samplegraph_${vendor} PARENT_SCOPE)
endfunction()

if(TENSORRT_ROOT)
  samplegraph_add_vendor(tensorrt "${TENSORRT_ROOT}")
endif()
if(TENSORRT_RTX_ROOT)
  samplegraph_add_vendor(tensorrt_rtx "${TENSORRT_RTX_ROOT}" SG_TENSORRT_RTX nvinfer1=nvinfer1_rtx)
endif()
if(NOT SAMPLEGRAPH_TENSORRT_OBJECTS)
  message(FATAL_ERROR "SAMPLEGRAPH_TENSORRT=ON needs TENSORRT_ROOT or TENSORRT_RTX_ROOT: the folder of an unpacked release")
endif()
