# Toolchain for 64-bit ARM Linux (Jetson, Raspberry Pi, servers) on another machine, with Debian's or Ubuntu's cross
# compiler: g++-aarch64-linux-gnu as installed, or unpacked into the folder SAMPLEGRAPH_CROSS_ROOT.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES SAMPLEGRAPH_CROSS_ROOT)

if(SAMPLEGRAPH_CROSS_ROOT)
  set(CMAKE_SYSROOT ${SAMPLEGRAPH_CROSS_ROOT})
  set(programs ${SAMPLEGRAPH_CROSS_ROOT}/usr/bin/aarch64-linux-gnu-)
  set(CMAKE_C_COMPILER ${programs}gcc-12)
  set(CMAKE_CXX_COMPILER ${programs}g++-12)
  set(CMAKE_AR ${programs}ar)
  set(CMAKE_RANLIB ${programs}ranlib)
  set(CMAKE_STRIP ${programs}strip)
else()
  set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
  set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
endif()
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
