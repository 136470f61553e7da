# syntax=docker/dockerfile:1
# check=skip=JSONArgsRecommended,FromAsCasing;experimental=InvalidDefinitionDescription
# which release
ARG RELEASE=bookworm
# BASE is the image below it all
ARG BASE=debian:${RELEASE}
FROM ${BASE} as one
# check=skip=LegacyKeyValueFormat
ENV A b
ENV C d
CMD echo skipped
