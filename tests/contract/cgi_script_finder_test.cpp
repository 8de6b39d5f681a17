// Real folders: which file a path means, and that no way leads out of the root.
#include "cgi/script_finder.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "contract/cgi_folder.hpp"

namespace gatehouse::cgi {
namespace {

using std::filesystem::create_directory_symlink;
using std::filesystem::create_symlink;

class ScriptFinder : public testing::Test {
 protected:
  [[nodiscard]] std::expected<Script, NoScript> find(std::string_view path) const {
    return find_script((folder.path() / "root").string(), *http::Path::from_decoded(path));
  }
  [[nodiscard]] int status(std::string_view path) const {
    const auto script = find(path);
    return script ? 200 : script.error().status;
  }
  [[nodiscard]] std::string root() const { return (folder.path() / "root").string(); }

  ScriptFolder folder;
  const std::string app = folder.script("root/app.cgi", "#!/bin/sh\n");
  const std::string deep = folder.script("root/a/b/c", "#!/bin/sh\n");
};

TEST_F(ScriptFinder, NameIsScriptNameAndRestIsPathInfo) {
  const auto script = find("/app.cgi/x/y z");
  ASSERT_TRUE(script);
  EXPECT_EQ(script->filename, app);
  EXPECT_EQ(script->script_name, "/app.cgi");
  EXPECT_EQ(script->path_info, "/x/y z");
  EXPECT_EQ(script->root, root());
}

TEST_F(ScriptFinder, WithoutRestPathInfoIsEmpty) {
  EXPECT_EQ(find("/app.cgi")->path_info, "");
  EXPECT_EQ(find("/app.cgi/")->path_info, "/");
}

TEST_F(ScriptFinder, FoldersAreWalked) {
  const auto script = find("/a/b/c/d");
  ASSERT_TRUE(script);
  EXPECT_EQ(script->filename, deep);
  EXPECT_EQ(script->script_name, "/a/b/c");
  EXPECT_EQ(script->path_info, "/d");
}

TEST_F(ScriptFinder, RootMayEndInASlash) {
  const auto script = find_script(root() + "/", *http::Path::from_decoded("/app.cgi"));
  ASSERT_TRUE(script);
  EXPECT_EQ(script->filename, app);
  EXPECT_EQ(script->root, root());
}

TEST_F(ScriptFinder, NothingThereIsNotFound) {
  EXPECT_EQ(status("/missing"), 404);
  EXPECT_EQ(status("/a/missing/c"), 404);
  EXPECT_EQ(status("/" + std::string(300, 'x')), 404);
  EXPECT_EQ(status("/APP.CGI"), 404);
}

TEST_F(ScriptFinder, FolderIsForbidden) {
  EXPECT_EQ(status("/"), 403);
  EXPECT_EQ(status("/a"), 403);
  EXPECT_EQ(status("/a/b/"), 403);
}

TEST_F(ScriptFinder, FileWithoutXBitIsForbidden) {
  folder.file("root/data.txt", "x", 0644);
  EXPECT_EQ(status("/data.txt"), 403);
  EXPECT_EQ(status("/data.txt/app.cgi"), 403);
}

TEST_F(ScriptFinder, OtherKindsOfFileAreForbidden) {
  ASSERT_EQ(::mkfifo((root() + "/fifo").c_str(), 0755), 0);
  EXPECT_EQ(status("/fifo"), 403);
}

TEST_F(ScriptFinder, LinksInsideTheRootAreFollowed) {
  create_symlink("app.cgi", root() + "/link.cgi");
  create_symlink("../../app.cgi", root() + "/a/b/up.cgi");
  create_directory_symlink("a/b", root() + "/short");
  EXPECT_EQ(status("/link.cgi"), 200);
  EXPECT_EQ(status("/a/b/up.cgi"), 200);
  const auto script = find("/short/c/x");
  ASSERT_TRUE(script);
  EXPECT_EQ(script->script_name, "/short/c");
  EXPECT_EQ(script->filename, root() + "/short/c");
}

TEST_F(ScriptFinder, LinksOutOfTheRootAreNotFound) {
  const auto outside = folder.script("outside/evil.cgi", "#!/bin/sh\n");
  create_symlink(outside, root() + "/absolute.cgi");
  create_symlink("../outside/evil.cgi", root() + "/relative.cgi");
  create_directory_symlink("../outside", root() + "/folder");
  create_directory_symlink("/proc/self/root", root() + "/magic");
  create_symlink("loop", root() + "/loop");
  EXPECT_EQ(status("/absolute.cgi"), 404);
  EXPECT_EQ(status("/relative.cgi"), 404);
  EXPECT_EQ(status("/folder/evil.cgi"), 404);
  EXPECT_EQ(status("/magic/bin/sh"), 404);
  EXPECT_EQ(status("/loop"), 404);
}

TEST_F(ScriptFinder, RootItselfMayBeALink) {
  create_directory_symlink("root", folder.path() / "link");
  EXPECT_TRUE(find_script((folder.path() / "link").string(), *http::Path::from_decoded("/app.cgi")));
}

TEST_F(ScriptFinder, NphIsNotSupported) {
  folder.script("root/nph-app", "#!/bin/sh\n");
  EXPECT_EQ(status("/nph-app"), 501);
  EXPECT_EQ(status("/nph-app/x"), 501);
}

TEST_F(ScriptFinder, UnusableRootIsOurFault) {
  EXPECT_EQ(find_script(root() + "/missing", http::Path()).error().status, 500);
  EXPECT_EQ(find_script(app, *http::Path::from_decoded("/x")).error().status, 500);
}

TEST_F(ScriptFinder, ShortageIsToldApart) {
  const auto here = root();
  const auto path = *http::Path::from_decoded("/app.cgi");
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto script = find_script(here, path);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_FALSE(script);
  EXPECT_EQ(script.error().status, 503);
}

TEST_F(ScriptFinder, LeavesNoDescriptorOpen) {
  const int before = ::dup(0);
  ::close(before);
  for (const auto* path : {"/app.cgi/x", "/a/b/c", "/missing", "/a"}) EXPECT_NE(status(path), 500);
  const int after = ::dup(0);
  ::close(after);
  EXPECT_EQ(before, after);
}

// ---- What an application runs, and not we ----

class ApplicationScripts : public ScriptFinder {
 protected:
  [[nodiscard]] std::expected<Script, NoScript> find(std::string_view path) const {
    return find_script(root(), *http::Path::from_decoded(path), rules);
  }
  [[nodiscard]] int status(std::string_view path) const {
    const auto script = find(path);
    return script ? 200 : script.error().status;
  }

