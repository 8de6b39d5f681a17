// Lucia 2.7 over tables with the names of its documentation.
import { mysql2 } from "@lucia-auth/adapter-mysql";
import { lucia } from "lucia";
import "lucia/polyfill/node";
import { pool, serve, wanted } from "./serve.mjs";

serve(
  lucia({
    adapter: mysql2(pool, { user: "auth_user", key: "user_key", session: "user_session" }),
    env: "DEV",
    getUserAttributes: ({ id, ...attributes }) => attributes,
    getSessionAttributes: ({ country }) => ({ country }),
    ...wanted.options,
  }),
);
