FROM debian:bookworm-slim AS Build
RUN true
FROM debian:bookworm-slim AS build
RUN true
FROM busybox:1.36 AS scratch
FROM busybox:1.36 AS context
COPY --from=BUILD /bin/true /true
