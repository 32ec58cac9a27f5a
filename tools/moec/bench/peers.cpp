#include "tools/moec/bench/peers.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>

#include "runtime/error.h"
#include "runtime/graph.h"
#include "runtime/json.h"
#include "tools/moec/bench/cublas.h"
#include "tools/moec/bench/measure.h"
#include "tools/moec/bench/python_peers.inc" // kOpPeers, kTritonKernels: the scripts' texts

namespace moec::bench {

namespace {

/// A folder that goes away with its content.
class ScratchFolder {
public:
  ScratchFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "moec-bench-XXXXXX").string();
    if (!mkdtemp(name.data()))
      throw DeviceError(fmt::format("make the folder {}", name), "mkdtemp failed", "set TMPDIR");
    path_ = name;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder &) = delete;
  std::filesystem::path write(const char *name, std::string_view text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
    return path_ / name;
  }

private:
  std::filesystem::path path_;
};

Json case_json(const Case &c) {
  Json tensors = Json::object();
  for (const CaseTensor &t : c.inputs) tensors[t.name] = {{"shape", t.shape}, {"dtype", std::string(name(t.dtype))}};
  return {{"op", c.op->name},   {"pass", c.pass == Pass::forward ? "forward" : "backward"},
          {"T", c.tokens},      {"D", c.model.hidden},
          {"I", c.model.inter}, {"E", c.model.experts},
          {"K", c.model.topk},  {"parameters", Json(c.parameters)},
          {"inputs", tensors}};
}

std::string quoted(const std::string &text) {
  std::string q = "'";
  for (char ch : text) q += ch == '\'' ? std::string("'\\''") : std::string(1, ch);
  return q + "'";
}

} // namespace

std::optional<double> cublas_seconds(const Case &c, Device device) {
  if (c.op->name != "grouped_mm" || c.pass != Pass::forward || !device.is_cuda()) return std::nullopt;
  const Stream stream = Stream::create(device);
  auto cublas = Cublas::open(stream);
  if (!cublas) return std::nullopt;
  NamedTensors in = make_inputs(c, device);
  const Tensor &a = in.at("a"), &b = in.at("b");
  Tensor out = Tensor::empty({a.size(0), b.size(2)}, a.dtype(), device);
  std::vector<double> offs = in.at("offs").to_values();
  auto products = [&] {
    for (size_t e = 0; e < offs.size(); ++e) {
      auto begin = static_cast<int64_t>(e ? offs[e - 1] : 0), end = static_cast<int64_t>(offs[e]);
      if (begin < end)
        cublas->multiply(a.slice(0, begin, end), b.select(0, static_cast<int64_t>(e)), out.slice(0, begin, end));
    }
  };
  products(); // makes what cuBLAS needs
  stream.synchronize();
  Graph graph = Graph::capture(stream, products); // as moec's own: hundreds of launches are no small part
  return measure(stream, [&] { graph.launch(stream); }).seconds;
}

std::vector<PeerSeconds> python_seconds(const std::vector<Case> &cases, Device device, const std::string &python,
                                        std::string &reason) {
  std::vector<PeerSeconds> seconds(cases.size());
  ScratchFolder folder;
  folder.write("triton_kernels.py", kTritonKernels);
  auto script = folder.write("op_peers.py", kOpPeers);
  Json list = Json::array();
  for (const Case &c : cases) list.push_back(case_json(c));
  auto input = folder.write("cases.json", list.dump());
  std::string command = fmt::format("{} {} {} {}", quoted(python), quoted(script.string()), quoted(input.string()),
                                    quoted(device.name()));
  FILE *pipe = popen(command.c_str(), "r");
  if (!pipe) {
    reason = fmt::format("'{}' does not start", command);
    return seconds;
  }
  char *line = nullptr;
  size_t size = 0;
  while (getline(&line, &size, pipe) > 0) {
    Json value;
    std::string wrong;
    if (!parse_json(line, 8, value, wrong)) continue; // what libraries print
    if (value.contains("reason")) reason = value["reason"].get<std::string>();
    if (!value.contains("case") || !value["case"].is_number_unsigned()) continue;
    auto index = value["case"].get<size_t>();
    if (index < seconds.size()) seconds[index][value["peer"].get<std::string>()] = value["seconds"].get<double>();
  }
  std::free(line);
  if (int status = pclose(pipe); status != 0 && reason.empty())
    reason = fmt::format("'{}' ended with status {}", command, status);
  return seconds;
}

} // namespace moec::bench
