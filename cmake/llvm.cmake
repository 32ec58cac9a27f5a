# LLVM and MLIR 22, linked statically. MLIR's CMake targets pull in libLLVM.so, and mixing both aborts at start
# ("option registered more than once"), so the archives are named here.
find_package(MLIR REQUIRED CONFIG HINTS /usr/lib/llvm-22/lib/cmake/mlir)
find_package(LLVM REQUIRED CONFIG HINTS /usr/lib/llvm-22/lib/cmake/llvm)
if(NOT LLVM_VERSION_MAJOR EQUAL 22)
  message(FATAL_ERROR "moec builds against LLVM 22, found ${LLVM_PACKAGE_VERSION}: apt-get install libmlir-22-dev llvm-22-dev")
endif()
set(LLVM_CONFIG ${LLVM_TOOLS_BINARY_DIR}/llvm-config)
set(MLIR_TBLGEN ${LLVM_TOOLS_BINARY_DIR}/mlir-tblgen)

execute_process(COMMAND ${LLVM_CONFIG} --link-static --libs nvptx x86 orcjit passes linker bitreader irreader asmparser
                OUTPUT_VARIABLE llvm_archives OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
separate_arguments(llvm_archives)
file(GLOB mlir_archives ${LLVM_LIBRARY_DIR}/libMLIR*.a)
list(FILTER mlir_archives EXCLUDE REGEX "/libMLIR(CAPI.*|.*Test.*)\\.a$")

# Archives where there are any: the library then needs nothing but glibc.
find_library(moec_zlib NAMES libz.a z REQUIRED)
find_library(moec_zstd NAMES libzstd.a zstd REQUIRED)

add_library(moec_llvm INTERFACE)
target_include_directories(moec_llvm SYSTEM INTERFACE ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
target_link_directories(moec_llvm INTERFACE ${LLVM_LIBRARY_DIR})
target_link_libraries(moec_llvm INTERFACE -Wl,--start-group ${mlir_archives} ${llvm_archives} -Wl,--end-group
                      ${moec_zlib} ${moec_zstd} -ldl -lm -lrt Threads::Threads)
target_link_options(moec_llvm INTERFACE -Wl,--as-needed -Wl,--gc-sections)

# moec_tablegen(<target> <td file> <flag> <output> ...): runs mlir-tblgen; outputs land beside the .td's path in the build tree.
function(moec_tablegen target td)
  set(outputs)
  list(LENGTH ARGN n)
  math(EXPR last "${n} - 1")
  cmake_path(GET td PARENT_PATH folder)
  file(GLOB tds CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/compiler/ir/*.td ${CMAKE_SOURCE_DIR}/compiler/passes/*.td)
  foreach(i RANGE 0 ${last} 2)
    math(EXPR j "${i} + 1")
    list(GET ARGN ${i} flag)
    list(GET ARGN ${j} out)
    separate_arguments(flags UNIX_COMMAND "${flag}")
    set(path ${CMAKE_BINARY_DIR}/${folder}/${out})
    add_custom_command(OUTPUT ${path}
      COMMAND ${MLIR_TBLGEN} ${flags} -I ${CMAKE_SOURCE_DIR} -I ${MLIR_INCLUDE_DIRS} ${CMAKE_SOURCE_DIR}/${td} --write-if-changed -o ${path}
      DEPENDS ${tds} VERBATIM)
    list(APPEND outputs ${path})
  endforeach()
  add_custom_target(${target} DEPENDS ${outputs})
endfunction()
