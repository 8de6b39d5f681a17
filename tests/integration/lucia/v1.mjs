// Lucia 1.8 over its own tables auth_user, auth_session, auth_key.
import { mysql2 } from "adapter-mysql-v1";
import lucia from "lucia-auth";
import "lucia-auth/polyfill/node";
import { pool, serve, wanted } from "./serve.mjs";

serve(
  lucia({
    adapter: mysql2(pool),
    env: "DEV",
    transformDatabaseUser: ({ id, ...attributes }) => ({ userId: id, ...attributes }),
    ...wanted.options,
  }),
);
