// Recorded cases: load, run, compare, report.
#include "kernels/verify.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fmt/format.h>
#include <memory>
#include <optional>

#include "kernels/registry.h"
#include "runtime/compare.h"

namespace moec {

namespace {

/// Metadata that says how a case was made or repeats what the op's name and its tensors, with their shapes, say; so do
/// all keys that end with dtype. An op that takes one of them declares it.
constexpr std::string_view kDescribing[] = {"op",
                                            "case",
                                            "split",
                                            "source",
                                            "commit",
                                            "torch",
                                            "seed",
                                            "format",
                                            "note",
                                            "tokens",
                                            "hidden",
                                            "inter",
                                            "experts",
                                            "num_experts",
                                            "num_local_experts",
                                            "n_local_experts",
                                            "topk",
                                            "n",
                                            "k",
                                            "features",
                                            "rows",
                                            "chunks",
                                            "num_chunks",
                                            "shape",
                                            "experts_pow2",
                                            "topk_pow2",
                                            "has_duplicates",
                                            "has_out_of_range",
                                            "mask_fraction",
                                            "empty_experts",
                                            "weights_stored",
                                            "num_out_tokens",
                                            "layout",
                                            "fused",
                                            "autotune",
                                            "return_slot_ids",
                                            "return_scatter_indices",
                                            "score_func",
                                            "norm_topk_prob",
                                            "bias_shape",
                                            "has_bias",
                                            "short_columns",
                                            "batch",
                                            "seq",
                                            "dim",
                                            "inter_dim",
                                            "moe_inter_dim",
                                            "n_routed_experts",
                                            "n_shared_experts",
                                            "train_gate",
                                            "router_bias",
                                            "force_e_score_correction_bias",
                                            "gate_bias_update_factor",
                                            "shared_expert_gate",
                                            "shared_expert_inter_dim",
                                            "shared_expert_activation",
                                            "moe_latent_size",
                                            "expert_bias",
                                            "expert_activation",
                                            "activation_alpha",
                                            "activation_limit",
                                            "swiglu_limit",
                                            "apply_router_weight_after_down"};

CheckStatus worse(CheckStatus a, CheckStatus b) {
  if (a == CheckStatus::fail || b == CheckStatus::fail) return CheckStatus::fail;
  return a == CheckStatus::unsupported ? a : b;
}

bool describes(std::string_view key) {
  return key.ends_with("dtype") || std::ranges::find(kDescribing, key) != std::end(kDescribing);
}

bool is_low(DType t) { return t == bf16 || t == f16 || is_fp8(t); }

/// seed=S scale=C shape=AxB
Tensor generated(const std::string &text, DType dtype, const std::string &what) {
  auto bad = [&] {
    return UserError(what, fmt::format("'{}' cannot be generated", text),
                     "it reads hash_uniform seed=S scale=C shape=AxB");
  };
  uint64_t seed = 0;
  double scale = 0;
  Dims shape;
  auto field = [&](std::string_view key) -> std::string_view {
    size_t at = text.find(std::string(" ") + std::string(key) + "=");
    if (at == std::string::npos) throw bad();
    at += key.size() + 2;
    return std::string_view(text).substr(at, text.find(' ', at) - at);
  };
  auto number = [&](std::string_view t, auto &v) {
    auto [end, error] = std::from_chars(t.data(), t.data() + t.size(), v);
    if (error != std::errc() || end != t.data() + t.size()) throw bad();
  };
  if (!text.starts_with("hash_uniform ")) throw bad();
  number(field("seed"), seed);
  number(field("scale"), scale);
  std::string_view sizes = field("shape");
  double total = 1;
  while (!sizes.empty()) {
    size_t x = std::min(sizes.find('x'), sizes.size());
    int64_t size = -1;
    number(sizes.substr(0, x), size);
    total *= static_cast<double>(size);
    if (size < 0 || total > 1e9 || shape.rank() == kMaxRank) throw bad();
    shape.push_back(size);
    sizes.remove_prefix(std::min(x + 1, sizes.size()));
  }
  return hash_uniform(seed, scale, shape, dtype);
}

DType dtype_of_case(const TensorFile &file) {
  auto it = file.metadata.find("dtype");
  return (it == file.metadata.end() ? std::nullopt : dtype_from_name(it->second)).value_or(f32);
}

/// Parameters that the op takes, out of the metadata. Throws UnsupportedError for one that may change the result and is
/// not known.
Settings parameters_of(const Op &op, const TensorFile &file) {
  Settings parameters;
  for (const auto &[key, value] : file.metadata) {
    if (key.starts_with("gen.")) continue;
    const OpParameter *p = op.parameter(key);
    if (value == "none" && (!p || (!p->required && p->type != OpParameter::Type::text))) continue; // it was not given
    if (p)
      parameters[key] = value;
    else if (!describes(key))
      throw UnsupportedError(fmt::format("{} with {}={}", op.name, key, value), "moec does not know this parameter",
                             fmt::format("`moec list {}` shows those that it knows", op.name));
  }
  return parameters;
}

/// The outputs that the file wants, with their references: out.ref32.X stands for out.X.
std::vector<std::pair<std::string, const Tensor *>> references(const TensorFile &file) {
  std::vector<std::pair<std::string, const Tensor *>> list;
  for (const auto &[name, tensor] : file.tensors)
    if (name.starts_with("out.") && !name.starts_with("out.ref32.")) {
      std::string plain = name.substr(4), better = "out.ref32." + plain;
      list.emplace_back(plain, file.contains(better) ? &file.at(better) : &tensor);
    }
  return list;
}

/// What a case may hold of a large tensor in place of the tensor: "grad_b.slice" is grad_b[:, :4, :8] (of a matrix
/// [:, :8]), ".sum" and ".abssum" the f64 sums of its elements and of their magnitudes over all dimensions but the
/// first.
struct Excerpt {
  std::string_view tensor, form; ///< form "": the tensor itself
};
Excerpt excerpt_of(std::string_view name) {
  for (std::string_view form : {".slice", ".sum", ".abssum"})
    if (name.ends_with(form)) return {name.substr(0, name.size() - form.size()), form};
  return {name, ""};
}
Tensor take(const Tensor &whole, std::string_view form) {
  if (form.empty() || whole.rank() < 2) return whole;
  if (form == ".slice") {
    Tensor corner = whole.slice(whole.rank() - 1, 0, std::min<int64_t>(8, whole.size(-1)));
    return whole.rank() == 2 ? corner : corner.slice(1, 0, std::min<int64_t>(4, whole.size(1)));
  }
  std::vector<double> values = whole.to_values(), sums(static_cast<size_t>(whole.size(0)));
  const size_t row = values.size() / std::max<size_t>(1, sums.size());
  for (size_t i = 0; i < values.size(); ++i) sums[i / row] += form == ".sum" ? values[i] : std::abs(values[i]);
  return Tensor::from(sums, {whole.size(0)});
}

/// Slots of a token that the source leaves in any order: which of moec's each recorded one is, by its id.
class SlotOrder {
public:
  /// Ids [T, K], as moec and as the source chose them; an id that moec's token has not stays where it is.
  SlotOrder(const Tensor &ours, const Tensor &recorded) : shape_(recorded.shape()) {
    const std::vector<double> mine = ours.to_values(), theirs = recorded.to_values();
    const size_t topk = static_cast<size_t>(recorded.size(-1));
    for (size_t i = 0; i < theirs.size(); ++i) {
      auto row = mine.begin() + static_cast<std::ptrdiff_t>(i / topk * topk),
           end = row + static_cast<std::ptrdiff_t>(topk);
      auto found = std::find(row, end, theirs[i]);
      ours_.push_back(found == end ? i : static_cast<size_t>(found - mine.begin()));
    }
  }
  /// A tensor of recorded slots in moec's order, or one of moec's in the recorded order; others stay.
  Tensor to_ours(const Tensor &t) const { return moved(t, true); }
  Tensor to_recorded(const Tensor &t) const { return moved(t, false); }

private:
  Tensor moved(const Tensor &t, bool to_ours) const {
    if (t.shape() != shape_) return t;
    const Tensor from = t.to(Device::host()).contiguous(), to = Tensor::empty(shape_, t.dtype(), Device::host());
    const size_t width = static_cast<size_t>(size_bytes(t.dtype()));
    for (size_t i = 0; i < ours_.size(); ++i) {
      const size_t source = to_ours ? i : ours_[i], target = to_ours ? ours_[i] : i;
      std::memcpy(static_cast<char *>(to.data()) + target * width,
                  static_cast<const char *>(from.data()) + source * width, width);
    }
    return to;
  }
  Dims shape_;
  std::vector<size_t> ours_;
};

void run_case(const std::string &path, Device device, CaseReport &report) {
  TensorFile file = load_case(path);
  report.op = file.metadata.at("op");
  if (auto it = file.metadata.find("case"); it != file.metadata.end()) report.name = it->second;
  auto wanted = references(file);
  for (const auto &[name, reference] : wanted)
    report.tensors.push_back({name, CheckStatus::unsupported, 0, 0, "not produced"});
  RecordedCall recorded = recorded_call(file);
  const Op &op = *recorded.op;
  auto run = [&](const NamedTensors &inputs) {
    auto call = std::make_unique<OpCall>(op, Stream(device), inputs, recorded.parameters, recorded.outputs);
    call->run();
    call->stream().synchronize();
    return call;
  };
  std::unique_ptr<OpCall> call = run(recorded.inputs);
  std::optional<SlotOrder> slots;
  if (op.slots_in_any_order && op.slots_in_any_order(*call) && file.contains("out.indices") &&
      call->outputs().at("indices").shape() == file.at("out.indices").shape()) {
    slots.emplace(call->outputs().at("indices"), file.at("out.indices"));
    NamedTensors inputs = recorded.inputs; // gradients of slots belong to the same ids
    for (auto &[name, tensor] : inputs)
      if (op.input(name)->shape == "[T, K]") tensor = slots->to_ours(tensor);
    call = run(inputs);
  }
  const bool low = is_low(dtype_of_case(file));
  for (size_t i = 0; i < wanted.size(); ++i) {
    const auto &[name, reference] = wanted[i];
    auto [whole, form] = excerpt_of(name);
    auto it = call->outputs().find(whole);
    if (it == call->outputs().end()) continue;
    const OpTensor &t = *op.output(whole);
    double tolerance = low || is_low(reference->dtype()) ? t.low_tolerance : t.f32_tolerance;
    Tensor made = it->second.to(Device::host());
    if (slots && t.shape == "[T, K]") made = slots->to_recorded(made);
    report.tensors[i] = compare(name, take(made, form), *reference, tolerance);
    report.status = worse(report.tensors[i].status, report.status);
  }
}

} // namespace

std::string_view name(CheckStatus status) {
  constexpr std::string_view names[] = {"pass", "FAIL", "unsupported"};
  return names[static_cast<int>(status)];
}

int CaseReport::unsupported_tensors() const {
  return static_cast<int>(std::ranges::count(tensors, CheckStatus::unsupported, &TensorReport::status));
}

TensorFile load_case(const std::string &path) {
  TensorFile file = read_safetensors(path);
  if (!file.metadata.contains("op"))
    throw UserError(fmt::format("read case {}", path), "its metadata names no op", "it needs __metadata__.op");
  for (const auto &[key, value] : file.metadata)
    if (key.starts_with("gen.") && !file.contains("in." + key.substr(4)))
      file.add("in." + key.substr(4),
               generated(value, dtype_of_case(file), fmt::format("read case {}: {}", path, key)));
  return file;
}

RecordedCall recorded_call(const TensorFile &file) {
  RecordedCall call{&op_at(file.metadata.at("op")), {}, {}, {}};
  for (const auto &[name, tensor] : file.tensors)
    if (name.starts_with("in.") && call.op->input(name.substr(3))) call.inputs.emplace(name.substr(3), tensor);
  for (const auto &[name, reference] : references(file))
    if (const OpTensor *t = call.op->output(excerpt_of(name).tensor)) call.outputs.push_back(t->name);
  if (call.outputs.empty())
    throw UnsupportedError(call.op->name, "moec produces none of the case's tensors",
                           fmt::format("`moec list {}` shows what it produces", call.op->name));
  call.parameters = parameters_of(*call.op, file);
  return call;
}

TensorReport compare(std::string name, const Tensor &got, const Tensor &reference, double tolerance) {
  TensorReport r{std::move(name), CheckStatus::pass, 0, tolerance, ""};
  Comparison c = compare_values(got, reference, tolerance);
  bool same_type = got.dtype() == reference.dtype(); // recorded dtypes are part of what is right
  r.detail = c.ok() && !same_type ? fmt::format("it is {}, the reference {}", got.text(), reference.text()) : c.problem;
  if (!r.detail.empty()) r.status = CheckStatus::fail;
  bool comparable = same_type && got.shape() == reference.shape();
  r.max_error = !comparable ? INFINITY : tolerance > 0 ? c.max_error : static_cast<double>(c.different);
  return r;
}

CaseReport verify_case(const std::string &path, Device device) {
  CaseReport report;
  report.path = path;
  auto start = std::chrono::steady_clock::now();
  try {
    run_case(path, device, report);
  } catch (const UnsupportedError &e) {
    report.status = CheckStatus::unsupported;
    report.message = e.what();
  } catch (const Error &e) {
    report.status = CheckStatus::fail;
    report.message = e.what();
  } catch (const std::exception &e) {
    report.status = CheckStatus::fail;
    report.message = fmt::format("unexpected: {}", e.what());
  }
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

std::vector<std::string> find_cases(const std::vector<std::string> &paths) {
  namespace fs = std::filesystem;
  std::vector<std::string> files;
  for (const std::string &p : paths) {
    std::error_code error;
    if (fs::is_directory(p, error)) {
      std::vector<std::string> below;
      for (auto it = fs::recursive_directory_iterator(p, fs::directory_options::skip_permission_denied, error);
           !error && it != fs::end(it); it.increment(error))
        if (it->path().extension() == ".safetensors") below.push_back(it->path().string());
      if (below.empty())
        throw UserError(fmt::format("verify {}", p), "no *.safetensors file lies below it",
                        "give recorded cases or a directory of them");
      std::ranges::sort(below);
      files.insert(files.end(), below.begin(), below.end());
    } else if (fs::exists(p, error)) {
      files.push_back(p);
    } else {
      throw UserError(fmt::format("verify {}", p), "there is no such file or directory",
                      "give recorded cases or a directory of them");
    }
  }
  return files;
}

void CaseCounts::add(CheckStatus status) {
  ++(status == CheckStatus::pass ? passed : status == CheckStatus::fail ? failed : unsupported);
}
std::string CaseCounts::text() const {
  return fmt::format("{} passed, {} failed, {} unsupported", passed, failed, unsupported);
}
std::string VerifySummary::ops_text() const {
  std::string text;
  for (const auto &[op, counts] : ops)
    text += fmt::format("{:36} {}; largest error {:.2f} of its tolerance\n", op.empty() ? "(no op)" : op, counts.text(),
                        counts.worst);
  return text;
}

VerifySummary verify(const std::vector<std::string> &files, const VerifyOptions &options,
                     const std::function<void(const CaseReport &)> &each) {
  VerifySummary summary;
  for (const std::string &file : files) {
    if (!options.except.empty()) { // the op stands in the metadata; a file that cannot be read is reported below
      try {
        TensorFile f = read_safetensors(file);
        auto op = f.metadata.find("op");
        if (op != f.metadata.end() && std::ranges::find(options.except, op->second) != options.except.end()) continue;
      } catch (const Error &) {}
    }
    CaseReport r = verify_case(file, options.device);
    if (options.strict && r.status == CheckStatus::pass && r.unsupported_tensors() > 0) {
      r.status = CheckStatus::unsupported;
      r.message = fmt::format("{} tensors are not produced", r.unsupported_tensors());
    }
    VerifySummary::PerOp &op = summary.ops[r.op];
    summary.add(r.status);
    op.add(r.status);
    for (const TensorReport &t : r.tensors)
      if (t.tolerance > 0) op.worst = std::max(op.worst, t.max_error / t.tolerance);
    summary.unsupported_tensors += r.unsupported_tensors();
    if (each) each(r);
  }
  return summary;
}

std::string report_text(const CaseReport &r, bool tensors) {
  std::string what = r.op.empty() ? r.path : fmt::format("{}/{}", r.op, r.name.empty() ? r.path : r.name);
  std::string text = fmt::format("{:11} {} ({:.2f} s)\n", name(r.status), what, r.seconds);
  if (!r.message.empty()) text += fmt::format("            {}\n", r.message);
  for (const TensorReport &t : r.tensors) {
    if (!tensors && t.status == CheckStatus::pass) continue;
    if (t.status == CheckStatus::unsupported)
      text += fmt::format("            {:28} unsupported{}\n", t.name, t.detail.empty() ? "" : ": " + t.detail);
    else if (t.tolerance == 0)
      text += fmt::format("            {:28} {:4}  {} elements differ (exact) {}\n", t.name, name(t.status),
                          t.max_error, t.detail);
    else
      text += fmt::format("            {:28} {:4}  max error {:.2e} (tolerance {:.1e}) {}\n", t.name, name(t.status),
                          t.max_error, t.tolerance, t.detail);
  }
  return text;
}

} // namespace moec
