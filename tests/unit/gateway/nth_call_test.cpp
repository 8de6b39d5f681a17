// The store fails at the n-th call of a request, n = 1, 2, 3 … until none is left to fail: each request ends refused or
// done, nothing is half-written, nobody is let in who should not be, and the next try succeeds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <functional>

#include "contract/rows.hpp"
#include "fakes.hpp"
#include "login_form.hpp"

namespace gatehouse::gateway {
namespace {

using auth::ErrorCode;
using contract::RowReader;
using contract::Rows;
using testing::FakeExchange;
using testing::Form;
using ::testing::IsEmpty;
using testing::Site;
using ::testing::TestParamInfo;
using World = auth::testing::World;

constexpr std::size_t kMoreCallsThanAnyRequestMakes = 50;

using MakeRequest = std::function<http::Request()>;

struct UseCase {
  std::string name;
  std::function<MakeRequest(Site&)> prepare;
  int status = 200;      ///< when nothing fails
  bool lets_in = false;  ///< the script runs when nothing fails
  /// A request of somebody with a session, for which nothing must be written: a renewal, a first presentation.
  bool can_do_without_writes = false;
  auth::AuthOptions options = World::options();
};

void PrintTo(const UseCase& use_case, std::ostream* out) {
  *out << use_case.name;
}

/// A site on which one request is made again and again, always with the same randomness.
class Attempt {
 public:
  explicit Attempt(const UseCase& use_case) : site(use_case.options), rows_(site.store.inner) {
    std::ignore = rows_.read();
    request_ = use_case.prepare(site);
    const auto presented = auth::cookie_values(site.cookie, "__Host-session");
    for (const std::string& value : presented) {
      rows_.expect(auth::SessionToken::parse(value, auth::TokenAlphabet::base36)->id(auth::TokenStorage::sha256));
    }
  }

  FakeExchange make_request() {
    site.random = auth::testing::FakeRandom();
    std::array<std::byte, 4096> used_before{};
    std::ignore = site.random.fill(used_before);
    site.app->requests.clear();
    return site.serve(request_());
  }
  Rows rows() { return rows_.read(); }
  [[nodiscard]] bool has_let_in() const { return !site.app->requests.empty(); }

  Site site;

