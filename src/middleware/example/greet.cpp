// Greets whoever has signed in at Gatehouse, and signs them out: one program for CGI and FastCGI. It shares Gatehouse's
// SQLite file, which GREET_DATABASE names, and its own page at /logout.
#include <fcgiapp.h>

#include <gatehouse/auth/auth_request.hpp>
#include <gatehouse/auth/logout.hpp>
#include <gatehouse/http/html.hpp>
#include <gatehouse/middleware/cgi_context.hpp>
#include <gatehouse/middleware/fcgx_context.hpp>
#include <gatehouse/middleware/stderr_events.hpp>
#include <gatehouse/store/open.hpp>

#include <cstdlib>

using namespace gatehouse;

http::Response page(int status, const std::string& html) {
  const http::ResponseHead head{status, {}, {{"Content-Type", "text/html; charset=utf-8"}}};
  return {head, "<!DOCTYPE html><title>Greetings</title>" + html};
}

http::Response answer(auth::Auth& auth, middleware::ProgramContext& context) {
  const auto logout = handle_logout_requests(auth);
  if (context.variable("PATH_INFO") == "/logout") return logout(context);

  const auto visitor = auth.handle_request(context).validate_user();
  if (!visitor) return page(503, "<p>Who you are cannot be said just now. Please come back in a moment.</p>");
  if (!*visitor) return page(401, "<p>You are not signed in.</p>");
  const std::string name = http::escape_html((*visitor)->user.username);
  const std::string here = http::escape_html(context.variable("SCRIPT_NAME"));
  return page(200, "<p>Hello, " + name + "</p><form method=post action=\"" + here + "/logout\">" +
                       "<button>Log out</button></form>");
}

int main() {
  const char* const database = std::getenv("GREET_DATABASE");
  store::SqliteOptions options;
  options.path = database != nullptr ? database : "/var/lib/gatehouse/gatehouse.db";
  const auto store = store::open_store(options);
  const auth::SystemClock clock;
  auth::SystemRandom random;
  middleware::StderrEvents events;
  auth::Auth auth({}, *store, clock, random, events);  // {} is what gatehouse.yaml says without a section `session`

  if (FCGX_IsCGI() != 0) {
    middleware::CgiContext context;
    context.send(answer(auth, context));
    return 0;
  }
  FCGX_Init();
  FCGX_Request request;
  FCGX_InitRequest(&request, 0, 0);
  while (FCGX_Accept_r(&request) == 0) {
    middleware::FcgxContext context(request);
    context.send(answer(auth, context));
  }
}
