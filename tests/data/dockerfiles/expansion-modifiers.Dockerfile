FROM busybox:1.36
ARG URL=https://example.org/pkg/tool-1.2.3.tar.gz
ARG FILE=${URL##*/}
ARG NAME=${FILE%.tar.gz}
ARG VERSION=${NAME#*-}
ENV FLAT=${VERSION//./_} FIRST=${VERSION/./_} NONE=${MISSING-none} SET=${VERSION:+yes}
WORKDIR /opt/${NAME}
RUN echo "$FLAT $FIRST $NONE $SET" > state
