// The line that an event becomes.
#include "middleware/stderr_events.hpp"

#include <gtest/gtest.h>

namespace gatehouse::middleware {
namespace {

TEST(EventLine, NamesWhatIsKnown) {
  auth::Event event;
  event.kind = auth::EventKind::rotated_reuse;
  event.user_id = "u1";
  event.address = "192.0.2.7";
  EXPECT_EQ(event_line(event), "gatehouse: rotated_reuse user=\"u1\" address=\"192.0.2.7\"");
}

TEST(EventLine, CannotBeForgedByAVisitor) {
  auth::Event event;
  event.kind = auth::EventKind::doubled_cookie;
  event.address = "1\"\n\x1b[2J\xc3\xa4";
  EXPECT_EQ(event_line(event), "gatehouse: doubled_cookie address=\"1???[2J??\"");
}

}  // namespace
}  // namespace gatehouse::middleware
