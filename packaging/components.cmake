# Read by CPack once per generator: which of packages.cmake's components go into it. With
# -D MSP_AGENT_PACKAGE=textfile it is the second package, whatever packages.cmake says of the first.
list(GET CPACK_INSTALL_CMAKE_PROJECTS 0 build)
string(TOLOWER "${CPACK_GENERATOR}" own)
set(CPACK_INSTALL_CMAKE_PROJECTS)
set(components common ${own})
if("${MSP_AGENT_PACKAGE}" STREQUAL textfile)
  set(components textfile textfile_${own})
  set(scripts ${CMAKE_CURRENT_LIST_DIR}/textfile)
  set(CPACK_PACKAGE_NAME msp-agent-textfile)
  set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Package updates, disk health and container names for msp-agent")
  set(CPACK_PACKAGE_DESCRIPTION "Timers that write files of metrics, which msp-agent sends: how many package
updates wait and whether a reboot is required (apt, dnf, yum, zypper), the
health and wear of disks (smartctl), the names of containers (docker, podman).
None of them runs before it is enabled, such as by:
systemctl enable --now msp-agent-textfile-updates.timer")
  set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE all)
  set(CPACK_DEBIAN_PACKAGE_DEPENDS)
  set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "msp-agent, smartmontools")
  set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${scripts}/deb/postinst ${scripts}/deb/prerm ${scripts}/deb/postrm)
  set(CPACK_RPM_PACKAGE_ARCHITECTURE noarch)
  set(CPACK_RPM_PACKAGE_DESCRIPTION "${CPACK_PACKAGE_DESCRIPTION}")
  set(CPACK_RPM_PACKAGE_REQUIRES_PRE)
  set(CPACK_RPM_PACKAGE_SUGGESTS "msp-agent, smartmontools")
  set(CPACK_RPM_PRE_INSTALL_SCRIPT_FILE)
  set(CPACK_RPM_POST_TRANS_SCRIPT_FILE)
  set(CPACK_RPM_POST_INSTALL_SCRIPT_FILE ${scripts}/rpm/post.sh)
  set(CPACK_RPM_PRE_UNINSTALL_SCRIPT_FILE ${scripts}/rpm/preun.sh)
  set(CPACK_RPM_POST_UNINSTALL_SCRIPT_FILE ${scripts}/rpm/postun.sh)
  set(CPACK_RPM_USER_FILELIST
    "%license /usr/share/licenses/msp-agent-textfile/LICENSE"
    "%doc /usr/share/doc/msp-agent-textfile/copyright"
    "%doc /usr/share/doc/msp-agent-textfile/textfile.md")
endif()
foreach(component ${components})
  list(APPEND CPACK_INSTALL_CMAKE_PROJECTS ${build} msp-agent ${component} /)
endforeach()