  ScriptRules rules{.is_program = false, .index = "index.php", .extensions = {".php", ".phar"}};
  const std::string page = folder.file("root/page.php", "<?php", 0644);
  const std::string index = folder.file("root/a/index.php", "<?php", 0644);
};

TEST_F(ApplicationScripts, NeedNoXBit) {
  const auto script = find("/page.php/x/y");
  ASSERT_TRUE(script);
  EXPECT_EQ(script->filename, page);
  EXPECT_EQ(script->script_name, "/page.php");
  EXPECT_EQ(script->path_info, "/x/y");
  folder.file("root/nph-page.php", "<?php", 0644);
  EXPECT_EQ(status("/nph-page.php"), 200);
}

TEST_F(ApplicationScripts, OfAnotherExtensionAreForbidden) {
  folder.file("root/photo.jpg", "<?php", 0644);
  folder.file("root/old.php~", "<?php", 0644);
  folder.file("root/.php/photo.jpg", "<?php", 0644);
  for (const std::string_view path :
       {"/photo.jpg", "/photo.jpg/x.php", "/photo.jpg/", "/old.php~", "/.php/photo.jpg", "/app.cgi"}) {
    EXPECT_EQ(status(path), 403) << path;
  }
  rules.extensions = {};
  EXPECT_EQ(status("/photo.jpg"), 200);
}

TEST_F(ApplicationScripts, AFolderRunsItsIndexPage) {
  const auto script = find("/a/");
  ASSERT_TRUE(script);
  EXPECT_EQ(script->filename, index);
  EXPECT_EQ(script->script_name, "/a/index.php");
  EXPECT_EQ(script->path_info, "");
  EXPECT_EQ(status("/"), 403);
  EXPECT_EQ(status("/a/b/"), 403);
  rules.index.clear();
  EXPECT_EQ(status("/a/"), 403);
}

TEST_F(ApplicationScripts, AFolderWithAnIndexPageAndWithoutItsSlashIsToldApart) {
  EXPECT_TRUE(find("/a").error().lacks_slash);
  EXPECT_FALSE(find("/a/b").error().lacks_slash);
  EXPECT_FALSE(find("/a/b/").error().lacks_slash);
  EXPECT_FALSE(find("/missing").error().lacks_slash);
  rules.index.clear();
  EXPECT_FALSE(find("/a").error().lacks_slash);
}

TEST_F(ApplicationScripts, AnIndexPageOutOfTheRootIsNone) {
  folder.file("outside.php", "<?php", 0644);
  create_symlink(folder.path() / "outside.php", folder.path() / "root/a/b/index.php");
  EXPECT_EQ(status("/a/b/"), 404);
  create_symlink("../index.php", folder.path() / "root/a/b/other.php");
  rules.index = "other.php";
  EXPECT_EQ(status("/a/b/"), 200);
}

TEST_F(ApplicationScripts, AnIndexPageThatIsAFolderOrOfAnotherExtensionIsNone) {
  folder.file("root/a/b/index.php/x", "<?php", 0644);
  EXPECT_EQ(status("/a/b/"), 403);
  rules.index = "c";
  EXPECT_EQ(status("/a/b/"), 403);
}

}  // namespace
}  // namespace gatehouse::cgi
