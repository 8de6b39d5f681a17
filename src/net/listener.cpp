// Sockets with names: bound beside their place and renamed over it, inherited ones looked at before they are believed.
#include "net/listener.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <system_error>
#include <utility>

#include "http/number.hpp"

namespace gatehouse::net {
namespace {

constexpr int kBacklog = 1024;
constexpr std::size_t kMaxPath = sizeof(sockaddr_un::sun_path) - 1;
constexpr int kFirstInheritedFd = 3;  // sd_listen_fds(3)

using Failure = std::unexpected<std::string>;

Failure failure(std::string_view what, std::string_view where) {
  return Failure{fmt::format("{} {}: {}", what, where, std::generic_category().message(errno))};
}

// A descriptor that closes unless it is given away.
class OwnedFd {
 public:
  explicit OwnedFd(int fd) : fd_(fd) {}
  ~OwnedFd() {
    if (fd_ >= 0) ::close(fd_);
  }
  OwnedFd(const OwnedFd&) = delete;
  OwnedFd& operator=(const OwnedFd&) = delete;
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

// A file that is removed unless it is renamed.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::string path) : path_(std::move(path)) {}
  ~TemporaryFile() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }
  void keep() { path_.clear(); }

 private:
  std::string path_;
};

OwnedFd make_socket(int family) {
  return OwnedFd{::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
}

bool is_literal(const std::string& host, bool in_brackets) {
  in6_addr address{};
  return ::inet_pton(in_brackets ? AF_INET6 : AF_INET, host.c_str(), &address) == 1;
}

std::optional<ListenAddress> parse_tcp(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == text.npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const bool in_brackets = host.starts_with('[') && host.ends_with(']');
  if (in_brackets) host = host.substr(1, host.size() - 2);
  const std::optional<std::uint16_t> port = http::parse_number<std::uint16_t>(text.substr(colon + 1));
  ListenAddress address{
      .kind = ListenAddress::Kind::tcp, .path = {}, .host = std::string{host}, .port = port.value_or(0)};
  if (address.port == 0 || host.contains('\0') || !is_literal(address.host, in_brackets)) return std::nullopt;
  return address;
}

sockaddr_un unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, kMaxPath);
  return address;
}

