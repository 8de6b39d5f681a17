// The session: cookie, periods, renewal. The profile is read first, because it gives the defaults of the others.
#include "config/read.hpp"

namespace gatehouse::config {
namespace {

constexpr std::array<Word<Profile>, 2> kProfiles{{{"hardened", Profile::hardened}, {"lucia", Profile::lucia}}};
constexpr std::array<Word<auth::SameSite>, 3> kSameSites{
    {{"lax", auth::SameSite::lax}, {"strict", auth::SameSite::strict}, {"none", auth::SameSite::none}}};
constexpr std::array<Word<auth::Renewal>, 2> kRenewals{
    {{"rotate", auth::Renewal::rotate}, {"extend", auth::Renewal::extend}}};
constexpr std::array<Word<auth::TokenStorage>, 2> kStorages{
    {{"sha256", auth::TokenStorage::sha256}, {"plain", auth::TokenStorage::plain}}};

void read_cookie(Section cookie, auth::CookieProfile& profile) {
  cookie.text("name", profile.name, check_cookie_name);
  cookie.text("path", profile.path, check_cookie_path);
  cookie.text("domain", profile.domain, check_cookie_domain);
  cookie.choice("same_site", profile.same_site, kSameSites);
  cookie.flag("secure", profile.secure);
  cookie.refuse_unknown();
}

void read_cache(Section cache, Session& session) {
  cache.number("max_entries", session.cache_max_entries, {.least = 0, .most = 100'000'000});
  cache.duration("max_staleness", session.cache_max_staleness, Zero::means_none);
  cache.refuse_unknown();
}

}  // namespace

void read_session(Section& root, Session& session) {
  Section section = root.section("session");
  Profile profile = session.profile;
  section.choice("profile", profile, kProfiles);
  session = session_preset(profile);
  read_cookie(section.section("cookie"), session.cookie);
  section.duration("active_period", session.periods.active);
  section.duration("idle_period", session.periods.idle);
  section.duration("max_lifetime", session.periods.max_lifetime, Zero::means_none);
  section.choice("renewal", session.renewal, kRenewals);
  section.duration("rotation_grace", session.periods.rotation_grace, Zero::means_none);
  section.choice("token_storage", session.token_storage, kStorages);
  section.number("max_per_user", session.max_per_user, {});
  read_cache(section.section("cache"), session);
  section.refuse_unknown();
}

}  // namespace gatehouse::config
