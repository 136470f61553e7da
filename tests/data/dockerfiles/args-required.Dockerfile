ARG TAG
FROM debian:${TAG} AS by-tag
FROM ${OTHER_IMAGE:-debian:bookworm}
ARG WHO=${USER:-nobody}
RUN echo $WHO
