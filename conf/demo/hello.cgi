#!/bin/sh
# The page of scripts/demo: an ordinary CGI program that knows nothing of sessions or cookies. It reads REMOTE_USER.
# Everything it prints was a visitor's or an administrator's once, so it is escaped.

escape() {
  printf '%s' "$1" | sed -e 's/&/\&amp;/g' -e 's/</\&lt;/g' -e 's/>/\&gt;/g' -e 's/"/\&quot;/g' -e "s/'/\&#39;/g"
}

row() {
  printf '<tr><th scope="row">%s</th><td>%s</td></tr>\n' "$1" "$(escape "$2")"
}

printf 'Status: 200 OK\r\n'
printf 'Content-Type: text/html; charset=utf-8\r\n'
printf 'Cache-Control: no-store\r\n'
printf '\r\n'

cat <<'PAGE'
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Gatehouse demo</title>
<style>
  :root { color-scheme: light dark; --ink: #1c2330; --soft: #5b6577; --line: #dfe4ec; --card: #fff; --page: #f3f5f9;
          --accent: #2457d6; --on-accent: #fff }
  @media (prefers-color-scheme: dark) {
    :root { --ink: #e8ecf4; --soft: #9aa5b8; --line: #2d3647; --card: #1a2130; --page: #10151f;
            --accent: #7ea2ff; --on-accent: #10151f }
  }
  * { box-sizing: border-box }
  body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 2rem 1rem; background: var(--page);
         color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif }
  main { width: 100%; max-width: 40rem; background: var(--card); border: 1px solid var(--line); border-radius: 14px;
         padding: 2.25rem 2.25rem 1.75rem; box-shadow: 0 10px 30px rgb(20 30 60 / .07) }
  .eyebrow { margin: 0; color: var(--soft); font-size: .8rem; letter-spacing: .08em; text-transform: uppercase }
  h1 { margin: .2rem 0 .4rem; font-size: 1.9rem; line-height: 1.2 }
  p { margin: .4rem 0 1.2rem; color: var(--soft) }
  table { width: 100%; border-collapse: collapse; margin: 0 0 1.5rem; font-size: .93rem }
  th, td { text-align: left; padding: .5rem 0; border-top: 1px solid var(--line); vertical-align: top }
  th { width: 42%; font-weight: 500; color: var(--soft); padding-right: 1rem }
  td { overflow-wrap: anywhere; font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .88rem }
  nav { display: flex; gap: 1.25rem; align-items: center; flex-wrap: wrap }
  a { color: var(--accent) }
  button, .button { font: inherit; font-weight: 600; padding: .55rem 1.15rem; border-radius: 9px; border: 0;
                    cursor: pointer; background: var(--accent); color: var(--on-accent); text-decoration: none }
  button:focus-visible, a:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px }
  footer { margin-top: 1.5rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--soft);
           font-size: .83rem }
</style>
</head>
<body>
<main>
PAGE

if [ -n "${REMOTE_USER+set}" ]; then
  printf '<p class="eyebrow">Gatehouse demo</p>\n<h1>Hello, %s!</h1>\n' "$(escape "${HTTP_REMOTE_NAME:-$REMOTE_USER}")"
  printf '<p>You are signed in as <strong id="user">%s</strong>. ' "$(escape "$REMOTE_USER")"
  printf 'This page is a plain CGI script; here is what it was told about you.</p>\n'
else
  printf '<p class="eyebrow">Gatehouse demo</p>\n<h1>Hello, whoever you are</h1>\n'
  printf '<p>This page is public. The same script, run without a user: REMOTE_USER is not set.</p>\n'
fi

printf '<table>\n'
if [ -n "${REMOTE_USER+set}" ]; then
  row REMOTE_USER "$REMOTE_USER"
  row AUTH_TYPE "${AUTH_TYPE-}"
  row 'Remote-Name' "${HTTP_REMOTE_NAME-}"
  row 'Remote-Email' "${HTTP_REMOTE_EMAIL-}"
  row 'Remote-Groups' "${HTTP_REMOTE_GROUPS-}"
  row 'Session' "${GATEHOUSE_SESSION_STATE-}"
fi
row 'Your address' "${REMOTE_ADDR-}"
row 'Request' "${REQUEST_METHOD-} ${SCRIPT_NAME-}${PATH_INFO-}"
row 'Server time' "$(date -u '+%Y-%m-%d %H:%M:%S UTC')"
printf '</table>\n<nav>\n'

if [ -n "${REMOTE_USER+set}" ]; then
  printf '<form method="post" action="/auth/logout"><button id="logout">Sign out</button></form>\n'
  printf '<a href="/public/">A page open to everybody</a>\n'
else
  printf '<a class="button" href="/">Sign in</a>\n'
fi
printf '</nav>\n<footer>Served by a CGI script behind Gatehouse behind nginx.</footer>\n</main>\n</body>\n</html>\n'
