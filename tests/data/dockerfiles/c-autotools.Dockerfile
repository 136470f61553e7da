FROM debian:bookworm-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends build-essential autoconf automake libtool pkg-config
WORKDIR /usr/src/tool
ADD tool-1.4.2.tar.gz /usr/src/
WORKDIR /usr/src/tool-1.4.2
RUN ./configure --prefix=/opt/tool --disable-static
RUN make -j"$(nproc)" && make check
RUN make install DESTDIR=/out

FROM debian:bookworm-slim
COPY --from=build /out/ /
ENV PATH=/opt/tool/bin:$PATH
CMD ["tool", "--help"]
