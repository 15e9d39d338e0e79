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

# What programs with kernels share, whoever runs these: gpu_host.h's functions
# come from the library that a program names behind it.
add_library(belfry-bench STATIC bench/ep_pe.c bench/options.c bench/pes.c)
target_compile_definitions(belfry-bench PRIVATE _GNU_SOURCE)
target_link_libraries(belfry-bench PUBLIC belfry-hw PRIVATE Threads::Threads m)

# Programs with kernels: each also as NAME_cuda, where there is nvcc.
set(BELFRY_KERNEL_PROGRAMS bench/gpu_coll.c bench/gpu_ep.c bench/gpu_micro.c
    bench/gpu_post.c
    examples/02_expert_parallel.c examples/03_embedding.c)
foreach(program ${BELFRY_KERNEL_PROGRAMS})
  get_filename_component(name ${program} NAME_WE)
  add_executable(${name} ${program})
  target_compile_definitions(${name} PRIVATE _GNU_SOURCE)
  target_link_libraries(${name} PRIVATE belfry-bench belfry-kernels)
endforeach()

if(BELFRY_CUDA STREQUAL "OFF" OR BELFRY_SANITIZE)
  return()
endif()
include(CheckLanguage)
find_program(BELFRY_NVCC nvcc HINTS /usr/local/cuda/bin)
if(BELFRY_NVCC AND NOT CMAKE_CUDA_COMPILER)
  set(CMAKE_CUDA_COMPILER ${BELFRY_NVCC})
endif()
check_language(CUDA)
if(CMAKE_CUDA_COMPILER)
  add_subdirectory(kernels/cuda)
elseif(BELFRY_CUDA STREQUAL "ON")
  message(FATAL_ERROR "BELFRY_CUDA is ON, but there is no nvcc that works")
endif()
