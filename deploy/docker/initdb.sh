#!/bin/sh
# Run by the image of Postgres when it makes its data directory: the extension, its roles, and the
# shim's password.
set -eu
database() { psql --no-psqlrc --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" "$@"; }

database --command='CREATE SCHEMA keys' --command='CREATE EXTENSION apikey SCHEMA keys'
database --file="${APIKEY_ROLES:-/usr/share/apikey/roles.sql}"
password=$(cat "${APIKEY_SHIM_PASSWORD_FILE:-/run/secrets/apikey_shim_password}")
# On standard input, so that no process list has it.
printf "\\\\set password '%s'\nALTER ROLE apikey_shim PASSWORD :'password';\n" "$password" | database --quiet
