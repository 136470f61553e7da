FROM gcc:12 AS build
COPY Makefile *.c *.h /src/
RUN make -C /src CFLAGS=-O2 LDFLAGS=-static
FROM scratch
COPY --from=0 /src/hello /hello
CMD ["/hello"]
