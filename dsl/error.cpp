#include "dsl/error.h"

namespace moec {

static std::string sentence(const std::string &asked, const std::string &wrong, const std::string &todo) {
  std::string s = asked;
  if (!wrong.empty()) s += (s.empty() ? "" : ": ") + wrong;
  if (!todo.empty()) s += (s.empty() ? "" : "; ") + todo;
  return s;
}

Error::Error(std::string asked, std::string wrong, std::string todo)
    : std::runtime_error(sentence(asked, wrong, todo)), asked_(std::move(asked)), wrong_(std::move(wrong)),
      todo_(std::move(todo)) {}

KernelError::KernelError(const char *file, int line, std::string asked, std::string wrong, std::string todo)
    : UserError(std::string(file) + ":" + std::to_string(line) + ": " + asked, std::move(wrong), std::move(todo)),
      file_(file), line_(line) {}

} // namespace moec
