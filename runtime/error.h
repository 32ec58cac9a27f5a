// What moec throws: the user's mistake, the device's failure, our defect, and nothing else. Standard library only.
#pragma once

#include <stdexcept>
#include <string>

namespace moec {

/// Base of everything that moec throws. what() reads "<asked>: <wrong>; <todo>"; the parts are kept, so that a tool can set them apart.
class Error : public std::runtime_error {
public:
  /// `asked`: what the caller wanted. `wrong`: why it cannot be. `todo`: what to do about it (may be empty).
  Error(std::string asked, std::string wrong, std::string todo = "");
  const std::string &asked() const { return asked_; }
  const std::string &wrong() const { return wrong_; }
  const std::string &todo() const { return todo_; }

private:
  std::string asked_, wrong_, todo_;
};

/// The caller asked for something that cannot be: a shape, a dtype, a file, an environment variable.
class UserError : public Error {
  using Error::Error;
};
/// The device, its driver or a tool outside of moec failed: out of memory, a missing GPU, an error of the simulator's checker.
class DeviceError : public Error {
  using Error::Error;
};
/// A defect of moec itself.
class InternalError : public Error {
  using Error::Error;
};

} // namespace moec
