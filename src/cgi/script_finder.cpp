#include "cgi/script_finder.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "cgi/descriptor.hpp"

namespace gatehouse::cgi {
namespace {

std::unexpected<NoScript> no_script(int status, std::string reason) {
  return std::unexpected(NoScript{status, std::move(reason)});
}

std::string describe(int error) {
  return std::generic_category().message(error);
}

bool is_shortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOMEM || error == EAGAIN;
}

std::unexpected<NoScript> no_root(int error) {
  return no_script(is_shortage(error) ? 503 : 500, "the root folder cannot be opened: " + describe(error));
}

std::unexpected<NoScript> not_opened(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG: return no_script(404, "no such script");
    case EXDEV:
    case ELOOP: return no_script(404, "a symbolic link leads out of the root folder");
    case EACCES: return no_script(403, "a folder on the way may not be searched");
    default: return no_script(is_shortage(error) ? 503 : 500, "the script cannot be looked up: " + describe(error));
  }
}

// The kernel answers EAGAIN when something was renamed while it resolved a "..": asking again is what it expects.
constexpr int kAttempts = 8;

// Opens `relative` for looking at only. Every prefix is resolved from the root itself: a link with ".." in it may
// climb as far as the root, and no further.
Descriptor open_beneath(const Descriptor& root, const std::string& relative) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  for (int attempt = 1;; ++attempt) {
    const long number = ::syscall(SYS_openat2, root.get(), relative.c_str(), &how, sizeof how);
    if (number >= 0 || errno != EAGAIN || attempt == kAttempts) return Descriptor(static_cast<int>(number));
  }
}

// Asked of the opened file, not of its name; AT_EACCESS: the program is started with our effective ids.
bool may_execute(const Descriptor& file) {
  return ::faccessat(file.get(), "", X_OK, AT_EACCESS | AT_EMPTY_PATH) == 0;
}

// RFC 3875 section 5: such a script writes the whole HTTP answer itself, past everything that we add or take away.
bool writes_its_own_header(std::string_view file) {
  return file.substr(file.rfind('/') + 1).starts_with("nph-");
}

std::string_view without_trailing_slashes(std::string_view folder) {
  while (folder.ends_with('/')) folder.remove_suffix(1);
  return folder;
}

// php-fpm's security.limit_extensions.
bool has_extension(std::string_view name, const std::vector<std::string>& extensions) {
  return extensions.empty() ||
         std::ranges::any_of(extensions, [name](const std::string& extension) { return name.ends_with(extension); });
}

std::expected<Script, NoScript> found(const Descriptor& file, std::string_view root, std::string_view path,
                                      std::size_t end, const ScriptRules& rules) {
  const auto name = path.substr(0, end);
  if (rules.is_program && writes_its_own_header(name)) return no_script(501, "nph- scripts are not supported");
  if (rules.is_program && !may_execute(file)) return no_script(403, "the file is not executable for us");
  if (!has_extension(name, rules.extensions)) return no_script(403, "the file's extension is not a script's");
  const auto folder = without_trailing_slashes(root);
  return Script{.filename = std::string(folder).append(name),
                .script_name = std::string(name),
                .path_info = std::string(path.substr(end)),
                .root = std::string(folder.empty() ? root.substr(0, 1) : folder)};
}

std::expected<Script, NoScript> found_index(const Descriptor& folder, std::string_view root, std::string_view path,
                                            const ScriptRules& rules) {
  if (rules.index.empty()) return no_script(403, "the path names a folder");
  const bool lacks_slash = !path.ends_with('/');
  const std::string name = std::string(path).append(lacks_slash ? "/" : "").append(rules.index);
  const auto file = open_beneath(folder, name.substr(1));
  struct stat status{};
  if (!file.is_open() && errno != ENOENT) return not_opened(errno);
  const bool is_file = file.is_open() && ::fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode);
  if (!is_file) return no_script(403, "the path names a folder without an index page");
  if (lacks_slash) return std::unexpected(NoScript{404, "the path names a folder", true});
  return found(file, root, name, name.size(), rules);
}

}  // namespace

std::expected<Script, NoScript> find_script(std::string_view root, const http::Path& path, const ScriptRules& rules) {
  const Descriptor folder(::open(std::string(root).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder.is_open()) return no_root(errno);
  const std::string_view text = path.text();
  for (std::size_t begin = 1; begin < text.size();) {
    const auto end = std::min(text.find('/', begin), text.size());
    const auto file = open_beneath(folder, std::string(text.substr(1, end - 1)));
    if (!file.is_open()) return not_opened(errno);
    struct stat status{};
    if (::fstat(file.get(), &status) != 0) return not_opened(errno);
    if (S_ISREG(status.st_mode)) return found(file, root, text, end, rules);
    if (!S_ISDIR(status.st_mode)) return no_script(403, "neither a file nor a folder");
    begin = end + 1;
  }
  return found_index(folder, root, text, rules);
}

std::expected<Script, NoScript> fixed_script(std::string_view program, std::string_view prefix,
                                             const http::Path& path) {
  if (writes_its_own_header(program)) return no_script(501, "nph- scripts are not supported");
  const std::string_view text = path.text();
  const auto name = without_trailing_slashes(prefix);
  const auto rest = text.substr(std::min(name.size(), text.size()));
  // A path beside the prefix cannot come from its own route; cut in the middle of a name it would mean another one.
  const bool is_below = text.starts_with(name) && (rest.empty() || rest.starts_with('/'));
  return Script{.filename = std::string(program),
                .script_name = std::string(is_below ? name : ""),
                .path_info = std::string(is_below ? rest : text),
                .root = {}};
}

}  // namespace gatehouse::cgi
