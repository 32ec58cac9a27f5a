#include "runtime/specialize.h"

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <mutex>

#include "runtime/build_id.h"
#include "runtime/cache.h"
#include "runtime/compiler_library.h"
#include "runtime/cuda/driver.h"
#include "runtime/environment.h"
#include "runtime/error.h"
#include "runtime/json.h"
#include "runtime/log.h"
#include "runtime/sim/sim_abi.h"
#include "runtime/toolkit.h"

namespace moec {

namespace {

using Clock = std::chrono::steady_clock;
double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

struct CompileLog {
  std::mutex mutex;
  std::vector<CompileRecord> records;
  std::function<void(const CompileRecord &)> listener;
};
CompileLog &compile_log() {
  static auto &log = *new CompileLog;
  return log;
}
void tell(const CompileRecord &record) {
  CompileLog &log = compile_log();
  std::function<void(const CompileRecord &)> listener;
  {
    std::lock_guard lock(log.mutex);
    log.records.push_back(record);
    listener = log.listener;
  }
  if (listener) listener(record);
}

std::string sim_level() {
  if (environment().sim_level != "auto") return environment().sim_level;
  return __builtin_cpu_supports("x86-64-v4") ? "v4" : __builtin_cpu_supports("x86-64-v3") ? "v3" : "v2";
}

/// The text, with the ops' lines at its end where they are wanted in the binary; then they are part of the key.
std::string source_of(const Recording &recording, bool lineinfo) {
  std::string text = recording.text;
  if (!lineinfo) return text;
  if (!text.ends_with('\n')) text += '\n';
  for (const SourceLine &at : recording.lines) text += fmt::format("//! {}:{}\n", at.file ? at.file : "", at.line);
  return text;
}

/// One compile on its way: what is asked, for key, manifest and errors.
struct Job {
  const Recording &recording;
  std::string source, spec, target, options;
  Device device;
  std::string what() const {
    return fmt::format("compile {}{}{}{} for {}", recording.kernel, spec.empty() ? "" : " (", spec,
                       spec.empty() ? "" : ")", target);
  }
};

/// Everything that decides the binary's bytes.
CacheKey key_of(const Job &job) {
  CacheKey key;
  key.add("moec", "1").add("text", job.source).add("options", job.options);
  key.add("compiler", build_id_of(compiler_library_path()));
  if (job.device.is_cuda()) {
    std::string linker = nvjitlink_path(); // libdevice is inside the compiler
    key.add("assembler", linker.empty() ? fmt::format("driver {}", cuda::driver().version) : build_id_of(linker));
  } else {
    key.add("sim_abi", fmt::format("{}", sim::kSimAbiVersion));
  }
  return key;
}

CacheEntry compile_entry(const Job &job) {
  CompileInput input;
  input.source = job.source;
  input.options = job.options;
  input.kernel = job.recording.kernel;
  input.ordinal_locations = true;
  input.lines = job.recording.lines;
  input.what = job.what();
  CompileOutput out = compile(input);
  for (const Diagnostic &d : out.diagnostics)
    log_line(d.severity == "warning" ? LogLevel::warn : LogLevel::info, d.text());
  Json info;
  std::string wrong;
  if (!parse_json(out.info, 16, info, wrong))
    throw InternalError(job.what(), "the compiler's info: " + wrong, "this is a defect of moec");
  if (job.device.is_cuda() && info.value("format", "") == "ptx") { // no nvJitLink: the driver assembles, once
    out.output = job.device.backend().assemble(out.output);
    info["format"] = "cubin";
  }
  Json manifest{{"kernel", job.recording.kernel},
                {"spec", job.spec},
                {"target", job.target},
                {"options", job.options},
                {"info", info}};
  return {"", manifest.dump(), std::move(out.output)};
}

CacheEntry entry_of(const Job &job, bool &from_cache) {
  const Environment &env = environment();
  from_cache = false;
  if (env.cache == CacheMode::off || (!env.dump.empty() && env.cache == CacheMode::on)) return compile_entry(job);
  CacheKey key = key_of(job);
  if (env.cache == CacheMode::on)
    return DiskCache::shared().load_or_make(key, [&] { return compile_entry(job); }, &from_cache);
  auto hit = DiskCache::shared().load(key);
  if (!hit)
    throw UserError(job.what(),
                    fmt::format("it is not in the kernel cache {} and MOEC_CACHE=require forbids compiling",
                                DiskCache::shared().directory()),
                    "run it once with MOEC_CACHE=on, or fill the cache beforehand");
  from_cache = true;
  return std::move(*hit);
}

/// Takes from the manifest what launching and reporting need.
void read_manifest(const Job &job, const CacheEntry &entry, CompileRecord &record) {
  Json manifest;
  std::string wrong;
  if (!parse_json(entry.manifest, 16, manifest, wrong) || !manifest.contains("info"))
    throw InternalError(job.what(), "the cache entry's manifest: " + wrong, "moec cache clear removes it");
  const Json &info = manifest["info"];
  record.threads = info.value("threads", 0);
  record.shared_bytes = info.value("shared_bytes", 0);
  record.registers = info.value("registers", 0);
  record.spill_bytes = info.value("spill_bytes", 0);
  if (!record.from_cache && info.contains("stages"))
    for (const Json &stage : info["stages"]) record.stages.push_back({stage.value("name", ""), stage.value("ms", 0.0)});
}

} // namespace

std::vector<CompileRecord> compile_records() {
  std::lock_guard lock(compile_log().mutex);
  return compile_log().records;
}
void on_compile(std::function<void(const CompileRecord &)> listener) {
  std::lock_guard lock(compile_log().mutex);
  compile_log().listener = std::move(listener);
}

std::string Schedule::options() const {
  return fmt::format("num_warps={};num_stages={};contract_fma={}", num_warps, num_stages, contract_fma ? 1 : 0);
}

std::string compile_options(std::string_view target, const Schedule &schedule) {
  bool sim = target == "sim" || target.starts_with("sim-");
  std::string full = target == "sim" ? "sim-x86-64-" + sim_level() : std::string(target);
  std::string options = fmt::format("target={};{}", full, schedule.options());
  if (sim) options += fmt::format(";checked={}", sim_instrumented() ? 1 : 0);
  if (!sim && environment().lineinfo) options += ";lineinfo=1";
  return options;
}

namespace detail {

std::unique_ptr<Specialization> specialize(const SpecializeRequest &r) {
  auto start = Clock::now();
  Backend &backend = r.device.backend();
  auto s = std::make_unique<Specialization>();
  s->device = r.device;
  s->recording = r.type->record(r.kernel, r.spec, r.facts, r.name);
  CompileRecord record;
  record.record_ms = ms_since(start);
  record.kernel = s->recording.kernel;
  record.spec = r.type->spec_text(r.spec);
  record.target = backend.target();

  ExecutableImage image;
  image.kernel = s->recording.kernel;
  image.lines = s->recording.lines;
  CacheEntry entry;
  if (r.device.kind() == DeviceKind::interp) {
    image.payload = s->recording.text;
    image.options = fmt::format("contract_fma={}", r.schedule->contract_fma ? 1 : 0);
    record.threads = 32 * r.schedule->num_warps;
  } else {
    bool lineinfo = r.device.is_cuda() && environment().lineinfo;
    Job job{s->recording,  source_of(s->recording, lineinfo),           record.spec,
            record.target, compile_options(record.target, *r.schedule), r.device};
    entry = entry_of(job, record.from_cache);
    read_manifest(job, entry, record);
    image.payload = entry.payload;
  }
  s->threads = image.threads = static_cast<uint32_t>(record.threads);
  s->shared_bytes = image.shared_bytes = static_cast<uint32_t>(record.shared_bytes);
  s->executable = backend.load(image);
  if (s->recording.persistent) s->resident_ctas = backend.resident_ctas(*s->executable, s->threads, s->shared_bytes);
  record.total_ms = ms_since(start);
  tell(record);
  return s;
}

void check_recording(const Specialization &s, const SpecializeRequest &r) {
  Recording again = r.type->record(r.kernel, r.spec, r.facts, r.name);
  if (again.text == s.recording.text) return;
  throw UserError(fmt::format("launch {}", s.recording.kernel),
                  "recording it again gave another kernel: it reads something that its spec does not name",
                  "make every constant that the kernel reads a field of its spec (found by MOEC_CHECK=record)");
}

} // namespace detail
} // namespace moec
