# Read by CPack once per generator: which of packages.cmake's components go into it.
list(GET CPACK_INSTALL_CMAKE_PROJECTS 0 build)
string(TOLOWER "${CPACK_GENERATOR}" own)
set(CPACK_INSTALL_CMAKE_PROJECTS)
foreach(component common ${own})
  list(APPEND CPACK_INSTALL_CMAKE_PROJECTS ${build} msp-agent ${component} /)
endforeach()
