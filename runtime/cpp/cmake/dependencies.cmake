# What the build needs: headers of nlohmann/json (library), of ONNX Runtime's C interface (library), of
# stb_image_write (samplegraph-run), and the sources of GoogleTest (tests). Nothing of it is needed later.
#
# (SOURCE_SUBDIR none: fetch, but do not build.)
#
# Each is looked for where -D<NAME>_ROOT says, then on this machine, then fetched: a pinned release by its digest.
include(FetchContent)
if(POLICY CMP0135)
  cmake_policy(SET CMP0135 NEW)
endif()

# nlohmann/json: any 3.10 or newer.
add_library(samplegraph_json INTERFACE)
find_path(NLOHMANN_JSON_INCLUDE nlohmann/json.hpp HINTS ${NLOHMANN_JSON_ROOT}/include)
if(NOT NLOHMANN_JSON_INCLUDE)
  FetchContent_Declare(nlohmann_json
    URL https://github.com/nlohmann/json/releases/download/v3.11.3/json.tar.xz
    URL_HASH SHA256=d6c65aca6b1ed68e7a182f4757257b107ae403032760ed6ef121c9d55e81757d SOURCE_SUBDIR none)
  FetchContent_MakeAvailable(nlohmann_json)
  set(NLOHMANN_JSON_INCLUDE ${nlohmann_json_SOURCE_DIR}/include)
endif()
target_include_directories(samplegraph_json SYSTEM INTERFACE ${NLOHMANN_JSON_INCLUDE})

# ONNX Runtime: headers of 1.17 or newer; the library itself is opened at run time and may be another version.
add_library(samplegraph_onnxruntime_headers INTERFACE)
set(ONNXRUNTIME_ROOT "" CACHE PATH "Folder with ONNX Runtime's include/")
if(NOT ONNXRUNTIME_ROOT)
  find_package(onnxruntime CONFIG QUIET)
  if(TARGET onnxruntime::onnxruntime)
    get_target_property(found onnxruntime::onnxruntime INTERFACE_INCLUDE_DIRECTORIES)
  endif()
endif()
find_path(ONNXRUNTIME_INCLUDE onnxruntime_c_api.h HINTS ${ONNXRUNTIME_ROOT}/include ${found}
  PATH_SUFFIXES onnxruntime onnxruntime/core/session)
if(NOT ONNXRUNTIME_INCLUDE)
  if(ONNXRUNTIME_ROOT)
    message(FATAL_ERROR "ONNXRUNTIME_ROOT=${ONNXRUNTIME_ROOT} has no include/onnxruntime_c_api.h; give the folder of "
      "an unpacked ONNX Runtime release")
  endif()
  FetchContent_Declare(onnxruntime
    URL https://github.com/microsoft/onnxruntime/releases/download/v1.17.1/onnxruntime-linux-x64-1.17.1.tgz
    URL_HASH SHA256=89b153af88746665909c758a06797175ae366280cbf25502c41eb5955f9a555e SOURCE_SUBDIR none)
  FetchContent_MakeAvailable(onnxruntime)
  set(ONNXRUNTIME_INCLUDE ${onnxruntime_SOURCE_DIR}/include)  # the headers are the same for every processor
endif()
target_include_directories(samplegraph_onnxruntime_headers SYSTEM INTERFACE ${ONNXRUNTIME_INCLUDE})

if(SAMPLEGRAPH_BUILD_CLI)
  add_library(samplegraph_stb INTERFACE)
  find_path(STB_INCLUDE stb_image_write.h HINTS ${STB_ROOT}/include PATH_SUFFIXES stb)
  if(NOT STB_INCLUDE)
    FetchContent_Declare(stb GIT_REPOSITORY https://github.com/nothings/stb
      GIT_TAG 5c205738c191bcb0abc65c4febfa9bd25ff35234 SOURCE_SUBDIR none)
    FetchContent_MakeAvailable(stb)
    set(STB_INCLUDE ${stb_SOURCE_DIR})
  endif()
  target_include_directories(samplegraph_stb SYSTEM INTERFACE ${STB_INCLUDE})
endif()

if(SAMPLEGRAPH_BUILD_TESTS)
  set(GOOGLETEST_ROOT "" CACHE PATH "Folder with GoogleTest's sources")
  set(BUILD_GMOCK OFF CACHE BOOL "" FORCE)
  set(INSTALL_GTEST OFF CACHE BOOL "" FORCE)
  if(GOOGLETEST_ROOT)
    add_subdirectory(${GOOGLETEST_ROOT} ${CMAKE_BINARY_DIR}/googletest EXCLUDE_FROM_ALL)
  else()
    find_package(GTest QUIET)
    if(NOT TARGET GTest::gtest)
      FetchContent_Declare(googletest
        URL https://github.com/google/googletest/archive/refs/tags/v1.16.0.tar.gz
        URL_HASH SHA256=78c676fc63881529bf97bf9d45948d905a66833fbfa5318ea2cd7478cb98f399)
      FetchContent_MakeAvailable(googletest)
    endif()
  endif()
endif()
