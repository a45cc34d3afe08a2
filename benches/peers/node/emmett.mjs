// Emmett's event store on PostgreSQL.

import { getPostgreSQLEventStore, readMessagesBatch } from '@event-driven-io/emmett-postgresql';
import { dumbo } from '@event-driven-io/dumbo';
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { call, contend, metadata } from './contender.mjs';

await contend(async (url, connections) => {
  const pool = new pg.Pool({ connectionString: url, max: connections });
  const store = getPostgreSQLEventStore(url, { connectionOptions: { pool }, schema: { autoMigration: 'None' } });
  const executor = dumbo({ connectionString: url, pool });
  return {
    create: () => store.schema.migrate(),
    // Position 0 instead of STREAM_DOES_NOT_EXIST, for which the append checks nothing.
    append: (n) =>
      store.appendToStream(
        `call-${randomUUID()}`,
        [{ type: 'call.recorded', data: call(n), metadata: metadata() }],
        { expectedStreamVersion: 0n },
      ),
    // Like the library's consumer: after the position of the last message of the last batch.
    read: async (after) => {
      const batch = await readMessagesBatch(executor.execute, { after, batchSize: 1000 });
      return [batch.messages.map((message) => message.metadata.globalPosition), batch.currentGlobalPosition];
    },
    close: async () => {
      await executor.close();
      await store.close();
      await pool.end();
    },
  };
});
