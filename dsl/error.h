// What moec throws, as far as the recorder needs it; runtime/error.h adds the device's failures. Standard library only.
#pragma once

#include <stdexcept>
#include <string>

namespace moec {

/// Base of everything that moec throws. what() reads "<asked>: <wrong>; <todo>"; the parts are kept, so that a tool can
/// set them apart.
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

/// A mistake in a kernel, found while it is recorded. what() reads "<file>:<line>: <asked>: <wrong>; <todo>"; asked()
/// begins with the place.
class KernelError : public UserError {
public:
  KernelError(const char *file, int line, std::string asked, std::string wrong, std::string todo = "");
  const std::string &file() const { return file_; }
  int line() const { return line_; }

private:
  std::string file_;
  int line_;
};

} // namespace moec
