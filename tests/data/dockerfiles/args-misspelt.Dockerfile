ARG VERSION=1.0
FROM debian:${VERSOIN:-bookworm} AS build
ARG VERSION
ENV APP_VERSION=$VERSION
COPY app-${VERISON}.tar /src/
LABEL version="$APP_VERSON"
FROM debian:bookworm$VERSOIN
