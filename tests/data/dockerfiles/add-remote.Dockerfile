FROM debian:bookworm-slim
ADD --checksum=sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef https://example.org/dist/tool.tar.gz /tmp/
ADD --chmod=0755 https://example.org/get.sh /usr/local/bin/get
ADD https://git.example.org/lib.git#v1.2:src /usr/src/lib
ADD --keep-git-dir=true https://git.example.org/full.git /usr/src/full
