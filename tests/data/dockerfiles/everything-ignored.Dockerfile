FROM busybox:1.36
COPY . /src
COPY README /src/README
