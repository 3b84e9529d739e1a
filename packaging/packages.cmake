# What is installed, and how CPack makes a .deb and an .rpm of it. `sh packaging/packages.sh` is the command; it gives
# SOURCE_DATE_EPOCH and asks for a release build. Components: common to all, and what only a .deb or an .rpm has.
if(NOT MSP_AGENT_STATIC)
  return()  # the static binary is what is shipped
endif()

install(TARGETS msp-agent DESTINATION usr/bin COMPONENT common)
install(FILES etc/msp-agent.yaml DESTINATION etc PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ COMPONENT common)
install(DIRECTORY DESTINATION var/lib/msp-agent COMPONENT common
  DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE)
install(FILES systemd/msp-agent.service DESTINATION usr/lib/systemd/system COMPONENT common)
install(FILES systemd/restart-backoff.conf systemd/without-namespaces.conf
  systemd/raw-sockets.conf systemd/relay.conf systemd/unix-sockets.conf DESTINATION usr/share/msp-agent COMPONENT common)
install(FILES systemd/msp-agent.sysusers DESTINATION usr/lib/sysusers.d RENAME msp-agent.conf COMPONENT common)
install(FILES packaging/completions/msp-agent.bash DESTINATION usr/share/bash-completion/completions
  RENAME msp-agent COMPONENT common)
