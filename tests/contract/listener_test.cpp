// Sockets in the file system and sockets that were inherited.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>

#include "contract/fastcgi_client.hpp"
#include "contract/fastcgi_house.hpp"
#include "net/listener.hpp"

namespace gatehouse::net {
namespace {

using fastcgi::test::Client;
using fastcgi::test::Folder;
using fastcgi::test::unix_at;

struct stat status_of(const std::string& path) {
  struct stat status{};
  EXPECT_EQ(::lstat(path.c_str(), &status), 0) << path;
  return status;
}

bool is_there(const std::string& path) {
  struct stat status{};
  return ::lstat(path.c_str(), &status) == 0;
}

TEST(FastcgiListener, TheSocketHasItsModeAndGroupWhateverTheUmask) {
  const Folder folder;
  const mode_t before = ::umask(0777);
  const auto fd = listen_on(unix_at(folder / "s"), {.mode = 0640, .group = ::getgid()});
  ::umask(before);
  ASSERT_TRUE(fd) << fd.error();
  EXPECT_EQ(status_of(folder / "s").st_mode & 07777U, 0640U);
  EXPECT_EQ(status_of(folder / "s").st_gid, ::getgid());
  EXPECT_TRUE(S_ISSOCK(status_of(folder / "s").st_mode));
  EXPECT_EQ(::fcntl(*fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  EXPECT_EQ(::fcntl(*fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
  EXPECT_TRUE(is_listening_socket(*fd));
  EXPECT_TRUE(Client(folder / "s").is_connected());
  ::close(*fd);
}

TEST(FastcgiListener, ALiveSocketIsNeverStolen) {
  const Folder folder;
  const int live = listen_on(unix_at(folder / "s"), {}).value();
  const ino_t inode = status_of(folder / "s").st_ino;
  const auto second = listen_on(unix_at(folder / "s"), {});
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().find("in use"), std::string::npos) << second.error();
  EXPECT_EQ(status_of(folder / "s").st_ino, inode);
  ::close(live);
}

TEST(FastcgiListener, ALiveSocketWithAFullBacklogIsNotDead) {
  const Folder folder;
  const int live = listen_on(unix_at(folder / "s"), {}).value();
  ASSERT_EQ(::listen(live, 0), 0);
  const Client first(folder / "s");
  EXPECT_FALSE(listen_on(unix_at(folder / "s"), {}));
  ::close(live);
}

TEST(FastcgiListener, ADeadSocketIsReplaced) {
  const Folder folder;
  ::close(listen_on(unix_at(folder / "s"), {}).value());
  ASSERT_TRUE(is_there(folder / "s"));
  ASSERT_FALSE(Client(folder / "s").is_connected());
  const auto fd = listen_on(unix_at(folder / "s"), {});
  ASSERT_TRUE(fd) << fd.error();
  EXPECT_TRUE(Client(folder / "s").is_connected());
  ::close(*fd);
}

TEST(FastcgiListener, WhatIsNoSocketIsNeverReplaced) {
  const Folder folder;
  std::ofstream(folder / "file") << "precious";
  EXPECT_FALSE(listen_on(unix_at(folder / "file"), {}));
  EXPECT_TRUE(S_ISREG(status_of(folder / "file").st_mode));
  ASSERT_EQ(::symlink((folder / "t").c_str(), (folder / "s").c_str()), 0);
  EXPECT_FALSE(listen_on(unix_at(folder / "s"), {})) << "a link, even one that leads nowhere";
  EXPECT_TRUE(S_ISLNK(status_of(folder / "s").st_mode));
}

TEST(FastcgiListener, AFailureLeavesNothingBehindAndIsASentence) {
  const Folder folder;
  const auto missing = listen_on(unix_at(folder / "no/such/folder"), {});
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().find("No such file or directory"), std::string::npos) << missing.error();
  const ListenAddress taken{.kind = ListenAddress::Kind::tcp, .path = {}, .host = "203.0.113.1", .port = 9};
  const auto foreign = listen_on(taken, {});
  ASSERT_FALSE(foreign);
  EXPECT_NE(foreign.error().find("tcp:203.0.113.1:9"), std::string::npos) << foreign.error();
}

TEST(FastcgiListener, TheFileIsRemovedOnlyWhileItIsOurs) {
  const Folder folder;
  const ListenAddress address = unix_at(folder / "s");
  const int ours = listen_on(address, {}).value();
  // A successor has put its own in place: bound elsewhere, renamed over ours.
  const int successor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_GE(successor, 0);
  sockaddr_un elsewhere{};
  elsewhere.sun_family = AF_UNIX;
  (folder / "t").copy(elsewhere.sun_path, sizeof elsewhere.sun_path - 1);
  ASSERT_EQ(::bind(successor, reinterpret_cast<const sockaddr*>(&elsewhere), sizeof elsewhere), 0);
  ASSERT_EQ(::listen(successor, 1), 0);
  ASSERT_EQ(::rename((folder / "s").c_str(), (folder / "file").c_str()), 0);
  ASSERT_EQ(::rename((folder / "t").c_str(), (folder / "s").c_str()), 0);
  remove_if_ours(address, ours);
  EXPECT_TRUE(is_there(folder / "s"));
  ASSERT_EQ(::rename((folder / "file").c_str(), (folder / "s").c_str()), 0);
  remove_if_ours(address, ours);
  EXPECT_FALSE(is_there(folder / "s"));
  ::close(successor);
  ::close(ours);
}

TEST(FastcgiListener, OnlyAListeningStreamSocketIsOne) {
  EXPECT_FALSE(is_listening_socket(-1));
  const int file = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  EXPECT_FALSE(is_listening_socket(file));
  ::close(file);
  const int stream = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT_FALSE(is_listening_socket(stream));
  ::close(stream);
  std::array<int, 2> pair{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()), 0);
  EXPECT_FALSE(is_listening_socket(pair[0])) << "a connection: a CGI program's fd 0 may be one";
  ::close(pair[0]);
  ::close(pair[1]);
  const ListenAddress any{.kind = ListenAddress::Kind::tcp, .path = {}, .host = "::1", .port = 0};
  if (const auto tcp = listen_on(any, {})) {
    EXPECT_TRUE(is_listening_socket(*tcp));
    ::close(*tcp);
  }
}

TEST(Listener, ASocketTellsWhereItIs) {
  const Folder folder;
  // As systemd binds it; ours is renamed, and its name is the one that it was bound with.
  const int unix_socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un place{};
  place.sun_family = AF_UNIX;
  const std::string path = folder / "s";
  path.copy(place.sun_path, sizeof place.sun_path - 1);
  ASSERT_EQ(::bind(unix_socket, reinterpret_cast<const sockaddr*>(&place), sizeof place), 0);
  EXPECT_EQ(ListenAddress::of(unix_socket)->text(), "unix:" + path);
  ::close(unix_socket);
  for (const std::string host : {"127.0.0.1", "::1"}) {
    const auto tcp = listen_on({.kind = ListenAddress::Kind::tcp, .path = {}, .host = host, .port = 0}, {});
    if (!tcp) continue;  // a machine without IPv6
    const auto address = ListenAddress::of(*tcp);
    ASSERT_TRUE(address);
    EXPECT_EQ(address->host, host);
    EXPECT_GT(address->port, 0);
    EXPECT_EQ(ListenAddress::parse(address->text())->port, address->port);
    ::close(*tcp);
  }
  std::array<int, 2> pair{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()), 0);
  EXPECT_FALSE(ListenAddress::of(pair[0])) << "it has no name";
  ::close(pair[0]);
  ::close(pair[1]);
}

// --- systemd's sockets, in a process of their own, because they begin at descriptor 3 ---
// NOLINTBEGIN(concurrency-mt-unsafe): of one thread

void pass_sockets(const Folder& folder, const char* count, const char* names, bool is_for_us = true) {
  const int one = listen_on(unix_at(folder / "s"), {}).value();
  const int two = listen_on(unix_at(folder / "t"), {}).value();
  const int high = ::fcntl(two, F_DUPFD, 100);
  ::dup2(one, 3);
  ::dup2(high, 4);
  const pid_t pid = is_for_us ? ::getpid() : ::getpid() + 1;
  ::setenv("LISTEN_PID", std::to_string(pid).c_str(), 1);
  ::setenv("LISTEN_FDS", count, 1);
  if (names != nullptr) ::setenv("LISTEN_FDNAMES", names, 1);
}

bool environment_is_clean() {
  return std::getenv("LISTEN_PID") == nullptr && std::getenv("LISTEN_FDS") == nullptr &&
         std::getenv("LISTEN_FDNAMES") == nullptr;
}

[[noreturn]] void leave_with(bool is_right) {
  std::_Exit(is_right ? 0 : 1);
}

using FastcgiListenerDeathTest = testing::Test;

TEST(FastcgiListenerDeathTest, SystemdsSocketsComeWithTheirNames) {
  const Folder folder;
  const auto take = [&folder] {
    pass_sockets(folder, "2", "gatehouse.socket:http");
    const auto sockets = take_systemd_sockets();
    leave_with(sockets && sockets->size() == 2 && (*sockets)[0].fd == 3 && (*sockets)[1].fd == 4 &&
               (*sockets)[0].name == "gatehouse.socket" && (*sockets)[1].name == "http" &&
               ::fcntl(3, F_GETFD) == FD_CLOEXEC && (::fcntl(4, F_GETFL) & O_NONBLOCK) != 0 && environment_is_clean());
  };
  EXPECT_EXIT(take(), testing::ExitedWithCode(0), "");
}

TEST(FastcgiListenerDeathTest, NamesMayBeMissing) {
  const Folder folder;
  const auto take = [&folder](const char* names) {
    pass_sockets(folder, "2", names);
    const auto sockets = take_systemd_sockets();
    leave_with(sockets && sockets->size() == 2 && (*sockets)[1].name.empty());
  };
  EXPECT_EXIT(take(nullptr), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(take("one"), testing::ExitedWithCode(0), "");
}

TEST(FastcgiListenerDeathTest, SocketsForAnotherProcessAreNotOurs) {
  const Folder folder;
  const auto take = [&folder] {
    pass_sockets(folder, "2", "a:b", false);
    const auto sockets = take_systemd_sockets();
    leave_with(sockets && sockets->empty() && environment_is_clean());
  };
  EXPECT_EXIT(take(), testing::ExitedWithCode(0), "");
}

TEST(FastcgiListenerDeathTest, WhatIsNoListeningSocketIsAnError) {
  const Folder folder;
  const auto take = [&folder](const char* count) {
    pass_sockets(folder, count, "a:b:c");
    ::close(5);
    leave_with(!take_systemd_sockets());
  };
  EXPECT_EXIT(take("3"), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(take("-1"), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(take("two"), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(take(""), testing::ExitedWithCode(0), "");
}

TEST(FastcgiListener, WithoutSystemdThereAreNone) {
  ::unsetenv("LISTEN_PID");
  const auto sockets = take_systemd_sockets();
  ASSERT_TRUE(sockets);
  EXPECT_TRUE(sockets->empty());
}

// NOLINTEND(concurrency-mt-unsafe)

}  // namespace
}  // namespace gatehouse::net