 private:
  RowReader rows_;
  MakeRequest request_;
};

// ── what is tried
// ─────────────────────────────────────────────────────────────────────────────────────────────────────

auth::AuthOptions with(auth::Renewal renewal, std::size_t max_per_user = 0) {
  auth::AuthOptions options = World::options();
  options.renewal = renewal;
  options.max_per_user = max_per_user;
  return options;
}

/// Signs in, and a day later the session is idle.
auth::Session sign_in_and_idle(Site& site) {
  auth::Session session = site.sign_in();
  site.clock.advance(std::chrono::hours(25));
  return session;
}

/// Signs in and renews; the cookie is the old one again.
auth::Session sign_in_and_rotate(Site& site) {
  const auth::Session old = sign_in_and_idle(site);
  return (*site.auth->renew(*site.auth->find(old.token)))->session;
}

void present(Site& site, const auth::Session& session) {
  site.cookie = "__Host-session=" + session.token.reveal();
}

MakeRequest page(Site& site, std::string path = "/app/x") {
  return [&site, path = std::move(path)] { return site.request("GET", path); };
}

MakeRequest logout(Site& site, std::string body = "") {
  return [&site, body = std::move(body)] { return site.post("/auth/logout", body); };
}

MakeRequest login(Site& site) {
  // The first login that fails makes the hash that strangers are compared with, and so draws from the randomness.
  std::ignore = site.auth->use_key(auth::kUsernameProvider, "nobody", "x");
  auto form = std::make_shared<Form>(site);
  return [form] { return form->filled("alice", "correct+horse+battery"); };
}

std::vector<UseCase> use_cases() {
  const auto active = [](Site& site) {
    site.sign_in();
    return page(site);
  };
  const auto idle = [](Site& site) {
    sign_in_and_idle(site);
    return page(site);
  };
  const auto first_presentation = [](const std::string& path) {
    return [path](Site& site) {
      present(site, sign_in_and_rotate(site));
      return page(site, path);
    };
  };
  const auto idle_successor = [](Site& site) {
    present(site, sign_in_and_rotate(site));
    site.clock.advance(std::chrono::hours(25));
    return page(site);
  };
  const auto old_cookie = [](Site& site) {
    sign_in_and_rotate(site);
    return page(site);
  };
  const auto reused_after_grace = [](const std::string& path) {
    return [path](Site& site) {
      const auth::Session successor = sign_in_and_rotate(site);
      std::ignore = site.auth->settle(*site.auth->find(successor.token));
      site.clock.advance(std::chrono::seconds(11));
      return page(site, path);
    };
  };
  const auto first_login = [](Site& site) { return login(site); };
  const auto login_over_a_session = [](Site& site) {
    std::ignore = site.auth->create_session("u1", {});  // on another device
    site.sign_in();
    return login(site);
  };
  const auto login_over_a_rotated_session = [](Site& site) {
    sign_in_and_rotate(site);
    return login(site);
  };
  const auto logout_of_one = [](Site& site) {
    std::ignore = site.auth->create_session("u1", {});
    site.sign_in();
    return logout(site);
  };
  const auto logout_of_a_rotated_one = [](Site& site) {
    sign_in_and_rotate(site);
    return logout(site);
  };
  const auto logout_of_all = [](Site& site) {
    std::ignore = site.auth->create_session("u1", {});
    sign_in_and_rotate(site);
    return logout(site, "all=1");
  };
  const auto extend = with(auth::Renewal::extend);
  const auto one_session_each = with(auth::Renewal::rotate, 1);
  return {
      {"Validate", active, 200, true},
      {"ValidateForPublic", first_presentation("/public/x"), 200, true, true},
      {"FirstPresentation", first_presentation("/app/x"), 200, true, true},
      {"FirstPresentationRefused", first_presentation("/admin/x"), 403, false, true},
      {"FirstPresentationAsked", first_presentation("/auth/session"), 200, false, true},
      {"Rotate", idle, 200, true, true},
      {"RotateAFirstPresentation", idle_successor, 200, true, true},
      {"Extend", idle, 200, true, true, extend},
      {"OldCookie", old_cookie, 200, true},
      {"ReuseAfterTheGrace", reused_after_grace("/app/x"), 401},
      {"ReuseAfterTheGraceForPublic", reused_after_grace("/public/x"), 200, true},
      {"Login", first_login, 303},
      {"LoginOverASession", login_over_a_session, 303},
      {"LoginOverARotatedSession", login_over_a_rotated_session, 303},
      {"LoginBeyondMaxPerUser", login_over_a_session, 303, false, false, one_session_each},
      {"Logout", logout_of_one, 303},
      {"LogoutOfARotatedSession", logout_of_a_rotated_one, 303},
      {"LogoutOfAll", logout_of_all, 303},
  };
}

// ── the loop
// ──────────────────────────────────────────────────────────────────────────────────────────────────────────

class NthCall : public ::testing::TestWithParam<UseCase> {
 protected:
  NthCall() {
    Attempt undisturbed(use_case());
    before_ = undisturbed.rows();
    undisturbed.site.failing.fail_nothing();
    const FakeExchange answer = undisturbed.make_request();
    after_ = undisturbed.rows();
    EXPECT_EQ(answer.head.status, use_case().status);
    EXPECT_EQ(undisturbed.has_let_in(), use_case().lets_in);
  }

  static const UseCase& use_case() { return GetParam(); }

  /// `plan` tells the store how to fail. Returns false if the request did not make so many calls.
  bool survives(std::size_t n, const std::function<void(contract::FailingStore&)>& plan) {
    Attempt attempt(use_case());
    EXPECT_EQ(attempt.rows(), before_);
    plan(attempt.site.failing);
    const FakeExchange answer = attempt.make_request();
    const bool was_hit = attempt.site.failing.calls() >= n;
    attempt.site.failing.fail_nothing();
    expect_refused_or_done(attempt, answer);
    if (attempt.rows() == before_) {
      EXPECT_EQ(attempt.make_request().head.status, use_case().status) << "the next try";
    }
    EXPECT_EQ(attempt.rows(), after_) << "the next try";
    return was_hit;
  }

