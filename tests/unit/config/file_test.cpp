// Files on disk: who may read and write them, and secrets in files of their own.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "config/secret.hpp"
#include "support.hpp"

namespace gatehouse::config::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class Files : public ::testing::Test {
 public:
  Files() {
    std::string name = (std::filesystem::temp_directory_path() / "gatehouse-config-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    ::unsetenv("CREDENTIALS_DIRECTORY");  // NOLINT(concurrency-mt-unsafe): one thread
    ::unsetenv("GATEHOUSE_CONFIG");       // NOLINT(concurrency-mt-unsafe): one thread
  }
  ~Files() override {
    ::unsetenv("CREDENTIALS_DIRECTORY");  // NOLINT(concurrency-mt-unsafe): one thread
    ::unsetenv("GATEHOUSE_CONFIG");       // NOLINT(concurrency-mt-unsafe): one thread
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;
  Files(Files&&) = delete;
  Files& operator=(Files&&) = delete;

 protected:
  [[nodiscard]] std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::string write(const std::string& name, const std::string& text, mode_t mode = 0640) {
    const std::string file = path(name);
    std::filesystem::create_directories(std::filesystem::path(file).parent_path());
    std::ofstream(file, std::ios::binary) << text;
    EXPECT_EQ(::chmod(file.c_str(), mode), 0);
    return file;
  }
  static std::vector<std::string> messages(const std::string& file) {
    std::vector<std::string> all;
    if (const auto result = load(file); !result) {
      for (const Problem& problem : result.error()) all.push_back(problem.message());
    }
    return all;
  }
  // The messages of a MySQL configuration.
  std::vector<std::string> mysql_messages(const std::string& mysql, mode_t mode = 0640) {
    const std::string file = write("g.yaml", "store:\n  driver: mysql\n  mysql: " + mysql + "\n", mode);
    auto all = messages(file);
    for (std::string& message : all) message.erase(0, file.size() + 1);
    return all;
  }

 private:
  std::filesystem::path folder_;
};

TEST_F(Files, AreRead) {
  const auto result = load(write("g.yaml", "threads: 3\nstore: {sqlite: {path: g.db}}\n", 0644));
  ASSERT_TRUE(result);
  EXPECT_EQ(result->config.threads, 3U);
  EXPECT_EQ(result->config.store.sqlite_path, path("g.db"));
  EXPECT_EQ(result->config.file, path("g.yaml"));
}

TEST_F(Files, AMissingFileIsAProblem) {
  EXPECT_THAT(messages(path("none.yaml")),
              ElementsAre(StartsWith(path("none.yaml") + ": cannot be read: No such file or directory; allowed: ")));
}

TEST_F(Files, AFolderIsAProblem) {
  EXPECT_THAT(messages(path("")), ElementsAre(HasSubstr("cannot be read")));
}

TEST_F(Files, AnEndlessFileIsAProblem) {
  EXPECT_THAT(messages("/dev/zero"), ElementsAre(HasSubstr("too large; allowed: ")));
}

TEST_F(Files, AFileThatEverybodyMayWriteIsAProblemBesideTheOthers) {
  EXPECT_THAT(messages(write("g.yaml", "threads: x\n", 0646)),
              ElementsAre(HasSubstr("can be written by every user"), HasSubstr(":1:10: threads: ")));
}

TEST_F(Files, TheFirstOfArgumentEnvironmentAndDefaultIsTheFile) {
  EXPECT_EQ(default_file(""), "/etc/gatehouse/gatehouse.yaml");
  ::setenv("GATEHOUSE_CONFIG", "/x/y.yaml", 1);  // NOLINT(concurrency-mt-unsafe): one thread
  EXPECT_EQ(default_file(""), "/x/y.yaml");
  EXPECT_EQ(default_file("z.yaml"), "z.yaml");
  ::setenv("GATEHOUSE_CONFIG", "", 1);  // NOLINT(concurrency-mt-unsafe): one thread
  EXPECT_EQ(default_file(""), "/etc/gatehouse/gatehouse.yaml");
}

TEST_F(Files, ASecretLosesOneNewlineAtItsEnd) {
  EXPECT_EQ(read_secret(write("s", "pass word\n")), "pass word");
  EXPECT_EQ(read_secret(write("s", "pass\r\n")), "pass");
  EXPECT_EQ(read_secret(write("s", "pass\n\n")), "pass\n");
  EXPECT_EQ(read_secret(write("s", "pass")), "pass");
}

TEST_F(Files, ASecretThatOthersCanReadIsRefused) {
  for (const mode_t mode : {0644U, 0642U, 0604U}) {
    const auto secret = read_secret(write("s", "x", mode));
    ASSERT_FALSE(secret) << mode;
    EXPECT_THAT(secret.error(), HasSubstr("every user of this machine"));
  }
  EXPECT_TRUE(read_secret(write("s", "x", 0440)));
}

TEST_F(Files, ASecretIsNeverEmptyMissingOrHuge) {
  EXPECT_THAT(read_secret(write("s", "\n")).error(), HasSubstr("empty"));
  EXPECT_THAT(read_secret(path("none")).error(), HasSubstr("No such file"));
  EXPECT_THAT(read_secret(path("")).error(), HasSubstr("cannot be read"));
  EXPECT_THAT(read_secret(write("s", std::string(4097, 'x'))).error(), HasSubstr("too large"));
}

TEST_F(Files, ACredentialOfSystemdIsFoundByItsBareName) {
  write("credentials/mysql", "x", 0400);
  EXPECT_EQ(locate_secret("mysql", "/etc/mysql"), "/etc/mysql");
  ::setenv("CREDENTIALS_DIRECTORY", path("credentials").c_str(), 1);  // NOLINT(concurrency-mt-unsafe): one thread
  EXPECT_EQ(locate_secret("mysql", "/etc/mysql"), path("credentials/mysql"));
  EXPECT_EQ(locate_secret("other", "/etc/other"), "/etc/other");
  EXPECT_EQ(locate_secret("./mysql", "/etc/mysql"), "/etc/mysql");
  EXPECT_EQ(locate_secret("/a/mysql", "/a/mysql"), "/a/mysql");
  EXPECT_THAT(mysql_messages("{password_file: mysql}"), ElementsAre());
}

TEST_F(Files, ASecretFileIsRelativeToTheConfiguration) {
  write("secret", "x\n");
  EXPECT_THAT(mysql_messages("{password_file: secret}"), ElementsAre());
  EXPECT_THAT(mysql_messages("{password_file: none}"),
              ElementsAre(StartsWith("3:26: store.mysql.password_file: \"" + path("none") + "\" cannot be read")));
}

TEST_F(Files, ASecretFileIsOpenedOnlyIfItIsUsed) {
  EXPECT_TRUE(load(write("g.yaml", "store: {driver: sqlite, mysql: {password_file: /nowhere}}\n")));
}

TEST_F(Files, OneOfSecretAndSecretFile) {
  EXPECT_THAT(
      mysql_messages("{password: geheim, password_file: secret}"),
      ElementsAre(StartsWith("3:44: store.mysql.password_file: stands beside store.mysql.password; allowed: ")));
}

TEST_F(Files, ASecretInsideAFileThatEverybodyMayReadIsRefused) {
  EXPECT_THAT(mysql_messages("{password: geheim}", 0644), ElementsAre(StartsWith("3:21: store.mysql.password: ")));
  EXPECT_THAT(mysql_messages("{password: geheim}", 0640), ElementsAre());
  EXPECT_THAT(mysql_messages("{password: ''}", 0644), ElementsAre());
}

TEST_F(Files, NoMessageHoldsASecret) {
  for (const char* mysql : {"{password: geheim}", "{password: \"geheim\\n\", password_file: x}"}) {
    for (const std::string& message : mysql_messages(mysql, 0644)) EXPECT_THAT(message, Not(HasSubstr("geheim")));
  }
}

TEST_F(Files, ASecretOfTheTextIsTheSecret) {
  EXPECT_EQ(config("store: {mysql: {password: 'a b '}}").store.mysql.password, "a b ");
}

}  // namespace
}  // namespace gatehouse::config::testing
