# The shim, in two stages. From the root of the repository:
#   docker build -f deploy/docker/shim.Dockerfile -t apikey-shim .
# Untested: it was written where no container engine runs. Its build step is that of
# scripts/build-shim.
FROM rust:1.88-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked -p apikey-shim

FROM debian:bookworm-slim
# The certificates of public authorities are for sslrootcert=system.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/target/release/apikey-shim /usr/local/bin/apikey-shim
COPY LICENSE-MIT LICENSE-APACHE /usr/share/doc/apikey-shim/
USER 65534:65534
ENV APIKEY_LISTEN=0.0.0.0:8080
EXPOSE 8080
# `docker stop` sends SIGTERM and has to wait for longer than --shutdown-timeout: docker stop --time
# 15.
ENTRYPOINT ["/usr/local/bin/apikey-shim"]