template <typename Address>
const sockaddr* generic(const Address& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

// The name of a unix socket, of this end or the other.
std::string bound_name(int fd, int (*ask)(int, sockaddr*, socklen_t*)) {
  sockaddr_un address{};
  socklen_t size = sizeof address;
  if (ask(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return {};
  return {address.sun_path, ::strnlen(address.sun_path, sizeof address.sun_path)};
}

enum class Place : std::uint8_t { free, dead_socket, live_socket, other_file, unknown };

// What stands where our socket is to be. A link is some other file: what it points to is not ours to replace.
Place look_at(const std::string& path) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) return errno == ENOENT ? Place::free : Place::unknown;
  if (!S_ISSOCK(status.st_mode)) return Place::other_file;
  const OwnedFd probe = make_socket(AF_UNIX);
  if (probe.get() < 0) return Place::unknown;
  const sockaddr_un address = unix_address(path);
  if (::connect(probe.get(), generic(address), sizeof address) == 0) return Place::live_socket;
  // A full backlog has somebody behind it, and so has a socket of another kind or one that is forbidden to us.
  return errno == ECONNREFUSED ? Place::dead_socket : Place::live_socket;
}

// Beside `path`, and as short as can be, because a socket's path has so few bytes.
std::string path_beside(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == path.npos ? "" : path.substr(0, slash + 1);
  return fmt::format("{}.gh{:x}", folder, ::getpid());
}

// Fresh, it must not push aside what another process has put there in the meantime.
bool move_into_place(const std::string& from, const std::string& to, Place place) {
  if (place == Place::dead_socket) return ::rename(from.c_str(), to.c_str()) == 0;
  return ::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0;
}

std::expected<int, std::string> listen_on_unix(const std::string& path, const SocketOwnership& ownership) {
  const Place place = look_at(path);
  switch (place) {
    case Place::free:
    case Place::dead_socket: break;
    case Place::live_socket: return Failure{fmt::format("unix:{} is in use by another process", path)};
    case Place::other_file: return Failure{fmt::format("unix:{} is there and is not a socket", path)};
    case Place::unknown: return failure("cannot look at", path);
  }
  TemporaryFile beside{path_beside(path)};
  if (beside.path().size() > kMaxPath) return Failure{fmt::format("unix:{} is too long for a socket", path)};
  OwnedFd fd = make_socket(AF_UNIX);
  if (fd.get() < 0) return failure("cannot make a socket for", path);
  // Left over from a process of the same number. What is no socket makes bind fail below.
  if (look_at(beside.path()) == Place::dead_socket) ::unlink(beside.path().c_str());
  const sockaddr_un address = unix_address(beside.path());
  if (::bind(fd.get(), generic(address), sizeof address) != 0) {
    const Failure refused = failure("cannot bind", path);
    beside.keep();  // not ours
    return refused;
  }
  const gid_t group = ownership.group.value_or(static_cast<gid_t>(-1));
  if (::lchown(beside.path().c_str(), static_cast<uid_t>(-1), group) != 0)
    return failure("cannot set the group (a group of this user's, or none, is needed) of", path);
  if (::chmod(beside.path().c_str(), ownership.mode) != 0) return failure("cannot set the mode of", path);
  // Nobody can connect before this, whatever mode the file had until now.
  if (::listen(fd.get(), kBacklog) != 0) return failure("cannot listen on", path);
  if (!move_into_place(beside.path(), path, place)) return failure("cannot put in place", path);
  beside.keep();
  return fd.release();
}

template <typename Address>
std::expected<int, std::string> listen_on_tcp(int family, const Address& address, const std::string& text) {
  OwnedFd fd = make_socket(family);
  if (fd.get() < 0) return failure("cannot make a socket for", text);
  const int on = 1;
  // Connections of a process that has just ended must not hold up its successor.
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (family == AF_INET6) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (::bind(fd.get(), generic(address), sizeof address) != 0) return failure("cannot bind", text);
  if (::listen(fd.get(), kBacklog) != 0) return failure("cannot listen on", text);
  return fd.release();
}

std::expected<int, std::string> listen_on_tcp(const ListenAddress& address) {
  sockaddr_in v4{};
  if (::inet_pton(AF_INET, address.host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(address.port);
    return listen_on_tcp(AF_INET, v4, address.text());
  }
  sockaddr_in6 v6{};
  if (::inet_pton(AF_INET6, address.host.c_str(), &v6.sin6_addr) != 1) {
    return Failure{fmt::format("{}: the host is not a literal address", address.text())};
  }
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(address.port);
  return listen_on_tcp(AF_INET6, v6, address.text());
}

int integer_option(int fd, int option) {
  int value = -1;
  socklen_t size = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

// Called before there are threads, as take_systemd_sockets says.
std::string take_variable(const char* name) {
  const char* const value = std::getenv(name);
  std::string text = value == nullptr ? "" : value;
  ::unsetenv(name);
  return text;
}

// The next of several names between colons; "" when there are no more.
std::string next_name(std::string_view& names) {
  const std::size_t colon = names.find(':');
  const std::string name{names.substr(0, colon)};
  names = colon == names.npos ? std::string_view{} : names.substr(colon + 1);
  return name;
}

}  // namespace

std::optional<ListenAddress> ListenAddress::parse(std::string_view text) {
  if (text.starts_with("tcp:")) return parse_tcp(text.substr(4));
  if (!text.starts_with("unix:")) return std::nullopt;
  const std::string_view path = text.substr(5);
  if (path.empty() || path.size() > kMaxPath || path.ends_with('/') || path.contains('\0')) return std::nullopt;
  return ListenAddress{.kind = Kind::unix_socket, .path = std::string{path}, .host = {}, .port = 0};
}

std::string ListenAddress::text() const {
  if (kind == Kind::unix_socket) return "unix:" + path;
  return host.contains(':') ? fmt::format("tcp:[{}]:{}", host, port) : fmt::format("tcp:{}:{}", host, port);
}

std::expected<int, std::string> listen_on(const ListenAddress& address, const SocketOwnership& ownership) {
  if (address.kind == ListenAddress::Kind::unix_socket) return listen_on_unix(address.path, ownership);
  return listen_on_tcp(address);
}

// After the rename neither the name nor the inode of the file can be asked of the socket. But who connects through the
// file learns which process listens behind it, and under what name that socket was bound.
void remove_if_ours(const ListenAddress& address, int fd) {
  if (address.kind != ListenAddress::Kind::unix_socket) return;
  const OwnedFd probe = make_socket(AF_UNIX);
  const sockaddr_un place = unix_address(address.path);
  if (probe.get() < 0 || ::connect(probe.get(), generic(place), sizeof place) != 0) return;
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(probe.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.pid != ::getpid()) return;
  if (bound_name(probe.get(), ::getpeername) == bound_name(fd, ::getsockname)) ::unlink(address.path.c_str());
}

std::optional<ListenAddress> ListenAddress::of(int fd) {
  ListenAddress address;
  const int domain = integer_option(fd, SO_DOMAIN);
  if (domain == AF_UNIX) {
    address.path = bound_name(fd, ::getsockname);
    return address.path.empty() ? std::nullopt : std::optional(std::move(address));
  }
  sockaddr_in6 name{};  // the larger of the two
  socklen_t size = sizeof name;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size) != 0) return std::nullopt;
  const bool is_v4 = domain == AF_INET;
  const auto& v4 = reinterpret_cast<const sockaddr_in&>(name);
  const void* number = is_v4 ? static_cast<const void*>(&v4.sin_addr) : &name.sin6_addr;
  std::array<char, INET6_ADDRSTRLEN> host{};
  if (::inet_ntop(domain, number, host.data(), host.size()) == nullptr) return std::nullopt;
  address.kind = Kind::tcp;
  address.host = host.data();
  address.port = ntohs(is_v4 ? v4.sin_port : name.sin6_port);
  return address;
}

