// message-db: functions in PostgreSQL, called in the same way as by its clients.

import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { call, contend, metadata } from './contender.mjs';

// The order of its install.sh and install-functions.sh, without views and roles, which are not needed here.
const INSTALL = [
  'schema/message-store',
  'extensions/pgcrypto',
  'tables/messages',
  'types/message',
  ...['message-store-version', 'hash-64', 'acquire-lock', 'category', 'is-category', 'id', 'cardinal-id',
    'stream-version', 'write-message', 'get-stream-messages', 'get-category-messages', 'get-last-stream-message',
  ].map((name) => `functions/${name}`),
  ...['messages-id', 'messages-category', 'messages-stream'].map((name) => `indexes/${name}`),
];

// Writers of one category wait for each other, so the rate depends on the number of categories.
const categories = Number(process.env.PEERS_CATEGORIES);
const category = (n) => (categories === 1 ? 'call' : `call${n % categories}`);

await contend(async (url, connections) => {
  const pool = new pg.Pool({
    connectionString: url,
    max: connections,
    options: '-c search_path=message_store,public',
  });
  return {
    create: async () => {
      const root = dirname(createRequire(import.meta.url).resolve('@eventide/message-db/package.json'));
      for (const file of INSTALL) {
        await pool.query(readFileSync(join(root, 'database', `${file}.sql`), 'utf8'));
      }
    },
    append: (n) =>
      pool.query({
        name: 'write',
        text: 'select write_message($1::varchar, $2::varchar, $3::varchar, $4::jsonb, $5::jsonb, $6::bigint)',
        values: [
          randomUUID(), `${category(n)}-${randomUUID()}`, 'Recorded', JSON.stringify(call(n)),
          JSON.stringify(metadata()), -1,
        ],
      }),
    // The library reads by category only, and guarantees order only there.
    read: async (after) => {
      const { rows } = await pool.query({
        name: 'read',
        text: "select global_position from get_category_messages('call', $1::bigint, 1000)",
        values: [after + 1n],
      });
      const positions = rows.map((row) => BigInt(row.global_position));
      return [positions, positions.at(-1) ?? after];
    },
    close: () => pool.end(),
  };
});
