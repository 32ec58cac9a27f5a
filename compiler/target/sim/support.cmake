# support.c as bitcode inside the compiler: what compiler/target/sim links into kernels.
find_program(MOEC_CLANG NAMES clang-22 HINTS ${LLVM_TOOLS_BINARY_DIR} REQUIRED)
set(moec_sim_support ${CMAKE_CURRENT_BINARY_DIR}/sim_support.bc)
add_custom_command(OUTPUT ${moec_sim_support}
  COMMAND ${MOEC_CLANG} -O2 -c -emit-llvm -target x86_64-unknown-linux-gnu -msse4.1 -ffreestanding -fPIC -ffp-contract=off
          -fno-math-errno -fno-trapping-math -fno-stack-protector -fno-asynchronous-unwind-tables -Wall -Wextra -I ${CMAKE_SOURCE_DIR}
          ${CMAKE_CURRENT_SOURCE_DIR}/target/sim/support.c -o ${moec_sim_support}
  DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/target/sim/support.c ${CMAKE_CURRENT_SOURCE_DIR}/target/sim/support_approximate.h
          ${CMAKE_CURRENT_SOURCE_DIR}/target/sim/support_conversions.h VERBATIM)
set_source_files_properties(${CMAKE_CURRENT_SOURCE_DIR}/target/sim/Support.cpp PROPERTIES
  COMPILE_DEFINITIONS MOEC_SIM_SUPPORT="${moec_sim_support}" OBJECT_DEPENDS ${moec_sim_support})
