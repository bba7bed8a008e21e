#!/bin/bash
# As in the public image: an empty PGDATA becomes a database cluster whose superuser is postgres, with $POSTGRES_PASSWORD.
set -euo pipefail
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initdb --username=postgres --pwfile=<(printf '%s' "$POSTGRES_PASSWORD") --auth-host=scram-sha-256 --encoding=UTF8
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
fi
exec "$@" -c "listen_addresses=*"
