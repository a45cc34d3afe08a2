#!/bin/sh
# The login that Apex serves as: a member of apex_app, which may read the log, append through its function, and write the
# read models. The image of PostgreSQL runs this once, when it makes the database.
set -eu

# On standard input: psql fills in variables there, and not in -c.
psql -v ON_ERROR_STOP=1 -v password="$LOGIN_PASSWORD" -U "${POSTGRES_USER:-postgres}" -d "$POSTGRES_DB" <<'SQL'
create role apex_app nologin;
create role apex login password :'password' in role apex_app;
SQL
