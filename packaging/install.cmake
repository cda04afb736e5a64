# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` puts where: the executable, the library, manual pages, the unit of systemd.
include(GNUInstallDirs)

# All layers as one archive; with the public headers it is the SIP stack without the server.
set(objects)
foreach(layer IN LISTS STW_LAYER_OBJECTS)
  list(APPEND objects $<TARGET_OBJECTS:${layer}>)
endforeach()
add_library(libstrowger STATIC ${objects})
set_target_properties(libstrowger PROPERTIES OUTPUT_NAME strowger LINKER_LANGUAGE C)
target_include_directories(libstrowger INTERFACE include)
target_link_libraries(libstrowger INTERFACE PkgConfig::CRYPTO PkgConfig::CARES PkgConfig::URCU Threads::Threads m)

file(RELATIVE_PATH STW_PREFIX_FROM_PC /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
string(REGEX REPLACE "/$" "" STW_PREFIX_FROM_PC ${STW_PREFIX_FROM_PC})
configure_file(packaging/strowger.pc.in packaging/strowger.pc @ONLY)

set(unit packaging/systemd/strowger.service)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${unit})
file(READ ${unit} text)
string(REPLACE /usr/bin/strowger ${CMAKE_INSTALL_FULL_BINDIR}/strowger text "${text}")
file(CONFIGURE OUTPUT ${unit} CONTENT "${text}" @ONLY)

# Left out where scdoc is not installed.
find_program(SCDOC scdoc)
if(SCDOC)
  set(pages)
  foreach(page IN ITEMS strowger.1 strowger.yaml.5)
    set(source ${CMAKE_CURRENT_SOURCE_DIR}/docs/man/${page}.scd)
    add_custom_command(OUTPUT ${page} DEPENDS ${source} VERBATIM
      COMMAND sh -c "\"$0\" <\"$1\" >\"$2\"" ${SCDOC} ${source} ${page})
    list(APPEND pages ${CMAKE_CURRENT_BINARY_DIR}/${page})
  endforeach()
  add_custom_target(man ALL DEPENDS ${pages})
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/strowger.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/strowger.yaml.5 DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)
endif()

install(TARGETS strowger libstrowger)
install(DIRECTORY include/strowger DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/packaging/strowger.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/${unit} DESTINATION lib/systemd/system)
install(FILES packaging/fail2ban/strowger.conf DESTINATION ${CMAKE_INSTALL_DOCDIR}/fail2ban)
install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
