#include "config/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace gatehouse::config {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor(Descriptor&&) = delete;
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

std::unexpected<std::string> cannot_read(int error) {
  return std::unexpected("cannot be read: " + std::generic_category().message(error) +
                         "; allowed: a file that we may read");
}

std::expected<std::string, std::string> read_all(int fd, std::size_t most_bytes) {
  std::string text;
  std::array<char, 4096> buffer{};
  while (true) {
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return cannot_read(errno);
    if (got == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(got));
    if (text.size() > most_bytes)
      return std::unexpected("is too large; allowed: " + std::to_string(most_bytes) + " bytes");
  }
}

}  // namespace

std::expected<FileText, std::string> read_file(const std::string& file, std::size_t most_bytes) {
  constexpr mode_t kPermissions = 07777;
  const Descriptor descriptor(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (descriptor.get() < 0) return cannot_read(errno);
  struct stat status{};
  if (::fstat(descriptor.get(), &status) != 0) return cannot_read(errno);
  auto text = read_all(descriptor.get(), most_bytes);
  if (!text) return std::unexpected(std::move(text.error()));
  return FileText{.text = std::move(*text), .permissions = S_ISREG(status.st_mode) ? status.st_mode & kPermissions : 0};
}

}  // namespace gatehouse::config
