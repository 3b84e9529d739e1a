# CMake's toolchain for 64-bit ARM: the distribution's cross compiler, and the sysroot that
# packaging/static_dependencies.sh --arch aarch64 has unpacked. Of the host it takes programs only.

if(NOT MSP_AGENT_STATIC_DEPENDENCIES)
  execute_process(COMMAND sh ${CMAKE_CURRENT_LIST_DIR}/static_dependencies.sh --arch aarch64 --where
    OUTPUT_VARIABLE MSP_AGENT_STATIC_DEPENDENCIES OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT MSP_AGENT_STATIC_DEPENDENCIES)
    message(FATAL_ERROR "  the sysroot for 64-bit ARM is not there yet; run: sh packaging/dependencies.sh cross && "
      "sh packaging/static_dependencies.sh --arch aarch64")
  endif()
endif()
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES MSP_AGENT_STATIC_DEPENDENCIES)

set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_SYSROOT ${MSP_AGENT_STATIC_DEPENDENCIES}/sysroot)
set(CMAKE_FIND_ROOT_PATH ${MSP_AGENT_STATIC_DEPENDENCIES})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)

# The cross compiler brings a C library of its own, which nobody mends: the sysroot's goes before it. It has no shared
# libraries.
set(libraries ${CMAKE_SYSROOT}/usr/lib/aarch64-linux-gnu)
set(CMAKE_EXE_LINKER_FLAGS_INIT "-static-pie -B${libraries} -L${libraries}")
