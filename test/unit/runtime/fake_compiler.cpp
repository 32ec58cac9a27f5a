// A stand-in for libmoec_compiler.so: counts compiles and gives "binaries" that the stand-in for libcuda loads.
#include "fake_compiler.h"

#include <atomic>
#include <chrono>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>

#include "compiler/compiler.h"

namespace {

std::mutex mutex;
std::string param_bytes, diagnostics, last_options, format = "cubin";
MoecStatus status = MOEC_OK;
std::atomic<int> compiles{0}, interpretations{0};
int pause_ms = 0;

struct Owner {
  std::string output, diagnostics, info;
};

std::string kernel_name(const MoecText &source) {
  std::string text(source.data, source.size), mark = "sym_name = \"";
  size_t at = text.find(mark);
  if (at == std::string::npos) return "unnamed";
  at += mark.size();
  return text.substr(at, text.find('"', at) - at);
}
MoecStatus hand_out(MoecCompileResult *result, std::string output, std::string info) {
  auto *o = new Owner{std::move(output), diagnostics, std::move(info)};
  *result = {status,
             {o->output.data(), o->output.size()},
             {o->diagnostics.data(), o->diagnostics.size()},
             {o->info.data(), o->info.size()},
             o};
  return status;
}

} // namespace

extern "C" {

void fake_compiler_reset() {
  std::lock_guard lock(mutex);
  param_bytes = diagnostics = last_options = "";
  format = "cubin";
  status = MOEC_OK;
  compiles = interpretations = 0;
  pause_ms = 0;
}
void fake_compiler_params(const char *bytes) { param_bytes = bytes; }
void fake_compiler_result(int s, const char *text) { status = static_cast<MoecStatus>(s), diagnostics = text; }
void fake_compiler_pause(int ms) { pause_ms = ms; }
void fake_compiler_format(const char *f) { format = f; }
int fake_compiler_compiles() { return compiles; }
int fake_compiler_interpretations() { return interpretations; }
const char *fake_compiler_options() { return last_options.c_str(); }

MoecStatus moec_compiler_compile(const MoecCompileRequest *request, MoecCompileResult *result) {
  ++compiles;
  std::this_thread::sleep_for(std::chrono::milliseconds(pause_ms));
  std::lock_guard lock(mutex);
  last_options.assign(request->options.data, request->options.size);
  std::string kernel = kernel_name(request->source);
  std::string info = R"({"kernel":")" + kernel +
                     R"(","threads":128,"shared_bytes":64,"registers":40,"spill_bytes":0,"format":")" + format +
                     R"(","stages":[{"name":"parse","ms":0.5},{"name":"nvjitlink","ms":2}]})";
  return hand_out(result, status == MOEC_OK ? "fake " + kernel + " " + param_bytes : "", info);
}
MoecStatus moec_compiler_interpret(const MoecInterpretRequest *request, MoecCompileResult *result) {
  ++interpretations;
  std::lock_guard lock(mutex);
  last_options = "grid " + std::to_string(request->grid[0]) + " params " + std::to_string(request->num_params) +
                 " ranges " + std::to_string(request->num_ranges);
  return hand_out(result, "", "{}");
}
void moec_compiler_free(MoecCompileResult *result) {
  delete static_cast<Owner *>(result->owner);
  *result = {};
}
const char *moec_compiler_describe(void) { return R"({"moec":"fake"})"; }
}
