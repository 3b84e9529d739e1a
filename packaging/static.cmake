# What the static binary is linked with: http_library, regex_library, ZSTD and static_link_options, for CMakeLists.txt.
# And built_with, which `msp-agent --version` says: what exactly was compiled for it.

set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
  packaging/static_dependencies.sh packaging/static_recipes.sh packaging/static_dependencies.lock)
set(static_dependencies_command sh packaging/static_dependencies.sh --arch ${CMAKE_SYSTEM_PROCESSOR})
execute_process(COMMAND ${static_dependencies_command} --where WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
  OUTPUT_VARIABLE static_dependencies OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE not_built)
if(not_built)
  list(JOIN static_dependencies_command " " static_dependencies_command)
  message(FATAL_ERROR "  the static OpenSSL, c-ares, libcurl and zstd are not built yet; run: ${static_dependencies_command}")
endif()

file(STRINGS ${static_dependencies}/versions versions)
list(JOIN versions "\\n" built_with)

find_library(RE2 libre2.a REQUIRED)
set(ZSTD ${static_dependencies}/lib/libzstd.a)

add_library(http_library INTERFACE)
target_compile_definitions(http_library INTERFACE CURL_STATICLIB)
target_include_directories(http_library SYSTEM INTERFACE ${static_dependencies}/include)
target_link_libraries(http_library INTERFACE ${static_dependencies}/lib/libcurl.a
  ${static_dependencies}/lib/libssl.a ${static_dependencies}/lib/libcrypto.a
  ${static_dependencies}/lib/libcares.a)

add_library(regex_library INTERFACE)
target_link_libraries(regex_library INTERFACE ${RE2})

# A linker's warning is about a function that needs the host's shared libraries after all: getaddrinfo, dlopen.
# Position-independent for a random address space; packed relocations make that 0.06 MB instead of 0.53 MB.
set(static_link_options -static-pie -Wl,--fatal-warnings)
if(CMAKE_SYSTEM_PROCESSOR STREQUAL x86_64)
  list(APPEND static_link_options -Wl,-z,pack-relative-relocs)
else()
  # Kernels for 64-bit ARM have pages of up to 64 KiB. Its linker does not pack relocations.
  list(APPEND static_link_options -Wl,-z,max-page-size=65536)
endif()
