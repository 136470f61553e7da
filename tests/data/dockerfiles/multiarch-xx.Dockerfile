FROM --platform=$BUILDPLATFORM tonistiigi/xx:1.5.0 AS xx
FROM --platform=$BUILDPLATFORM debian:bookworm-slim AS build
COPY --from=xx / /
ARG TARGETPLATFORM
RUN xx-apt-get install -y gcc libc6-dev
COPY main.c .
RUN xx-clang -o /main main.c && xx-verify /main
FROM debian:bookworm-slim
COPY --from=build /main /usr/bin/main