  void expect_refused_or_done(Attempt& attempt, const FakeExchange& answer) {
    const Rows rows = attempt.rows();
    if (answer.head.status == 503) {
      EXPECT_THAT(answer.all("Set-Cookie"), IsEmpty());
      EXPECT_FALSE(answer.first("Retry-After").empty());
      EXPECT_FALSE(attempt.has_let_in());
      EXPECT_TRUE(rows == before_ || rows == after_) << ::testing::PrintToString(rows);
      return;
    }
    EXPECT_EQ(answer.head.status, use_case().status);
    EXPECT_EQ(attempt.has_let_in(), use_case().lets_in);
    if (use_case().can_do_without_writes && rows == before_) {
      EXPECT_THAT(answer.all("Set-Cookie"), IsEmpty());
    } else {
      EXPECT_EQ(rows, after_);
    }
  }

  /// Returns the first n at which nothing was left to fail.
  std::size_t fail_each(const std::function<void(contract::FailingStore&, std::size_t)>& plan) {
    for (std::size_t n = 1; n < kMoreCallsThanAnyRequestMakes; ++n) {
      SCOPED_TRACE("call " + std::to_string(n));
      if (!survives(n, [&](contract::FailingStore& store) { plan(store, n); })) return n;
    }
    ADD_FAILURE() << "there is always another call";
    return 0;
  }

 private:
  Rows before_;
  Rows after_;
};

TEST_P(NthCall, FailsAlone) {
  EXPECT_GT(
      fail_each([](contract::FailingStore& store, std::size_t n) { store.fail_nth(n, ErrorCode::store_read_only); }),
      1U);
}

TEST_P(NthCall, FailsWithAllThatFollow) {
  EXPECT_GT(fail_each([](contract::FailingStore& store, std::size_t n) {
              store.fail_from_nth(n, ErrorCode::store_unavailable);
            }),
            1U);
}

INSTANTIATE_TEST_SUITE_P(Of, NthCall, ::testing::ValuesIn(use_cases()),
                         [](const TestParamInfo<UseCase>& param) { return param.param.name; });

/// Somebody else renews the session between this request's look and its own renewal.
void lose_the_next_rotation(Site& site, const auth::Session& old) {
  site.store.before["rotate"] = [&site, old] {
    auth::Auth other(World::options(), site.store, site.clock, site.random, site.events);
    ASSERT_TRUE(other.renew(*other.find(old.token)));
  };
}

TEST(NthCallOfARenewal, ThatSomebodyElseWinsLocksNobodyOut) {
  std::size_t n = 1;
  for (bool was_hit = true; was_hit && n < kMoreCallsThanAnyRequestMakes; ++n) {
    SCOPED_TRACE("call " + std::to_string(n));
    Site site;
    const auth::Session old = sign_in_and_idle(site);
    lose_the_next_rotation(site, old);
    site.failing.fail_nth(n, ErrorCode::store_unavailable);
    const FakeExchange answer = site.serve(site.request("GET", "/app/x"));
    was_hit = site.failing.calls() >= n;
    EXPECT_EQ(answer.head.status, n == 1 ? 503 : 200);
    EXPECT_EQ(answer.all("Set-Cookie").size(), was_hit ? 0U : 1U);
    EXPECT_EQ(site.store.inner.all_sessions()->size(), 1U);
    site.failing.fail_nothing();
    EXPECT_EQ(site.serve(site.request("GET", "/app/x")).head.status, 200) << "with the same cookie, which is old now";
    EXPECT_EQ(site.store.inner.all_sessions()->size(), 1U);
  }
  EXPECT_EQ(n, 7U) << "look, rotate, look again in three reads, and one more time with nothing left to fail";
}

}  // namespace
}  // namespace gatehouse::gateway
