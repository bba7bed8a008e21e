#!/bin/bash
# As in the public image: an empty data folder becomes one whose root, from anywhere, has $MARIADB_ROOT_PASSWORD.
set -euo pipefail
if [ ! -d /var/lib/mysql/mysql ]; then
    mariadb-install-db --datadir=/var/lib/mysql --auth-root-authentication-method=normal --skip-test-db >/dev/null
fi
printf "CREATE OR REPLACE USER root@'%%' IDENTIFIED BY '%s';\nGRANT ALL ON *.* TO root@'%%' WITH GRANT OPTION;\n" \
    "$MARIADB_ROOT_PASSWORD" >/run/mysqld/init.sql
exec "$@" --bind-address=0.0.0.0 --init-file=/run/mysqld/init.sql
