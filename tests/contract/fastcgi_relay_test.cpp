// The relay and what an application says: rightly, wrongly, without end. Whatever it is, the visitor gets a whole
// answer, an error page's turn, or an answer that is visibly broken off; and nothing is left behind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "contract/relaying.hpp"

namespace gatehouse::relay {
namespace {

using namespace test;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// ---- A request ----

TEST_F(Relaying, RequestIsThatOfAResponderAndItsAnswerIsDelivered) {
  start([this](Link& link) {
    link.read_request();
    link.send(
        whole("Status: 404 Nothing here\r\nContent-Type: text/plain\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\nhello"));
    EXPECT_TRUE(link.sees_end());
    received = link.got;
  });
  const auto result = delivered();
  EXPECT_EQ(result.status, 404);
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(visitor().head->status, 404);
  EXPECT_EQ(visitor().head->reason, "Nothing here");
  EXPECT_EQ(visitor().head->headers,
            (http::Headers{{"Content-Type", "text/plain"}, {"Set-Cookie", "a"}, {"Set-Cookie", "b"}}));
  EXPECT_EQ(visitor().answer, "hello");
  EXPECT_THAT(log, IsEmpty());
  EXPECT_EQ(got().begin, (fastcgi::BeginRequest{.role = 1, .flags = 0}));
  EXPECT_EQ(got().params, params);
  EXPECT_EQ(got().body, "");
  EXPECT_FALSE(got().is_aborted);
  EXPECT_FALSE(got().is_malformed);
}

TEST_F(Relaying, AnswerMayArriveInAnyTwoPieces) {
  const std::string answer = err("a note\n") + whole(kHead + "hello");
  for (std::size_t cut = 0; cut <= answer.size(); ++cut) {
    start([answer, cut](Link& link) {
      link.read_request();
      link.send_alone(answer.substr(0, cut));
      link.send(answer.substr(cut));
      link.sees_end();
    });
    log.clear();
    EXPECT_EQ(delivered().status, 200) << cut;
    EXPECT_EQ(visitor().answer, "hello") << cut;
    EXPECT_THAT(log, ElementsAre("a note")) << cut;
  }
}

TEST_F(Relaying, AnswerMayArriveByteByByte) {
  start([](Link& link) {
    link.read_request();
    for (const char& byte : err("a note\n") + whole(kHead + "hello")) link.send_alone({&byte, 1});
    EXPECT_TRUE(link.sees_end());
  });
  delivered();
  EXPECT_EQ(visitor().answer, "hello");
  EXPECT_THAT(log, ElementsAre("a note"));
}

TEST_F(Relaying, EveryPaddingIsSkipped) {
  std::string answer = out(kHead);
  std::string expected;
  for (int padding = 0; padding < 256; ++padding) {
    answer += raw_record(6, 1, std::to_string(padding), static_cast<std::uint8_t>(padding));
    expected += std::to_string(padding);
  }
  start(says(answer + raw_record(6, 1, "", 255) + raw_record(3, 1, std::string(8, '\0'), 255)));
  delivered();
  EXPECT_EQ(visitor().answer, expected);
}

TEST_F(Relaying, LongAnswerKeepsItsOrder) {
  std::string body;
  for (int number = 0; number < 300'000; ++number) body += std::to_string(number) + "\n";
  start(says(whole(kHead + body)));
  delivered();
  EXPECT_TRUE(visitor().answer == body);
}

TEST_F(Relaying, PairsAreWholeWithinTheirRecord) {
  params.clear();
  for (int number = 0; number < 90; ++number) {
    params.emplace_back("HTTP_X_" + std::to_string(number), std::string(1000, 'v'));
  }
  params.emplace_back("LARGE", std::string(60'000, 'l'));
  params.emplace_back("EMPTY", "");
  params.emplace_back("A127", std::string(127, 'a'));
  params.emplace_back("A128", std::string(128, 'a'));
  start([this](Link& link) {
    link.read_request();
    received = link.got;
    link.send(whole(kHead));
  });
  delivered();
  EXPECT_TRUE(got().pairs_are_whole);
  EXPECT_EQ(got().params, params);
  EXPECT_GE(got().params_sizes.size(), 3U);
  EXPECT_THAT(got().params_sizes, Each(testing::Le(65'535U)));
}

TEST_F(Relaying, ParameterThatFitsIntoNoRecordReachesNobody) {
  params.emplace_back("HTTP_X", std::string(65'536, 'v'));
  start(says(whole(kHead)));
  EXPECT_EQ(failed().status, 431);
  EXPECT_EQ(application->connections(), 0);
}

TEST_F(Relaying, BodyIsCutAtTheRecordLimitAndEnded) {
  for (const std::size_t size : {0U, 1U, 65'528U, 65'535U, 65'536U, 131'056U, 1'000'000U}) {
    std::string body(size, 'b');
    for (std::size_t at = 0; at < size; at += 1000) body[at] = static_cast<char>('a' + at / 1000 % 26);
    start([this](Link& link) {
      link.read_request();
      received = link.got;
      link.send(whole(kHead));
    });
    delivered(body);
    EXPECT_TRUE(got().body == body) << size;
    EXPECT_TRUE(got().has_ended_stdin) << size;
    EXPECT_FALSE(got().is_malformed) << size;
    EXPECT_THAT(got().stdin_sizes, Each(testing::Le(65'535U))) << size;
    EXPECT_EQ(got().stdin_sizes.size(), (size + 65'527) / 65'528) << size;
  }
}

TEST_F(Relaying, MegabyteOutBeforeMegabyteIn) {
  start([this](Link& link) {
    link.read_params();
    link.send(out(kHead + std::string(1'000'000, 'o')));
    link.read_body();
    received = link.got;
    link.send(out(std::to_string(link.got.body.size())) + out_end() + end());
  });
  delivered(std::string(1'000'000, 'i'));
  EXPECT_TRUE(visitor().answer == std::string(1'000'000, 'o') + "1000000");
}

TEST_F(Relaying, EarlyAnswerIsDeliveredThoughTheBodyStaysUnread) {
  start([](Link& link) {
    link.read_params();
    link.send(whole(kHead + std::string(300'000, 'a')));
  });
  delivered(std::string(4'000'000, 'i'));
  EXPECT_TRUE(visitor().answer == std::string(300'000, 'a'));
}

TEST_F(Relaying, ApplicationThatReadsNoMoreMayStillAnswer) {
  start([](Link& link) {
    link.read_params();
    link.stop_reading();
    link.send(whole(kHead + "early"));
  });
  delivered(std::string(4'000'000, 'i'));
  EXPECT_EQ(visitor().answer, "early");
}

// ---- Its end ----

struct Ends {
  ProtocolStatus protocol_status;
  int without_head;
};

class EndOfRequest : public Relaying, public testing::WithParamInterface<Ends> {};

TEST_P(EndOfRequest, WithoutAHeadIsAnErrorOfOurs) {
  start(says_and_stays(end(0, GetParam().protocol_status)));
  EXPECT_EQ(failed().status, GetParam().without_head);
}

TEST_P(EndOfRequest, WithHalfAHeadIsAnErrorOfOursToo) {
  start(says_and_stays(out("Status: 200\r\n") + end(0, GetParam().protocol_status)));
  EXPECT_EQ(failed().status, GetParam().without_head);
}

INSTANTIATE_TEST_SUITE_P(Of, EndOfRequest,
                         testing::Values(Ends{ProtocolStatus::request_complete, 502},
                                         Ends{ProtocolStatus::cant_mpx_conn, 503},
                                         Ends{ProtocolStatus::overloaded, 503}, Ends{ProtocolStatus::unknown_role, 502},
                                         Ends{static_cast<ProtocolStatus>(77), 502}));

TEST_F(Relaying, AppStatusIsTold) {
  start(says(out(kHead + "fine") + end(3)));
  EXPECT_EQ(delivered().exit_code, 3);
  EXPECT_EQ(visitor().answer, "fine");
}

TEST_F(Relaying, EndOfStdoutNeedNotBeMarkedBeforeEndRequest) {
  start(says(out(kHead + "fine") + end()));
  delivered();
  EXPECT_EQ(visitor().answer, "fine");
}

TEST_F(Relaying, WhatComesAfterEndRequestIsIgnored) {
  start(says(whole(kHead + "fine") + "garbage" + out("more")));
  delivered();
  EXPECT_EQ(visitor().answer, "fine");
}

TEST_F(Relaying, ApplicationIsLeftWhenItHasEndedAndDoesNotClose) {
  start(says_and_stays(whole(kHead + "fine")));
  delivered();
}

TEST_F(Relaying, MissingEndIsForgivenIfStdoutWasEnded) {
  start(says(out(kHead + "fine") + out_end()));
  delivered();
  EXPECT_EQ(visitor().answer, "fine");
}

TEST_F(Relaying, MissingEndIsForgivenIfTheAnnouncedLengthHasCome) {
  start(says(out("Content-Length: 4\r\n" + kHead + "fine")));
  delivered();
  EXPECT_EQ(visitor().answer, "fine");
}

TEST_F(Relaying, MissingEndBreaksOff) {
  start(says(out(kHead + "fine")));
  EXPECT_THAT(broken_off(), HasSubstr("closed"));
  EXPECT_EQ(visitor().answer, "fine");
}

TEST_F(Relaying, MissingEndOfAnAnswerThatIsShorterThanAnnouncedBreaksOff) {
  start(says(out("Content-Length: 5\r\n" + kHead + "fine") + out_end()));
  EXPECT_THAT(broken_off(), HasSubstr("Content-Length"));
}

TEST_F(Relaying, NothingAtAllIsABadGateway) {
  start(says(""));
  EXPECT_EQ(failed().status, 502);
}

TEST_F(Relaying, UnfinishedHeaderIsABadGateway) {
  start(says(out("Content-Type: text/plain\r\n")));
  EXPECT_EQ(failed().status, 502);
}

// The worst that may happen at any byte: what is delivered is whole.
TEST_F(Relaying, ConnectionMayEndAtEveryByte) {
  const std::string head = "Status: 200\r\n\r\n";
  const std::string announced = "Content-Length: 5\r\n" + head;
  for (const std::string& text : {head + "hello", announced + "hello"}) {
    const std::string answer = err("a note") + out(text) + out_end() + end();
    for (std::size_t cut = 0; cut <= answer.size(); ++cut) {
      start(says(answer.substr(0, cut)));
      const auto outcome = ask();
      const bool is_delivered = std::holds_alternative<Delivered>(outcome);
      const bool is_failed = std::holds_alternative<Failed>(outcome) && std::get<Failed>(outcome).status == 502;
      EXPECT_TRUE(is_delivered || is_failed || visitor().is_broken_off) << cut << ": " << describe(outcome);
      EXPECT_EQ(is_failed, !visitor().head) << cut;
      if (is_delivered) {
        EXPECT_EQ(visitor().answer, "hello") << cut;
      }
      if (cut == answer.size()) {
        EXPECT_TRUE(is_delivered) << describe(outcome);
      }
    }
  }
}

TEST_F(Relaying, ResetBeforeTheHeadIsABadGateway) {
  start(
      [](Link& link) {
        link.read_request();
        link.reset();
      },
      Application::Family::ipv4);
  EXPECT_EQ(failed().status, 502);
}

TEST_F(Relaying, ResetAfterTheHeadBreaksOff) {
  start(
      [this](Link& link) {
        link.read_request();
        link.send(out(kHead + "some"));
        EXPECT_TRUE(body_came());
        link.reset();
      },
      Application::Family::ipv4);
  note_body();
  broken_off();
  EXPECT_EQ(visitor().answer, "some");
}

TEST_F(Relaying, ResetBeforeAnythingIsReadIsABadGateway) {
  start([](Link& link) { link.reset(); }, Application::Family::ipv4);
  EXPECT_EQ(failed(std::string(4'000'000, 'i')).status, 502);
}

// ---- Lies ----

struct Lie {
  const char* name;
  std::string bytes;
};

std::string of_version(char version, std::string record) {
  record[0] = version;
  return record;
}

std::vector<Lie> lies() {
  const std::string eight(8, '\0');
  return {
      {"Version2", of_version(2, out("x"))},
      {"Version0", of_version(0, out("x"))},
      {"OtherId", raw_record(6, 2, "x")},
      {"Id0", raw_record(6, 0, "x")},
      {"OtherIdOfAnEmptyRecord", raw_record(6, 2, "")},
      {"EndOfAnotherRequest", raw_record(3, 2, eight)},
      {"EndOfRequest0", raw_record(3, 0, eight)},
      {"EndThatIsTooShort", raw_record(3, 1, std::string(7, '\0'))},
      {"EndThatIsTooLong", raw_record(3, 1, std::string(9, '\0'))},
      {"EndThatIsEmpty", raw_record(3, 1, "")},
      {"StdoutAfterItsEnd", out_end() + out("x")},
      {"TwoEndsOfStdout", out_end() + out_end()},
      {"BeginRequest", raw_record(1, 1, std::string("\0\1\0\0\0\0\0\0", 8))},
      {"AbortRequest", raw_record(2, 1, "")},
      {"Params", raw_record(4, 1, "x")},
      {"Stdin", raw_record(5, 1, "x")},
      {"Data", raw_record(8, 1, "x")},
      {"GetValues", raw_record(9, 0, "")},
      {"GetValuesResult", raw_record(10, 0, "")},
      {"UnknownTypeRecord", raw_record(11, 0, eight)},
      {"UnknownTypeRecordOfTheRequest", raw_record(11, 1, eight)},
      {"Type0", raw_record(0, 1, "x")},
      {"Type12", raw_record(12, 1, "x")},
      {"Type255", raw_record(255, 1, "x")},
      {"Http", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
  };
}

class Lying : public Relaying, public testing::WithParamInterface<Lie> {};

TEST_P(Lying, BeforeTheHeadIsABadGateway) {
  start(says_and_stays(GetParam().bytes + whole(kHead + "hello")));
  EXPECT_EQ(failed().status, 502);
}

TEST_P(Lying, WithinTheBodyBreaksOff) {
  start([this](Link& link) {
    link.read_request();
    link.send(out(kHead + "some"));
    EXPECT_TRUE(body_came());
    link.send(GetParam().bytes + whole("more"));
    EXPECT_TRUE(link.sees_end());
  });
  note_body();
  broken_off();
  EXPECT_EQ(visitor().answer, "some");
}

INSTANTIATE_TEST_SUITE_P(With, Lying, testing::ValuesIn(lies()), [](const auto& each) { return each.param.name; });

TEST_F(Relaying, RecordThatIsShorterThanAnnouncedIsABadGateway) {
  start(says(raw_record(6, 1, std::string(1000, 'x')).substr(0, 500)));
  EXPECT_EQ(failed().status, 502);
}

TEST_F(Relaying, RecordThatIsNeverFilledIsATimeout) {
  timeout = kShort;
  start(says_and_stays(raw_record(6, 1, std::string(1000, 'x')).substr(0, 500)));
  EXPECT_EQ(failed().status, 504);
}

TEST_F(Relaying, AnswerIsCutAtItsContentLength) {
  start(says(out("Content-Length: 5\r\n" + kHead + "0123456789") + out("more") + out_end() + end()));
  delivered();
  EXPECT_EQ(visitor().answer, "01234");
}

TEST_F(Relaying, AnswerShorterThanItsContentLengthIsBrokenOff) {
  start(says(whole("Content-Length: 50\r\n" + kHead + "0123456789")));
  EXPECT_THAT(broken_off(), HasSubstr("Content-Length"));
}

// A web server that reads another number in it loses track of where the next answer begins.
TEST_F(Relaying, ContentLengthThatIsNoNumberIsABadGateway) {
  for (const auto* value : {"abc", "-1", "+5", "5, 5", "0x5", "5 5", "99999999999999999999", ""}) {
    start(says(whole("Content-Length: " + std::string(value) + "\r\n" + kHead + "hello")));
    EXPECT_EQ(failed().status, 502) << value;
  }
}

TEST_F(Relaying, MalformedHeaderIsABadGateway) {
  for (const auto* text :
       {"hello\r\n\r\n", "Status: 99\r\n\r\n", "X-Only: this\r\n\r\n", "Status: 200\r\nA B: c\r\n\r\n",
        "Status: 200\r\nA: b\r\n c\r\n\r\n", "Status: 200\r\nStatus: 200\r\n\r\n", "\r\n\r\n"}) {
    start(says_and_stays(out(text)));
    const auto result = failed();
    EXPECT_EQ(result.status, 502) << text;
    EXPECT_THAT(result.reason, HasSubstr("malformed")) << text;
  }
}

// ---- Answers without a body ----

TEST_F(Relaying, HeadHasNoBody) {
  without_body = true;
  start(says(whole("Content-Length: 1000000\r\n" + kHead + std::string(1'000'000, 'x'))));
  delivered();
  EXPECT_EQ(visitor().answer, "");
  EXPECT_EQ(visitor().head->headers.get("Content-Length"), "1000000");
}

TEST_F(Relaying, HeadMayAnnounceWhatDoesNotCome) {
  without_body = true;
  start(says(whole("Content-Length: 1000000\r\n" + kHead)));
  delivered();
}

TEST_F(Relaying, StatusWithoutABodyHasNone) {
  for (const auto* status : {"204", "304"}) {
    start(says(whole("Status: " + std::string(status) + "\r\nContent-Length: 50\r\n\r\nhello")));
    EXPECT_EQ(delivered().status, std::stoi(status));
    EXPECT_EQ(visitor().answer, "") << status;
  }
}

TEST_F(Relaying, LocalRedirectWritesNothing) {
  start(says(whole("Location: /other?x=1\r\n\r\nignored")));
  const auto outcome = ask();
  ASSERT_TRUE(std::holds_alternative<LocalRedirect>(outcome)) << describe(outcome);
  EXPECT_EQ(std::get<LocalRedirect>(outcome).target, "/other?x=1");
  EXPECT_FALSE(visitor().head);
}

TEST_F(Relaying, LocalRedirectWithoutAnEndIsABadGateway) {
  start(says(out("Location: /other?x=1\r\n\r\n")));
  EXPECT_EQ(failed().status, 502);
}

// ---- Floods ----

class Flood : public Relaying {
 protected:
  // Sends the first once, then the second for as long as somebody takes it.
  void start_flood(std::string first, std::string again) {
    std::string block;
    while (block.size() < 30'000) block += again;
    start([first = std::move(first), block = std::move(block), this](Link& link) {
      link.read_request();
      link.send(first);
      taken = link.flood(block);
    });
  }
  std::size_t taken = 0;
};

TEST_F(Flood, OfHeaderLinesIsABadGateway) {
  start_flood("", out("X-Line: of a header without end\r\n"));
  const auto result = failed();
  EXPECT_EQ(result.status, 502);
  EXPECT_THAT(result.reason, HasSubstr("too long"));
}

TEST_F(Flood, OfStderrIsATimeout) {
  timeout = kShort;
  start_flood("", err("a line of the log, again and again\n"));
  EXPECT_EQ(failed().status, 504);
  EXPECT_EQ(log.back(), "further output dropped");
  EXPECT_LT(log.size(), 3000U);
}

TEST_F(Flood, OfStderrWithoutALineIsATimeout) {
  timeout = kShort;
  start_flood("", err(std::string(1000, 'x')));
  EXPECT_EQ(failed().status, 504);
  EXPECT_LT(log.size(), 100U);
}

TEST_F(Flood, OfStderrAfterTheHeadBreaksOff) {
  timeout = kShort;
  start_flood(out(kHead + "some"), err(std::string(1000, 'x')));
  EXPECT_THAT(broken_off(), HasSubstr("silent"));
}

TEST_F(Flood, OfEmptyRecordsIsATimeout) {
  timeout = kShort;
  start_flood("", raw_record(7, 1, ""));
  EXPECT_EQ(failed().status, 504);
}

TEST_F(Flood, OfPaddingIsATimeout) {
  timeout = kShort;
  start_flood("", raw_record(7, 1, "", 255));
  EXPECT_EQ(failed().status, 504);
}

TEST_F(Flood, BeyondTheAnnouncedLengthIsNotWaitedFor) {
  timeout = kShort;
  start_flood(out("Content-Length: 5\r\n" + kHead), out("0123456789"));
  delivered();
  EXPECT_EQ(visitor().answer, "01234");
}

TEST_F(Flood, OfABodyThatHeadDoesNotHaveIsNotWaitedFor) {
  timeout = kShort;
  without_body = true;
  start_flood(out(kHead), out("0123456789"));
  delivered();
  EXPECT_EQ(visitor().answer, "");
}

TEST_F(Flood, AfterALocalRedirectIsATimeout) {
  timeout = kShort;
  start_flood(out("Location: /other\r\n\r\n"), out("0123456789"));
  EXPECT_EQ(failed().status, 504);
}

TEST_F(Flood, DelaysNobodyElse) {
  const Application other(says(whole(kHead + "hello")));
  start_flood("", err(std::string(10, 'x')));
  Answered flooded;
  begin(flooded);
  // The other visitor's request is served while the flood goes on, which only the first visitor's leaving ends.
  FakeExchange& first = visitor();
  next_visitor();
  fastcgi::Client other_client(other.address(), 0);
  net::Spool nothing;
  RunOutcome outcome;
  asio::co_spawn(*reactor, relay({.application = other_client, .params = params, .body = nothing}, visitor(), {}, {}),
                 [&](const std::exception_ptr&, RunOutcome result) {
                   outcome = std::move(result);
                   EXPECT_FALSE(flooded.is_done);
                   first.leave();
                 });
  finish(flooded);
  EXPECT_TRUE(std::holds_alternative<Delivered>(outcome)) << describe(outcome);
  EXPECT_TRUE(std::holds_alternative<BrokenOff>(flooded.outcome)) << describe(flooded.outcome);
}

// ---- Its log, and our own failures ----

TEST_F(Relaying, StderrIsLoggedInLines) {
  start(says(err("one\n\x1b[31mtw") + out(kHead) + err("o\n") + out_end() + err("three") + end()));
  delivered();
  EXPECT_THAT(log, ElementsAre("one", "\\x1b[31mtwo", "three"));
}

TEST_F(Relaying, StderrOfAFailureIsLogged) {
  start(says(err("broken") + end()));
  EXPECT_EQ(failed().status, 502);
  EXPECT_THAT(log, ElementsAre("broken"));
}

TEST_F(Relaying, HookMayChangeTheHead) {
  on_head = [](http::ResponseHead& head) {
    head.status = 201;
    head.headers.add("Set-Cookie", "c");
  };
  start(says(whole(kHead)));
  EXPECT_EQ(delivered().status, 201);
  EXPECT_TRUE(visitor().head->headers.has("Set-Cookie"));
}

TEST_F(Relaying, ExceptionOfTheHookPassesAndLeavesNobody) {
  on_head = [](http::ResponseHead&) { throw std::runtime_error("hook"); };
  start(says_and_stays(out(kHead + "some")));
  EXPECT_THROW(ask(std::string(4'000'000, 'i')), std::runtime_error);
}

TEST_F(Relaying, ExceptionOfTheLogPassesAndLeavesNobody) {
  on_stderr = [](std::string_view) { throw std::runtime_error("log"); };
  start(says_and_stays(out(kHead + "some") + err("line\n")));
  EXPECT_THROW(ask(), std::runtime_error);
}

TEST_F(Relaying, ExceptionAtTheVeryEndPasses) {
  on_stderr = [](std::string_view) { throw std::runtime_error("log"); };
  start(says(err("line without an end") + whole(kHead)));
  EXPECT_THROW(ask(), std::runtime_error);
}

}  // namespace
}  // namespace gatehouse::relay
