FROM --platform=$BUILDPLATFORM debian:bookworm-slim AS fetch
ARG TARGETARCH
ARG TARGETVARIANT
ARG VERSION=2.1.0
RUN echo "fetching for ${TARGETARCH}${TARGETVARIANT:+/$TARGETVARIANT}" > /log
FROM debian:bookworm-slim
ARG TARGETPLATFORM
LABEL platform=$TARGETPLATFORM
COPY --from=fetch /log /log
