# SPDX-License-Identifier: MIT
# libbelfry-uverbs.so. The program sees our interposers and nothing else of
# us: the NIC is linked in and hidden.

file(GLOB UVERBS_SOURCES CONFIGURE_DEPENDS emu/uverbs/*.c)
add_library(belfry-uverbs SHARED ${UVERBS_SOURCES})
target_compile_definitions(belfry-uverbs PRIVATE _GNU_SOURCE)
# Interposers get what the program passes, NULL included, whatever headers
# promise; and fortified headers have functions where we define them.
target_compile_options(belfry-uverbs PRIVATE
  -fvisibility=hidden -fno-delete-null-pointer-checks -Wno-nonnull-compare
  -U_FORTIFY_SOURCE)
# Assembler that the link-time optimizer does not see into; and it runs before a
# sanitizer's runtime has started.
set_source_files_properties(emu/uverbs/dlsym.c PROPERTIES
                            COMPILE_OPTIONS "-fno-lto;-fno-sanitize=all")
target_link_options(belfry-uverbs PRIVATE
  -Wl,-Bsymbolic -Wl,--exclude-libs,ALL -Wl,--wrap=syscall -Wl,-z,nodelete)
set_target_properties(belfry-uverbs PROPERTIES
  LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib
  BUILD_WITH_INSTALL_RPATH ON INSTALL_RPATH \$ORIGIN)

target_link_libraries(belfry-uverbs PRIVATE belfry-hw
                      "$<TARGET_FILE:belfry-emu>" Threads::Threads m
                      ${CMAKE_DL_LIBS})
add_dependencies(belfry-uverbs belfry-emu)
# Its header; libev itself and Zydis are opened at run time, also from beside.
target_include_directories(belfry-uverbs SYSTEM PRIVATE
  $<TARGET_PROPERTY:LibEv::LibEv,INTERFACE_INCLUDE_DIRECTORIES>)

# A library with the address sanitizer needs its runtime loaded first, also
# into programs that have none.
set(BELFRY_PRELOAD_FIRST "")
if(BELFRY_SANITIZE MATCHES "address" AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
  execute_process(COMMAND ${CMAKE_C_COMPILER} -print-file-name=libasan.so
                  OUTPUT_VARIABLE runtime OUTPUT_STRIP_TRAILING_WHITESPACE)
  get_filename_component(BELFRY_PRELOAD_FIRST "${runtime}" REALPATH)
endif()

install(TARGETS belfry-uverbs LIBRARY DESTINATION lib/belfry)
