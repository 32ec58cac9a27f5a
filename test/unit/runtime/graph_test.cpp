// Graphs and memory in a stream's order: on the simulated GPU, whose work is recorded by steps, and against the
// stand-in for libcuda.
#include "runtime/graph.h"

#include <dlfcn.h>
#include <gmock/gmock.h>

#include "fake_libcuda.h"
#include "runtime/error.h"
#include "runtime/tensor.h"
#include "stand_ins.h"

using namespace moec;
using namespace moec::testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

namespace {

void copy(const Stream &s, const Tensor &to, const Tensor &from) {
  s.copy(to.data(), to.device(), from.data(), from.device(), static_cast<size_t>(to.extent_bytes()));
}

TEST(Graph, records_and_replays) {
  Stream stream(Device::sim());
  Tensor in = Tensor::from(std::vector<int32_t>{1, 2, 3}, {3}, Device::sim()), out;
  Graph graph = Graph::capture(stream, [&] {
    Tensor between = Tensor::empty({3}, DType::i32, stream); // gone after this scope; its memory is the graph's
    copy(stream, between, in);
    out = Tensor::zeros({4}, DType::i32, stream);
    copy(stream, out.slice(0, 0, 3), between);
  });
  std::fill_n(out.data_as<int32_t>(), 4, 7);
  graph.launch(stream);
  EXPECT_THAT(out.to_vector<int32_t>(), ElementsAre(1, 2, 3, 0));
  in.data_as<int32_t>()[1] = 20;
  out.data_as<int32_t>()[3] = 5;
  graph.launch(stream);
  EXPECT_THAT(out.to_vector<int32_t>(), ElementsAre(1, 20, 3, 0));
}

TEST(Graph, memory_let_go_meanwhile_is_the_graphs) {
  Stream stream(Device::sim());
  Tensor in = Tensor::from(std::vector<int32_t>{1, 2, 3}, {3}, Device::sim()),
         out = Tensor::zeros({3}, DType::i32, Device::sim());
  Graph graph = Graph::capture(stream, [&] {
    copy(stream, out, in);
    in = Tensor();
  });
  Tensor other = Tensor::from(std::vector<int32_t>{7, 8, 9}, {3}, Device::sim()); // would get the same memory
  graph.launch(stream);
  EXPECT_THAT(out.to_vector<int32_t>(), ElementsAre(1, 2, 3));
}

TEST(Graph, what_waits_is_refused) {
  Stream stream(Device::sim());
  Tensor t = Tensor::zeros({2}, DType::i32, Device::sim());
  auto refused = [&](const std::function<void()> &work) {
    return message_of<UserError>([&] { Graph::capture(stream, work); });
  };
  EXPECT_THAT(refused([&] { stream.synchronize(); }),
              ::testing::AllOf(HasSubstr("wait for a stream of sim"), HasSubstr("a stream of sim is being captured"),
                               HasSubstr("before or after Graph::capture")));
  EXPECT_THAT(refused([&] { t.to_vector<int32_t>(); }), HasSubstr("copy i32[2] on sim into"));
  EXPECT_THAT(refused([&] { t.to_values(); }), HasSubstr("read i32[2] on sim"));
  EXPECT_THAT(refused([&] { (void)stream.done(); }), HasSubstr("ask whether"));
  EXPECT_THAT(refused([&] { Graph::capture(stream, [] {}); }), HasSubstr("this thread captures one already"));
  EXPECT_NO_THROW(stream.synchronize()); // an error ended the capture
  EXPECT_THAT(message_of<UserError>([&] { Graph::capture(Stream(Device::host()), [] {}); }),
              HasSubstr("run kernels on the host"));
  Graph graph = Graph::capture(stream, [] {});
  EXPECT_THAT(message_of<UserError>([&] { graph.launch(Stream(Device::interp())); }),
              HasSubstr("they are of different devices"));
  EXPECT_THAT(message_of<UserError>([&] { Graph().launch(stream); }), HasSubstr("it is empty"));
}

class CudaGraph : public ::testing::Test {
protected:
  void SetUp() override {
    library = dlopen(fake_cuda_path().c_str(), RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(library, nullptr) << dlerror();
    Device::cuda();
    reset();
  }
  template <typename F> F *function(const char *name) { return reinterpret_cast<F *>(dlsym(library, name)); }
  void reset() { function<decltype(fake_reset)>("fake_reset")(); }
  std::string calls() { return function<decltype(fake_calls)>("fake_calls")(); }
  int live() { return function<decltype(fake_live)>("fake_live")(); }
  void *library = nullptr;
};

TEST_F(CudaGraph, memory_in_a_streams_order) {
  Stream stream = Stream::create(Device::cuda());
  { Tensor t = Tensor::zeros({8}, f32, stream); }
  EXPECT_THAT(calls(), ::testing::AllOf(HasSubstr("cuMemAllocAsync 32\n"), HasSubstr("cuMemsetD8Async 32\n"),
                                        HasSubstr("cuMemFreeAsync\n"), ::testing::Not(HasSubstr("Synchronize"))));
  EXPECT_THAT(calls(), HasSubstr("cuMemPoolSetAttribute 4\n")); // freed memory stays with the pool
  reset();
  Tensor kept = Tensor::empty({8}, f32, Stream::create(Device::cuda())); // the tensor keeps its stream
  EXPECT_THAT(calls(), ::testing::Not(HasSubstr("cuStreamDestroy")));
  kept = Tensor();
  EXPECT_THAT(calls(), HasSubstr("cuMemFreeAsync\n"));
  EXPECT_THAT(calls(), HasSubstr("cuStreamDestroy\n"));
}

// A free on a captured stream would be recorded, and CUDA refuses it for memory from before.
TEST_F(CudaGraph, memory_let_go_meanwhile_is_freed_with_the_graph) {
  Stream stream = Stream::create(Device::cuda());
  const int before = live();
  Tensor early = Tensor::empty({8}, f32, stream), plain = Tensor::empty({8}, f32, Device::cuda());
  {
    Graph graph = Graph::capture(stream, [&] { early = plain = Tensor(); });
    EXPECT_THAT(calls(), ::testing::Not(HasSubstr("cuMemFree")));
  }
  EXPECT_THAT(calls(), ::testing::AllOf(HasSubstr("cuMemFreeAsync\n"), HasSubstr("cuMemFree\n")));
  EXPECT_EQ(live(), before);
}

// A stream of its own: CUDA refuses work on the default stream while a stream that waits for it is captured.
TEST_F(CudaGraph, constants_are_uploaded_once) {
  Stream stream = Stream::create(Device::cuda());
  reset();
  Tensor constant;
  Graph graph =
      Graph::capture(stream, [&] { constant = Tensor::from(std::vector<int32_t>{1, 2}, {2}, Device::cuda()); });
  EXPECT_THAT(calls(),
              ::testing::ContainsRegex(
                  "cuStreamCreate 1(.|\n)*cuMemcpyHtoDAsync 8(.|\n)*cuStreamSynchronize(.|\n)*cuStreamDestroy"));
  EXPECT_THAT(constant.to_vector<int32_t>(), ElementsAre(1, 2));
}

TEST_F(CudaGraph, capture_launch_and_memory) {
  Stream stream = Stream::create(Device::cuda());
  const int before = live();
  {
    Graph graph = Graph::capture(stream, [&] { Tensor::zeros({8}, f32, Device::cuda()); });
    EXPECT_THAT(calls(), HasSubstr("cuStreamBeginCapture 2\n"));
    EXPECT_THAT(calls(), HasSubstr("cuMemAlloc 32\n")); // not the stream's: it lives as long as the graph
    EXPECT_THAT(calls(), ::testing::Not(HasSubstr("cuMemFree")));
    EXPECT_THAT(calls(), ::testing::Not(HasSubstr("cuStreamSynchronize")));
    graph.launch(stream);
    graph.launch(stream);
    EXPECT_THAT(calls(), HasSubstr("cuGraphInstantiate\n"));
    EXPECT_THAT(calls(), HasSubstr("cuGraphLaunch\n"));
  }
  EXPECT_EQ(live(), before);
  EXPECT_THAT(message_of<UserError>([&] { Graph::capture(Stream(Device::cuda()), [] {}); }),
              ::testing::AllOf(HasSubstr("default stream"), HasSubstr("Stream::create")));
  reset();
  EXPECT_THAT(message_of<UserError>([&] { Graph::capture(stream, [&] { stream.synchronize(); }); }),
              HasSubstr("is being captured"));
  EXPECT_THAT(calls(), HasSubstr("cuStreamEndCapture\n"));
  Tensor host = Tensor::zeros({2}, f32), there = Tensor::zeros({2}, f32, Device::cuda());
  for (auto [to, from] : {std::pair{host, there}, {there, host}})
    EXPECT_THAT(message_of<UserError>([&] { Graph::capture(stream, [&] { copy(stream, to, from); }); }),
                HasSubstr("is being captured"));
  there = Tensor();
  EXPECT_EQ(live(), before);
}

} // namespace
