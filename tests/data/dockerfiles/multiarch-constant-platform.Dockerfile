FROM --platform=linux/amd64 debian:bookworm-slim AS tools
RUN true
FROM --platform=linux/arm64 debian:bookworm-slim AS arm64-tools
RUN true
FROM debian:bookworm-slim
COPY --from=tools /bin/true /true-amd64
