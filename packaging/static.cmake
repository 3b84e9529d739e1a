# What the static binary is linked with: http_library, regex_library, ZSTD and static_link_options, for CMakeLists.txt.
# And built_with, which `msp-agent --version` says: what exactly was compiled for it.

set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
  packaging/static_dependencies.sh packaging/static_recipes.sh packaging/static_dependencies.lock)
set(static_dependencies_command sh packaging/static_dependencies.sh --arch ${CMAKE_SYSTEM_PROCESSOR})
execute_process(COMMAND ${static_dependencies_command} --where WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
  OUTPUT_VARIABLE static_dependencies OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE not_built)
if(not_built)
  list(JOIN static_dependencies_command " " static_dependencies_command)
  message(FATAL_ERROR "  the libraries of the static binary are not built yet; run: ${static_dependencies_command}")
endif()

file(STRINGS ${static_dependencies}/versions versions)
list(JOIN versions "\\n" built_with)

set(YAML_CPP ${static_dependencies}/lib/libyaml-cpp.a)
set(ZSTD ${static_dependencies}/lib/libzstd.a)

add_library(http_library INTERFACE)
target_compile_definitions(http_library INTERFACE CURL_STATICLIB)
target_include_directories(http_library SYSTEM INTERFACE ${static_dependencies}/include)
target_link_libraries(http_library INTERFACE ${static_dependencies}/lib/libcurl.a
  ${static_dependencies}/lib/libssl.a ${static_dependencies}/lib/libcrypto.a
  ${static_dependencies}/lib/libcares.a)

add_library(regex_library INTERFACE)
target_include_directories(regex_library SYSTEM INTERFACE ${static_dependencies}/include)
target_link_libraries(regex_library INTERFACE ${static_dependencies}/lib/libre2.a)

# A linker's warning is about a function that needs the host's shared libraries after all: getaddrinfo, dlopen. Only the
# one for x86-64 has them.
# Position-independent for a random address space; packed relocations make that 0.06 MB instead of 0.53 MB.
set(static_link_options -static-pie -Wl,--fatal-warnings)
if(CMAKE_SYSTEM_PROCESSOR STREQUAL x86_64)
  list(APPEND static_link_options -Wl,-z,pack-relative-relocs)
else()
  # For 64-bit ARM, the distribution's binutils cannot pack relocations; lld can. The compiler looks for it in its own
  # folders and in those of -B.
  find_program(LLD ld.lld)
  if(NOT LLD)
    message(FATAL_ERROR "  the linker lld is not there; run: sh packaging/dependencies.sh cross")
  endif()
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/linker)
  file(CREATE_LINK ${LLD} ${CMAKE_BINARY_DIR}/linker/ld.lld SYMBOLIC)
  list(APPEND static_link_options -fuse-ld=lld -B${CMAKE_BINARY_DIR}/linker -Wl,--pack-dyn-relocs=relr)
  # Its kernels have pages of up to 64 KiB. What is read-only after the start ends where such a page does.
  list(APPEND static_link_options -Wl,-z,max-page-size=65536 -Wl,-z,common-page-size=65536)
endif()
