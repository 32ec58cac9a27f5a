// The bitcode that support.cmake makes of support.c, inside this library.
#include "compiler/target/sim/SimLowering.h"

// One asm statement for both symbols: the compiler may reorder separate ones.
asm(".section .rodata.moec_sim_support,\"a\",@progbits\n"
    ".balign 16\n"
    "moec_sim_support_begin:\n"
    ".incbin \"" MOEC_SIM_SUPPORT "\"\n"
    "moec_sim_support_end:\n"
    ".byte 0\n"
    ".previous\n");
extern "C" {
extern const char moec_sim_support_begin[] __attribute__((visibility("hidden")));
extern const char moec_sim_support_end[] __attribute__((visibility("hidden")));
}

llvm::StringRef moec::compiler::simtarget::supportBitcode() {
  return {moec_sim_support_begin, size_t(moec_sim_support_end - moec_sim_support_begin)};
}
