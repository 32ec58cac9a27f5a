#include "runtime/device.h"

#include <gmock/gmock.h>

#include <vector>

#include "runtime/error.h"
#include "scratch.h"

using namespace moec;
using moec::testing::message_of;
using ::testing::HasSubstr;

namespace {

TEST(device, names_and_parsing) {
  for (const char *text : {"sim", "interp", "host"}) EXPECT_EQ(Device::parse(text).name(), text);
  for (const char *text : {"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "SIM"})
    EXPECT_THAT(message_of<UserError>([&] { Device::parse(text); }),
                HasSubstr("say best, sim, interp, cuda or cuda:<index>"))
        << text;
  EXPECT_TRUE(Device() == Device::host());
  EXPECT_FALSE(Device::sim() == Device::interp());
}

TEST(device, sim_and_interp_use_the_hosts_memory) {
  for (Device kernels : {Device::sim(), Device::interp()})
    for (Device memory : {Device::host(), Device::sim(), Device::interp()}) EXPECT_TRUE(kernels.can_use(memory));
}

TEST(device, host_runs_no_kernels) {
  EXPECT_THAT(message_of<UserError>([] { Device::host().target(); }), HasSubstr("only a place for memory"));
}

TEST(device, facts) {
  EXPECT_EQ(Device::sim().target(), "sim");
  EXPECT_EQ(Device::interp().target(), "interp");
  EXPECT_GE(Device::sim().multiprocessors(), 1);
  EXPECT_GE(Device::interp().multiprocessors(), 2);
}

TEST(stream, host_work_is_done_at_once) {
  Stream s = Stream::create(Device::sim());
  std::vector<int> a{1, 2, 3}, b(3);
  s.copy(b.data(), Device::sim(), a.data(), Device::host(), sizeof(int) * 3);
  EXPECT_EQ(b, a);
  s.fill(b.data(), 0, sizeof(int));
  EXPECT_EQ(b[0], 0);
  EXPECT_TRUE(s.done());
  s.synchronize();
  Event start(Device::sim()), stop(Device::sim());
  start.record(s);
  stop.record(s);
  s.wait(stop);
  EXPECT_TRUE(stop.done());
  EXPECT_GE(Event::elapsed_ms(start, stop), 0);
  EXPECT_THAT(message_of<UserError>([&] { Event::elapsed_ms(start, Event(Device::sim())); }),
              HasSubstr("never recorded"));
  EXPECT_THAT(message_of<UserError>([&] { Event(Device::interp()).record(s); }), HasSubstr("different devices"));
  EXPECT_THAT(message_of<UserError>([&] { s.wait(Event(Device::interp())); }), HasSubstr("different devices"));
}

} // namespace
