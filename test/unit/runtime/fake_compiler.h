// What tests may ask of the stand-in for libmoec_compiler.so. Taken with dlsym.
#pragma once

extern "C" {
void fake_compiler_reset();
/// Sizes of the parameters that the next "binaries" have: "8 4 4".
void fake_compiler_params(const char *bytes);
/// Status and diagnostics of the next results.
void fake_compiler_result(int status, const char *diagnostics);
/// How long a compile takes.
void fake_compiler_pause(int ms);
/// info.format: "cubin" or "ptx".
void fake_compiler_format(const char *format);
int fake_compiler_compiles();
int fake_compiler_interpretations();
const char *fake_compiler_options();
}
