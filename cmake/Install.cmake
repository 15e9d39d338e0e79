# SPDX-License-Identifier: MIT
# What "cmake --install" does: headers under include/belfry, so that they find
# each other as "hw/be.h"; static libraries; the tool; and package files for
# CMake and pkg-config. The prefix may be moved afterwards.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(include_dir ${CMAKE_INSTALL_INCLUDEDIR}/belfry)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/belfry)

install(DIRECTORY hw DESTINATION ${include_dir} FILES_MATCHING PATTERN "*.h")
install(FILES emu/nic.h emu/wire.h emu/runner.h DESTINATION ${include_dir}/emu)

set(libraries belfry-hw belfry-emu)
set(modules belfry-emu)
if(TARGET belfry-stack)
  install(DIRECTORY stack DESTINATION ${include_dir} FILES_MATCHING
          PATTERN "*.h" PATTERN host EXCLUDE)
  list(APPEND libraries belfry-stack)
  list(APPEND modules belfry)
endif()
if(TARGET belfry-kernels)
  install(DIRECTORY kernels DESTINATION ${include_dir} FILES_MATCHING
          PATTERN "*.h" PATTERN "*_internal.h" EXCLUDE PATTERN cuda EXCLUDE)
  list(APPEND libraries belfry-kernels)
endif()
foreach(library ${libraries})
  string(REPLACE "belfry-" "" name ${library})
  set_target_properties(${library} PROPERTIES EXPORT_NAME ${name})
endforeach()
install(TARGETS ${libraries} EXPORT belfryTargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        INCLUDES DESTINATION ${include_dir})
if(TARGET belfry)
  install(TARGETS belfry RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

install(EXPORT belfryTargets NAMESPACE belfry:: DESTINATION ${package_dir})
configure_package_config_file(cmake/belfryConfig.cmake.in belfryConfig.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(belfryConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/belfryConfig.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/belfryConfigVersion.cmake
              cmake/FindLibEv.cmake
        DESTINATION ${package_dir})

file(RELATIVE_PATH PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
foreach(module ${modules})
  configure_file(cmake/${module}.pc.in ${module}.pc @ONLY)
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/${module}.pc
          DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()
