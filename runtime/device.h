// Devices, streams and events. Standard library only; CUDA handles are void*.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace moec {

class Backend;

enum class DeviceKind : uint8_t {
  host,   ///< plain memory of this process; kernels on it run on the device that the launch names
  sim,    ///< the simulated GPU
  interp, ///< the reference interpreter
  cuda,   ///< a CUDA device
};

/// Where memory lives and kernels run: a small value. host, sim and interp share the host's memory.
class Device {
public:
  /// The host's memory.
  constexpr Device() = default;
  static constexpr Device host() { return {}; }
  /// What MOEC_DEVICE says; by default the first CUDA device, or the simulated GPU with one warning. Throws UserError
  /// for a bad MOEC_DEVICE, DeviceError if it asks for a GPU that is not there.
  static Device best();
  static constexpr Device sim() { return Device(DeviceKind::sim, 0); }
  static constexpr Device interp() { return Device(DeviceKind::interp, 0); }
  /// CUDA device `index`. Throws DeviceError if there is no driver or no such device.
  static Device cuda(int index = 0);
  /// "best", "sim", "interp", "cuda" or "cuda:<index>"; "host" too. Throws UserError for anything else.
  static Device parse(std::string_view text);

  constexpr DeviceKind kind() const { return kind_; }
  constexpr int index() const { return index_; }
  constexpr bool is_cuda() const { return kind_ == DeviceKind::cuda; }
  /// True if the host may read and write the device's memory.
  constexpr bool host_memory() const { return kind_ != DeviceKind::cuda; }
  /// True if a kernel on this device can use memory of `memory`.
  constexpr bool can_use(Device memory) const { return host_memory() ? memory.host_memory() : *this == memory; }
  constexpr bool operator==(const Device &) const = default;
  /// "host", "sim", "interp", "cuda:0".
  std::string name() const;
  /// A line for people: "NVIDIA H100 (cuda:0, sm_90, 132 SMs)".
  std::string description() const;
  /// The compile target of kernels for it: "sim", "interp", "sm_90a", ...
  std::string target() const;
  /// Multiprocessors of the GPU, or a fixed number for sim and interp.
  int multiprocessors() const;

  /// The implementation behind it. Throws DeviceError where there is none.
  Backend &backend() const;

private:
  constexpr Device(DeviceKind kind, int index) : kind_(kind), index_(static_cast<int16_t>(index)) {}
  friend Device cuda_device_unchecked(int index);
  DeviceKind kind_ = DeviceKind::host;
  int16_t index_ = 0;
};

class Event;

/// A queue of work on a device, in order. Owned (created and destroyed by moec) or lent (a CUstream of the caller's).
/// On sim and interp work is done when the call returns, so synchronizing is free.
class Stream {
public:
  /// The device's default stream (CUDA: the legacy default stream).
  Stream(Device device);
  /// A new stream of its own, which neither waits for the default stream nor keeps it waiting. Throws DeviceError.
  static Stream create(Device device);
  /// The caller's CUstream; it must outlive this object. Ignored on sim and interp.
  static Stream lend(Device device, void *cuda_stream);

  Device device() const { return device_; }
  /// The CUstream, or nullptr.
  void *native() const { return native_; }
  /// Waits for everything queued so far. Throws DeviceError for an error that a kernel left.
  void synchronize() const;
  /// True if everything queued so far is done.
  bool done() const;
  /// Later work on this stream waits for `event`.
  void wait(const Event &event) const;
  /// Queues a copy of `bytes` between memory of two devices, one of which is this stream's device or the host.
  void copy(void *to, Device to_device, const void *from, Device from_device, size_t bytes) const;
  /// Queues filling memory of this device with a byte.
  void fill(void *to, uint8_t value, size_t bytes) const;

private:
  Device device_;
  void *native_ = nullptr;
  std::shared_ptr<void> owned_;
};

/// A point in a stream's work.
class Event {
public:
  explicit Event(Device device);
  /// Marks everything queued on `stream` so far.
  void record(const Stream &stream);
  void synchronize() const;
  bool done() const;
  /// Milliseconds from `start` to `stop`, both recorded and done. Throws UserError if one is not.
  static double elapsed_ms(const Event &start, const Event &stop);

private:
  friend class Stream;
  Device device_;
  std::shared_ptr<void> native_; // CUevent
  int64_t host_ns_ = -1;         // when recorded, on devices whose work is done at once
};

} // namespace moec
