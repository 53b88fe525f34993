# `cmake --install`: headers, both libraries, samplegraph-run, a CMake package and a pkg-config file.
include(CMakePackageConfigHelpers)
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/samplegraph)

install(DIRECTORY include/samplegraph DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS samplegraph samplegraph_static EXPORT samplegraph-targets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET samplegraph-run)
  install(TARGETS samplegraph-run RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(FILES THIRD_PARTY.md DESTINATION ${CMAKE_INSTALL_DOCDIR})

install(EXPORT samplegraph-targets NAMESPACE samplegraph:: DESTINATION ${package})
configure_package_config_file(cmake/samplegraph-config.cmake.in samplegraph-config.cmake INSTALL_DESTINATION ${package})
write_basic_package_version_file(samplegraph-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/samplegraph-config.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/samplegraph-config-version.cmake DESTINATION ${package})

file(RELATIVE_PATH SAMPLEGRAPH_PC_UP /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(cmake/samplegraph.pc.in samplegraph.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/samplegraph.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