bool is_listening_socket(int fd) {
  const int domain = integer_option(fd, SO_DOMAIN);
  return integer_option(fd, SO_ACCEPTCONN) == 1 && integer_option(fd, SO_TYPE) == SOCK_STREAM &&
         (domain == AF_UNIX || domain == AF_INET || domain == AF_INET6);
}

std::expected<std::vector<InheritedSocket>, std::string> take_systemd_sockets() {
  const std::string pid = take_variable("LISTEN_PID");
  const std::string count_text = take_variable("LISTEN_FDS");
  const std::string names_text = take_variable("LISTEN_FDNAMES");
  std::vector<InheritedSocket> sockets;
  if (pid.empty() || http::parse_number<pid_t>(pid) != ::getpid()) return sockets;
  const std::optional<int> count = http::parse_number<int>(count_text);
  if (!count || *count < 0) return Failure{fmt::format("LISTEN_FDS is not a number: \"{}\"", count_text)};
  std::string_view names = names_text;
  for (int i = 0; i < *count; ++i) {
    const int fd = kFirstInheritedFd + i;
    InheritedSocket socket{.fd = fd, .name = next_name(names)};
    if (!is_listening_socket(fd)) {
      return Failure{fmt::format("inherited descriptor {} (\"{}\") is not a listening stream socket", fd, socket.name)};
    }
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
    sockets.push_back(std::move(socket));
  }
  return sockets;
}

}  // namespace gatehouse::net
