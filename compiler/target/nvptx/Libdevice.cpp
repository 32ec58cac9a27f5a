// The subset of NVIDIA's libdevice that libdevice.cmake extracts at build time, inside this library.
#include "compiler/target/nvptx/Nvptx.h"

#ifdef MOEC_LIBDEVICE_SUBSET
// One asm statement for both symbols: the compiler may reorder separate ones.
asm(".section .rodata.moec_libdevice,\"a\",@progbits\n"
    ".balign 16\n"
    "moec_libdevice_begin:\n"
    ".incbin \"" MOEC_LIBDEVICE_SUBSET "\"\n"
    "moec_libdevice_end:\n"
    ".byte 0\n"
    ".previous\n");
extern "C" {
extern const char moec_libdevice_begin[] __attribute__((visibility("hidden")));
extern const char moec_libdevice_end[] __attribute__((visibility("hidden")));
}
llvm::StringRef moec::compiler::libdeviceBitcode() {
  return {moec_libdevice_begin, size_t(moec_libdevice_end - moec_libdevice_begin)};
}
#else
llvm::StringRef moec::compiler::libdeviceBitcode() { return {}; }
#endif
