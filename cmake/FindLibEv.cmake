# SPDX-License-Identifier: MIT
# libev ships no CMake package and, on Debian, no pkg-config file. Defines the
# target LibEv::LibEv. Installed beside belfryConfig.cmake, which uses it too.
find_path(LIBEV_INCLUDE ev.h PATH_SUFFIXES libev)
find_library(LIBEV_LIBRARY ev)
mark_as_advanced(LIBEV_INCLUDE LIBEV_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  LibEv
  REQUIRED_VARS LIBEV_LIBRARY LIBEV_INCLUDE
  REASON_FAILURE_MESSAGE "install it with: apt install libev-dev")

if(LibEv_FOUND AND NOT TARGET LibEv::LibEv)
  add_library(LibEv::LibEv UNKNOWN IMPORTED)
  set_target_properties(LibEv::LibEv PROPERTIES
    IMPORTED_LOCATION "${LIBEV_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${LIBEV_INCLUDE}")
endif()
