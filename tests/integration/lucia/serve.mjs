// Speaks for a Lucia on stdin and stdout: a line of JSON {id, call, arguments} in, a line {id, result} or
// {id, error: {name, message}} out. Calls run beside each other; the end of stdin ends the program. Times are in
// milliseconds.
import { createInterface } from "node:readline";
import mysql from "mysql2/promise";

/** What the test wants: {connection, options}, the one for mysql2 and the others for Lucia. */
export const wanted = JSON.parse(process.argv[2]);
// Many: 1.8 takes a connection for each createUser with a key and never gives it back.
export const pool = mysql.createPool({ ...wanted.connection, charset: "utf8mb4", connectionLimit: 120 });

/** Lucia's default middleware takes what handleRequest wants to know as it is. */
const contextOf = ({ method = "GET", url = "http://app.example.org/", headers = {} }, cookies) => ({
  request: {
    method,
    url,
    // 1.x reads properties, 2.x a Headers.
    headers: Object.assign(new Headers(headers), { cookie: headers.cookie ?? null, origin: headers.origin ?? null }),
  },
  setCookie: (cookie) => cookies.push(cookie.serialize()),
});

/** Calls methods of one AuthRequest, one after the other; tells their results and the Set-Cookie lines. */
const request = async (auth, about, calls) => {
  const cookies = [];
  const one = auth.handleRequest(contextOf(about, cookies));
  const results = [];
  for (const [method, ...rest] of calls) results.push((await one[method](...rest)) ?? null);
  return { results, cookies };
};

const answer = async (auth, { call, arguments: rest = [] }) =>
  call === "request" ? request(auth, ...rest) : ((await auth[call](...rest)) ?? null);

export const serve = (auth) => {
  Date.prototype.toJSON = Date.prototype.getTime;
  const tell = (line) => process.stdout.write(JSON.stringify(line) + "\n");
  // createSession of an unknown user leaves a promise alone whose failure would end the program (lucia#870).
  process.on("unhandledRejection", (error) => process.stderr.write(`unhandled: ${error?.message ?? error}\n`));
  const lines = createInterface({ input: process.stdin });
  lines.on("line", async (line) => {
    const asked = JSON.parse(line);
    try {
      tell({ id: asked.id, result: await answer(auth, asked) });
    } catch (error) {
      tell({ id: asked.id, error: { name: error?.constructor?.name, message: error?.message } });
    }
  });
  lines.on("close", () => process.exit(0));
  tell({ id: 0, result: "ready" });
};
