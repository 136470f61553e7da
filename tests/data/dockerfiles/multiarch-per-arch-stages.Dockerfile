ARG TARGETARCH
FROM debian:bookworm-slim AS base-amd64
ENV MARCH=x86-64-v2
FROM debian:bookworm-slim AS base-arm64
ENV MARCH=armv8-a
FROM base-${TARGETARCH} AS build
RUN echo "$MARCH" > /march
FROM scratch
COPY --from=build /march /