install(FILES packaging/completions/msp-agent.fish DESTINATION usr/share/fish/vendor_completions.d COMPONENT common)
install(FILES packaging/copyright README.md DESTINATION usr/share/doc/msp-agent COMPONENT common)
file(GLOB pages RELATIVE ${CMAKE_SOURCE_DIR}/docs CONFIGURE_DEPENDS docs/*.md)  # where README's links find them
foreach(page ${pages})
  install(FILES docs/${page} DESTINATION usr/share/doc/msp-agent/docs COMPONENT common)
  list(APPEND rpm_pages "%doc /usr/share/doc/msp-agent/docs/${page}")
endforeach()
file(GLOB pictures RELATIVE ${CMAKE_SOURCE_DIR}/docs CONFIGURE_DEPENDS docs/pictures/*.svg)
foreach(picture ${pictures})
  install(FILES docs/${picture} DESTINATION usr/share/doc/msp-agent/docs/pictures COMPONENT common)
  list(APPEND rpm_pages "%doc /usr/share/doc/msp-agent/docs/${picture}")
endforeach()
# The kit for the centre, as examples: nothing of it is for the host that the agent runs on.
install(DIRECTORY etc/central/ packaging/central/ DESTINATION usr/share/doc/msp-agent/examples/central COMPONENT common
  FILE_PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ PATTERN __pycache__ EXCLUDE)
# zsh looks in one folder on Debian and in the other elsewhere.
install(FILES packaging/completions/_msp-agent DESTINATION usr/share/zsh/vendor-completions COMPONENT deb)
install(FILES packaging/completions/_msp-agent DESTINATION usr/share/zsh/site-functions COMPONENT rpm)
install(FILES packaging/deb/lintian-overrides DESTINATION usr/share/lintian/overrides RENAME msp-agent COMPONENT deb)
install(FILES LICENSE DESTINATION usr/share/licenses/msp-agent COMPONENT rpm)
install(FILES README.ko.md DESTINATION usr/share/doc/msp-agent COMPONENT common)

# The second package, for every architecture: producers of files for the collector textfile.
install(PROGRAMS packaging/textfile/containers packaging/textfile/smart packaging/textfile/updates
  DESTINATION usr/lib/msp-agent-textfile COMPONENT textfile)
install(FILES packaging/textfile/producer.sh DESTINATION usr/lib/msp-agent-textfile COMPONENT textfile)
foreach(producer containers smart updates)
  install(FILES systemd/msp-agent-textfile-${producer}.service systemd/msp-agent-textfile-${producer}.timer
    DESTINATION usr/lib/systemd/system COMPONENT textfile)
endforeach()
install(DIRECTORY DESTINATION var/lib/msp-agent-textfile COMPONENT textfile)
install(FILES packaging/textfile/copyright docs/textfile.md DESTINATION usr/share/doc/msp-agent-textfile
  COMPONENT textfile)
install(FILES LICENSE DESTINATION usr/share/licenses/msp-agent-textfile COMPONENT textfile_rpm)

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE arm64)
  set(CPACK_RPM_PACKAGE_ARCHITECTURE aarch64)
else()
  set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE amd64)
  set(CPACK_RPM_PACKAGE_ARCHITECTURE x86_64)
endif()

# What is made when it is installed: compressed pages, the bill of materials, changelogs.
file(WRITE ${CMAKE_BINARY_DIR}/built-with.sh "version='${PROJECT_VERSION}'
architecture='${CPACK_DEBIAN_PACKAGE_ARCHITECTURE}'
compiler='${CMAKE_CXX_COMPILER}'
lock='${static_dependencies}/lock'
")
foreach(component common deb rpm textfile textfile_deb textfile_rpm)
  install(CODE "execute_process(COMMAND sh \"${CMAKE_SOURCE_DIR}/packaging/documents.sh\" ${component}
    \"${CMAKE_BINARY_DIR}\" \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}\" COMMAND_ERROR_IS_FATAL ANY)"
    COMPONENT ${component})
endforeach()

set(CPACK_GENERATOR DEB RPM)
set(CPACK_PROJECT_CONFIG_FILE ${CMAKE_SOURCE_DIR}/packaging/components.cmake)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_SOURCE_DIR}/packaging/dates.cmake)
set(CPACK_PACKAGE_NAME msp-agent)
set(CPACK_PACKAGE_VENDOR msp-agent)
set(CPACK_PACKAGE_CONTACT "msp-agent maintainers <msp-agent@example.com>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Sends this host's metrics to a central VictoriaMetrics")
set(CPACK_PACKAGE_DESCRIPTION "msp-agent reads /proc and /sys, labels every sample with whose server it is,
keeps it until it is delivered, and remote-writes it to a central
VictoriaMetrics, Mimir or Prometheus every 15 seconds. The metrics are
node_exporter's. It is one static binary of a few megabytes.
It is not started before it is configured: edit /etc/msp-agent.yaml, then
run: systemctl enable --now msp-agent")
set(CPACK_PACKAGING_INSTALL_PREFIX /)
set(CPACK_PACKAGE_RELOCATABLE OFF)
set(CPACK_STRIP_FILES OFF)  # the linker did
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

set(scripts ${CMAKE_SOURCE_DIR}/packaging/deb)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_DEPENDS passwd)  # useradd
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS ca-certificates)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  ${scripts}/conffiles ${scripts}/postinst ${scripts}/prerm ${scripts}/postrm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

set(scripts ${CMAKE_SOURCE_DIR}/packaging/rpm)
set(CPACK_RPM_FILE_NAME RPM-DEFAULT)
set(CPACK_RPM_PACKAGE_DESCRIPTION "${CPACK_PACKAGE_DESCRIPTION}")
set(CPACK_RPM_PACKAGE_LICENSE Apache-2.0)
set(CPACK_RPM_PACKAGE_GROUP System/Monitoring)
set(CPACK_RPM_PACKAGE_AUTOREQPROV OFF)
set(CPACK_RPM_PACKAGE_REQUIRES_PRE /usr/sbin/useradd)  # a file: its package has another name on every family
set(CPACK_RPM_COMPRESSION_TYPE xz)  # what the rpm of RHEL 7 can read
set(CPACK_RPM_PRE_INSTALL_SCRIPT_FILE ${scripts}/pre.sh)
set(CPACK_RPM_POST_INSTALL_SCRIPT_FILE ${scripts}/post.sh)
set(CPACK_RPM_PRE_UNINSTALL_SCRIPT_FILE ${scripts}/preun.sh)
set(CPACK_RPM_POST_UNINSTALL_SCRIPT_FILE ${scripts}/postun.sh)
set(CPACK_RPM_POST_TRANS_SCRIPT_FILE ${scripts}/posttrans.sh)
set(CPACK_RPM_CHANGELOG_FILE ${CMAKE_BINARY_DIR}/changelog.rpm)
set(CPACK_RPM_USER_FILELIST
  "%config(noreplace) %attr(0640,root,msp-agent) /etc/msp-agent.yaml"
  "%attr(0750,msp-agent,msp-agent) %dir /var/lib/msp-agent"
  "%doc /usr/share/doc/msp-agent/README.ko.md"
  "%license /usr/share/licenses/msp-agent/LICENSE"
  "%license /usr/share/licenses/msp-agent/LGPL-2.1"
  "%doc /usr/share/doc/msp-agent/copyright"
  "%doc /usr/share/doc/msp-agent/README.md"
  ${rpm_pages}
  "%doc /usr/share/doc/msp-agent/msp-agent.cdx.json"
  "%doc /usr/share/man/man5/msp-agent.yaml.5.gz"
  "%doc /usr/share/man/man8/msp-agent.8.gz")
# Folders that belong to others. Those of the completions are there only where their shell is: owned by all of them.
set(CPACK_RPM_EXCLUDE_FROM_AUTO_FILELIST_ADDITION /etc /usr/bin /usr/lib/systemd /usr/lib/systemd/system
  /usr/lib/sysusers.d /usr/share/licenses /usr/share/man /usr/share/man/man5 /usr/share/man/man8 /var /var/lib)
# No second stripping and no links by build ID; the same bytes on every day and every host.
set(CPACK_RPM_SPEC_MORE_DEFINE "%global __os_install_post %{nil}
%define _build_id_links none
%define _buildhost localhost
%define packager ${CPACK_PACKAGE_CONTACT}
%define use_source_date_epoch_as_buildtime 1
%define clamp_mtime_to_source_date_epoch 1
%define optflags -Os")

include(CPack)
