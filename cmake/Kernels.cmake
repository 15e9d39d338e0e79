# SPDX-License-Identifier: MIT
# The SIMT runner, and the kernels compiled for it: kernels/*.cu are C11 there.
#
# ThreadSanitizer would have to be told of every change of fiber, and all of
# them run on one CPU thread, where it has nothing to find.
if(BELFRY_SANITIZE MATCHES "thread")
  message(STATUS "kernels: left out, as fibers on one thread tell "
                 "ThreadSanitizer nothing")
  return()
endif()

file(GLOB SIMT_SOURCES CONFIGURE_DEPENDS kernels/*.c)
file(GLOB KERNEL_SOURCES CONFIGURE_DEPENDS kernels/*.cu)
set_source_files_properties(${KERNEL_SOURCES} PROPERTIES LANGUAGE C)
add_library(belfry-kernels STATIC ${SIMT_SOURCES} ${KERNEL_SOURCES})
target_compile_definitions(belfry-kernels PRIVATE _GNU_SOURCE)
target_link_libraries(belfry-kernels PUBLIC belfry-stack)
