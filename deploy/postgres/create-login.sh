#!/bin/sh
# Creates the login that `apex serve` connects as: a member of the role apex_app, which may read the log, append through a
# function, and write the read models, and of apex_reader, which sees the rows of one tenant at a time. The PostgreSQL image
# runs this once, when it initializes the database.
set -eu

# Through standard input, because psql does not substitute variables in -c.
psql -v ON_ERROR_STOP=1 -v password="$LOGIN_PASSWORD" -U "${POSTGRES_USER:-postgres}" -d "$POSTGRES_DB" <<'SQL'
create role apex_reader nologin;
create role apex_app nologin in role apex_reader;
create role apex login password :'password' in role apex_app;
SQL
