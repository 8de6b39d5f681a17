// Listening sockets: made by us, or inherited. Everything about names, modes, groups and stolen paths is here.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::net {

/// "unix:PATH" or "tcp:HOST:PORT" ("tcp:[::1]:9000"), as in the configuration's `listen`.
struct ListenAddress {
  enum class Kind { unix_socket, tcp } kind = Kind::unix_socket;
  std::string path;  ///< unix
  std::string host;  ///< tcp: a literal address, never a name that could resolve to many
  std::uint16_t port = 0;

  /// Returns nullopt with no guess for anything else; a unix path over 107 bytes is refused.
  [[nodiscard]] static std::optional<ListenAddress> parse(std::string_view text);
  /// Returns where a socket was bound (one of listen_on's has been renamed since); nullopt if it is of no such kind, or
  /// has no name.
  [[nodiscard]] static std::optional<ListenAddress> of(int fd);
  [[nodiscard]] std::string text() const;
};

struct SocketOwnership {
  mode_t mode = 0660;
  std::optional<gid_t> group;
};

/// Binds and listens; returns the descriptor (CLOEXEC, non-blocking) or a sentence for the log.
/// A unix socket is bound beside its place, given mode and group, then renamed over it, so that it is never there with
/// the wrong mode; a socket that still answers is never stolen, a dead one is replaced.
[[nodiscard]] std::expected<int, std::string> listen_on(const ListenAddress& address, const SocketOwnership& ownership);

/// Removes the file of a unix socket if it still leads to `fd`, which listen_on made in this process and which still
/// listens. A successor that has put its own socket there in the meantime keeps it. Nothing to do for TCP.
void remove_if_ours(const ListenAddress& address, int fd);

/// A descriptor passed by systemd: LISTEN_FDS from 3 on, names from LISTEN_FDNAMES.
struct InheritedSocket {
  int fd = -1;
  std::string name;  ///< "" if it has none
};
/// Takes the sockets that systemd passed to this very process (LISTEN_PID), sets CLOEXEC on them and removes the
/// variables from the environment, so call it once, before there are threads. Descriptors that are no listening stream
/// sockets are an error.
[[nodiscard]] std::expected<std::vector<InheritedSocket>, std::string> take_systemd_sockets();
/// True if the descriptor is a listening stream socket (spawn-fcgi, mod_fcgid and lighttpd pass one as fd 0).
[[nodiscard]] bool is_listening_socket(int fd);

}  // namespace gatehouse::net
