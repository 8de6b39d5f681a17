// Real processes: small scripts that behave well, badly and not at all, and nobody left behind afterwards.
#include "cgi/runner.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "contract/cgi_folder.hpp"
#include "contract/fake_exchange.hpp"
#include "contract/surroundings.hpp"

namespace gatehouse::cgi {
namespace {

namespace asio = net::asio;
using namespace std::chrono_literals;
using contract::describe;
using contract::FakeExchange;
using contract::FewDescriptors;
using contract::open_descriptors;
using contract::TemporaryVariable;
using testing::ElementsAre;
using testing::HasSubstr;

bool has_children() {
  siginfo_t info{};
  return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

// Whether a process still does anything: one that was not our child stays a zombie until its new parent looks.
bool is_running(const std::string& pid) {
  if (pid.empty()) return false;
  std::ifstream stream("/proc/" + pid + "/stat");
  std::string line;
  if (!std::getline(stream, line)) return false;
  const auto state = line.rfind(')') + 2;
  return line[state] != 'Z' && line[state] != 'X';
}

class Runner : public testing::Test {
 protected:
  static void SetUpTestSuite() { EXPECT_NE(::signal(SIGPIPE, SIG_IGN), SIG_ERR); }
  void TearDown() override { EXPECT_FALSE(has_children()); }

  void write(const std::string& text) { program.filename = folder.script("script", text); }
  void write_sh(const std::string& text) { write("#!/bin/sh\n" + text + "\n"); }
  void write_perl(const std::string& text) { write("#!/usr/bin/perl\n$| = 1;\n" + text + "\n"); }

  RunOutcome run_it() {
    RunOutcome outcome;
    std::exception_ptr exception;
    asio::co_spawn(
        reactor,
        run(program, visitor, without_body, on_head, [this](std::string_view line) { log.emplace_back(line); }),
        [&](std::exception_ptr thrown, RunOutcome result) {
          exception = std::move(thrown);
          outcome = std::move(result);
        });
    reactor.run();
    EXPECT_FALSE(visitor.has_notice);
    if (exception) std::rethrow_exception(exception);
    return outcome;
  }
  Delivered delivered() {
    const auto outcome = run_it();
    EXPECT_TRUE(std::holds_alternative<Delivered>(outcome)) << describe(outcome);
    EXPECT_FALSE(visitor.is_broken_off);
    return std::holds_alternative<Delivered>(outcome) ? std::get<Delivered>(outcome) : Delivered{};
  }
  Failed failed() {
    const auto outcome = run_it();
    EXPECT_TRUE(std::holds_alternative<Failed>(outcome)) << describe(outcome);
    EXPECT_FALSE(visitor.head);
    EXPECT_FALSE(visitor.is_broken_off);
    return std::holds_alternative<Failed>(outcome) ? std::get<Failed>(outcome) : Failed{.status = 0, .reason = {}};
  }
  std::string broken_off() {
    const auto outcome = run_it();
    EXPECT_TRUE(std::holds_alternative<BrokenOff>(outcome)) << describe(outcome);
    EXPECT_EQ(visitor.is_broken_off, visitor.head.has_value());
    return std::holds_alternative<BrokenOff>(outcome) ? std::get<BrokenOff>(outcome).reason : "";
  }

  // What was sent; status 0: nothing.
  [[nodiscard]] http::ResponseHead head() const {
    return visitor.head.value_or(http::ResponseHead{.status = 0, .reason = {}, .headers = {}});
  }

  asio::io_context reactor{1};
  FakeExchange visitor{reactor};
  ScriptFolder folder;
  Program program{.filename = {},
                  .directory = folder.path().string(),
                  .environment = {"PATH=/usr/bin:/bin"},
                  .max_body = 0,
                  .content_length = {},
                  .timeout = 30s,
                  .visitor_stall = 60s};
  bool without_body = false;
  HeadHook on_head;
  std::vector<std::string> log;
};

// ---- How a program is started ----

TEST_F(Runner, DeliversHeadAndBody) {
  write_sh(R"(printf 'Status: 404 Nothing here\nContent-Type: text/plain\nset-cookie: a\nSet-Cookie: b\n\nhello\n')");
  const auto result = delivered();
  EXPECT_EQ(result.status, 404);
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(head().status, 404);
  EXPECT_EQ(head().reason, "Nothing here");
  EXPECT_EQ(head().headers, (http::Headers{{"Content-Type", "text/plain"}, {"set-cookie", "a"}, {"Set-Cookie", "b"}}));
  EXPECT_EQ(visitor.answer, "hello\n");
  EXPECT_THAT(log, ElementsAre());
}

TEST_F(Runner, NothingButTheNameIsAnArgument) {
  program.environment.emplace_back("QUERY_STRING=-s+--foo");
  write_sh(R"(printf 'Status: 200\n\n%s %s' "$#" "$0")");
  delivered();
  EXPECT_EQ(visitor.answer, "0 " + program.filename);
}

TEST_F(Runner, EnvironmentIsWhatWasGiven) {
  program.environment = {"A=1", "B=x y=z", "PATH=/bin"};
  write_perl(R"(print "Status: 200\n\n"; print map { "$_=$ENV{$_}\n" } sort keys %ENV;)");
  delivered();
  EXPECT_EQ(visitor.answer, "A=1\nB=x y=z\nPATH=/bin\n");
}

TEST_F(Runner, WorksInItsDirectory) {
  folder.file("sub/here", "found", 0644);
  program.directory = (folder.path() / "sub").string();
  write_sh(R"(printf 'Status: 200\n\n'; cat here)");
  delivered();
  EXPECT_EQ(visitor.answer, "found");
}

TEST_F(Runner, NoDescriptorIsInherited) {
  constexpr int kNumber = 57;
  ASSERT_EQ(::dup2(0, kNumber), kNumber);
  write_sh(
      R"(printf 'Status: 200\n\n'; [ -e /proc/self/fd/57 ] && echo inherited; [ -e /proc/self/fd/2 ] && echo two)");
  delivered();
  ::close(kNumber);
  EXPECT_EQ(visitor.answer, "two\n");
}

TEST_F(Runner, SignalsAreAsAFreshProcessHasThem) {
  sigset_t blocked;
  sigset_t before;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGTERM);
  ASSERT_EQ(::pthread_sigmask(SIG_BLOCK, &blocked, &before), 0);
  // Signals 32 and 33 are the C library's own.
  write_sh(R"(printf 'Status: 200\n\n'; sed -nE 's/^Sig(Blk|Ign):\t//p' /proc/self/status)");
  delivered();
  ASSERT_EQ(::pthread_sigmask(SIG_SETMASK, &before, nullptr), 0);
  constexpr std::uint64_t kStandard = 0x7fffffff;
  ASSERT_EQ(visitor.answer.size(), 34U);
  EXPECT_EQ(std::stoull(visitor.answer.substr(0, 16), nullptr, 16) & kStandard, 0U);
  EXPECT_EQ(std::stoull(visitor.answer.substr(17, 16), nullptr, 16) & kStandard, 0U);
}

TEST_F(Runner, ProgramLeadsAGroupOfItsOwn) {
  write_sh(
      R"(printf 'Status: 200\n\n'; read -r pid name state parent group rest < /proc/$$/stat; echo $((group - $$)))");
  delivered();
  EXPECT_EQ(visitor.answer, "0\n");
}

TEST_F(Runner, WhatCannotBeStartedIsABadGateway) {
  program.filename = (folder.path() / "missing").string();
  EXPECT_EQ(failed().status, 502);
}

TEST_F(Runner, FileWithoutXBitIsABadGateway) {
  program.filename = folder.file("plain", "#!/bin/sh\n", 0644);
  EXPECT_EQ(failed().status, 502);
}

TEST_F(Runner, FileThatIsNoProgramIsABadGateway) {
  program.filename = folder.script("text", "just text\n");
  EXPECT_EQ(failed().status, 502);
}

Failed run_with_few_descriptors(const Program& program, rlim_t more) {
  asio::io_context reactor(1);
  FakeExchange visitor(reactor);
  RunOutcome outcome;
  asio::co_spawn(reactor, run(program, visitor, false, {}, {}),
                 [&outcome](const std::exception_ptr&, RunOutcome result) { outcome = std::move(result); });
  {
    const FewDescriptors few(more);
    reactor.run();
  }
  EXPECT_TRUE(std::holds_alternative<Failed>(outcome)) << describe(outcome);
  return std::holds_alternative<Failed>(outcome) ? std::get<Failed>(outcome) : Failed{};
}

TEST_F(Runner, ShortageIsUnavailable) {
  write_sh("exit 0");
  // Each number of missing descriptors fails at another step; with enough of them the script itself says nothing.
  rlim_t more = 0;
  while (run_with_few_descriptors(program, more).status == 503) {
    EXPECT_FALSE(has_children());
    ++more;
  }
  EXPECT_GE(more, 6U);
}

// ---- The body ----

TEST_F(Runner, BodyReachesStdin) {
  visitor.body = "a body";
  visitor.piece = 4;
  write_sh(R"(printf 'Status: 200\n\n'; cat)");
  delivered();
  EXPECT_EQ(visitor.answer, "a body");
}

TEST_F(Runner, NotMoreThanContentLengthIsFed) {
  visitor.body = "0123456789";
  program.content_length = 5;
  write_sh(R"(printf 'Status: 200\n\n'; cat)");
  delivered();
  EXPECT_EQ(visitor.answer, "01234");
}

TEST_F(Runner, MegabyteOutBeforeMegabyteIn) {
  visitor.body = std::string(1'000'000, 'i');
  write_perl(R"(print "Status: 200\n\n", "o" x 1_000_000; local $/; my $in = <STDIN>; print length $in;)");
  delivered();
  EXPECT_EQ(visitor.answer, std::string(1'000'000, 'o') + "1000000");
}

TEST_F(Runner, BodyMayBeIgnored) {
  visitor.body = std::string(1'000'000, 'i');
  program.content_length = visitor.body.size();
  write_sh(R"(printf 'Status: 200\n\nfine')");
  delivered();
  EXPECT_EQ(visitor.answer, "fine");
  EXPECT_LT(visitor.read, visitor.body.size());
}

TEST_F(Runner, StdinMayBeClosedEarly) {
  visitor.body = std::string(1'000'000, 'i');
  write_sh(R"(head -c 10; exec 0<&-; printf 'Status: 200\n\n'; head -c 200000 /dev/zero)");
  // The first ten bytes come before the header: "iiiiiiiiiiStatus" is a header name.
  EXPECT_EQ(failed().status, 502);
}

TEST_F(Runner, AnswerDoesNotWaitForASlowVisitor) {
  visitor.end = FakeExchange::End::never;
  write_sh(R"(printf 'Status: 200\n\nfine')");
  delivered();
  EXPECT_EQ(visitor.answer, "fine");
}

TEST_F(Runner, BodyThatEndsEarlyIsTheVisitorsFault) {
  visitor.body = "01234";
  program.content_length = 10;
  write_sh("echo $$ > pid; cat > /dev/null; sleep 1000");
  EXPECT_EQ(failed().status, 400);
  EXPECT_FALSE(is_running(folder.line_of("pid")));
}

TEST_F(Runner, BodyThatBreaksAfterTheProgramsHeadIsStillAnswered) {
  visitor.body = "01234";
  program.content_length = 10;
  write_sh(R"(printf 'Status: 200\n\nhello'; cat; sleep 1000)");
  visitor.before_piece = 300ms;
  EXPECT_EQ(failed().status, 400);
}

// nginx sends no more of a body once the answer has begun: found by an echo of some MiB that hung for ever.
TEST_F(Runner, AnswerBeginsOnlyAfterTheWholeBodyHasCome) {
  visitor.body = std::string(3'000'000, 'i');
  visitor.piece = 8'192;
  write_sh(R"(printf 'Status: 200\n\n'; cat)");
  delivered();
  EXPECT_EQ(visitor.read_at_head, visitor.body.size());
  EXPECT_EQ(visitor.answer.size(), visitor.body.size());
  EXPECT_TRUE(visitor.answer == visitor.body);
}

TEST_F(Runner, AnswerOfAProgramThatNeverReadsIsNotHeldForEver) {
  visitor.body = std::string(1'000'000, 'i');
  visitor.leaves_at_head = true;
  write_sh(R"(printf 'Status: 200\n\nfine'; sleep 1000)");
  EXPECT_THAT(broken_off(), HasSubstr("went away"));
  EXPECT_EQ(head().status, 200);
}

TEST_F(Runner, AnswerThatHasNoPlaceToWaitIsUnavailable) {
  visitor.body = std::string(2'000'000, 'i');
  const TemporaryVariable nowhere("TMPDIR", "/nonexistent");
  write_sh(R"(printf 'Status: 200\n\n'; head -c 1500000 /dev/zero; cat > /dev/null)");
  EXPECT_EQ(failed().status, 503);
}

TEST_F(Runner, BodyThatBreaksAfterTheAnswerDoesNotMatter) {
  visitor.body = "01234";
  visitor.before_piece = 100ms;
  program.content_length = 10;
  write_sh(R"(printf 'Status: 200\n\nfine'; exec 1>&-; sleep 0.8)");
  EXPECT_EQ(delivered().exit_code, 0);
  EXPECT_EQ(visitor.answer, "fine");
}

TEST_F(Runner, VisitorWhoStopsSendingIsGivenUp) {
  visitor.body = "01234";
  visitor.end = FakeExchange::End::never;
  program.visitor_stall = 300ms;
  write_sh("cat > /dev/null; sleep 1000");
  EXPECT_EQ(failed().status, 400);
}

TEST_F(Runner, AnnouncedBodyBeyondTheLimitStartsNothing) {
  program.max_body = 9;
  program.content_length = 10;
  write_sh("echo $$ > pid; printf 'Status: 200\n\n'");
  EXPECT_EQ(failed().status, 413);
  EXPECT_EQ(folder.line_of("pid"), "");
}

TEST_F(Runner, BodyIsCountedAgainstTheLimit) {
  program.max_body = 9;
  visitor.body = "0123456789";
  visitor.piece = 3;
  write_sh("cat > got; sleep 1000");
  EXPECT_EQ(failed().status, 413);
  EXPECT_THAT(folder.line_of("got"), testing::AnyOf("012345678", "012345", "012", ""));
}

TEST_F(Runner, BodyOfExactlyTheLimitIsFine) {
  program.max_body = 10;
  visitor.body = "0123456789";
  write_sh(R"(printf 'Status: 200\n\n'; cat)");
  delivered();
  EXPECT_EQ(visitor.answer, "0123456789");
}

// ---- The answer ----

TEST_F(Runner, ProgramWithoutAnswerIsABadGateway) {
  write_sh("exit 3");
  const auto result = failed();
  EXPECT_EQ(result.status, 502);
  EXPECT_THAT(result.reason, HasSubstr("exit code 3"));
}

TEST_F(Runner, UnfinishedHeaderIsABadGateway) {
  write_sh(R"(printf 'Content-Type: text/plain\n')");
  EXPECT_EQ(failed().status, 502);
}

TEST_F(Runner, ClosedStdoutWithoutAnswerIsABadGateway) {
  write_sh("echo $$ > pid; exec 1>&-; sleep 1000");
  EXPECT_EQ(failed().status, 502);
  EXPECT_FALSE(is_running(folder.line_of("pid")));
}

TEST_F(Runner, MalformedHeaderIsABadGateway) {
  write_sh("echo $$ > pid; echo hello; echo; sleep 1000");
  const auto result = failed();
  EXPECT_EQ(result.status, 502);
  EXPECT_THAT(result.reason, HasSubstr("colon"));
  EXPECT_FALSE(is_running(folder.line_of("pid")));
}

TEST_F(Runner, EndlessHeaderIsABadGateway) {
  write_sh("yes 'X: y'");
  EXPECT_EQ(failed().status, 502);
}

TEST_F(Runner, ExitCodeIsOnlyTold) {
  write_sh(R"(printf 'Status: 200\n\nfine'; exit 3)");
  EXPECT_EQ(delivered().exit_code, 3);
  EXPECT_EQ(visitor.answer, "fine");
}

TEST_F(Runner, SignalIsTold) {
  write_sh(R"(printf 'Status: 200\n\nfine'; kill -SEGV $$)");
  EXPECT_EQ(delivered().exit_code, 128 + SIGSEGV);
}

TEST_F(Runner, HookMayChangeTheHead) {
  on_head = [](http::ResponseHead& head) {
    head.status = 201;
    head.headers.add("Set-Cookie", "c");
  };
  write_sh(R"(printf 'Status: 200\n\n')");
  EXPECT_EQ(delivered().status, 201);
  EXPECT_TRUE(head().headers.has("Set-Cookie"));
}

TEST_F(Runner, ExceptionPassesAndLeavesNobody) {
  on_head = [](http::ResponseHead&) { throw std::runtime_error("hook"); };
  write_sh(R"(echo $$ > pid; printf 'Status: 200\n\n'; sleep 1000)");
  EXPECT_THROW(run_it(), std::runtime_error);
  EXPECT_FALSE(is_running(folder.line_of("pid")));
}

TEST_F(Runner, HeadHasNoBody) {
  without_body = true;
  write_sh(R"(printf 'Content-Length: 1000000\nContent-Type: a\n\n'; head -c 1000000 /dev/zero)");
  EXPECT_EQ(delivered().exit_code, 0);
  EXPECT_EQ(visitor.answer, "");
  EXPECT_EQ(head().headers.get("Content-Length"), "1000000");
}

TEST_F(Runner, LocalRedirectWritesNothing) {
  write_sh(R"(printf 'Location: /other?x=1\n\nignored')");
  const auto outcome = run_it();
  ASSERT_TRUE(std::holds_alternative<LocalRedirect>(outcome)) << describe(outcome);
  EXPECT_EQ(std::get<LocalRedirect>(outcome).target, "/other?x=1");
  EXPECT_FALSE(visitor.head);
}

TEST_F(Runner, LargeAnswerKeepsItsOrder) {
  write_perl(R"(print "Status: 200\n\n"; print "$_\n" for 1 .. 200_000;)");
  delivered();
  std::string expected;
  for (int number = 1; number <= 200'000; ++number) expected += std::to_string(number) + "\n";
  EXPECT_TRUE(visitor.answer == expected);
}

TEST_F(Runner, AnswerIsCutAtItsContentLength) {
  write_sh(R"(printf 'Status: 200\nContent-Length: 5\n\n0123456789'; printf more)");
  delivered();
  EXPECT_EQ(visitor.answer, "01234");
}

TEST_F(Runner, AnswerShorterThanItsContentLengthIsBrokenOff) {
  write_sh(R"(printf 'Status: 200\nContent-Length: 50\n\n0123456789')");
  EXPECT_THAT(broken_off(), HasSubstr("Content-Length"));
}

TEST_F(Runner, NotModifiedKeepsTheLengthOfWhatItDoesNotSend) {
  write_sh(R"(printf 'Status: 304\nContent-Length: 50\n\n')");
  EXPECT_EQ(delivered().status, 304);
}

TEST_F(Runner, VisitorWhoDoesNotTakeTheAnswerIsGivenUp) {
  visitor.takes_answer = false;
  program.visitor_stall = 100ms;
  write_sh(R"(echo $$ > pid; printf 'Status: 200\n\n'; yes)");
  EXPECT_THAT(broken_off(), HasSubstr("deadline"));
  EXPECT_FALSE(is_running(folder.line_of("pid")));
}

// ---- Time ----

TEST_F(Runner, SilenceBeforeTheHeadIsATimeout) {
  program.timeout = 200ms;
  write_sh("echo $$ > pid; sleep 1000 & echo $! > grandchild; wait");
  EXPECT_EQ(failed().status, 504);
  EXPECT_NE(folder.line_of("grandchild"), "");
  EXPECT_FALSE(is_running(folder.line_of("pid")));
  EXPECT_FALSE(is_running(folder.line_of("grandchild")));
}

TEST_F(Runner, WhoIgnoresTermIsKilled) {
  program.timeout = 200ms;
  write_sh("trap '' TERM; echo $$ > pid; sleep 1000 & echo $! > grandchild; wait; sleep 1000");
  EXPECT_EQ(failed().status, 504);
  EXPECT_FALSE(is_running(folder.line_of("pid")));
  EXPECT_FALSE(is_running(folder.line_of("grandchild")));
}

TEST_F(Runner, WhoIsStoppedIsKilled) {
  program.timeout = 200ms;
  write_sh("echo $$ > pid; kill -STOP $$");
  EXPECT_EQ(failed().status, 504);
  EXPECT_FALSE(is_running(folder.line_of("pid")));
}

TEST_F(Runner, WhoCleansUpOnTermHasTheTime) {
  program.timeout = 200ms;
  write_sh("trap 'echo cleaned > mark; exit 0' TERM; sleep 1000 & wait");
  EXPECT_EQ(failed().status, 504);
  EXPECT_EQ(folder.line_of("mark"), "cleaned");
}

TEST_F(Runner, SilenceAfterTheHeadBreaksOff) {
  program.timeout = 200ms;
  write_sh(R"(echo $$ > pid; printf 'Status: 200\n\nhello'; sleep 1000)");
  EXPECT_THAT(broken_off(), HasSubstr("silent"));
  EXPECT_EQ(visitor.answer, "hello");
  EXPECT_FALSE(is_running(folder.line_of("pid")));
}

TEST_F(Runner, EveryByteRenewsTheTime) {
  program.timeout = 600ms;
  write_perl(R"(print "Status: 200\n\n"; for (1 .. 8) { print "x"; select undef, undef, undef, 0.15; })");
  delivered();
  EXPECT_EQ(visitor.answer, "xxxxxxxx");
}

TEST_F(Runner, LineOfTheLogRenewsTheTime) {
  program.timeout = 600ms;
  write_perl(R"(for (1 .. 8) { print STDERR "x\n"; select undef, undef, undef, 0.15; } print "Status: 200\n\n";)");
  delivered();
  EXPECT_EQ(log.size(), 8U);
}

TEST_F(Runner, VisitorWhoReadsSlowlyIsNotTheProgramsFault) {
  program.timeout = 200ms;
  visitor.before_write = 500ms;
  write_sh(R"(printf 'Status: 200\n\n'; head -c 100000 /dev/zero)");
  delivered();
  EXPECT_EQ(visitor.answer.size(), 100'000U);
}

TEST_F(Runner, VisitorWhoSendsSlowlyIsNotTheProgramsFault) {
  program.timeout = 200ms;
  visitor.body = "abc";
  visitor.piece = 1;
  visitor.before_piece = 400ms;
  write_sh(R"(body=$(cat); printf 'Status: 200\n\n%s' "$body")");
  delivered();
  EXPECT_EQ(visitor.answer, "abc");
}

TEST_F(Runner, ProgramThatDoesNotReadIsATimeoutToo) {
  program.timeout = 200ms;
  visitor.body = std::string(1'000'000, 'i');
  write_sh("sleep 1000");
  EXPECT_EQ(failed().status, 504);
}

TEST_F(Runner, ProgramThatStaysAfterItsAnswerIsEnded) {
  program.timeout = 200ms;
  write_sh(R"(echo $$ > pid; printf 'Status: 200\n\nfine'; exec 1>&- 2>&-; sleep 1000)");
  EXPECT_EQ(delivered().exit_code, 128 + SIGTERM);
  EXPECT_EQ(visitor.answer, "fine");
  EXPECT_FALSE(is_running(folder.line_of("pid")));
}

// ---- Those who stay behind ----

TEST_F(Runner, GrandchildWithOurStdoutIsCutOff) {
  write_sh(R"(printf 'Status: 200\n\nfine'; sleep 1000 & echo $! > grandchild)");
  EXPECT_EQ(delivered().exit_code, 0);
  EXPECT_EQ(visitor.answer, "fine");
  EXPECT_FALSE(is_running(folder.line_of("grandchild")));
}

TEST_F(Runner, GrandchildInAnotherSessionIsCutOffToo) {
  write_sh(R"(printf 'Status: 200\n\nfine'; setsid sh -c 'echo $$ > grandchild; exec sleep 1000' &
              until [ -s grandchild ]; do sleep 0.01; done)");
  EXPECT_EQ(delivered().exit_code, 0);
  EXPECT_EQ(visitor.answer, "fine");
  // It is no longer in the group: nobody's but this test's.
  const auto grandchild = folder.line_of("grandchild");
  EXPECT_TRUE(is_running(grandchild));
  ::kill(std::stoi(grandchild), SIGKILL);
}

TEST_F(Runner, GrandchildThatWritesForEverIsCutOff) {
  write_sh(R"(printf 'Status: 200\n\nfine'; setsid sh -c 'echo $$ > grandchild; exec yes' &
              until [ -s grandchild ]; do sleep 0.01; done)");
  EXPECT_EQ(delivered().exit_code, 0);
  EXPECT_TRUE(visitor.answer.starts_with("fine"));
  // SIGPIPE has ended it, or is about to.
  ::kill(std::stoi(folder.line_of("grandchild")), SIGKILL);
}

TEST_F(Runner, OutputThatWaitsForASlowVisitorIsNotLost) {
  // The head is on its way for longer than the grace after the exit; the body lies in the pipe meanwhile.
  visitor.before_write = 1400ms;
  write_sh(R"(printf 'Status: 200\n\n'; sleep 0.05; head -c 60000 /dev/zero; sleep 1000 & exit 0)");
  delivered();
  EXPECT_EQ(visitor.answer.size(), 60'000U);
}

TEST_F(Runner, GrandchildInTheBackgroundIsEnded) {
  write_sh(R"(sleep 1000 > /dev/null 2>&1 < /dev/null & echo $! > grandchild; printf 'Status: 200\n\nfine')");
  delivered();
  EXPECT_NE(folder.line_of("grandchild"), "");
  EXPECT_FALSE(is_running(folder.line_of("grandchild")));
}

TEST_F(Runner, VisitorGoneEndsTheProgram) {
  visitor.leaves_at_head = true;
  write_sh(R"(echo $$ > pid; sleep 1000 & echo $! > grandchild; printf 'Status: 200\n\n'; sleep 1000)");
  broken_off();
  EXPECT_FALSE(is_running(folder.line_of("pid")));
  EXPECT_FALSE(is_running(folder.line_of("grandchild")));
}

TEST_F(Runner, VisitorGoneBeforeItStartsEndsTheProgram) {
  visitor.leave();
  write_sh("echo $$ > pid; sleep 1000");
  broken_off();
  EXPECT_FALSE(is_running(folder.line_of("pid")));
}

TEST_F(Runner, VisitorGoneWhileSendingEndsTheProgram) {
  visitor.body = "01234";
  visitor.end = FakeExchange::End::closed;
  write_sh("cat > /dev/null; sleep 1000");
  broken_off();
  EXPECT_FALSE(visitor.head);
}

TEST_F(Runner, ReactorThatIsThrownAwayLeavesNobody) {
  write_sh(R"(echo $$ > pid; printf 'Status: 200\n\n'; sleep 1000)");
  {
    asio::io_context other(1);
    FakeExchange someone(other);
    asio::co_spawn(other, run(program, someone, false, {}, {}), [](const std::exception_ptr&, const RunOutcome&) {});
    while (!someone.head) other.run_one();
  }
  EXPECT_FALSE(is_running(folder.line_of("pid")));
}

// ---- Its log ----

TEST_F(Runner, StderrIsLoggedInLines) {
  write_perl(R"(print STDERR "one\n\e[31mtwo\n"; print "Status: 200\n\n"; print STDERR "three";)");
  delivered();
  EXPECT_THAT(log, ElementsAre("one", "\\x1b[31mtwo", "three"));
}

TEST_F(Runner, StderrOfAFailureIsLogged) {
  write_sh("echo broken >&2; exit 1");
  EXPECT_EQ(failed().status, 502);
  EXPECT_THAT(log, ElementsAre("broken"));
}

TEST_F(Runner, StderrFloodDoesNotBlockTheProgram) {
  write_perl(R"(print STDERR "x" x 99, "\n" for 1 .. 20_000; print "Status: 200\n\nfine";)");
  delivered();
  EXPECT_EQ(visitor.answer, "fine");
  EXPECT_LT(log.size(), 1000U);
  EXPECT_EQ(log.back(), "further output dropped");
}

TEST_F(Runner, StderrFloodIsNoSignOfLife) {
  program.timeout = 300ms;
  write_sh("yes >&2");
  EXPECT_EQ(failed().status, 504);
}

// ---- Many at once ----

struct Tally {
  int delivered = 0;
  int wrong = 0;
};

Tally run_many(const Program& program, int runs) {
  asio::io_context reactor(1);
  std::vector<std::unique_ptr<FakeExchange>> visitors;
  Tally tally;
  for (int number = 0; number < runs; ++number) {
    auto& visitor = *visitors.emplace_back(std::make_unique<FakeExchange>(reactor));
    visitor.body = std::to_string(number);
    asio::co_spawn(reactor, run(program, visitor, false, {}, {}),
                   [&](const std::exception_ptr& exception, const RunOutcome& outcome) {
                     const bool is_right =
                         !exception && std::holds_alternative<Delivered>(outcome) && visitor.answer == visitor.body;
                     ++(is_right ? tally.delivered : tally.wrong);
                   });
    // Ten at a time.
    while (tally.delivered + tally.wrong + 10 <= number) reactor.run_one();
  }
  reactor.run();
  return tally;
}

TEST_F(Runner, FourThreadsLeaveNoZombieAndNoDescriptor) {
  write_sh(R"(printf 'Status: 200\n\n'; exec cat)");
  const auto before = open_descriptors();
  std::vector<Tally> tallies(4);
  {
    std::vector<std::jthread> threads;
    threads.reserve(tallies.size());
    for (auto& tally : tallies) threads.emplace_back([&tally, this] { tally = run_many(program, 50); });
  }
  for (const auto& tally : tallies) {
    EXPECT_EQ(tally.delivered, 50);
    EXPECT_EQ(tally.wrong, 0);
  }
  EXPECT_FALSE(has_children());
  EXPECT_EQ(open_descriptors(), before);
}

}  // namespace
}  // namespace gatehouse::cgi
