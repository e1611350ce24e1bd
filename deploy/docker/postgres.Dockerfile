# Postgres with the extension, in two stages. From the root of the repository:
#   docker build -f deploy/docker/postgres.Dockerfile -t apikey-postgres .
# Untested: it was written where no container engine runs. Its build step is `make install` on
# Debian 12.
ARG PG_MAJOR=18

FROM postgres:${PG_MAJOR}-bookworm AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends postgresql-server-dev-${PG_MAJOR}
WORKDIR /src
COPY . .
# Installs a compiler with apt, and leaves the files in /out as they lie in the system.
RUN DESTDIR=/out PG_CONFIG=/usr/lib/postgresql/${PG_MAJOR}/bin/pg_config scripts/install

FROM postgres:${PG_MAJOR}-bookworm
COPY --from=build /out/ /
COPY deploy/roles.sql /usr/share/apikey/roles.sql
COPY deploy/docker/initdb.sh /docker-entrypoint-initdb.d/apikey.sh
CMD ["postgres", "-c", "shared_preload_libraries=apikey"]
